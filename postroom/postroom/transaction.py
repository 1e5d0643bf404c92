"""One message, one transaction: what is remembered, decided and told commits together or not at all."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from pydantic_core import from_json, to_json
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from postroom.record import Headers, OutgoingRecord, StoredRecord


@dataclass(frozen=True, slots=True)
class Deferral:
    """A message that waits for another one."""

    id: int | None
    """Its row; none while it is not stored yet."""
    record: StoredRecord
    arrived_at: datetime
    next_at: datetime
    attempts: int


class Transaction(Protocol):
    """What postroom does inside one database transaction. Nothing of it happened where the transaction fails."""

    @property
    def connection(self) -> AsyncConnection:
        """For the service's own SQL."""
        ...

    async def claim(self, messages: Sequence[tuple[UUID, date]]) -> set[UUID]:
        """Remembers message ids, each until a day, and answers which were new. Waits for other transactions that are
        claiming the same ones; what they commit is not new, what they roll back is."""
        ...

    async def post(self, records: Sequence[OutgoingRecord], now: datetime) -> None:
        """Puts records into the outbox, in this order."""
        ...

    async def defer(self, deferrals: Sequence[Deferral]) -> None:
        """Keeps messages for later."""
        ...

    async def resume(self, ids: Sequence[int]) -> set[int]:
        """Takes deferred messages out, and answers which were still there and in nobody else's hands."""
        ...


class Transactions(Protocol):
    """A database with postroom's tables."""

    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        """A new transaction; commits at the end of the block, and rolls back where it raises."""
        ...

    def reading(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection on which every statement is by itself, outside any transaction."""
        ...

    async def due(self, now: datetime, limit: int) -> Sequence[Deferral]:
        """Deferred messages whose time has come, the oldest first, without taking them."""
        ...

    async def forget(self, today: date, limit: int) -> int:
        """Removes up to `limit` ids whose day is over from the inbox, and answers how many."""
        ...


_CLAIM = text("""
    INSERT INTO postroom_inbox (message_id, forget_on)
    SELECT message_id, forget_on
    FROM unnest(CAST(:ids AS uuid[]), CAST(:days AS date[])) AS claimed (message_id, forget_on)
    ON CONFLICT (message_id) DO NOTHING
    RETURNING message_id
""")

# WITH ORDINALITY and ORDER BY: the ids are given in the order of the list, which is the order of the decisions.
_POST = text("""
    INSERT INTO postroom_outbox (topic, key, headers, value, created_at)
    SELECT topic, key, headers, value, :now
    FROM unnest(CAST(:topics AS text[]), CAST(:keys AS bytea[]), CAST(:headers AS json[]), CAST(:values AS bytea[]))
        WITH ORDINALITY AS posted (topic, key, headers, value, turn)
    ORDER BY turn
""")

_WAKE = text("SELECT pg_notify('postroom_outbox', '')")

_DEFER = text("""
    INSERT INTO postroom_deferred
        (topic, partition, "offset", timestamp, key, headers, value, arrived_at, next_at, attempts)
    SELECT * FROM unnest(
        CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:offsets AS bigint[]), CAST(:timestamps AS bigint[]),
        CAST(:keys AS bytea[]), CAST(:headers AS json[]), CAST(:values AS bytea[]),
        CAST(:arrived_at AS timestamptz[]), CAST(:next_at AS timestamptz[]), CAST(:attempts AS int[]))
""")

_DUE = text("""
    SELECT id, topic, partition, "offset", timestamp, key, CAST(headers AS text) AS headers, value,
           arrived_at, next_at, attempts
    FROM postroom_deferred
    WHERE next_at <= :now
    ORDER BY id
    LIMIT :limit
""")

_RESUME = text("""
    DELETE FROM postroom_deferred
    WHERE id IN (SELECT id FROM postroom_deferred WHERE id = ANY(CAST(:ids AS bigint[])) ORDER BY id
                 FOR UPDATE SKIP LOCKED)
    RETURNING id
""")

_FORGET = text("""
    DELETE FROM postroom_inbox
    WHERE message_id IN (SELECT message_id FROM postroom_inbox WHERE forget_on <= :today LIMIT :limit
                         FOR UPDATE SKIP LOCKED)
""")


def _by_id(message: tuple[UUID, date]) -> int:
    return message[0].int  # Comparing numbers is much cheaper than comparing UUIDs.


class PostgresTransaction:
    """A Transaction of PostgreSQL; each of its methods is one statement, whatever the number of messages."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self.posted = 0

    @property
    def connection(self) -> AsyncConnection:
        return self._connection

    async def claim(self, messages: Sequence[tuple[UUID, date]]) -> set[UUID]:
        if not messages:
            return set()
        # In one order everywhere, so that two instances which claim the same ids do not deadlock.
        in_order = sorted(messages, key=_by_id)
        claimed = await self._connection.execute(
            _CLAIM, {"ids": [message_id for message_id, _ in in_order], "days": [day for _, day in in_order]}
        )
        return set(claimed.scalars())

    async def post(self, records: Sequence[OutgoingRecord], now: datetime) -> None:
        if not records:
            return
        self.posted += len(records)
        await self._connection.execute(
            _POST,
            {
                "topics": [record.topic for record in records],
                "keys": [record.key for record in records],
                "headers": [headers_to_json(record.headers) for record in records],
                "values": [record.value for record in records],
                "now": now,
            },
        )

    async def defer(self, deferrals: Sequence[Deferral]) -> None:
        if not deferrals:
            return
        records = [deferral.record for deferral in deferrals]
        await self._connection.execute(
            _DEFER,
            {
                "topics": [record.topic for record in records],
                "partitions": [record.partition for record in records],
                "offsets": [record.offset for record in records],
                "timestamps": [record.timestamp for record in records],
                "keys": [record.key for record in records],
                "headers": [headers_to_json(record.headers) for record in records],
                "values": [record.value for record in records],
                "arrived_at": [deferral.arrived_at for deferral in deferrals],
                "next_at": [deferral.next_at for deferral in deferrals],
                "attempts": [deferral.attempts for deferral in deferrals],
            },
        )

    async def resume(self, ids: Sequence[int]) -> set[int]:
        if not ids:
            return set()
        resumed = await self._connection.execute(_RESUME, {"ids": list(ids)})
        return set(resumed.scalars())


class PostgresTransactions:
    """The Transactions of one PostgreSQL database, at READ COMMITTED."""

    def __init__(
        self, engine: AsyncEngine, *, wake_relay: Callable[[], None], relay_is_here: Callable[[], bool]
    ) -> None:
        """`wake_relay` is called after a commit that has filled the outbox. Where the active relay is not in this
        process (`relay_is_here`), it is notified by the same transaction."""
        self._engine = engine
        self._autocommit = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._wake_relay = wake_relay
        self._relay_is_here = relay_is_here

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[PostgresTransaction]:
        async with self._engine.begin() as connection:
            transaction = PostgresTransaction(connection)
            yield transaction
            if transaction.posted and not self._relay_is_here():
                await connection.execute(_WAKE)
        if transaction.posted:
            self._wake_relay()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._autocommit.connect() as connection:
            yield connection

    async def due(self, now: datetime, limit: int) -> Sequence[Deferral]:
        async with self.reading() as connection:
            rows = await connection.execute(_DUE, {"now": now, "limit": limit})
            return [
                Deferral(
                    id=row.id,
                    record=StoredRecord(
                        topic=row.topic,
                        partition=row.partition,
                        offset=row.offset,
                        timestamp=row.timestamp,
                        key=row.key,
                        value=row.value,
                        headers=headers_from_json(row.headers),
                    ),
                    arrived_at=row.arrived_at,
                    next_at=row.next_at,
                    attempts=row.attempts,
                )
                for row in rows
            ]

    async def forget(self, today: date, limit: int) -> int:
        async with self._engine.begin() as connection:
            return (await connection.execute(_FORGET, {"today": today, "limit": limit})).rowcount


def headers_to_json(headers: Iterable[tuple[str, bytes | None]]) -> str:
    """Headers as JSON, every byte kept: Latin-1 maps each byte to one character and back."""
    texts = [(name, None if value is None else value.decode("latin-1")) for name, value in headers]
    return to_json(texts).decode()


def headers_from_json(headers: str) -> Headers:
    """The inverse of headers_to_json."""
    return tuple((name, None if value is None else value.encode("latin-1")) for name, value in from_json(headers))
