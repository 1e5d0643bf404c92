"""The relay at work on a real PostgreSQL, with a producer that can be told to fail."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from toy_service import Deposit, ToyRoom, record_of

from postroom.metrics import Metrics
from postroom.relay import OutboxRow, PostgresOutbox, Relay

ALICE = UUID(int=1)


class FakeKafka:
    """Stands in the place of aiokafka's producer; several relays share one."""

    def __init__(self) -> None:
        self.totals: list[int] = []
        """Of the facts that were sent, in their order."""
        self.is_away = False
        self.starts = 0
        self.when_asked: Callable[[], Awaitable[None]] | None = None
        """What happens, once, while a record is being sent."""

    async def start(self) -> None:
        self.starts += 1

    async def stop(self) -> None: ...

    async def send(self, topic: str, value: bytes, *, key: bytes, headers: Any) -> Awaitable[None]:
        if self.when_asked is not None:
            happens, self.when_asked = self.when_asked, None
            await happens()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.is_away:
            future.set_exception(ConnectionError("Kafka is away"))
        else:
            self.totals.append(json.loads(value)["total"])
            # Acknowledged a little later, as by a broker: time enough for another relay to read the same rows.
            asyncio.get_running_loop().call_later(0.005, future.set_result, None)
        return future


@pytest.fixture
def kafka() -> FakeKafka:
    return FakeKafka()


def relay_of(url: str, kafka: FakeKafka, name: str = "relay", *, poll_interval: float = 0.05) -> Relay:
    async def connect() -> Any:
        return await asyncpg.connect(url, server_settings={"application_name": name})

    make: Any = lambda: kafka  # noqa: E731
    return Relay(connect, make, Metrics("toy"), batch_size=10, poll_interval=poll_interval)


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


async def decide(room: ToyRoom, count: int) -> None:
    """Fills the outbox: each fact tells a total that is greater by 1 than that of the fact before."""
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=1)) for _ in range(count)])


async def until_empty(room: ToyRoom) -> None:
    async with asyncio.timeout(20):
        while await room.waiting():
            await asyncio.sleep(0.01)


async def test_of_three_relays_one_is_active_and_each_record_is_sent_once_and_in_order(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka
) -> None:
    relays = [relay_of(database_url, kafka) for _ in range(3)]
    async with running(*relays):
        await until(lambda: any(relay.is_active for relay in relays))
        for _ in range(5):
            await decide(postgres_room, 50)
            await until_empty(postgres_room)
            assert sum(relay.is_active for relay in relays) == 1
    assert kafka.totals == list(range(1, 251))


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
            await decide(postgres_room, 25)
            await until_empty(postgres_room)
            assert kafka.totals == list(range(1, 26))
            assert not first.is_active


async def test_while_kafka_is_away_nothing_is_dropped_and_then_all_is_sent_in_order(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka
) -> None:
    kafka.is_away = True
    relay = relay_of(database_url, kafka)
    await decide(postgres_room, 25)
    async with running(relay):
        await until(lambda: kafka.starts >= 3)
        assert len(await postgres_room.waiting()) == 25
        kafka.is_away = False
        await until_empty(postgres_room)
    assert kafka.totals == list(range(1, 26))


async def test_what_is_decided_while_the_relay_is_sending_is_sent_next(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka
) -> None:
    # Nothing but being woken helps here: the poll comes much later.
    relay = relay_of(database_url, kafka, poll_interval=3600)

    async def decide_more() -> None:
        await decide(postgres_room, 3)
        relay.wake()

    async with running(relay):
        await until(lambda: relay.is_active)
        kafka.when_asked = decide_more
        await decide(postgres_room, 3)
        relay.wake()
        await until_empty(postgres_room)
        assert kafka.totals == [1, 2, 3, 4, 5, 6]


async def test_what_nobody_wakes_the_relay_for_is_found_in_time(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka
) -> None:
    relay = relay_of(database_url, kafka)
    async with running(relay):
        await until(lambda: relay.is_active)
        for _ in range(2):
            await decide(postgres_room, 3)
            await until_empty(postgres_room)
    assert kafka.totals == [1, 2, 3, 4, 5, 6]


async def test_the_outbox_is_not_read_again_when_it_was_read_to_its_end(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[int] = []

    async def oldest(outbox: PostgresOutbox, limit: int) -> Sequence[OutboxRow]:
        rows = await read(outbox, limit)
        found.append(len(rows))
        return rows

    read = PostgresOutbox.oldest
    monkeypatch.setattr(PostgresOutbox, "oldest", oldest)
    await decide(postgres_room, 25)
    relay = relay_of(database_url, kafka, poll_interval=3600)
    async with running(relay):
        await until(lambda: found == [10, 10, 5])
        await decide(postgres_room, 1)
        relay.wake()
        await until(lambda: kafka.totals == list(range(1, 27)))
    assert found == [10, 10, 5, 1, 0], "the last one when it was stopped"


async def test_a_relay_that_stops_sends_what_is_left_first(
    postgres_room: ToyRoom, database_url: str, kafka: FakeKafka
) -> None:
    relay = relay_of(database_url, kafka)
    async with running(relay):
        await until(lambda: relay.is_active)
        await decide(postgres_room, 100)
    assert kafka.totals == list(range(1, 101))
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
