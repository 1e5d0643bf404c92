"""What the payment provider tells of its own accord. It is believed in one thing: that there is something to look at.

A webhook wakes the payment that it is about, whose state is then asked of the provider. So a forged one, a late one, or
one that comes twice books nothing. Its signature is checked all the same (it is not older than five minutes, and signed
with a secret of ours), and each is taken once.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import stripe
import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from billing.store.payments import look_again
from billing.store.webhooks import TOLERANCE_SECONDS, hear
from postroom import Room

log = structlog.get_logger()

_PATH = "/webhooks/stripe"
_LARGEST = 256 * 1024


class Webhooks:
    """The endpoint. Without a secret there is none."""

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def endpoints(self, room: Room) -> Sequence[BaseRoute]:
        """On the port of the service."""

        async def listen(request: Request) -> Response:
            return await self._hear(request, room)

        return [Route(_PATH, listen, methods=["POST"])] if self._secret else []

    async def _hear(self, request: Request, room: Room) -> Response:
        if int(request.headers.get("content-length") or _LARGEST + 1) > _LARGEST:
            return Response(status_code=413)
        try:
            event: Any = stripe.Webhook.construct_event(
                await request.body(), request.headers.get("stripe-signature"), self._secret, TOLERANCE_SECONDS
            )
        except (ValueError, stripe.SignatureVerificationError) as error:
            log.warning("webhook refused", error=type(error).__name__)
            return Response(status_code=400)
        async with room.transaction() as transaction:
            if await hear(transaction.connection, str(event.id), room.clock()):
                await look_again(transaction.connection, _payments_in(event), room.clock())
        return Response(status_code=204)


def _payments_in(event: Any) -> list[UUID]:
    """The payments of ours that an event is about."""
    metadata = getattr(event.data.object, "metadata", None) or {}
    try:
        return [UUID(metadata["payment_id"])]
    except (KeyError, TypeError, ValueError):
        return []
