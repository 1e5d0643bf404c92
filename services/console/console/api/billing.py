"""Billing: who pays for what is used, what that has cost, and limits to it."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from console.api.answers import answer, nothing, require_membership, tagged, undecided_within
from console.api.callers import Buyer, Reader
from console.api.cards import card_of
from console.api.money_models import (
    BillingChain,
    BySource,
    DayUsage,
    MemberUsage,
    OrganizationBilling,
    OrganizationUsage,
    PaymentMethod,
    Source,
    SpendCap,
    SpendCapRequest,
    Usage,
)
from console.api.openapi import ETAG, NOT_MODIFIED, UNDECIDED, problems, said
from console.view import money
from console.view.money import SOURCES, month_of
from console.web.requests import edge_of

router = APIRouter(tags=["Billing"])

Month = Annotated[
    str | None,
    Query(
        pattern=r"^20[0-9]{2}-(0[1-9]|1[0-2])$",
        description="A calendar month (UTC), as in `2026-03`; without it, the present one.",
    ),
]
_CAP_REFUSED = problems("not_an_admin", "unknown_organization", "not_a_member")


@router.get(
    "/me/billing-chain",
    operation_id="getBillingChain",
    summary="Who pays next, and until when",
    responses={**said(200, "The chain.", BillingChain, ETAG), **NOT_MODIFIED},
)
async def read_chain(request: Request, caller: Reader) -> Response:
    """The sources of what the caller uses, in the order in which they are drawn from. `until` and `exhausted_at` are
    what the present rate makes of it: who else uses the organization's money, and when, nobody knows."""
    found = await edge_of(request).money.chain(caller.account.account_id)
    chain = BillingChain(
        organization_id=found.organization_id,
        sources=[_source(each) for each in found.sources],
        paying=found.paying,
        until=found.until,
        exhausted_at=found.exhausted_at,
        funds=found.funds,
        burn_rate=found.burn_rate,
        cap=found.cap,
        spent=found.spent,
    )
    return tagged(request, chain)


@router.get(
    "/me/usage",
    operation_id="getMyUsage",
    summary="What the caller has used in a month",
    responses={**said(200, "By day, and by who has paid.", Usage, ETAG), **NOT_MODIFIED},
)
async def read_my_usage(request: Request, caller: Reader, month: Month = None) -> Response:
    """In whichever organization, and in none."""
    edge = edge_of(request)
    asked = _month(month, month_of(edge.room.clock()))
    days = await edge.money.daily_spend(asked, account_id=caller.account.account_id)
    return tagged(request, _usage(asked, days))


@router.get(
    "/organizations/{organization_id:uuid}/billing",
    operation_id="getOrganizationBilling",
    summary="What the organization pays by",
    responses={
        **said(200, "Its credit, and for admins its card.", OrganizationBilling, ETAG),
        **NOT_MODIFIED,
        **problems("unknown_organization"),
    },
)
async def read_organization_billing(request: Request, organization_id: UUID, caller: Reader) -> Response:
    """Members see what is left of the credit, and how fast it is used; admins its card, and what was spent, too."""
    edge = edge_of(request)
    is_admin = (await require_membership(edge, caller, organization_id)).is_admin
    found = await edge.money.organization_money(organization_id)
    billing = OrganizationBilling(
        organization_id=organization_id,
        credit=found.credit,
        burn_rate=found.burn_rate,
        month=_name(month_of(edge.room.clock())),
        spent=found.spent if is_admin else None,
        payment_method=PaymentMethod(card=card_of(found.card), left=found.card_left) if is_admin else None,
    )
    return tagged(request, billing)


@router.get(
    "/organizations/{organization_id:uuid}/usage",
    operation_id="getOrganizationUsage",
    summary="What was used in the organization in a month",
    responses={
        **said(200, "By day, by member, and by who has paid.", OrganizationUsage, ETAG),
        **NOT_MODIFIED,
        **problems("unknown_organization"),
    },
)
async def read_organization_usage(
    request: Request, organization_id: UUID, caller: Reader, month: Month = None
) -> Response:
    """Admins see what everybody has used; members see what they have themselves."""
    edge = edge_of(request)
    is_admin = (await require_membership(edge, caller, organization_id)).is_admin
    asked = _month(month, month_of(edge.room.clock()))
    whose = None if is_admin else caller.account.account_id
    days = await edge.money.daily_spend(asked, organization_id=organization_id, account_id=whose)
    members = await edge.money.member_spend(organization_id, asked, account_id=whose)
    return tagged(request, OrganizationUsage(**dict(_usage(asked, days)), members=[_member(each) for each in members]))


@router.put(
    "/organizations/{organization_id:uuid}/members/{account_id:uuid}/spend-cap",
    operation_id="setSpendCap",
    summary="Limit what a member may draw from the organization",
    responses={**said(200, "The limit.", SpendCap), **UNDECIDED, **_CAP_REFUSED},
)
async def set_spend_cap(
    request: Request, organization_id: UUID, account_id: UUID, body: SpendCapRequest, caller: Buyer
) -> Response:
    """In each calendar month. When it is reached, the member's own sources pay until the month turns, or there is a
    higher limit."""
    edge = edge_of(request)
    outcome = await edge.commands.set_spend_cap(caller.account, organization_id, account_id, body.cap)
    if waits := await undecided_within(edge, caller, outcome):
        return waits
    return answer(SpendCap(organization_id=organization_id, account_id=account_id, cap=body.cap))


@router.delete(
    "/organizations/{organization_id:uuid}/members/{account_id:uuid}/spend-cap",
    status_code=204,
    operation_id="removeSpendCap",
    summary="Take a member's limit away",
    responses={**said(204, "There is none (any more)."), **UNDECIDED, **_CAP_REFUSED},
)
async def remove_spend_cap(request: Request, organization_id: UUID, account_id: UUID, caller: Buyer) -> Response:
    """From now on the organization pays for whatever they use, as far as it can."""
    edge = edge_of(request)
    outcome = await edge.commands.set_spend_cap(caller.account, organization_id, account_id, None)
    return await undecided_within(edge, caller, outcome) or nothing()


def _month(asked: str | None, present: date) -> date:
    return present if asked is None else date.fromisoformat(f"{asked}-01")


def _name(month: date) -> str:
    return f"{month:%Y-%m}"


def _source(source: money.Source) -> Source:
    return Source(
        kind=source.kind,
        payer_id=source.payer_id,
        left=source.left,
        burn_rate=source.burn_rate,
        card=card_of(source.card),
        can_pay=source.can_pay,
    )


def _usage(month: date, days: Sequence[money.DaySpend]) -> Usage:
    return Usage(
        month=_name(month),
        paid=_total(days),
        written_off=sum(each.written_off for each in days),
        days=[DayUsage(day=each.day, paid=_total([each]), written_off=each.written_off) for each in days],
    )


def _member(spend: money.MemberSpend) -> MemberUsage:
    return MemberUsage(
        account_id=spend.account_id,
        name=spend.name,
        address=spend.address,
        paid=_total([spend]),
        written_off=spend.written_off,
        cap=spend.cap,
    )


def _total(spent: Iterable[money.DaySpend | money.MemberSpend]) -> BySource:
    summed = dict.fromkeys(SOURCES, 0)
    for each in spent:
        for kind, amount in each.by_source.items():
            summed[kind] += amount
    return BySource.model_validate(summed)
