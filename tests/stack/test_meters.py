"""Meters: what they tell of an account's instances, and that Kafka has it where billing reads it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from contracts import METERING_USAGE, TOPICS, AccountProfile, UsageRecorded
from stack.client import Client
from stack.errors import StackError
from stack.kafka import KafkaServer
from stack.meters import Meter, Meters, amount_of, run_meter, usage_of_many

ACCOUNT, ANOTHER = UUID(int=1), UUID(int=2)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DOLLAR = 1_000_000


def test_an_hour_costs_what_an_hour_costs_and_a_second_its_part_of_it() -> None:
    meter = Meter(ACCOUNT, hourly=3_600_000)

    assert amount_of(meter.usage(NOON, NOON + timedelta(hours=1))) == 3_600_000
    assert amount_of(meter.usage(NOON, NOON + timedelta(seconds=1))) == 1_000


def test_the_intervals_of_an_hour_cost_the_hour_within_a_micro_dollar_each() -> None:
    meter = Meter(ACCOUNT, hourly=7 * DOLLAR)
    minutes = list(islice(meter.usages(NOON, timedelta(minutes=1)), 60))

    assert abs(sum(map(amount_of, minutes)) - 7 * DOLLAR) <= 60


def test_the_intervals_of_a_meter_follow_each_other_without_a_gap() -> None:
    usages = list(islice(Meter(ACCOUNT, hourly=DOLLAR).usages(NOON, timedelta(seconds=10)), 100))

    assert usages[0].used_from == NOON
    assert [usage.used_until for usage in usages[:-1]] == [usage.used_from for usage in usages[1:]]


def test_a_meter_tells_an_interval_in_the_same_words_again_and_no_other_meter_does() -> None:
    interval = (NOON, NOON + timedelta(seconds=1))
    meters = [Meter(ACCOUNT, DOLLAR), Meter(ACCOUNT, DOLLAR, number=2), Meter(ANOTHER, DOLLAR)]

    assert Meter(ACCOUNT, DOLLAR).usage(*interval) == meters[0].usage(*interval)
    assert len({meter.usage(*interval).meter_id for meter in meters}) == 3


def test_usage_of_many_accounts_is_even_and_always_the_same() -> None:
    first, again = (list(islice(usage_of_many([ACCOUNT, ANOTHER], started=NOON), 6)) for _ in range(2))

    assert first == again
    assert [usage.account_id for usage in first] == [ACCOUNT, ANOTHER] * 3
    assert len({(usage.meter_id, usage.used_from) for usage in first}) == 6


@pytest.mark.platform
async def test_meters_tell_billing_of_each_interval_when_it_is_over(kafka_server: KafkaServer) -> None:
    async with await _client(kafka_server) as client, _usage_topic(kafka_server) as usage_topic:
        meters = Meters(client, [Meter(ACCOUNT, DOLLAR), Meter(ANOTHER, DOLLAR)], timedelta(minutes=1), speed=120)
        began = time.monotonic()
        await meters.run(intervals=3)
        took = time.monotonic() - began
        arrived = [await asyncio.wait_for(usage_topic.getone(), 20) for _ in range(6)]

    assert took >= 1.5
    read = [UsageRecorded.model_validate_json(record.value) for record in arrived]
    assert sorted(read, key=_order) == sorted(meters.told, key=_order)
    assert {record.key for record in arrived} == {str(ACCOUNT).encode(), str(ANOTHER).encode()}
    assert {dict(record.headers)["ce_type"] for record in arrived} == {UsageRecorded.ce_type.encode()}


@pytest.mark.platform
async def test_thousands_of_usages_are_written_at_once_and_in_order(kafka_server: KafkaServer) -> None:
    accounts = [UUID(int=number) for number in range(100, 150)]
    async with await _client(kafka_server) as client, _usage_topic(kafka_server) as usage_topic:
        written = await client.send_all(islice(usage_of_many(accounts, started=NOON), 5_000))
        arrived = [await asyncio.wait_for(usage_topic.getone(), 20) for _ in range(5_000)]

    assert written == 5_000
    starts: dict[str, list[str]] = {}
    for record in arrived:
        usage = json.loads(record.value)
        starts.setdefault(usage["account_id"], []).append(usage["used_from"])
    assert len(starts) == 50
    assert all(times == sorted(times) and len(times) == 100 for times in starts.values())


@pytest.mark.platform
async def test_an_instance_runs_for_whoever_has_the_address(kafka_server: KafkaServer) -> None:
    address = f"runs.{uuid4().hex}@example.com"
    profile = AccountProfile(account_id=uuid4(), version=1, address=address, name="", verified=True)
    async with await _client(kafka_server) as client, _usage_topic(kafka_server) as usage_topic:
        await client.introduce(profile)
        cost = await run_meter(kafka_server.bootstrap_servers, address, hourly=3_600 * DOLLAR, seconds=1)
        record = await asyncio.wait_for(usage_topic.getone(), 20)

    assert UsageRecorded.model_validate_json(record.value).account_id == profile.account_id
    assert cost == DOLLAR


@pytest.mark.platform
async def test_nothing_runs_for_an_address_that_nobody_has(kafka_server: KafkaServer) -> None:
    async with await _client(kafka_server):
        with pytest.raises(StackError, match="There is no account with the address"):
            await run_meter(kafka_server.bootstrap_servers, "nobody@example.com", hourly=DOLLAR, seconds=1)


async def _client(server: KafkaServer) -> Client:
    """Of a Kafka that has all topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap_servers)
    await admin.start()
    there = set(await admin.list_topics())
    await admin.create_topics([NewTopic(topic.name, 1, 1) for topic in TOPICS if topic.name not in there])
    await admin.close()
    return Client(server.bootstrap_servers)


@asynccontextmanager
async def _usage_topic(server: KafkaServer) -> AsyncIterator[AIOKafkaConsumer]:
    """From now on."""
    async with AIOKafkaConsumer(METERING_USAGE.name, bootstrap_servers=server.bootstrap_servers) as consumer:
        for partition in consumer.assignment():
            await consumer.position(partition)
        yield consumer


def _order(usage: UsageRecorded) -> tuple[str, datetime]:
    return usage.meter_id, usage.used_from
