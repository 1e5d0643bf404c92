"""Usage & Billing → Usage: who pays, now and until when; what was spent, by whom and by which source; and receipts."""

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.accounts.domain import Account, Malformed
from console.view.money import month_of
from console.view.nouns import Membership
from console.web.amounts import dollars, micro_dollars
from console.web.answers import Toast, redirect, render
from console.web.pages.chain_steps import SOURCE_NAMES, about, chain_steps, who_pays, who_pays_then
from console.web.pages.forms import typed, typed_id
from console.web.pages.spend_chart import months_back, read_month, spend_chart, totals
from console.web.requests import csrf_token, edge_of, form_of, membership_of, session_of, signed_in

HOME = "/billing/usage"
_RECEIPT_NAMES = {"top_up": "Top-up", "card_charge": "Card charge", "trial_credit": "Trial credit"}
_RECEIPTS_SHOWN = 10
_STILL = "It is still being decided. The table will show what came of it."


@dataclass(frozen=True, slots=True)
class _WrongCap:
    """What was typed as somebody's limit, and why it is none."""

    account_id: UUID
    typed: str
    message: str


# --- the page


async def usage(request: Request) -> Response:
    """The page."""
    await signed_in(request)
    return await _page(request)


async def figures(request: Request) -> Response:
    """What changes by itself, for pages that are open already. 401 tells them that it is not theirs any more."""
    session, membership = await session_of(request), await membership_of(request)
    if session is None or not session.account.proven:
        raise HTTPException(401)
    context = await _context(request, session.account, membership)
    response = await render(request, "usage_figures.html.j2", **context)
    # Much is as it was: balances are told again with every charge, and times only to the minute.
    tag = f'W/"{hashlib.sha256(response.body).hexdigest()[:24]}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    response.headers["etag"] = tag
    return response


async def _page(request: Request, status: int = 200, **changed: Any) -> Response:
    session, membership = await signed_in(request), await membership_of(request)
    context = await _context(request, session.account, membership)
    return await render(request, "usage.html.j2", status, **context | changed)


async def _context(request: Request, account: Account, membership: Membership | None) -> dict[str, Any]:
    """What both templates show."""
    money, account_id, now = edge_of(request).money, account.account_id, edge_of(request).room.clock()
    month, this_month = _month_of(request), month_of(now)
    managed = membership.organization_id if membership is not None and membership.is_admin else None
    chain = await money.chain(account_id)
    whose = {"organization_id": managed} if managed else {"account_id": account_id}
    days = await money.daily_spend(month, **whose)
    return {
        "chain": chain,
        "steps": chain_steps(chain, membership),
        "who_pays": who_pays(chain, membership),
        "who_pays_then": who_pays_then(chain, membership),
        "days": days,
        "totals": totals(days),
        "chart": spend_chart(month, days),
        "members": await money.member_spend(managed, month) if managed else [],
        "receipts": (await money.receipts(account_id, limit=_RECEIPTS_SHOWN)).items,
        "organization_receipts": (await money.receipts(managed, limit=_RECEIPTS_SHOWN)).items if managed else [],
        "month": month,
        "months": months_back(this_month),
        "is_this_month": month == this_month,
        "about": about,
        "source_names": SOURCE_NAMES,
        "receipt_names": _RECEIPT_NAMES,
        "receipt_files": {
            "own": "/api/v1/me/receipts.csv",
            "organization": f"/api/v1/organizations/{managed}/receipts.csv",
        },
        "reader": await _reader_of(request),
        "query": request.url.query,
        "wrong_cap": None,
    }


def _month_of(request: Request) -> date:
    this_month = month_of(edge_of(request).room.clock())
    try:
        month = read_month(request.query_params["month"]) if "month" in request.query_params else this_month
    except ValueError:
        raise HTTPException(404) from None
    if month > this_month:
        raise HTTPException(404)
    return month


async def _reader_of(request: Request) -> str:
    """Whose page it is: one that is open has to be left when this is another."""
    membership = await membership_of(request)
    place = f"{membership.organization_id} {membership.role}" if membership is not None else "none"
    return f"{place} {await csrf_token(request)}"


# --- limits


async def set_cap(request: Request) -> Response:
    """Limits what the organization pays for a member in a month; an empty field takes the limit away."""
    session, form, membership = await signed_in(request), await form_of(request), await membership_of(request)
    account_id, cap = typed_id(form, "account_id"), typed(form, "cap").strip()
    if membership is None:
        return redirect(request, HOME)
    if account_id is None:
        raise HTTPException(400)
    try:
        limit = micro_dollars(cap, "cap") if cap else None
    except Malformed as error:
        return await _page(request, 422, wrong_cap=_WrongCap(account_id, cap, error.message))
    edge = edge_of(request)
    outcome = await edge.commands.set_spend_cap(session.account, membership.organization_id, account_id, limit)
    if outcome.is_refused:
        return redirect(request, HOME, Toast("error", outcome.message or "That was refused."))
    member = await edge.view.member(membership.organization_id, account_id)
    name = member.name if member is not None and member.name else "The member"
    now = "has no limit any more" if limit is None else f"has a limit of {dollars(limit)} a month"
    toast = Toast("success", f"{name} {now}.") if outcome.is_done else Toast("info", _STILL)
    return redirect(request, HOME, toast)


async def to_the_page(request: Request) -> Response:
    """For who loads the address again that a form was sent to."""
    return redirect(request, HOME)


routes = [
    Route(HOME, usage, methods=["GET"]),
    Route(f"{HOME}/figures", figures, methods=["GET"]),
    Route(f"{HOME}/cap", set_cap, methods=["POST"]),
    Route(f"{HOME}/cap", to_the_page, methods=["GET"]),
]
