"""The room that workers work in: the service's database, its clock, and the news that something was committed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from postroom import tracing
from postroom.envelope import write
from postroom.message import Message
from postroom.processor import Reactions
from postroom.record import OutgoingRecord
from postroom.transaction import Transaction, Transactions

if TYPE_CHECKING:
    from postroom.telemetry import Writing


class ServiceRoom:
    """The Room of a service's workers. It needs no Kafka: what is told waits in the outbox."""

    def __init__(
        self,
        transactions: Transactions,
        reactions: Reactions[Any],
        clock: Callable[[], datetime],
        stopping: asyncio.Event,
    ) -> None:
        self._transactions = transactions
        self._reactions = reactions
        self._waker = asyncio.Event()
        self.clock = clock
        self.stopping = stopping

    def wake(self) -> None:
        """Wakes all who wait at this moment; who comes later waits anew."""
        self._waker.set()
        self._waker = asyncio.Event()

    async def woken(self, timeout: float) -> None:
        if self.stopping.is_set():
            return
        waker = self._waker
        try:
            async with asyncio.timeout(timeout):
                await waker.wait()
        except TimeoutError:
            pass

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["OutboxTransaction"]:
        tracer = tracing.tracer()
        writing = tracer.writing() if tracer else None
        async with self._transactions.begin() as transaction:
            yield OutboxTransaction(transaction, self._reactions, writing)
        if writing:
            writing.end()

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._transactions.reading()


class OutboxTransaction:
    """A WorkTransaction: what is told in it goes to the outbox, and so to the topics of the service."""

    def __init__(self, transaction: Transaction, reactions: Reactions[Any], writing: "Writing | None" = None) -> None:
        """With `writing`, what is told is traced: below the span that the caller works in."""
        self._transaction = transaction
        self._reactions = reactions
        self._writing = writing

    @property
    def connection(self) -> AsyncConnection:
        return self._transaction.connection

    async def publish(self, facts: Iterable[Message], *, correlation_id: str, causation_id: str, now: datetime) -> None:
        records = [
            write(
                fact,
                topic=self._reactions.topic_of(fact),
                source=self._reactions.source,
                correlation_id=correlation_id,
                causation_id=causation_id,
                now=now,
            )
            for fact in facts
        ]
        await self._post(records, now)

    async def send(self, messages: Iterable[tuple[UUID, Message]], *, now: datetime) -> None:
        records = [
            write(
                message,
                topic=self._reactions.topic_of(message),
                source=self._reactions.source,
                correlation_id=None,
                causation_id=None,
                now=now,
                message_id=message_id,
            )
            for message_id, message in messages
        ]
        await self._post(records, now)

    async def _post(self, records: list[OutgoingRecord], now: datetime) -> None:
        if self._writing:
            records = [self._writing.create(record) for record in records]
        await self._transaction.post(records, now)
