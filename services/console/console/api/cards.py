"""Payment methods: cards on file, and prepaid credit."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.api.answers import answer, nothing, require_admin, tagged, undecided, undecided_within
from console.api.callers import Buyer, Reader
from console.api.money_models import Card, CardRequest, PaymentMethod, TopUp, TopUpRequest
from console.api.openapi import ETAG, NOT_MODIFIED, UNDECIDED, problems, said
from console.api.repeats import Key, request_key
from console.edge import Edge
from console.view import money
from console.web.requests import edge_of

router = APIRouter(tags=["Payment methods"])

_OF_ORGANIZATIONS = ("not_an_admin", "unknown_organization")
_OF_BANKS = ("card_declined", "card_needs_cardholder", "rate_limited")


@router.get(
    "/me/card",
    operation_id="getMyCard",
    summary="The caller's own card",
    responses={**said(200, "The card, if one is on file.", PaymentMethod, ETAG), **NOT_MODIFIED},
)
async def read_my_card(request: Request, caller: Reader) -> Response:
    """It is charged when nothing else can pay, in blocks that are used up one after another."""
    return tagged(request, await _of_account(edge_of(request), caller.account.account_id))


@router.put(
    "/me/card",
    operation_id="setMyCard",
    summary="Put a card of one's own on file",
    responses={
        **said(200, "The card.", PaymentMethod),
        **UNDECIDED,
        **problems("not_the_payer", "unknown_card", *_OF_BANKS),
    },
)
async def set_my_card(request: Request, body: CardRequest, caller: Buyer) -> Response:
    """In the place of an earlier one. It is checked with its bank, and not charged."""
    edge, account = edge_of(request), caller.account
    outcome = await edge.commands.attach_card(account, "account", account.account_id, body.card_id)
    return undecided(outcome) or answer(await _of_account(edge, account.account_id))


@router.delete(
    "/me/card",
    status_code=204,
    operation_id="removeMyCard",
    summary="Take one's own card off file",
    responses={**said(204, "No card is on file."), **UNDECIDED, **problems("not_the_payer", "no_card")},
)
async def remove_my_card(request: Request, caller: Buyer) -> Response:
    """What it was charged in advance is still used up."""
    outcome = await edge_of(request).commands.detach_card(caller.account, "account", caller.account.account_id)
    return undecided(outcome) or nothing()


@router.post(
    "/me/card/retry",
    operation_id="retryMyCard",
    summary="Count on one's own card again",
    responses={
        **said(200, "The card.", PaymentMethod),
        **UNDECIDED,
        **problems("not_the_payer", "no_card", "card_not_declined", "rate_limited"),
    },
)
async def retry_my_card(request: Request, caller: Buyer, key: Key = None) -> Response:
    """After it was declined. It is charged when it is its turn, and may be declined anew."""
    edge, account = edge_of(request), caller.account
    repeated = await request_key(request, account.account_id, key)
    outcome = await edge.commands.retry_card(account, "account", account.account_id, key=repeated)
    return undecided(outcome) or answer(await _of_account(edge, account.account_id))


@router.get(
    "/organizations/{organization_id:uuid}/card",
    operation_id="getOrganizationCard",
    summary="The organization's card",
    responses={
        **said(200, "The card, if one is on file.", PaymentMethod, ETAG),
        **NOT_MODIFIED,
        **problems(*_OF_ORGANIZATIONS),
    },
)
async def read_organization_card(request: Request, organization_id: UUID, caller: Reader) -> Response:
    """Only admins see it. It belongs to the organization, whoever has put it on file."""
    edge = edge_of(request)
    await require_admin(edge, caller, organization_id)
    return tagged(request, await _of_organization(edge, organization_id))


@router.put(
    "/organizations/{organization_id:uuid}/card",
    operation_id="setOrganizationCard",
    summary="Put a card of the organization on file",
    responses={
        **said(200, "The card.", PaymentMethod),
        **UNDECIDED,
        **problems("unknown_card", *_OF_ORGANIZATIONS, *_OF_BANKS),
    },
)
async def set_organization_card(request: Request, organization_id: UUID, body: CardRequest, caller: Buyer) -> Response:
    """In the place of an earlier one. It is checked with its bank, and not charged. Only admins may."""
    edge = edge_of(request)
    outcome = await edge.commands.attach_card(caller.account, "organization", organization_id, body.card_id)
    waits = await undecided_within(edge, caller, outcome)
    return waits or answer(await _of_organization(edge, organization_id))


@router.delete(
    "/organizations/{organization_id:uuid}/card",
    status_code=204,
    operation_id="removeOrganizationCard",
    summary="Take the organization's card off file",
    responses={**said(204, "No card is on file."), **UNDECIDED, **problems("no_card", *_OF_ORGANIZATIONS)},
)
async def remove_organization_card(request: Request, organization_id: UUID, caller: Buyer) -> Response:
    """What it was charged in advance is still used up. Only admins may."""
    edge = edge_of(request)
    outcome = await edge.commands.detach_card(caller.account, "organization", organization_id)
    return await undecided_within(edge, caller, outcome) or nothing()


@router.post(
    "/organizations/{organization_id:uuid}/card/retry",
    operation_id="retryOrganizationCard",
    summary="Count on the organization's card again",
    responses={
        **said(200, "The card.", PaymentMethod),
        **UNDECIDED,
        **problems("no_card", "card_not_declined", "rate_limited", *_OF_ORGANIZATIONS),
    },
)
async def retry_organization_card(request: Request, organization_id: UUID, caller: Buyer, key: Key = None) -> Response:
    """After it was declined. It is charged when it is its turn, and may be declined anew. Only admins may."""
    edge = edge_of(request)
    repeated = await request_key(request, caller.account.account_id, key)
    outcome = await edge.commands.retry_card(caller.account, "organization", organization_id, key=repeated)
    waits = await undecided_within(edge, caller, outcome)
    return waits or answer(await _of_organization(edge, organization_id))


@router.post(
    "/organizations/{organization_id:uuid}/top-ups",
    status_code=201,
    operation_id="topUp",
    summary="Buy credit for the organization",
    responses={
        **said(201, "It is bought: the organization's card was charged.", TopUp),
        **UNDECIDED,
        **problems("no_card", "amount_out_of_range", *_OF_ORGANIZATIONS, *_OF_BANKS),
    },
)
async def top_up(
    request: Request, organization_id: UUID, body: TopUpRequest, caller: Buyer, key: Key = None
) -> Response:
    """With its card, at once. Send an `Idempotency-Key`, so that nothing is bought twice. Only admins may."""
    edge = edge_of(request)
    repeated = await request_key(request, caller.account.account_id, key)
    outcome = await edge.commands.top_up(caller.account, organization_id, body.amount, key=repeated)
    if waits := await undecided_within(edge, caller, outcome):
        return waits
    bought = {name: outcome.result[name] for name in ("payment_id", "amount", "balance", "topped_up_at")}
    return answer(TopUp.model_validate(bought | {"organization_id": organization_id}), 201)


def card_of(card: money.Card | None) -> Card | None:
    """As whoever may see it sees it."""
    if card is None:
        return None
    return Card(
        card_id=card.card_id,
        brand=card.brand,
        last4=card.last4,
        expiry_month=card.expiry_month,
        expiry_year=card.expiry_year,
        declined=card.declined,
    )


async def _of_account(edge: Edge, account_id: UUID) -> PaymentMethod:
    chain = await edge.money.chain(account_id)
    source = next(each for each in chain.sources if each.kind == "member_card")
    return PaymentMethod(card=card_of(source.card), left=source.left)


async def _of_organization(edge: Edge, organization_id: UUID) -> PaymentMethod:
    found = await edge.money.organization_money(organization_id)
    return PaymentMethod(card=card_of(found.card), left=found.card_left)
