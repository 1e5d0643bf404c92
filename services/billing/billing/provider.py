"""The payment provider, by Stripe's own library. What it says is put in billing's words, and nothing is decided here.

Every request that makes something has an idempotency key, derived from the payment: asked again, Stripe answers what it
answered before, and nothing is made twice. It forgets keys after a day or so; a payment that is older is looked for
before it is asked for again.
"""

import logging
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import stripe

from billing.domain.payers import Card
from billing.domain.payments import Failed, Payment, Settled, Succeeded

_KEYS_LIVE = timedelta(hours=20)
"""Stripe: at least 24 hours."""
_API_VERSION = "2024-06-20"
"""Requests and answers are of this version of Stripe's API, whatever the account's own is, or the library's."""
_MICROS_PER_CENT = 10_000
_TIMEOUT = 30.0
"""Seconds. Shorter than the lease of a payment."""
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

    async def make(self, payment: Payment, customer_id: str, now: datetime) -> Settled:
        """Has it made, or finds out what became of it when it was asked for before. Raises ProviderAway."""
        try:
            if payment.purpose == "card":
                return await self._check(payment, customer_id)
            return await self._charge(payment, customer_id, now)
        except stripe.CardError as error:
            code = str(getattr(error.error, "decline_code", None) or error.code or "card_declined")
            return Failed(payment, code, needs_cardholder=_CARDHOLDER in (code, error.code))
        except stripe.InvalidRequestError as error:
            if error.code in _BUSY:
                raise _away(error) from error
            return Failed(payment, str(error.code or "invalid_request"), is_unknown=error.code == "resource_missing")
        except stripe.StripeError as error:
            raise _away(error) from error

    # --- money

    async def _charge(self, payment: Payment, customer_id: str, now: datetime) -> Settled:
        intent: Any = None
        if now - payment.asked_at > _KEYS_LIVE:
            intent = await self._find(payment, customer_id)
        if intent is None:
            asked: Any = {  # The library's types are those of its own version.
                "amount": payment.amount // _MICROS_PER_CENT,
                "currency": "usd",
                "customer": customer_id,
                "payment_method": payment.card_id,
                "payment_method_types": ["card"],
                "off_session": True,
                "confirm": True,
                "metadata": {"payment_id": str(payment.payment_id), "purpose": payment.purpose},
            }
            intent = await self._client.v1.payment_intents.create_async(
                asked, {"idempotency_key": str(payment.payment_id)}
            )
        if intent.status != "succeeded":
            # The answer to a key that was asked with before is that of then.
            intent = await self._client.v1.payment_intents.retrieve_async(intent.id)
        return await self._conclude(payment, intent)

    async def _conclude(self, payment: Payment, intent: Any) -> Settled:
        if intent.status == "succeeded":
            return Succeeded(payment)
        if intent.status == "processing":
            raise ProviderAway("The payment is being processed.")
        if intent.status != "canceled":
            # Nobody is there to do what is asked for, and nobody must come back to it later.
            await self._client.v1.payment_intents.cancel_async(intent.id)
        error = getattr(intent, "last_payment_error", None)
        needs_cardholder = intent.status in ("requires_action", "requires_source_action")
        code = getattr(error, "decline_code", None) or getattr(error, "code", None)
        return Failed(payment, _CARDHOLDER if needs_cardholder else str(code or "card_declined"), needs_cardholder)

    async def _find(self, payment: Payment, customer_id: str) -> Any:
        try:
            found: Any = await self._client.v1.payment_intents.list_async({"customer": customer_id, "limit": 100})
            async for intent in found.auto_paging_iter():
                if intent.created < int((payment.asked_at - _KEYS_LIVE).timestamp()):
                    return None  # The newest come first.
                if (intent.to_dict()["metadata"] or {}).get("payment_id") == str(payment.payment_id):
                    return intent
        except stripe.StripeError as error:
            raise _away(error) from error  # That it cannot be looked for does not say that there is none.
        return None

    # --- cards

    async def _check(self, payment: Payment, customer_id: str) -> Settled:
        """Keeps a card for later, if its bank agrees to that without its holder being there."""
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


def _away(error: stripe.StripeError) -> ProviderAway:
    """Without the library's text, which quotes requests."""
    return ProviderAway(f"{type(error).__name__} {error.code or error.http_status or ''}".strip())
