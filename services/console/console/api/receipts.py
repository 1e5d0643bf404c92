"""Receipts: money that came in, as JSON and as CSV."""

import csv
import io
from collections.abc import AsyncIterator, Iterable
from datetime import UTC
from decimal import Decimal
from typing import Any
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from console.api.answers import require_admin, tagged
from console.api.callers import Reader
from console.api.money_models import Receipt, ReceiptPage
from console.api.openapi import DISPOSITION, ETAG, NOT_MODIFIED, problems, said
from console.api.pages import Cursor, Limit, page_of
from console.edge import Edge
from console.view import money
from console.web.requests import edge_of

router = APIRouter(tags=["Receipts"])

_AT_A_TIME = 500
_COLUMNS = ("receipt_id", "at", "kind", "amount_usd", "card", "bought_by")
_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""What spreadsheets take for the beginning of one, and run."""


class CsvFile(StreamingResponse):
    """Rows in a file, as RFC 4180 describes it."""

    media_type = "text/csv"


@router.get(
    "/me/receipts",
    operation_id="listMyReceipts",
    summary="Receipts of the caller, the newest first",
    responses={**said(200, "A page of receipts.", ReceiptPage, ETAG), **NOT_MODIFIED, **problems("malformed_cursor")},
)
async def list_my_receipts(request: Request, caller: Reader, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Trial credit, and what the caller's own card was charged."""
    return await _page(request, caller.account.account_id, cursor, limit)


@router.get(
    "/me/receipts.csv",
    operation_id="downloadMyReceipts",
    summary="Receipts of the caller, as a file",
    response_class=CsvFile,
    responses=said(200, "All of them, the newest first.", None, DISPOSITION),
)
async def download_my_receipts(request: Request, caller: Reader) -> Response:
    """CSV with a line of names. Amounts are in dollars, exactly; no cell is a formula."""
    return _file(edge_of(request), caller.account.account_id)


@router.get(
    "/organizations/{organization_id:uuid}/receipts",
    operation_id="listOrganizationReceipts",
    summary="Receipts of the organization, the newest first",
    responses={
        **said(200, "A page of receipts.", ReceiptPage, ETAG),
        **NOT_MODIFIED,
        **problems("not_an_admin", "unknown_organization", "malformed_cursor"),
    },
)
async def list_organization_receipts(
    request: Request, organization_id: UUID, caller: Reader, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Top-ups, and what the organization's card was charged. Only admins see them."""
    await require_admin(edge_of(request), caller, organization_id)
    return await _page(request, organization_id, cursor, limit)


@router.get(
    "/organizations/{organization_id:uuid}/receipts.csv",
    operation_id="downloadOrganizationReceipts",
    summary="Receipts of the organization, as a file",
    response_class=CsvFile,
    responses={
        **said(200, "All of them, the newest first.", None, DISPOSITION),
        **problems("not_an_admin", "unknown_organization"),
    },
)
async def download_organization_receipts(request: Request, organization_id: UUID, caller: Reader) -> Response:
    """CSV with a line of names. Amounts are in dollars, exactly; no cell is a formula. Only admins see them."""
    edge = edge_of(request)
    await require_admin(edge, caller, organization_id)
    return _file(edge, organization_id)


async def _page(request: Request, payer_id: UUID, cursor: str | None, limit: int) -> Response:
    found = await page_of(edge_of(request).money.receipts(payer_id, after=cursor, limit=limit))
    return tagged(request, ReceiptPage(items=[_receipt(each) for each in found.items], next=found.next))


def _receipt(receipt: money.Receipt) -> Receipt:
    return Receipt(
        receipt_id=receipt.receipt_id,
        kind=receipt.kind,
        amount=receipt.amount,
        at=receipt.at,
        card=receipt.card,
        by=receipt.by,
    )


def _file(edge: Edge, payer_id: UUID) -> Response:
    headers = {"content-disposition": 'attachment; filename="receipts.csv"', "cache-control": "no-store"}
    return CsvFile(_lines(edge, payer_id), headers=headers)


async def _lines(edge: Edge, payer_id: UUID) -> AsyncIterator[str]:
    """A piece at a time, however many there are."""
    yield _csv([_COLUMNS])
    after = None
    while True:
        found = await edge.money.receipts(payer_id, after=after, limit=_AT_A_TIME)
        yield _csv(_cells(each) for each in found.items)
        if (after := found.next) is None:
            return


def _cells(receipt: money.Receipt) -> tuple[Any, ...]:
    at = receipt.at.astimezone(UTC).isoformat(timespec="seconds")
    dollars = f"{Decimal(receipt.amount).scaleb(-6):.6f}"
    return receipt.receipt_id, at, receipt.kind, dollars, receipt.card, receipt.by or ""


def _csv(rows: Iterable[Iterable[Any]]) -> str:
    written = io.StringIO()
    csv.writer(written).writerows([harmless(str(cell)) for cell in row] for row in rows)
    return written.getvalue()


def harmless(cell: str) -> str:
    """The cell, as text to every spreadsheet."""
    return f"'{cell}" if cell.startswith(_FORMULAS) else cell
