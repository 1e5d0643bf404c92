"""The promise, on the real platform: each accepted invitation yields exactly one membership and one billing chain, and
each event at most one letter of its kind, whatever breaks in the middle."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from crowd import Crowd, audit, shuffled

from contracts import TOPICS
from stack.client import Client
from stack.platform import Platform
from stack.services import SERVICES

pytestmark = [pytest.mark.platform, pytest.mark.timeout(240)]


@pytest.mark.parametrize("service", SERVICES)
async def test_kill_9_of_a_service_in_the_middle_of_200_chains(
    platform: Platform, client: Client, service: str
) -> None:
    crowd = Crowd(client, 200)
    await crowd.gather()
    await crowd.accept()
    await crowd.has_joined(20)
    platform.service(service).kill()
    await asyncio.to_thread(platform.service(service).start)
    await crowd.is_through()

    await audit(platform, crowd)


async def test_kafka_stops_and_starts_in_the_middle(platform: Platform, client: Client) -> None:
    crowd = Crowd(client, 100)
    await crowd.gather()
    await crowd.accept()
    await crowd.has_joined(10)
    await asyncio.to_thread(platform.kafka.stop)
    await asyncio.to_thread(platform.kafka.start)
    await crowd.is_through()

    await audit(platform, crowd)


async def test_postgres_stops_and_starts_in_the_middle(platform: Platform, client: Client) -> None:
    crowd = Crowd(client, 100)
    await crowd.gather()
    await crowd.accept()
    await crowd.has_joined(10)
    await asyncio.to_thread(platform.postgres.stop)
    await asyncio.to_thread(platform.postgres.start)
    await crowd.is_through()

    await audit(platform, crowd)


async def test_a_service_that_is_started_before_kafka_waits_for_it(platform: Platform, client: Client) -> None:
    crowd = Crowd(client, 10)
    await crowd.gather()
    service = platform.service("membership")
    await asyncio.to_thread(service.stop)
    await asyncio.to_thread(platform.kafka.stop)
    await asyncio.to_thread(service.start, wait=False)
    await asyncio.to_thread(platform.kafka.start)
    await crowd.accept()
    await crowd.is_through()

    await audit(platform, crowd)


@pytest.mark.parametrize("service", SERVICES)
async def test_of_two_instances_that_share_the_work_one_is_killed(
    platform: Platform, client: Client, service: str
) -> None:
    crowd = Crowd(client, 100)
    await crowd.gather()
    second = await asyncio.to_thread(platform.add_instance, service)
    try:
        await crowd.accept()
        await crowd.has_joined(10)
        platform.service(service).kill()
        await crowd.is_through()
    finally:
        await asyncio.to_thread(platform.service(service).start)
        await asyncio.to_thread(second.stop)

    await audit(platform, crowd)


async def test_every_message_is_delivered_three_times(platform: Platform, client: Client) -> None:
    crowd = Crowd(client, 50)
    async with _everything_again(platform.bootstrap_servers, times=2):
        await crowd.gather()
        await crowd.accept()
        await crowd.is_through()

    await audit(platform, crowd)


async def test_messages_of_different_topics_come_in_any_order(platform: Platform, client: Client) -> None:
    """Everybody is invited and clicks before any service has heard of their accounts."""
    crowd = Crowd(client, 30)
    await crowd.found_organization()
    crowd.assemble()
    await crowd.invite()
    await crowd.accept()
    for person in shuffled(crowd.people, seed=7):
        await client.send(person)
    await crowd.is_through()

    await audit(platform, crowd)


@pytest.mark.parametrize("slow", ["invites", "membership", "notifier"])
async def test_a_service_that_stands_still_for_a_while_catches_up(
    platform: Platform, client: Client, slow: str
) -> None:
    crowd = Crowd(client, 30)
    await crowd.gather()
    platform.service(slow).pause()
    try:
        await crowd.accept()
        await client.send(crowd.people[0].model_copy(update={"version": 2, "name": "A newer name"}))
    finally:
        platform.service(slow).resume()
    await crowd.is_through()

    await audit(platform, crowd)


@asynccontextmanager
async def _everything_again(bootstrap_servers: str, times: int) -> AsyncIterator[None]:
    """Whatever is written on any topic is written again, byte by byte, at once."""
    mark = ("test-copy", b"1")
    consumer = AIOKafkaConsumer(*(topic.name for topic in TOPICS), bootstrap_servers=bootstrap_servers)
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await consumer.start()
    await producer.start()
    for partition in consumer.assignment():
        await consumer.position(partition)

    async def repeat() -> None:
        async for record in consumer:
            if mark not in record.headers:
                for _ in range(times):
                    await producer.send(record.topic, record.value, key=record.key, headers=[*record.headers, mark])

    repeating = asyncio.create_task(repeat())
    try:
        yield
    finally:
        repeating.cancel()
        await asyncio.gather(repeating, return_exceptions=True)
        await consumer.stop()
        await producer.stop()
