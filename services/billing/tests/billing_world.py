"""Billing's tests: the facts that membership tells, and billing on a real database, without Kafka."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.app import build
from billing.domain.books import Books
from billing.domain.terms import Terms
from billing.settings import Settings
from contracts import TOPICS, MemberJoined, MemberLeft, MemberRemoved
from postroom import Context, Message
from postroom.envelope import write
from postroom.ids import uuid7
from postroom.metrics import Metrics
from postroom.processor import Processor
from postroom.record import StoredRecord
from postroom.timers import Timers
from postroom.transaction import PostgresTransactions

JOINED_AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
GONE_AT = JOINED_AT + timedelta(days=30)
NOW = GONE_AT + timedelta(seconds=1)

ACME, GLOBEX, MEMBER, ADMIN = (uuid7() for _ in range(4))

_OUTBOX = text("SELECT topic, CAST(headers AS text) AS headers, value FROM postroom_outbox ORDER BY id")
_CHAINS = text("SELECT * FROM chains")
_TYPES = TOPICS.message_types


def context(now: datetime = NOW) -> Context:
    """What postroom tells a handler."""
    message_id = uuid7()
    return Context(message_id, str(message_id), "type", str(message_id), now)


def new_books(terms: Terms | None = None) -> Books:
    """Books in which nothing is known."""
    return Books(terms or Terms(), uuid7)


@dataclass(frozen=True)
class Stay:
    """One account's stay in one organization, and what membership tells of it."""

    account_id: UUID = MEMBER
    organization_id: UUID = ACME
    membership_id: UUID = field(default_factory=uuid7)

    def joined(self) -> MemberJoined:
        return MemberJoined(
            organization_id=self.organization_id,
            version=3,
            account_id=self.account_id,
            membership_id=self.membership_id,
            role="member",
            invitation_id=uuid7(),
            inviter_id=ADMIN,
            joined_at=JOINED_AT,
        )

    def left(self, at: datetime = GONE_AT) -> MemberLeft:
        return MemberLeft(
            organization_id=self.organization_id,
            version=4,
            account_id=self.account_id,
            membership_id=self.membership_id,
            left_at=at,
        )

    def removed(self) -> MemberRemoved:
        return MemberRemoved(
            organization_id=self.organization_id,
            version=4,
            account_id=self.account_id,
            membership_id=self.membership_id,
            removed_by=ADMIN,
            removed_at=GONE_AT,
        )


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def passes(self, period: timedelta) -> None:
        self.now += period


@dataclass
class Instances:
    """A database, and as many processes of billing on it as a test wants."""

    engine: AsyncEngine
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        settings = Settings(
            kafka_bootstrap_servers="nowhere:9092", database_url=SecretStr("postgresql://nowhere/billing")
        )
        self._service = build(settings, self.clock)
        self._transactions = PostgresTransactions(self.engine, wake_relay=lambda: None, relay_is_here=lambda: True)
        self._offsets = count()

    async def hand_in(self, *messages: Message) -> None:
        """One process takes the messages as one batch."""
        process: Processor[Books] = Processor(
            self._service.reactions, self._transactions, Metrics("billing"), clock=self.clock
        )
        await process.process([self._record(message) for message in messages])

    async def hand_in_at_once(self, messages: Iterable[Message]) -> None:
        """Each message is taken by a process of its own, all at the same time."""
        await asyncio.gather(*(self.hand_in(message) for message in messages))

    async def clean_up(self) -> None:
        """The chores, until they have nothing left to do."""
        timers = Timers(self._service.reactions, self._transactions, self.clock)
        for chore in self._service.chores:
            while await timers.clean_up(chore):
                pass

    async def facts(self) -> Sequence[Message]:
        """What was told, in its order. Fails where there is a dead letter."""
        async with self.engine.connect() as connection:
            rows = (await connection.execute(_OUTBOX)).all()
        assert {row.topic for row in rows} <= {"billing.events"}
        return [_fact(row.headers, row.value) for row in rows]

    async def chains(self) -> dict[UUID, Any]:
        """The rows of the chains, by membership."""
        async with self.engine.connect() as connection:
            rows = (await connection.execute(_CHAINS)).all()
        return {row.membership_id: row for row in rows}

    def _record(self, message: Message) -> StoredRecord:
        """The message as Kafka hands it over, with a new id."""
        topic = next(topic for topic in TOPICS if type(message) in topic.messages)
        written = write(message, topic=topic, source="/test", correlation_id=None, causation_id=None, now=JOINED_AT)
        return StoredRecord(topic.name, 0, next(self._offsets), 0, written.key, written.value, tuple(written.headers))


def _fact(headers: str, value: bytes) -> Message:
    ce_type: str = dict(json.loads(headers))["ce_type"]
    return _TYPES[ce_type].model_validate_json(value)
