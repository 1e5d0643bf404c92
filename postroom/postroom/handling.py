"""What a service brings along: its handlers, its store, its timers. The interface that services are written against."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from postroom.message import Message

W = TypeVar("W")


@dataclass(frozen=True, slots=True)
class Context:
    """What a handler knows beside the message and the working set."""

    message_id: UUID
    """What the inbox knows the message by."""
    ce_id: str
    """Its CloudEvents id: what CommandRefused.command_id names."""
    ce_type: str
    correlation_id: str
    """The command that started it all."""
    now: datetime
    """Aware, in UTC: one reading of the service's clock for the whole batch."""
    may_wait: bool = True
    """False where the message has waited for as long as it may: decide with what is there, and do not defer."""
    causation_id: str | None = None
    """The CloudEvents id of the message that it is a consequence of, where its sender named one."""
    traceparent: str | None = None
    """Where the handling of the message stands in its trace, for what is done about it later (see postroom.tracing);
    none while traces are off."""


@dataclass(frozen=True, slots=True)
class AnswerTo:
    """A fact that is the outcome of an earlier command, rather than of the message in hand. It is published with that
    command as its cause, so that whoever waits for the command's outcome recognizes it."""

    fact: Message
    command_id: str
    correlation_id: str


Decision = Message | AnswerTo
Handler = Callable[[Any, W, Context], Iterable[Decision]]
"""Decides: changes the working set and returns facts. Synchronous, and does no I/O. One that raises must not have
changed the working set, if what it raises is Deferred or the service's refusal."""


class Deferred(Exception):
    """Raised by a handler while `context.may_wait`: the message waits for another one that has not come yet."""


class Store(Protocol[W]):
    """The service's SQL. Statements do not grow in number with the batch."""

    async def load(self, connection: AsyncConnection, messages: Sequence[Message]) -> W:
        """The working set: every aggregate that the messages mention, its rows locked in a fixed order."""
        ...

    async def save(self, connection: AsyncConnection, working_set: W) -> None:
        """Writes what has changed."""
        ...


@dataclass(frozen=True)
class Every(Generic[W]):
    """A timer: something falls due, and facts follow. Each run is one transaction; runs follow at once while there is
    something due. Several instances may run it at the same time."""

    name: str
    interval: timedelta
    load: Callable[[AsyncConnection, datetime], Awaitable[W | None]]
    """The aggregates that are due, a bounded number, with FOR UPDATE SKIP LOCKED; none where nothing is."""
    react: Callable[[W, Context], Iterable[Decision]]
    """What follows; the working set is then saved with the service's store."""
    committed: Callable[[W], None] = lambda _: None
    """Is told of the working set when all that is committed, to count it."""


@dataclass(frozen=True)
class Chore:
    """Housekeeping that nobody has to be told of."""

    name: str
    interval: timedelta
    run: Callable[[AsyncConnection, datetime], Awaitable[int]]
    """Does a bounded piece in the transaction of the connection and returns how many rows it removed; repeated at once
    until it returns 0."""


class WorkTransaction(Protocol):
    """A database transaction of a worker."""

    @property
    def connection(self) -> AsyncConnection: ...

    async def publish(self, facts: Iterable[Message], *, correlation_id: str, causation_id: str, now: datetime) -> None:
        """Tells facts, by way of the outbox of this transaction."""
        ...

    async def send(self, messages: Iterable[tuple[UUID, Message]], *, now: datetime) -> None:
        """Sends messages that nothing but a person or the time has caused, each with the CloudEvents id that its
        answer will name as its cause; by way of the outbox of this transaction, in this order."""
        ...


class Room(Protocol):
    """What a worker may use of the service that it works in."""

    @property
    def clock(self) -> Callable[[], datetime]: ...

    @property
    def stopping(self) -> asyncio.Event:
        """Set when the service is to stop: finish what is in flight, and return."""
        ...

    async def woken(self, timeout: float) -> None:
        """Returns after the next commit of a batch in this process, when stopping, or after `timeout` seconds."""
        ...

    def transaction(self) -> AbstractAsyncContextManager[WorkTransaction]:
        """One database transaction; commits at the end of the block."""
        ...

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for questions of one statement, which need no transaction around them: half the price. What is
        told belongs into a transaction."""
        ...


Worker = Callable[[Room], Awaitable[None]]
"""A task that runs as long as the service; started again, with backoff, when it raises."""


def utc_now() -> datetime:
    """The clock of a service that runs for real."""
    return datetime.now(UTC)
