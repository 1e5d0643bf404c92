"""Usage & Billing → Payment method: the card on file, of a person and of an organization.

A card's number goes from the form of Stripe's script, which the browser has from Stripe, to Stripe. What is sent to us
is the reference that Stripe has made of it. These pages alone allow that script, and what else Stripe says it needs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.commands.outcome import Outcome
from console.limits import RateLimited
from console.settings import Settings
from console.view.nouns import Membership
from console.web.answers import Toast, redirect
from console.web.pages.chain_steps import has_expired, why_declined
from console.web.pages.confirmation import confirm
from console.web.pages.forms import Trouble, form_page, refusal, trouble_of, typed
from console.web.requests import edge_of, form_of, membership_of, signed_in
from console.web.security import content_security_policy
from contracts.billing import PayerKind

OWN = "/billing/payment"
ORGANIZATION = "/billing/organization/payment"
_LONGEST_CARD_ID = 255
_STILL = "It is still being decided. This page will show what came of it."
_NO_ADMIN = "Only admins see, and set, what the organization pays with."
_UNREAD = "The card could not be read. Please try once more."
_STRIPE = "https://js.stripe.com"
_STRIPE_ALSO: Mapping[str, Sequence[str]] = {
    "script-src": (_STRIPE, "https://*.js.stripe.com"),
    "frame-src": (_STRIPE, "https://*.js.stripe.com", "https://hooks.stripe.com"),
    "connect-src": ("https://api.stripe.com",),
}


@dataclass(frozen=True, slots=True)
class _Payer:
    """Whose card it is, and where that is shown."""

    kind: PayerKind
    payer_id: UUID
    name: str | None
    """Of the organization; none for the reader themselves."""
    home: str

    @property
    def whose(self) -> str:
        return self.name or "You"


def card_form_policy(settings: Settings) -> str:
    """The Content-Security-Policy of a page with the card form."""
    origin = settings.stripe_js_origin
    stand_in = dict.fromkeys(("script-src", "frame-src", "connect-src"), (origin,))
    return content_security_policy(_STRIPE_ALSO if origin == _STRIPE else stand_in)


# --- the page


async def payment(request: Request) -> Response:
    """The card on file, and the form for another."""
    payer = await _payer_of(request)
    return await _page(request, payer) if payer else await _not_yours(request)


async def _page(request: Request, payer: _Payer, trouble: Trouble | None = None) -> Response:
    edge = edge_of(request)
    response = await form_page(
        request,
        "payment.html.j2",
        trouble,
        payer=payer,
        card=await edge.money.card(payer.payer_id),
        left=await _left(request, payer),
        own_path=OWN,
        organization_path=ORGANIZATION,
        publishable_key=edge.settings.stripe_publishable_key,
        stripe_js=str(edge.settings.stripe_js),
        has_expired=has_expired,
        why_declined=why_declined,
    )
    if edge.settings.stripe_publishable_key:
        response.headers["content-security-policy"] = card_form_policy(edge.settings)
    return response


async def _left(request: Request, payer: _Payer) -> int:
    """What the card was charged and is not used up yet."""
    money = edge_of(request).money
    if payer.kind == "organization":
        return (await money.organization_money(payer.payer_id)).card_left
    chain = await money.chain(payer.payer_id)
    return next((source.left for source in chain.sources if source.kind == "member_card"), 0)


async def _payer_of(request: Request) -> _Payer | None:
    """Whose card this address is about; none where the reader may not see it."""
    session, membership = await signed_in(request), await membership_of(request)
    if request.url.path.startswith(ORGANIZATION):
        return _organization(membership)
    return _Payer("account", session.account.account_id, None, OWN)


def _organization(membership: Membership | None) -> _Payer | None:
    if membership is None or not membership.is_admin:
        return None
    return _Payer("organization", membership.organization_id, membership.organization_name, ORGANIZATION)


async def _not_yours(request: Request) -> Response:
    return redirect(request, OWN, Toast("error", _NO_ADMIN))


# --- what may be done


async def attach(request: Request) -> Response:
    """Puts a card on file; a refusal stands beside the form."""
    session, form, payer = await signed_in(request), await form_of(request), await _payer_of(request)
    card_id = typed(form, "card_id")[:_LONGEST_CARD_ID]
    if payer is None:
        return await _not_yours(request)
    if not card_id:
        return await _page(request, payer, refusal("card", _UNREAD))
    edge = edge_of(request)
    try:
        outcome = await edge.commands.attach_card(session.account, payer.kind, payer.payer_id, card_id)
    except RateLimited as error:
        return await _page(request, payer, trouble_of(error))
    if outcome.is_refused and outcome.reason != "not_an_admin":
        return await _page(request, payer, refusal("card", outcome.message))
    card = await edge.money.card(payer.payer_id) if outcome.is_done else None
    return await _answer(request, payer, outcome, f"{card.name if card else 'The card'} is on file.")


async def retry(request: Request) -> Response:
    """Counts on a card again that was declined."""
    session, _, payer = await signed_in(request), await form_of(request), await _payer_of(request)
    if payer is None:
        return await _not_yours(request)
    outcome = await edge_of(request).commands.retry_card(session.account, payer.kind, payer.payer_id)
    return await _answer(request, payer, outcome, "The card is counted on again. It is charged when it is its turn.")


async def remove(request: Request) -> Response:
    """Takes the card off file."""
    session, form, payer = await signed_in(request), await form_of(request), await _payer_of(request)
    if payer is None:
        return await _not_yours(request)
    edge = edge_of(request)
    if "confirmed" not in form:
        card = await edge.money.card(payer.payer_id)
        question = f"Remove {card.name if card else 'the card'}?"
        text = "It is not charged any more. What is left of what it was charged is still used."
        return await confirm(request, form, question, text, "Remove card", back=payer.home)
    outcome = await edge.commands.detach_card(session.account, payer.kind, payer.payer_id)
    return await _answer(request, payer, outcome, "The card is removed.")


async def _answer(request: Request, payer: _Payer, outcome: Outcome, done: str) -> Response:
    if outcome.is_refused:
        return redirect(request, payer.home, Toast("error", outcome.message or "That was refused."))
    return redirect(request, payer.home, Toast("success", done) if outcome.is_done else Toast("info", _STILL))


async def to_the_page(request: Request) -> Response:
    """For who loads the address again that a form was sent to."""
    return redirect(request, ORGANIZATION if request.url.path.startswith(ORGANIZATION) else OWN)


_FORMS = {"card": attach, "retry": retry, "remove": remove}
routes = [
    Route(path, endpoint, methods=[method])
    for home in (OWN, ORGANIZATION)
    for path, endpoint, method in (
        (home, payment, "GET"),
        *((f"{home}/{name}", endpoint, "POST") for name, endpoint in _FORMS.items()),
        *((f"{home}/{name}", to_the_page, "GET") for name in _FORMS),
    )
]
