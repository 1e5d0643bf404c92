"""A whole service on real Kafka and PostgreSQL: what only the real thing can show."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import InvalidSessionTimeoutError
from faststream import AckPolicy
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from toy_service import (
    Deposit,
    Deposited,
    PostgresStore,
    TooMuch,
    Totals,
    ToyTopic,
    Transfer,
    deposit,
    record_of,
    transfer,
)

from postroom import Service, ServiceSettings, utc_now
from postroom.cli import main
from postroom.consumer import BatchConsumer, Consumer
from postroom.database import async_url
from postroom.kafka import create_admin, create_producer
from postroom.process import Process
from postroom.processor import OutageLasts
from postroom.record import Record, StoredRecord
from postroom.runtime import Service as RuntimeService
from postroom.tables import postroom_metadata
from postroom.topics import create_topics
from stack.kafka import KafkaServer
from stack.ports import free_port

pytestmark = pytest.mark.platform

ALICE = UUID(int=1)
DEADLINE = 20.0


class Toy:
    """A toy service's own topics, database and processes."""

    def __init__(self, kafka: KafkaServer, database_url: str) -> None:
        self.name = f"toy_{uuid4().hex[:8]}"
        self.commands = ToyTopic(f"{self.name}.commands", self.name, (Deposit, Transfer), readers=(self.name,))
        self.events = ToyTopic(f"{self.name}.events", self.name, (Deposited,), readers=())
        self.database_url = database_url
        self.bootstrap_servers = kafka.bootstrap_servers
        self.settings = self.new_settings()

    def new_settings(self, **changed: Any) -> ServiceSettings:
        return ServiceSettings(
            **{
                "kafka_bootstrap_servers": self.bootstrap_servers,
                "database_url": self.database_url,
                "http_port": free_port(),
                "relay_poll_interval": 0.5,
                **changed,
            }
        )

    def service(self, settings: ServiceSettings | None = None, **handlers: Any) -> RuntimeService[Totals]:
        return Service(
            self.name,
            settings or self.settings,
            reads=(self.commands,),
            writes=self.events,
            reactions={Deposit: handlers.get("deposit", deposit), Transfer: transfer},
            store=PostgresStore(),
            refusal=TooMuch,
        )

    async def prepare(self) -> None:
        engine = create_async_engine(async_url(self.database_url))
        async with engine.begin() as connection:
            await connection.run_sync(postroom_metadata.create_all)
            await connection.execute(text("CREATE TABLE toy (id uuid PRIMARY KEY, total int NOT NULL)"))
        await engine.dispose()
        admin = create_admin(self.settings, "test")
        await admin.start()
        await create_topics(admin, [self.commands, self.events])
        await admin.close()

    async def send(self, *records: StoredRecord) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap_servers)
        await producer.start()
        for record in records:
            await producer.send_and_wait(self.commands.name, record.value, key=record.key, headers=list(record.headers))
        await producer.stop()

    async def totals(self) -> dict[UUID, int]:
        connection = await asyncpg.connect(self.database_url)
        try:
            return {row["id"]: row["total"] for row in await connection.fetch("SELECT id, total FROM toy")}
        finally:
            await connection.close()

    async def read(self, topic: str, count: int) -> list[Any]:
        """The first `count` records of a topic."""
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=self.bootstrap_servers, auto_offset_reset="earliest")
        await consumer.start()
        try:
            async with asyncio.timeout(DEADLINE):
                return [await consumer.getone() for _ in range(count)]
        finally:
            await consumer.stop()


@pytest.fixture
async def toy(kafka_server: KafkaServer, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Toy:
    async def never_behind(*_: object) -> bool:
        return False

    # The toy has no migrations; those of the services are tested with them.
    monkeypatch.setattr("postroom.process.is_behind", never_behind)
    toy = Toy(kafka_server, database_url)
    await toy.prepare()
    return toy


@asynccontextmanager
async def running(service: RuntimeService[Any]) -> AsyncIterator[None]:
    """The service at work; at the end it is stopped as by SIGTERM."""
    stopping = asyncio.Event()
    task = asyncio.create_task(service.serve(stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Polls until the condition holds."""
    async with asyncio.timeout(DEADLINE):
        while not await condition():
            await asyncio.sleep(0.02)


async def get(settings: ServiceSettings, path: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.get(f"http://127.0.0.1:{settings.http_port}{path}")


async def is_ready(settings: ServiceSettings) -> bool:
    try:
        return (await get(settings, "/readyz")).status_code == 200
    except httpx.TransportError:
        return False


def amounts(*values: int) -> Sequence[StoredRecord]:
    return [record_of(Deposit(account_id=ALICE, amount=value)) for value in values]


async def test_a_command_becomes_a_fact(toy: Toy) -> None:
    async with running(toy.service()):
        await toy.send(*amounts(1, 2, 3))
        facts = await toy.read(toy.events.name, 3)

    assert [json.loads(fact.value)["total"] for fact in facts] == [1, 3, 6]
    assert {fact.key for fact in facts} == {str(ALICE).encode()}


async def test_poison_on_the_wire_is_a_dead_letter_and_is_handled_when_its_cause_is_gone(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = amounts(13)[0]
    strange = replace(amounts(4)[0], headers=(("ce_id", b"\xff"), ("other", b"\xfe")))
    dead_letters = f"{toy.commands.name}.{toy.name}.dlt"
    async with running(toy.service()):
        await toy.send(*amounts(1), broken, strange, *amounts(2))
        letters = await toy.read(dead_letters, 2)
        assert await toy.totals() == {ALICE: 3}

    assert {letter.value for letter in letters} == {broken.value, strange.value}
    (letter,) = [letter for letter in letters if letter.value == broken.value]
    assert tuple(letter.headers)[: len(broken.headers)] == broken.headers

    def mended(command: Deposit, working_set: Totals, context: Any) -> Any:
        return deposit(command.model_copy(update={"amount": 100}), working_set, context)

    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", toy.bootstrap_servers)
    only = f"{letter.partition}/{letter.offset}"
    async with running(toy.service(deposit=mended)):
        for _ in range(2):
            await asyncio.to_thread(main, ["dead-letters", "redrive", dead_letters, "--only", only])
        await toy.send(*amounts(1))  # Behind the re-driven ones: when it is handled, they are.
        await until(lambda: _is(toy, 203))
    assert "1 dead letters handed in again" in capsys.readouterr().out


async def _is(toy: Toy, total: int) -> bool:
    return (await toy.totals()).get(ALICE) == total


async def test_dead_letters_are_listed_without_their_bodies(
    toy: Toy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dead_letters = f"{toy.commands.name}.{toy.name}.dlt"
    async with running(toy.service()):
        await toy.send(*amounts(13))
        await toy.read(dead_letters, 1)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", toy.bootstrap_servers)
    await asyncio.to_thread(main, ["dead-letters", "list", dead_letters])

    listed = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert listed["type"] == "toy.deposit.v1"
    assert listed["error"] == "builtins.ZeroDivisionError"
    assert "amount" not in listed


async def test_one_relay_is_active_and_another_takes_over(toy: Toy) -> None:
    first, second = toy.new_settings(), toy.new_settings()

    async def relays() -> list[float]:
        pages = [(await get(settings, "/metrics")).text for settings in (first, second)]
        return [
            float(line.split()[-1])
            for page in pages
            for line in page.splitlines()
            if line.startswith("postroom_relay_active ")
        ]

    async with running(toy.service(second)):
        async with running(toy.service(first)):
            await until(lambda: _both_ready(first, second))
            await until(lambda: _sums_to_one(relays))
            await toy.send(*amounts(1, 2, 3, 4, 5, 6))
            await until(lambda: _is(toy, 21))
        await toy.send(*amounts(7))
        facts = await toy.read(toy.events.name, 7)
    assert [json.loads(fact.value)["total"] for fact in facts] == [1, 3, 6, 10, 15, 21, 28]


async def _both_ready(*settings: ServiceSettings) -> bool:
    return all([await is_ready(each) for each in settings])


async def _sums_to_one(relays: Callable[[], Awaitable[list[float]]]) -> bool:
    return sum(await relays()) == 1


async def test_health_says_what_is_wrong(toy: Toy) -> None:
    async with running(toy.service()):
        await until(lambda: is_ready(toy.settings))
        live, ready, metrics = [await get(toy.settings, path) for path in ("/livez", "/readyz", "/metrics")]
    assert (live.status_code, ready.status_code) == (200, 200)
    assert ready.json() == {"stopping": "ok", "database": "ok", "kafka": "ok", "assignment": "ok"}
    for name in (
        "postroom_messages_total",
        "postroom_batch_records_bucket",
        "postroom_handler_duration_seconds_bucket",
        "postroom_outbox_rows",
        "postroom_outbox_oldest_seconds",
        "postroom_consumer_lag_records",
    ):
        assert name in metrics.text, name


async def test_a_service_without_its_database_is_alive_and_not_ready(toy: Toy) -> None:
    settings = toy.new_settings(database_url=f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")
    async with running(toy.service(settings)):
        await until(lambda: _answers(settings))
        live, ready = await get(settings, "/livez"), await get(settings, "/readyz")
    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json()["database"] != "ok"


async def _answers(settings: ServiceSettings) -> bool:
    try:
        await get(settings, "/livez")
    except httpx.TransportError:
        return False
    return True


async def test_a_service_does_not_start_without_the_topics_that_it_writes(toy: Toy) -> None:
    service = toy.service()
    complete = Process(service, asyncio.Event())
    assert await complete._topics_are_ready() is None

    nowhere = replace(service.reactions, writes=(replace(toy.events, name="toy.nowhere"),), name="stranger")
    service.reactions = nowhere
    service.name = "stranger"
    fault = await Process(service, asyncio.Event())._topics_are_ready()
    assert fault == f"no such topics: toy.nowhere, {toy.commands.name}.stranger.dlt"


async def test_a_consumer_that_could_not_start_is_started_again(toy: Toy) -> None:
    async def process(records: object) -> None: ...

    longer_than_allowed = toy.new_settings(kafka_session_timeout=timedelta(days=1))
    consumer = Consumer(longer_than_allowed, "again", [toy.commands.name], process)
    try:
        for _ in range(2):
            with pytest.raises(InvalidSessionTimeoutError):
                await consumer.start()
    finally:
        await consumer.stop()


async def test_the_defaults_that_lose_messages_are_not_in_force(toy: Toy) -> None:
    async def process(records: object) -> None: ...

    consumer = Consumer(toy.settings, "defaults", [toy.commands.name], process)
    await consumer.start()
    try:
        driver = consumer.driver
        assert driver is not None
        assert consumer.broker.config.broker_config.ack_policy is AckPolicy.NACK_ON_ERROR
        assert driver._auto_offset_reset == "earliest"
        assert driver._enable_auto_commit is False
    finally:
        await consumer.stop()
    producer = create_producer(toy.settings, "defaults")
    assert producer._sender._acks == -1
    assert producer._txn_manager is not None, "idempotence is on"
    await producer.stop()


async def test_a_batch_that_cannot_be_committed_is_given_back_and_comes_again_in_its_order(toy: Toy) -> None:
    handed_out: list[list[int]] = []

    async def process(records: Sequence[Record]) -> None:
        handed_out.append([record.offset for record in records])
        if len(handed_out) == 1:
            raise OutageLasts

    await toy.send(*amounts(1, 2, 3, 4, 5))
    consumer = Consumer(toy.new_settings(batch_size=3), f"{toy.name}_again", [toy.commands.name], process)
    await consumer.start()
    try:
        await until(lambda: _is_handed_out(handed_out, 5))
    finally:
        await consumer.stop()
    assert handed_out == [[0, 1, 2], [0, 1, 2], [3, 4]]


async def _is_handed_out(handed_out: list[list[int]], count: int) -> bool:
    return sum(map(len, handed_out[1:])) >= count


async def test_what_was_acknowledged_is_committed_when_a_consumer_stops(toy: Toy) -> None:
    handed_out: list[list[int]] = []

    async def process(records: Sequence[Record]) -> None:
        handed_out.append([record.offset for record in records])

    for sent in (amounts(1, 2), amounts(3)):
        await toy.send(*sent)
        before = sum(map(len, handed_out))
        consumer = Consumer(toy.settings, f"{toy.name}_commits", [toy.commands.name], process)
        await consumer.start()
        try:
            await until(lambda: _is_handed_out([[], *handed_out], before + len(sent)))  # noqa: B023
        finally:
            await consumer.stop()
    assert [offset for batch in handed_out for offset in batch] == [0, 1, 2], "each of them once"


async def test_the_offsets_of_many_batches_are_committed_together(toy: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_out: list[list[int]] = []
    committed: list[list[int]] = []

    async def process(records: Sequence[Record]) -> None:
        handed_out.append([record.offset for record in records])

    async def commit(driver: AIOKafkaConsumer, offsets: dict[TopicPartition, int]) -> None:
        committed.append(list(offsets.values()))
        await to_kafka(driver, offsets)

    to_kafka = AIOKafkaConsumer.commit
    monkeypatch.setattr(AIOKafkaConsumer, "commit", commit)
    await toy.send(*amounts(1, 2, 3, 4, 5))
    settings = toy.new_settings(batch_size=1, commit_interval=3600)
    consumer = Consumer(settings, f"{toy.name}_seldom", [toy.commands.name], process)
    await consumer.start()
    try:
        await until(lambda: _is_handed_out([[], *handed_out], 5))
    finally:
        await consumer.stop()
    assert len(handed_out) == 5
    assert committed == [[5]]


async def test_what_a_crash_leaves_uncommitted_comes_again_and_is_known(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(_: object) -> None: ...

    with monkeypatch.context() as dying:
        dying.setattr(BatchConsumer, "flush_commits", crash)
        async with running(toy.service(toy.new_settings(commit_interval=3600))):
            await toy.send(*amounts(1, 2, 3))
            await until(lambda: _is(toy, 6))

    async with running(toy.service()):
        await toy.send(*amounts(4))  # Behind the others: when it is handled, they have come again.
        await until(lambda: _is(toy, 10))
        metrics = (await get(toy.settings, "/metrics")).text
    counted = [line for line in metrics.splitlines() if line.startswith("postroom_messages_total{")]
    assert [line.split()[-1] for line in counted if 'outcome="duplicate"' in line] == ["3.0"]


async def test_what_comes_soon_after_a_batch_waits_and_is_handled_together(toy: Toy) -> None:
    batches: list[tuple[float, int]] = []

    async def process(records: Sequence[Record]) -> None:
        batches.append((time.monotonic(), len(records)))

    settings = toy.new_settings(batch_interval=1)
    consumer = Consumer(settings, f"{toy.name}_calm", [toy.commands.name], process)
    await consumer.start()
    try:
        await toy.send(*amounts(1))
        await until(lambda: _are_handled(batches, 1))
        for number in (2, 3, 4):
            await toy.send(*amounts(number))
        await until(lambda: _are_handled(batches, 4))
    finally:
        await consumer.stop()
    times = [at for at, _ in batches]
    assert all(later - earlier >= 0.99 for earlier, later in pairwise(times))


async def test_what_comes_when_it_is_quiet_is_handled_at_once(toy: Toy) -> None:
    batches: list[tuple[float, int]] = []

    async def process(records: Sequence[Record]) -> None:
        batches.append((time.monotonic(), len(records)))

    settings = toy.new_settings(batch_interval=3600)
    consumer = Consumer(settings, f"{toy.name}_quiet", [toy.commands.name], process)
    await consumer.start()
    try:
        await toy.send(*amounts(1))
        await until(lambda: _are_handled(batches, 1))
    finally:
        await consumer.stop()


async def _are_handled(batches: Sequence[tuple[float, int]], count: int) -> bool:
    return sum(size for _, size in batches) >= count


async def test_deferred_messages_are_looked_for_when_one_falls_due_and_not_after_every_batch(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    async def resume() -> int:
        looks.append(time.monotonic())
        return 0

    process = Process(toy.service(), asyncio.Event())
    monkeypatch.setattr(process._processor, "resume", resume)
    monkeypatch.setattr("postroom.process._LOOK_FOR_DEFERRED", 3600.0)
    resuming = asyncio.create_task(process._resume_deferred())
    try:
        await until(lambda: _have_come(looks, 1))
        for _ in range(20):
            process._room.wake()
            await asyncio.sleep(0)
        assert len(looks) == 1

        process._processor.deferred_at = utc_now() + timedelta(seconds=0.1)
        process._room.wake()
        await until(lambda: _have_come(looks, 2))
        assert looks[1] - looks[0] >= 0.1
    finally:
        process.stopping.set()
        process._room.wake()
        await resuming
        await process._engine.dispose()


async def _have_come(looks: Sequence[float], count: int) -> bool:
    return len(looks) >= count
