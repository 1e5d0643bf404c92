"""The relay at work on a real PostgreSQL, with a producer that can be told to fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from toy_service import Deposit, ToyRoom, record_of

from postroom.metrics import Metrics
from postroom.relay import Relay

ALICE = UUID(int=1)


class FakeKafka:
    """Stands in the place of aiokafka's producer; several relays share one."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.is_away = False
        self.starts = 0

    async def start(self) -> None:
        self.starts += 1

    async def stop(self) -> None: ...

    async def send(self, topic: str, value: bytes, *, key: bytes, headers: Any) -> Awaitable[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.is_away:
            future.set_exception(ConnectionError("Kafka is away"))
        else:
            self.values.append(value)
            # Acknowledged a little later, as by a broker: time enough for another relay to read the same rows.
            asyncio.get_running_loop().call_later(0.005, future.set_result, None)
        return future


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


def relay_of(url: str, kafka: FakeKafka, name: str = "relay") -> Relay:
    async def connect() -> Any:
        return await asyncpg.connect(url, server_settings={"application_name": name})

    make: Any = lambda: kafka  # noqa: E731
    return Relay(connect, make, Metrics("toy"), batch_size=10, poll_interval=0.05)


@asynccontextmanager
async def running(*relays: Relay) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(relay.run()) for relay in relays]
    try:
        yield
    finally:
        for relay in relays:
            relay.stop()
        async with asyncio.timeout(20):
            await asyncio.gather(*tasks)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def decide(room: ToyRoom, count: int) -> list[bytes | None]:
    """Fills the outbox, and answers what must reach Kafka, in order."""
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=1)) for _ in range(count)])
    return [record.value for record in await room.waiting()]


async def test_of_three_relays_one_is_active_and_each_record_is_sent_once_and_in_order(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka
) -> None:
    relays = [relay_of(database_url, kafka) for _ in range(3)]
    async with running(*relays):
        await until(lambda: any(relay.is_active for relay in relays))
        for _ in range(5):
            decided = await decide(postgres_room, 50)
            sent_before = len(kafka.values)
            await until(lambda: len(kafka.values) >= sent_before + len(decided))  # noqa: B023
            assert sum(relay.is_active for relay in relays) == 1
            while await postgres_room.waiting():
                await asyncio.sleep(0.01)
            assert kafka.values[sent_before:] == decided


async def test_a_relay_that_loses_its_connection_is_followed_by_another(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka
) -> None:
    first, second = relay_of(database_url, kafka, "first"), relay_of(database_url, kafka, "second")
    async with running(first):
        await until(lambda: first.is_active)
        async with running(second):
            admin = await asyncpg.connect(database_url)
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'first'"
            )
            await admin.close()
            await until(lambda: second.is_active)
            decided = await decide(postgres_room, 25)
            await until(lambda: len(kafka.values) == 25)
            assert kafka.values == decided
            assert not first.is_active


async def test_while_kafka_is_away_nothing_is_dropped_and_then_all_is_sent_in_order(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka
) -> None:
    kafka.is_away = True
    relay = relay_of(database_url, kafka)
    decided = await decide(postgres_room, 25)
    async with running(relay):
        await until(lambda: kafka.starts >= 3)
        assert len(await postgres_room.waiting()) == 25
        kafka.is_away = False
        await until(lambda: len(kafka.values) == 25)
    assert kafka.values == decided
    assert await postgres_room.waiting() == []


async def test_a_relay_that_stops_sends_what_is_left_first(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka
) -> None:
    relay = relay_of(database_url, kafka)
    async with running(relay):
        await until(lambda: relay.is_active)
        decided = await decide(postgres_room, 100)
    assert kafka.values == decided
    assert await postgres_room.waiting() == []


async def test_a_standby_that_is_stopped_does_not_wait_for_its_turn(database_url: str, kafka: FakeKafka) -> None:
    active, standby = relay_of(database_url, kafka), relay_of(database_url, kafka)
    connection = await asyncpg.connect(database_url)
    await connection.execute("CREATE TABLE postroom_outbox (id int, topic text, key bytea, headers json, value bytea)")
    await connection.close()
    async with running(active):
        await until(lambda: active.is_active)
        async with running(standby):
            pass
        assert active.is_active
