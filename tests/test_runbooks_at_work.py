"""What the runbooks promise, on the real platform: a replay changes nothing, what Kafka has lost can be told again, and
who asks to be forgotten is."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from crowd import Crowd, audit
from pages_for_operators import sql_about, with_values
from uuid_utils.compat import uuid7

from contracts import INVITES_EVENTS, MEMBERSHIP_EVENTS, TOPICS, Topic
from stack.client import Client
from stack.loopback import answer
from stack.platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.timeout(240)]

WITHIN = 60.0
"""Seconds."""


async def test_a_replay_of_everything_changes_nothing_and_writes_no_letter_again(
    platform: Platform, client: Client
) -> None:
    crowd = Crowd(client, 20)
    await crowd.gather()
    await crowd.accept()
    await crowd.is_through()
    async with stopped(platform, "notifier"):
        await move_offsets(platform, "notifier", TOPICS.read_by("notifier"), to_the_end=False)

    await until_metric(
        platform, "notifier", 'postroom_messages_total{outcome="duplicate",type="io.carolinacloud.member'
    )
    await audit(platform, crowd)


async def test_acceptances_that_kafka_has_lost_are_told_again_and_admitted_once(
    platform: Platform, client: Client
) -> None:
    crowd = Crowd(client, 10)
    await crowd.gather()
    async with stopped(platform, "membership"):
        await crowd.accept()
        await until_rows(platform, "invites", ACCEPTING, 10, crowd.organization_id)
        await until_rows(platform, "invites", "SELECT 1 FROM postroom_outbox", 0)
        await move_offsets(platform, "membership", [INVITES_EVENTS], to_the_end=True)
    assert crowd.joined() == set()

    await run(platform, "invites", sql_about("broker-data-loss", "invites"))

    await crowd.is_through()
    await audit(platform, crowd)


async def test_members_whom_billing_has_not_heard_of_get_their_one_chain_when_they_are_told_of_again(
    platform: Platform, client: Client
) -> None:
    crowd = Crowd(client, 10)
    await crowd.gather()
    async with stopped(platform, "billing"):
        await crowd.accept()
        await crowd.has_joined(10)
        await move_offsets(platform, "billing", [MEMBERSHIP_EVENTS], to_the_end=True)

    await run(platform, "membership", sql_about("broker-data-loss", "membership"))

    await crowd.is_through()
    await run(platform, "membership", sql_about("broker-data-loss", "membership"))
    await until_rows(platform, "membership", "SELECT 1 FROM postroom_outbox", 0)
    chains = await rows(platform, "billing", CHAINS, crowd.organization_id)
    assert Counter(row["account_id"] for row in chains) == Counter(
        [crowd.owner_id, *(person.account_id for person in crowd.people)]
    )
    letters = Counter((letter["to"], letter["subject"]) for letter in platform.mailbox.letters())
    assert [letters[key] for key in letters if crowd.tag in key[0] and key[0].startswith("p")] == [1] * 20


async def test_who_asks_to_be_forgotten_is_forgotten_by_all_who_knew_them(platform: Platform, client: Client) -> None:
    account_id = uuid7()
    await run(platform, "console", SIGNED_UP, account_id, f"{account_id}@example.com", datetime.now(UTC))
    await run(platform, "console", sql_about("broker-data-loss", "console"))
    for service in ("invites", "notifier"):
        await until_rows(platform, service, PROFILES, 1, account_id)

    await run(platform, "console", with_values(sql_about("erasure-request", "console"), account_id=account_id))

    for service in ("invites", "notifier"):
        await until_rows(platform, service, PROFILES, 0, account_id)
        seen = with_values(sql_about("erasure-request", service), account_id=account_id)
        assert await rows(platform, service, seen) == []
    assert await rows(platform, "console", "SELECT 1 FROM accounts WHERE account_id = $1", account_id) == []


ACCEPTING = "SELECT 1 FROM invitations WHERE organization_id = $1 AND state = 'accepting'"
CHAINS = "SELECT account_id FROM chains WHERE organization_id = $1"
PROFILES = "SELECT 1 FROM profiles WHERE account_id = $1 AND address IS NOT NULL"
SIGNED_UP = """
    INSERT INTO accounts
        (account_id, address, address_normalized, name, password_hash, version, created_at, proven_at)
    VALUES ($1, $2, $2, 'Someone', '', 1, $3, $3)
"""


@asynccontextmanager
async def stopped(platform: Platform, service: str) -> AsyncIterator[None]:
    """While this service is stopped, as a group has to be whose offsets are set."""
    await asyncio.to_thread(platform.service(service).stop)
    try:
        yield
    finally:
        await asyncio.to_thread(platform.service(service).start)


async def move_offsets(
    platform: Platform, group: str, topics: list[Topic] | tuple[Topic, ...], to_the_end: bool
) -> None:
    """As `kafka-consumer-groups.sh --reset-offsets` does: back to the beginning, or past all that there is, which is
    as if Kafka had lost it."""
    places = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=platform.bootstrap_servers, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.commit({place: ends[place] if to_the_end else 0 for place in places})
    finally:
        await consumer.stop()


async def run(platform: Platform, service: str, sql: str, *arguments: object) -> None:
    connection = await asyncpg.connect(platform.postgres.url(service))
    try:
        await connection.execute(sql, *arguments)
    finally:
        await connection.close()


async def rows(platform: Platform, service: str, sql: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(platform.postgres.url(service))
    try:
        return list(await connection.fetch(sql, *arguments))
    finally:
        await connection.close()


async def until_rows(platform: Platform, service: str, sql: str, count: int, *arguments: UUID) -> None:
    found = -1
    try:
        async with asyncio.timeout(WITHIN):
            while (found := len(await rows(platform, service, sql, *arguments))) != count:
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"After {WITHIN:.0f} s {service} has {found} rows, not {count}: {sql}") from None


async def until_metric(platform: Platform, service: str, begins: str) -> None:
    text = ""
    try:
        async with asyncio.timeout(WITHIN):
            while not any(line.startswith(begins) for line in text.splitlines()):
                _, text = await asyncio.to_thread(answer, platform.service(service).port, "/metrics")
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"After {WITHIN:.0f} s {service} has no metric {begins}") from None
