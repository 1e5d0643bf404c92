"""Webhooks: signed, not too old, once; and believed in nothing but that there is something to look at."""

import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from billing_world import NOW
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.applications import Starlette
from test_payments import LEASE, Till, top_up

from billing.store.webhooks import HeardWebhooks
from billing.webhooks import Webhooks

SECRET = "whsec_of_the_tests"


@dataclass
class Hook:
    """The endpoint, and who posts to it."""

    till: Till
    client: httpx.AsyncClient

    async def post(self, event: dict[str, Any], *, secret: str = SECRET, age: int = 0) -> int:
        """As the payment provider does it. Answers the status."""
        body, at = json.dumps(event), int(time.time()) - age
        mac = hmac.new(secret.encode(), f"{at}.{body}".encode(), hashlib.sha256).hexdigest()
        headers = {"stripe-signature": f"t={at},v1={mac}", "content-type": "application/json"}
        return (await self.client.post("/webhooks/stripe", content=body.encode(), headers=headers)).status_code

    async def due(self) -> bool:
        """Whether there is a payment to look at now."""
        async with self.till.engine.connect() as connection:
            found = await connection.execute(
                text("SELECT count(*) FROM payments WHERE due_at <= :now"), {"now": self.till.clock()}
            )
            return bool(found.scalar_one())


@pytest.fixture
async def hook(engine: AsyncEngine) -> AsyncIterator[Hook]:
    till = Till(engine)
    app = Starlette(routes=list(Webhooks(SECRET).endpoints(till.room)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://billing") as client:
        yield Hook(till, client)


def about(payment_id: UUID | str, event_id: str = "evt_1") -> dict[str, Any]:
    content = {"id": "pi_1", "object": "payment_intent", "metadata": {"payment_id": str(payment_id)}}
    return {"id": event_id, "object": "event", "type": "payment_intent.succeeded", "data": {"object": content}}


async def a_payment_that_waits(hook: Hook) -> UUID:
    """A top-up whose answer was lost: it is looked at again after a while."""
    await hook.till.founded()
    hook.till.bank.lost = 1
    await hook.till.instances.hand_in(top_up())
    await hook.till.step()
    assert not await hook.due()
    async with hook.till.engine.connect() as connection:
        found = await connection.execute(text("SELECT payment_id FROM payments WHERE due_at IS NOT NULL"))
        return UUID(str(found.scalar_one()))


async def test_a_payment_that_waits_is_looked_at_when_there_is_news_of_it(hook: Hook) -> None:
    payment_id = await a_payment_that_waits(hook)

    assert await hook.post(about(payment_id)) == 204
    assert await hook.due()


async def test_the_same_event_is_taken_once(hook: Hook) -> None:
    payment_id = await a_payment_that_waits(hook)
    await hook.post(about(payment_id))
    hook.till.bank.lost = 1
    await hook.till.step()

    assert await hook.post(about(payment_id)) == 204
    assert not await hook.due()
    assert await hook.post(about(payment_id, "evt_2")) == 204
    assert await hook.due()


@pytest.mark.parametrize("forged", [{"secret": "whsec_of_somebody_else"}, {"age": 301}], ids=["signature", "age"])
async def test_what_is_not_signed_by_the_provider_or_too_old_is_refused(hook: Hook, forged: dict[str, Any]) -> None:
    payment_id = await a_payment_that_waits(hook)

    assert await hook.post(about(payment_id), **forged) == 400
    assert not await hook.due()


async def test_news_alone_books_nothing(hook: Hook) -> None:
    await hook.till.founded()
    assert await hook.post(about(UUID(int=7))) == 204
    await hook.till.settle()

    assert await hook.till.holds("credit") == 0


@pytest.mark.parametrize("event", [about("no id"), {"id": "evt_3", "object": "event", "data": {"object": {}}}])
async def test_news_of_something_else_is_taken_and_nothing_follows(hook: Hook, event: dict[str, Any]) -> None:
    assert await hook.post(event) == 204


async def test_too_much_is_refused_before_it_is_read(hook: Hook) -> None:
    assert (await hook.client.post("/webhooks/stripe", content=b"x" * 300_000)).status_code == 413


async def test_without_a_secret_there_is_no_endpoint(hook: Hook) -> None:
    assert list(Webhooks("").endpoints(hook.till.room)) == []


async def test_what_was_heard_is_forgotten_when_its_signature_holds_no_more(hook: Hook) -> None:
    await hook.post(about(UUID(int=7)))
    async with hook.till.engine.begin() as connection:
        assert await HeardWebhooks().purge(connection, NOW) == 0
        assert await HeardWebhooks().purge(connection, NOW + LEASE * 10) == 1
