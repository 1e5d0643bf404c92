"""The promise, in containers: one of them is taken away in the middle of many chains, and comes back."""

import asyncio

import pytest
from contained import DRAINED_WITHIN, ContainedPlatform
from crowd import Crowd, audit

from stack.client import Client
from stack.services import SERVICES

pytestmark = [pytest.mark.containers, pytest.mark.timeout(240, func_only=True)]


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
