"""The promise, in containers: one of them is taken away in the middle of many chains, and comes back."""

import asyncio
from typing import Any

import pytest
from contained import DRAINED_WITHIN, ContainedPlatform
from crowd import WITHIN, Crowd, audit, dead_letters_of

from contracts import AttachCard, CardAttached, CreditToppedUp, TopUpCredit
from stack.client import Client
from stack.services import SERVICES

pytestmark = [pytest.mark.containers, pytest.mark.timeout(240, func_only=True)]


DOLLAR = 1_000_000


@pytest.mark.parametrize("name", [*SERVICES, "kafka", "postgres", "mailbox"])
async def test_nothing_is_lost_or_doubled_when_a_container_is_killed(
    contained: ContainedPlatform, client: Client, name: str
) -> None:
    crowd = Crowd(client, 60)
    await crowd.gather()
    await crowd.accept()
    await crowd.has_joined(5)
    await asyncio.to_thread(contained.parts[name].kill)
    await asyncio.to_thread(contained.parts[name].start)
    await crowd.is_through()

    await audit(contained, crowd)


async def test_cards_are_charged_once_though_stripe_is_killed_with_payments_in_flight(
    contained: ContainedPlatform, client: Client
) -> None:
    stripe, crowd = contained.stripe, Crowd(client, 0)
    await crowd.found_organization()
    owner: dict[str, Any] = {
        "payer_kind": "organization",
        "payer_id": crowd.organization_id,
        "actor_id": crowd.owner_id,
        "seen_organization_version": None,
    }
    card_id = await asyncio.to_thread(stripe.payment_method)
    await client.ask(AttachCard(**owner, card_id=card_id), CardAttached, within=WITHIN)
    before = len(await asyncio.to_thread(stripe.charges))
    await asyncio.to_thread(stripe.delay, 0.5)
    amounts = [10, 20, 30, 40]
    commands = [await client.send(TopUpCredit(**owner, amount=dollars * DOLLAR)) for dollars in amounts]
    async with asyncio.timeout(WITHIN):
        while len(await asyncio.to_thread(stripe.charges)) == before:
            await asyncio.sleep(0.05)
    await asyncio.to_thread(contained.parts["stripe"].kill)
    told = [fact for fact in client.facts(CreditToppedUp) if fact.payer_id == crowd.organization_id]
    assert len(told) < len(amounts), "payments were in flight"
    await asyncio.to_thread(contained.parts["stripe"].start)

    bought = [await client.outcome(command, CreditToppedUp, within=WITHIN) for command in commands]
    assert max(fact.balance for fact in bought) == sum(amounts) * DOLLAR
    charges = (await asyncio.to_thread(stripe.charges))[before:]
    assert sorted(each.amount for each in charges) == [100 * dollars for dollars in amounts], "in cents, each once"
    assert await dead_letters_of(contained.bootstrap_servers, [crowd]) == []


async def test_a_stopped_service_drains_and_ends_well_and_a_rolling_restart_harms_nobody(
    contained: ContainedPlatform, client: Client
) -> None:
    crowd = Crowd(client, 100)
    await crowd.gather()
    await crowd.accept()
    for service in SERVICES:
        part = contained.parts[service]
        seconds = await asyncio.to_thread(part.stop)
        assert part.state["ExitCode"] == 0, part.last_words()
        assert seconds < DRAINED_WITHIN
        await asyncio.to_thread(part.start)
    await crowd.is_through()

    await audit(contained, crowd)


async def test_a_service_answers_for_itself_while_all_the_others_are_away(
    contained: ContainedPlatform, client: Client
) -> None:
    others = [service for service in SERVICES if service != "membership"]
    for service in others:
        await asyncio.to_thread(contained.parts[service].kill)
    try:
        # Its image was built without their source, and it needs none of them to be there.
        await Crowd(client, 0).found_organization()
    finally:
        for service in others:
            await asyncio.to_thread(contained.parts[service].start)


async def test_a_database_that_is_stopped_properly_is_waited_for(contained: ContainedPlatform, client: Client) -> None:
    crowd = Crowd(client, 60)
    await crowd.gather()
    await asyncio.to_thread(contained.parts["postgres"].stop)
    await crowd.accept()
    await asyncio.to_thread(contained.parts["postgres"].start)
    await crowd.is_through()

    await audit(contained, crowd)
