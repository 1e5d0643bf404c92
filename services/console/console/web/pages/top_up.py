"""Usage & Billing → Top up: admins buy prepaid credit for their organization, with its card."""

import secrets

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.accounts.domain import Malformed
from console.commands.idempotency import KeyReused, RequestKey
from console.limits import RateLimited
from console.view.nouns import Membership
from console.web.amounts import dollars, micro_dollars
from console.web.answers import Toast, redirect
from console.web.pages.forms import Trouble, form_page, refusal, trouble_of, typed
from console.web.pages.usage import HOME as USAGE
from console.web.requests import edge_of, form_of, membership_of, signed_in

HOME = "/billing/organization/top-up"
_PRESETS = ("25", "100", "500")
"""Dollars that are chosen with one click."""
_LONGEST = 100
_NO_ADMIN = "Only admins buy credit for the organization."
_STILL = "The card's bank has not answered yet. The credit is here as soon as it has."
_AGAIN = "This form was sent before, with another amount. Please look at the credit, and send it once more."


async def top_up(request: Request) -> Response:
    """The form; `?amount=100` fills it in."""
    await signed_in(request)
    membership = await membership_of(request)
    if membership is None or not membership.is_admin:
        return redirect(request, USAGE, Toast("error", _NO_ADMIN))
    return await _page(request, membership, request.query_params.get("amount", "")[:_LONGEST])


async def buy(request: Request) -> Response:
    """Charges the card, once however often the form is sent; a refusal stands beside the field."""
    session, form, membership = await signed_in(request), await form_of(request), await membership_of(request)
    if membership is None or not membership.is_admin:
        return redirect(request, USAGE, Toast("error", _NO_ADMIN))
    amount, once, edge = typed(form, "amount")[:_LONGEST], typed(form, "once"), edge_of(request)
    try:
        bought = micro_dollars(amount, cents_only=True)
        key = RequestKey.of(session.account.account_id, once, "POST", HOME, str(bought).encode())
        outcome = await edge.commands.top_up(session.account, membership.organization_id, bought, key=key)
    except (Malformed, RateLimited) as error:
        return await _page(request, membership, amount, trouble_of(error))
    except KeyReused:
        return await _page(request, membership, amount, refusal("amount", _AGAIN))
    if outcome.is_refused:
        return await _page(request, membership, amount, refusal("amount", outcome.message))
    if not outcome.is_done:
        return redirect(request, USAGE, Toast("info", _STILL))
    balance = dollars((await edge.money.organization_money(membership.organization_id)).credit)
    said = f"{dollars(bought)} bought. {membership.organization_name} has {balance} of credit now."
    return redirect(request, USAGE, Toast("success", said))


async def _page(request: Request, membership: Membership, amount: str, trouble: Trouble | None = None) -> Response:
    return await form_page(
        request,
        "top_up.html.j2",
        trouble,
        money=await edge_of(request).money.organization_money(membership.organization_id),
        presets=_PRESETS,
        amount=amount,
        once=secrets.token_urlsafe(16),
    )


routes = [
    Route(HOME, top_up, methods=["GET"]),
    Route(HOME, buy, methods=["POST"]),
]
