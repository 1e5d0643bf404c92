"""notifier for tests: its reactions, its store and its delivery on a real database, without Kafka."""

import asyncio
import base64
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from notifier_facts import ACCOUNTS_KEY, LINK_KEY, NOW
from prometheus_client import CollectorRegistry
from pydantic import SecretStr
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts import NOTIFIER_EVENTS, TOPICS, AccountErased, Message, link_code
from notifier.app import build, mail_server, pace, renderer
from notifier.counts import LetterCounts
from notifier.delivery import Delivery
from notifier.settings import Settings
from postroom import WorkTransaction
from postroom.envelope import write
from postroom.ids import uuid7
from postroom.metrics import Metrics
from postroom.processor import Processor
from postroom.record import StoredRecord
from postroom.timers import Timers
from postroom.transaction import PostgresTransaction, PostgresTransactions, headers_from_json

_OUTBOX = text("SELECT topic, key, CAST(headers AS text) AS headers, value FROM postroom_outbox ORDER BY id")
_LETTERS = text("SELECT * FROM letters ORDER BY created_at, kind")
_DUE = text("SELECT count(*) FROM letters WHERE state IN ('queued', 'sending') AND due_at <= :now")
_LEASED = text("SELECT count(*) FROM letters WHERE state = 'sending' AND due_at > :now")
_TYPES = TOPICS.message_types
_WITHIN = 20.0


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def passes(self, period: timedelta) -> None:
        self.now += period


@dataclass(frozen=True)
class Told:
    """A fact in the outbox."""

    fact: Any
    key: str
    causation_id: str
    correlation_id: str


class _WorkTransaction:
    """What postroom gives a worker."""

    def __init__(self, transaction: PostgresTransaction) -> None:
        self._transaction = transaction

    @property
    def connection(self) -> AsyncConnection:
        return self._transaction.connection

    async def publish(self, facts: Iterable[Any], *, correlation_id: str, causation_id: str, now: datetime) -> None:
        chain: dict[str, Any] = {"correlation_id": correlation_id, "causation_id": causation_id, "now": now}
        topic = NOTIFIER_EVENTS
        records = [write(fact, topic=topic, source="/latchkey/notifier", **chain) for fact in facts]
        await self._transaction.post(records, now)

    async def send(self, messages: Iterable[Any], *, now: datetime) -> None:
        raise AssertionError("Whatever notifier tells has a cause.")


class WorkRoom:
    """What a worker may use, as postroom gives it."""

    def __init__(self, transactions: PostgresTransactions, clock: Clock) -> None:
        self.clock: Callable[[], datetime] = clock
        self.stopping = asyncio.Event()
        self.outages = 0
        """How many of the next transactions find no database."""
        self._transactions = transactions

    async def woken(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self.stopping.wait()
        except TimeoutError:
            pass

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[WorkTransaction]:
        if self.outages > 0:
            self.outages -= 1
            raise ConnectionRefusedError
        async with self._transactions.begin() as transaction:
            yield _WorkTransaction(transaction)

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._transactions.reading()


@dataclass
class Office:
    """A database, a mail server, and as many processes of notifier as a test wants."""

    engine: AsyncEngine
    smtp_port: int
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.service = build(self.settings(), self.clock)
        self.registry = CollectorRegistry()
        """What its deliveries count."""
        self._counts = LetterCounts(self.registry)
        self._transactions = PostgresTransactions(self.engine, wake_relay=lambda: None, relay_is_here=lambda: True)
        self._offsets = count()

    def settings(self, **changed: Any) -> Settings:
        given: dict[str, Any] = {
            "kafka_bootstrap_servers": "nowhere:9092",
            "database_url": SecretStr("postgresql://nowhere/notifier"),
            "link_key": SecretStr(base64.urlsafe_b64encode(LINK_KEY).decode()),
            "accounts_key": SecretStr(base64.urlsafe_b64encode(ACCOUNTS_KEY).decode()),
            "console_url": "https://console.example.com",
            "smtp_host": "127.0.0.1",
            "smtp_port": self.smtp_port,
            "smtp_hostname": "notifier.localhost",
            "mail_from": "Latchkey <invitations@latchkey.example>",
            "delivery_interval": timedelta(milliseconds=10),
        }
        return Settings(**(given | changed))

    # --- messages and time

    async def hand_in(self, *messages: Message, ce_id: str | None = None) -> None:
        """One process takes the messages as one batch."""
        processor: Processor[Any] = Processor(
            self.service.reactions, self._transactions, Metrics("notifier"), clock=self.clock
        )
        await processor.process([self._record(message, ce_id) for message in messages])

    async def hand_in_at_once(self, *messages: Message) -> None:
        """Each message is taken by a process of its own, all at the same time."""
        await asyncio.gather(*(self.hand_in(message) for message in messages))

    async def time_passes(self, period: timedelta) -> None:
        """The clock goes on, and timers and chores run until they have nothing to do."""
        self.clock.passes(period)
        timers = Timers(self.service.reactions, self._transactions, self.clock)
        for timer in self.service.timers:
            while await timers.run(timer):
                pass
        for chore in self.service.chores:
            while await timers.clean_up(chore):
                pass

    # --- delivery

    def delivery(self, **settings: Any) -> Delivery:
        changed = self.settings(**settings)
        return Delivery(
            mail_server(changed),
            renderer(changed),
            changed.patience,
            pace(changed),
            counts=self._counts,
            spread=lambda: 0.0,
        )

    def room(self) -> WorkRoom:
        return WorkRoom(self._transactions, self.clock)

    @asynccontextmanager
    async def delivering(self, **settings: Any) -> AsyncIterator[WorkRoom]:
        """A process delivers, and stops in order at the end of the block."""
        room = self.room()
        working = asyncio.create_task(self.delivery(**settings).deliver(room))
        try:
            yield room
        finally:
            room.stopping.set()
            async with asyncio.timeout(_WITHIN):
                await working

    async def deliver(self, **settings: Any) -> None:
        """A process delivers until nothing is due any more."""
        others = await self._number(_LEASED)

        async def nothing_is_left() -> bool:
            return await self._number(_DUE) == 0 and await self._number(_LEASED) == others

        async with self.delivering(**settings):
            await self.until(nothing_is_left)

    async def until(self, condition: Callable[[], Any]) -> None:
        """Returns when the condition holds; fails with the letters' states when it does not come true."""
        try:
            async with asyncio.timeout(_WITHIN):
                while not await condition():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"The letters are still {await self.states()}.") from None

    # --- what has come of it

    async def letters(self) -> list[Any]:
        """The rows of the letters."""
        async with self.engine.connect() as connection:
            return list((await connection.execute(_LETTERS)).all())

    async def letter(self) -> Any:
        """The row of the only letter."""
        (row,) = await self.letters()
        return row

    async def states(self) -> list[str]:
        return sorted(row.state for row in await self.letters())

    async def told(self) -> list[Told]:
        """The facts in the outbox, in their order. Fails where there is a dead letter."""
        async with self.engine.connect() as connection:
            rows = (await connection.execute(_OUTBOX)).all()
        assert {row.topic for row in rows} <= {"notifier.events"}
        return [_told(row) for row in rows]

    async def facts(self) -> list[Any]:
        return [told.fact for told in await self.told()]

    @staticmethod
    def code(invitation_id: UUID) -> str:
        """What makes the link of an invitation."""
        return link_code(LINK_KEY, invitation_id)

    def counted(self) -> dict[str, int]:
        """How often letters came to each outcome, by an attempt or since their time was over; without those that there
        were none of."""
        number: Counter[str] = Counter()
        for registry in filter(None, (self.registry, self.service.registry)):
            for family in registry.collect():
                for sample in family.samples:
                    if sample.name == "latchkey_letter_attempts_total":
                        number[sample.labels["outcome"]] += int(sample.value)
        return dict(+number)

    async def count(self, table: str) -> int:
        async with self.engine.connect() as connection:
            return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())

    async def _number(self, query: TextClause) -> int:
        async with self.engine.connect() as connection:
            return int((await connection.execute(query, {"now": self.clock()})).scalar_one())

    def _record(self, message: Message, ce_id: str | None) -> StoredRecord:
        """The message as Kafka hands it over, with a new id unless one is given."""
        is_tombstone = isinstance(message, AccountErased)
        topic = TOPICS.of(type(message))
        written = write(message, topic=topic, source="/test", correlation_id=None, causation_id=None, now=NOW)
        headers = [
            (key, (ce_id or "").encode() if ce_id and key == "ce_id" else value) for key, value in written.headers
        ]
        headers = [] if is_tombstone else headers
        return StoredRecord(topic.name, 0, next(self._offsets), 0, written.key, written.value, tuple(headers))


def _told(row: Any) -> Told:
    headers = {name: (value or b"").decode() for name, value in headers_from_json(row.headers)}
    fact = _TYPES[headers["ce_type"]].model_validate_json(row.value)
    return Told(fact, row.key.decode(), headers["ce_causationid"], headers["ce_correlationid"])


def new_id() -> UUID:
    return uuid7()
