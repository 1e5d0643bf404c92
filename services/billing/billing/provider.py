"""The payment provider, by Stripe's own library. What it says is put in billing's words, and nothing is decided here.

Money moves by payment intents: one is made, its id is kept, and then it is confirmed. Stripe confirms an intent once,
so nothing is charged twice, however long ago it was asked for and whatever was lost. What else is made has an
idempotency key, derived from the payment: asked again, Stripe answers what it answered before.
"""

import logging
from typing import Any
from uuid import UUID

import stripe

from billing.domain.payers import Card
from billing.domain.payments import NOT_ON_FILE, Failed, Payment, Settled, Succeeded

_API_VERSION = "2024-06-20"
"""Requests and answers are of this version of Stripe's API, whatever the account's own is, or the library's."""
_MICROS_PER_CENT = 10_000
_TIMEOUT = 30.0
"""Seconds, of one request."""
_CARDHOLDER = "authentication_required"
_BUSY = ("lock_timeout", "idempotency_key_in_use", "rate_limit")


class ProviderAway(Exception):
    """Stripe has not answered, or not yet in a way that says what became of the request: ask again later."""


class Stripe:
    """One account at Stripe. Errors that say nothing of the payment are ProviderAway."""

    def __init__(self, api_key: str, api_base: str) -> None:
        for chatty in ("stripe", "httpx"):
            logging.getLogger(chatty).setLevel(logging.WARNING)  # They write a line for each request.
        self._connections = stripe.HTTPXClient(timeout=_TIMEOUT)
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base.rstrip("/")},
            http_client=self._connections,
            stripe_version=_API_VERSION,
            max_network_retries=0,  # Retries are ours, since they outlive this process.
        )

    async def close(self) -> None:
        """Ends the connections."""
        await self._connections.close_async()  # type: ignore[no-untyped-call]  # of the library

    async def customer(self, payer_id: UUID, payer_kind: str) -> str:
        """Who the payer is to Stripe. Its name and address are not told."""
        try:
            made = await self._client.v1.customers.create_async(
                {"metadata": {"payer_id": str(payer_id), "payer_kind": payer_kind}},
                {"idempotency_key": f"customer {payer_id}"},
            )
        except stripe.StripeError as error:
            raise _away(error) from error
        return made.id

    # --- money

    async def prepare(self, payment: Payment, customer_id: str) -> str | Failed:
        """An intent to charge the card, which charges nothing yet; the same for the same payment, as far as Stripe
        remembers. Failed where Stripe makes none, since it knows no such card, for one. Raises ProviderAway."""
        asked: Any = {  # The library's types are those of its own version.
            "amount": payment.amount // _MICROS_PER_CENT,
            "currency": "usd",
            "customer": customer_id,
            "payment_method": payment.card_id,
            "payment_method_types": ["card"],
            "metadata": {"payment_id": str(payment.payment_id), "purpose": payment.purpose},
        }
        try:
            intent = await self._client.v1.payment_intents.create_async(
                asked, {"idempotency_key": str(payment.payment_id)}
            )
        except stripe.StripeError as error:
            return _refused(payment, error)
        return intent.id

    async def confirm(self, payment: Payment, intent_id: str) -> Settled:
        """Charges the card by the intent, unless it was charged by it, or cannot be; what came of it. An intent charges
        once, whatever is asked of it. Raises ProviderAway."""
        try:
            intent: Any = await self._client.v1.payment_intents.retrieve_async(intent_id)
            if intent.status == "requires_confirmation":
                intent = await self._client.v1.payment_intents.confirm_async(intent_id, {"off_session": True})
        except stripe.StripeError as error:
            refused = _refused(payment, error)
            # A decline ends it. What is refused for another reason must not be confirmed by anybody else later.
            settled = refused if isinstance(error, stripe.CardError) else await self.cancel(payment, intent_id)
            return refused if isinstance(settled, Failed) else settled
        if intent.status == "succeeded":
            return Succeeded(payment)
        if intent.status == "processing":
            raise ProviderAway("The payment is being processed.")
        if intent.status == "requires_action":
            settled = await self.cancel(payment, intent_id)  # Nobody must come back to it later.
            failed = isinstance(settled, Failed)
            return Failed(payment, _CARDHOLDER, needs_cardholder=True) if failed else settled
        last = getattr(intent, "last_payment_error", None)
        code = getattr(last, "decline_code", None) or getattr(last, "code", None)
        return Failed(payment, str(code or "card_declined"), needs_cardholder=code == _CARDHOLDER)

    async def cancel(self, payment: Payment, intent_id: str) -> Settled:
        """Sees to it that the card is not charged by the intent; Succeeded where it was already. Raises
        ProviderAway."""
        try:
            intent: Any = await self._client.v1.payment_intents.retrieve_async(intent_id)
            if intent.status == "succeeded":
                return Succeeded(payment)
            if intent.status != "canceled":
                await self._client.v1.payment_intents.cancel_async(intent_id)
        except stripe.StripeError as error:
            raise _away(error) from error  # Also where it has just succeeded: its state is asked again.
        return Failed(payment, NOT_ON_FILE)

    # --- cards

    async def check(self, payment: Payment, customer_id: str) -> Settled:
        """Keeps a card for later, if its bank agrees to that without its holder being there. Raises ProviderAway."""
        try:
            return await self._keep(payment, customer_id)
        except stripe.StripeError as error:
            return _refused(payment, error)

    async def _keep(self, payment: Payment, customer_id: str) -> Settled:
        assert payment.asked_by is not None
        methods = self._client.v1.payment_methods
        method = await methods.retrieve_async(payment.card_id)
        owner = getattr(method, "customer", None)
        if owner not in (None, customer_id):
            return Failed(payment, "resource_missing", is_unknown=True)  # Somebody else's.
        if owner is None:
            await methods.attach_async(
                payment.card_id, {"customer": customer_id}, {"idempotency_key": f"{payment.payment_id} attach"}
            )
        intents = self._client.v1.setup_intents
        asked: Any = {
            "customer": customer_id,
            "payment_method_types": ["card"],
            "usage": "off_session",
            "metadata": {"payment_id": str(payment.payment_id)},
        }
        made = await intents.create_async(asked, {"idempotency_key": f"{payment.payment_id} setup"})
        intent = await intents.confirm_async(
            made.id, {"payment_method": payment.card_id}, {"idempotency_key": f"{payment.payment_id} confirm"}
        )
        if intent.status != "succeeded":
            return Failed(payment, _CARDHOLDER, needs_cardholder=True)
        card: Any = method.card
        return Succeeded(
            payment,
            Card(
                card_id=payment.card_id,
                brand=str(card.brand),
                last4=str(card.last4),
                expiry_month=int(card.exp_month),
                expiry_year=int(card.exp_year),
                attached_by=payment.asked_by,
            ),
        )


def _refused(payment: Payment, error: stripe.StripeError) -> Failed:
    """What is for good of what Stripe says. Raises ProviderAway for what is not."""
    if isinstance(error, stripe.CardError):
        code = str(getattr(error.error, "decline_code", None) or error.code or "card_declined")
        return Failed(payment, code, needs_cardholder=_CARDHOLDER in (code, error.code))
    if isinstance(error, stripe.InvalidRequestError) and error.code not in _BUSY:
        return Failed(payment, str(error.code or "invalid_request"), is_unknown=error.code == "resource_missing")
    raise _away(error) from error


def _away(error: stripe.StripeError) -> ProviderAway:
    """Without the library's text, which quotes requests."""
    return ProviderAway(f"{type(error).__name__} {error.code or error.http_status or ''}".strip())
