"""membership on a real database, without Kafka: records are handed in, and facts read from the outbox."""

import asyncio
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID

from membership_desk import NOON, context
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts import TOPICS, Refused
from membership.app import build
from membership.domain import Roster
from membership.handlers import REACTIONS
from membership.settings import Settings
from membership.store import RosterStore
from postroom import Message
from postroom.envelope import write
from postroom.metrics import Metrics
from postroom.processor import Processor
from postroom.record import StoredRecord
from postroom.timers import Timers
from postroom.transaction import PostgresTransactions

_OUTBOX = text("SELECT topic, CAST(headers AS text) AS headers, value FROM postroom_outbox ORDER BY id")
_MEMBERS = text("SELECT account_id, organization_id, role FROM members WHERE ended_at IS NULL")
_TYPES = TOPICS.message_types


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def passes(self, period: timedelta) -> None:
        self.now += period


@dataclass
class Instances:
    """A database, and as many processes of membership on it as a test wants."""

    engine: AsyncEngine
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        settings = Settings(
            kafka_bootstrap_servers="nowhere:9092", database_url=SecretStr("postgresql://nowhere/membership")
        )
        self._service = build(settings)
        self._transactions = PostgresTransactions(self.engine, wake_relay=lambda: None, relay_is_here=lambda: True)
        self._offsets = count()

    def start(self) -> Processor[Roster]:
        """One more process."""
        return Processor(self._service.reactions, self._transactions, Metrics("membership"), clock=self.clock)

    async def hand_in(self, *messages: Message) -> None:
        """One process takes the messages as one batch."""
        await self.start().process([self.record(message) for message in messages])

    async def decide(self, *messages: Message) -> list[Message]:
        """The facts of one batch, in one transaction, where a failure is a failure: a process would try again with
        smaller batches. Every message is decided at noon."""
        store = RosterStore()
        facts: list[Message] = []
        async with self.engine.begin() as connection:
            roster = await store.load(connection, messages)
            for message in messages:
                told_at = context()
                try:
                    facts.extend(REACTIONS[type(message)](message, roster, told_at))  # type: ignore[arg-type]
                except Refused as refusal:
                    facts.append(refusal.answer(message, told_at.ce_id))  # type: ignore[arg-type]
            await store.save(connection, roster)
        return facts

    async def hand_in_at_once(self, messages: Iterable[Message]) -> None:
        """Each message is taken by a process of its own, all at the same time."""
        await asyncio.gather(*(self.hand_in(message) for message in messages))

    async def clean_up(self) -> None:
        """The chores, until they have nothing left to do."""
        timers = Timers(self._service.reactions, self._transactions, self.clock)
        for chore in self._service.chores:
            while await timers.clean_up(chore):
                pass

    def record(self, message: Message) -> StoredRecord:
        """The message as Kafka hands it over, with a new id."""
        topic = next(topic for topic in self._service.reactions.reads if type(message) in topic.messages)
        written = write(message, topic=topic, source="/test", correlation_id=None, causation_id=None, now=NOON)
        return StoredRecord(topic.name, 0, next(self._offsets), 0, written.key, written.value, tuple(written.headers))

    async def facts(self) -> Sequence[Message]:
        """What was told, in its order. Fails where there is a dead letter."""
        async with self.engine.connect() as connection:
            rows = (await connection.execute(_OUTBOX)).all()
        assert {row.topic for row in rows} <= {"membership.events"}
        return [_fact(row.headers, row.value) for row in rows]

    async def members(self) -> dict[UUID, tuple[UUID, str]]:
        """Organization and role, by account."""
        async with self.engine.connect() as connection:
            rows = (await connection.execute(_MEMBERS)).all()
        assert len({row.account_id for row in rows}) == len(rows)
        return {row.account_id: (row.organization_id, row.role) for row in rows}


def _fact(headers: str, value: bytes) -> Message:
    ce_type: str = dict(json.loads(headers))["ce_type"]
    return _TYPES[ce_type].model_validate_json(value)
