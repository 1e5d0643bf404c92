"""A toy service, and the two rooms that it runs in: the in-memory double and a real PostgreSQL."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, cast
from uuid import UUID

import asyncpg
import pytest
from pydantic import BaseModel, ConfigDict
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from postroom.database import async_url
from postroom.handling import Context, Deferred, Handler
from postroom.ids import uuid7
from postroom.memory import MemoryDatabase, MemoryKafka
from postroom.message import Message
from postroom.metrics import Metrics
from postroom.processor import Processor, Reactions
from postroom.record import OutgoingRecord, StoredRecord
from postroom.relay import Outbox, PostgresOutbox
from postroom.tables import postroom_metadata
from postroom.transaction import PostgresTransactions, Transactions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class ToyMessage(BaseModel):
    model_config = ConfigDict(frozen=True)
    account_id: UUID

    @property
    def partition_key(self) -> UUID:
        return self.account_id


class Deposit(ToyMessage):
    """A command: at most 1000 at a time; 13 breaks the handler, 99 breaks the store."""

    ce_type: ClassVar[str] = "toy.deposit.v1"
    amount: int


class Transfer(ToyMessage):
    """A command that waits for the account to be there."""

    ce_type: ClassVar[str] = "toy.transfer.v1"


class Deposited(ToyMessage):
    ce_type: ClassVar[str] = "toy.deposited.v1"
    total: int


class DepositRefused(ToyMessage):
    ce_type: ClassVar[str] = "toy.deposit.refused.v1"
    command_id: str


class AccountClosed(ToyMessage):
    """The tombstone of its topic."""

    ce_type: ClassVar[str] = "toy.account.closed.v1"


class TooMuch(Exception):
    reason = "too_much"

    def answer(self, command: Deposit, command_id: str) -> DepositRefused:
        return DepositRefused(account_id=command.account_id, command_id=command_id)


@dataclass(frozen=True)
class ToyTopic:
    name: str
    owner: str
    messages: Sequence[type[Message]]
    tombstone: type[Message] | None = None
    readers: tuple[str, ...] = ("toy",)
    partitions: int = 1
    retention: timedelta | None = timedelta(days=7)
    cleanup: str = "delete"


COMMANDS = ToyTopic("toy.commands", "toy", (Deposit, Transfer))
ACCOUNTS = ToyTopic("toy.accounts", "elsewhere", (Deposited,), AccountClosed, retention=None, cleanup="compact")
EVENTS = ToyTopic("toy.events", "toy", (Deposited, DepositRefused), readers=())


@dataclass
class Totals:
    """The working set."""

    totals: dict[UUID, int]
    changed: set[UUID] = field(default_factory=set)
    broken: bool = False


def deposit(command: Deposit, working_set: Totals, context: Context) -> list[Message]:
    if command.amount == 13:
        raise ZeroDivisionError("13")
    if command.amount > 1000:
        raise TooMuch
    working_set.broken = working_set.broken or command.amount == 99
    total = working_set.totals.get(command.account_id, 0) + command.amount
    working_set.totals[command.account_id] = total
    working_set.changed.add(command.account_id)
    return [Deposited(account_id=command.account_id, total=total)]


def transfer(command: Transfer, working_set: Totals, context: Context) -> list[Message]:
    if command.account_id not in working_set.totals:
        if context.may_wait:
            raise Deferred("the account is not there yet")
        return [DepositRefused(account_id=command.account_id, command_id=context.ce_id)]
    return [Deposited(account_id=command.account_id, total=working_set.totals[command.account_id])]


def close(tombstone: AccountClosed, working_set: Totals, context: Context) -> list[Message]:
    working_set.totals[tombstone.account_id] = 0
    working_set.changed.add(tombstone.account_id)
    return []


class StoreBroke(Exception):
    """What a unique index says, in this toy."""


class MemoryStore:
    async def load(self, connection: AsyncConnection, messages: Sequence[Message]) -> Totals:
        return Totals(dict(cast(MemoryDatabase, connection).state or {}))

    async def save(self, connection: AsyncConnection, working_set: Totals) -> None:
        cast(MemoryDatabase, connection).state = working_set.totals
        if working_set.broken:
            raise StoreBroke


class PostgresStore:
    async def load(self, connection: AsyncConnection, messages: Sequence[Message]) -> Totals:
        ids = sorted({message.partition_key for message in messages})
        rows = await connection.execute(
            text("SELECT id, total FROM toy WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE"), {"ids": ids}
        )
        return Totals({row.id: row.total for row in rows})

    async def save(self, connection: AsyncConnection, working_set: Totals) -> None:
        ids = sorted(working_set.changed)
        await connection.execute(
            text("""INSERT INTO toy (id, total) SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:totals AS int[]))
                    ON CONFLICT (id) DO UPDATE SET total = excluded.total"""),
            {"ids": ids, "totals": [working_set.totals[account] for account in ids]},
        )
        if working_set.broken:
            raise StoreBroke


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **period: float) -> None:
        self.now += timedelta(**period)


class ToyRoom:
    """The toy service in one of its two rooms."""

    def __init__(self, transactions: Transactions, outbox: Outbox, store: Any, totals: Callable[[], Any]) -> None:
        self.transactions = transactions
        self.outbox = outbox
        self.store = store
        self._totals = totals
        self.clock = Clock()
        self.metrics = Metrics("toy")
        self.kafka = MemoryKafka()
        self.processor = self.make_processor()

    def make_processor(self) -> Processor[Totals]:
        """Another process of the same service."""
        handlers: Mapping[type[Message], Handler[Totals]] = {Deposit: deposit, Transfer: transfer, AccountClosed: close}
        reactions = Reactions("toy", (COMMANDS, ACCOUNTS), (EVENTS,), handlers, self.store, TooMuch)
        return Processor(reactions, self.transactions, self.metrics, clock=self.clock)

    async def totals(self) -> dict[UUID, int]:
        """What is committed."""
        return dict(await self._totals())

    async def waiting(self) -> list[OutgoingRecord]:
        """What stands in the outbox, in its order."""
        return [row.record for row in await self.outbox.oldest(1000)]

    async def facts(self) -> list[tuple[str, dict[str, Any]]]:
        """Type and body of what stands in the outbox, without dead letters."""
        return [
            (dict(record.headers)["ce_type"].decode(), json.loads(record.value or b"{}"))  # type: ignore[union-attr]
            for record in await self.waiting()
            if record.topic == EVENTS.name
        ]

    async def dead_letters(self) -> list[OutgoingRecord]:
        """What stands in the outbox for a dead-letter topic."""
        return [record for record in await self.waiting() if record.topic.endswith(".dlt")]

    def counted(self, outcome: str) -> float:
        """How many messages had this outcome."""
        return sum(
            sample.value
            for family in self.metrics.registry.collect()
            for sample in family.samples
            if sample.name == "postroom_messages_total" and sample.labels["outcome"] == outcome
        )


@pytest.fixture(params=["memory", "postgres"])
async def room(request: pytest.FixtureRequest) -> AsyncIterator[ToyRoom]:
    """The toy service, with nothing done yet."""
    if request.param == "memory":
        database = MemoryDatabase()

        async def state() -> dict[UUID, int]:
            return database.state or {}

        yield ToyRoom(database, database, MemoryStore(), state)
        return
    async for made in _postgres_room(request.getfixturevalue("database_url")):
        yield made


@pytest.fixture
async def postgres_room(database_url: str) -> AsyncIterator[ToyRoom]:
    """The toy service on PostgreSQL, for what the double does not promise."""
    async for made in _postgres_room(database_url):
        yield made


async def _postgres_room(url: str) -> AsyncIterator[ToyRoom]:
    engine = create_async_engine(async_url(url))
    async with engine.begin() as connection:
        await connection.run_sync(postroom_metadata.create_all)
        await connection.execute(text("CREATE TABLE toy (id uuid PRIMARY KEY, total int NOT NULL)"))

    async def totals() -> dict[UUID, int]:
        async with engine.begin() as connection:
            return {row.id: row.total for row in await connection.execute(text("SELECT id, total FROM toy"))}

    relay_connection = await asyncpg.connect(url)
    await PostgresOutbox.prepare(relay_connection)
    transactions = PostgresTransactions(engine, wake_relay=lambda: None, relay_is_here=lambda: True)
    try:
        yield ToyRoom(transactions, PostgresOutbox(relay_connection), PostgresStore(), totals)
    finally:
        await relay_connection.close()
        await engine.dispose()


_offsets = iter(range(1_000_000))


def record_of(
    message: ToyMessage, *, topic: str = COMMANDS.name, ce_id: str | None = None, **changed: bytes | None
) -> StoredRecord:
    """The record of a message as a client would write it; `changed` headers (underscores for dashes) are replaced, or
    left out where None."""
    headers: dict[str, bytes | None] = {
        "ce_specversion": b"1.0",
        "ce_id": (ce_id or str(uuid7())).encode(),
        "ce_source": b"/test",
        "ce_type": message.ce_type.encode(),  # type: ignore[attr-defined]
        "content-type": b"application/json",
    }
    headers |= changed
    kept = tuple((name, value) for name, value in headers.items() if value is not None)
    return StoredRecord(
        topic,
        0,
        next(_offsets),
        1_767_268_800_000,
        str(message.account_id).encode(),
        message.model_dump_json().encode(),
        kept,
    )
