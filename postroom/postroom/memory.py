"""postroom without PostgreSQL and Kafka: the double that a service's own tests run on.

It keeps the promises of the real thing that a service can notice (one transaction per batch, the inbox, the order of
the outbox, deferral, dead letters); one conformance suite, `postroom/tests/test_conformance.py`, runs on both.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import count
from typing import Any, cast
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from postroom.record import OutgoingRecord, StoredRecord
from postroom.relay import OutboxRow
from postroom.transaction import Deferral


@dataclass
class MemoryDatabase:
    """Transactions and Outbox over plain Python. `state` is for the service's own store: it is copied when a
    transaction begins and put back when it fails. One transaction at a time."""

    state: Any = None
    inbox: dict[UUID, date] = field(default_factory=dict)
    outbox: list[OutboxRow] = field(default_factory=list)
    deferred: dict[int, Deferral] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._one_at_a_time = asyncio.Lock()
        self._ids = count(1)

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["MemoryTransaction"]:
        async with self._one_at_a_time:
            before = (dict(self.inbox), list(self.outbox), dict(self.deferred), deepcopy(self.state))
            try:
                yield MemoryTransaction(self)
            except BaseException:
                self.inbox, self.outbox, self.deferred, self.state = before
                raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._one_at_a_time:
            yield cast(AsyncConnection, self)

    async def due(self, now: datetime, limit: int) -> Sequence[Deferral]:
        return [deferral for _, deferral in sorted(self.deferred.items()) if deferral.next_at <= now][:limit]

    async def forget(self, today: date, limit: int) -> int:
        gone = [message_id for message_id, day in self.inbox.items() if day <= today][:limit]
        for message_id in gone:
            del self.inbox[message_id]
        return len(gone)

    async def oldest(self, limit: int) -> Sequence[OutboxRow]:
        return self.outbox[:limit]

    async def delete(self, ids: Sequence[int]) -> None:
        gone = set(ids)
        self.outbox = [row for row in self.outbox if row.id not in gone]

    def next_id(self) -> int:
        """Ids of rows; as in PostgreSQL, one that was given is not given again, even if nothing was committed."""
        return next(self._ids)


class MemoryTransaction:
    """A Transaction of a MemoryDatabase."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._database = database

    @property
    def connection(self) -> AsyncConnection:
        """The database itself: a store for it takes `connection.state`."""
        return cast(AsyncConnection, self._database)

    async def claim(self, messages: Sequence[tuple[UUID, date]]) -> set[UUID]:
        new = {message_id: day for message_id, day in messages if message_id not in self._database.inbox}
        self._database.inbox |= new
        return set(new)

    async def post(self, records: Sequence[OutgoingRecord], now: datetime) -> None:
        self._database.outbox = [
            *self._database.outbox,
            *(OutboxRow(self._database.next_id(), record) for record in records),
        ]

    async def defer(self, deferrals: Sequence[Deferral]) -> None:
        for deferral in deferrals:
            row = self._database.next_id()
            self._database.deferred[row] = Deferral(
                row, deferral.record, deferral.arrived_at, deferral.next_at, deferral.attempts
            )

    async def resume(self, ids: Sequence[int]) -> set[int]:
        return {row for row in ids if self._database.deferred.pop(row, None) is not None}


@dataclass
class MemoryKafka:
    """A Producer that keeps what it is given, and fails where a test wants it to."""

    records: list[OutgoingRecord] = field(default_factory=list)
    failing: set[int] = field(default_factory=set)
    """Which sends fail, counted from 0 over the life of the double."""
    sent: int = 0

    async def send(self, records: Sequence[OutgoingRecord]) -> Sequence[BaseException | None]:
        results: list[BaseException | None] = []
        for record in records:
            if self.sent in self.failing:
                results.append(ConnectionError("Kafka is away"))
            else:
                self.records.append(record)
                results.append(None)
            self.sent += 1
        return results

    def read(self, topic: str, start: int = 0) -> list[StoredRecord]:
        """The records of a topic as a consumer would get them, from an offset on."""
        there = [record for record in self.records if record.topic == topic]
        return [
            StoredRecord(topic, 0, offset, 0, record.key, record.value, tuple(record.headers))
            for offset, record in enumerate(there)
        ][start:]
