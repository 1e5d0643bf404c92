"""The outbox relay: what is decided reaches Kafka, in the order of the decisions, at least once.

One relay per database is active, by an advisory lock that PostgreSQL takes back when its holder's connection ends; the
others stand by. The active one reads the oldest rows, sends them all, awaits them all, and deletes those before the
first that failed. It never goes by an id that it has seen, since ids commit out of order, and never drops a row.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer

from postroom import tracing
from postroom.dead_letters import describe
from postroom.metrics import Metrics
from postroom.record import OutgoingRecord
from postroom.transaction import headers_from_json

log = structlog.get_logger()

LOCK = 0x706F7374726F6F6D
"""The advisory lock of the active relay ('postroom' in ASCII)."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A record that waits in the outbox."""

    id: int
    record: OutgoingRecord


class Outbox(Protocol):
    """The outbox as the active relay sees it."""

    async def oldest(self, limit: int) -> Sequence[OutboxRow]:
        """The rows that are left, in the order of their ids."""
        ...

    async def delete(self, ids: Sequence[int]) -> None:
        """Removes rows whose records Kafka has acknowledged."""
        ...


class Producer(Protocol):
    """A way to Kafka."""

    async def send(self, records: Sequence[OutgoingRecord]) -> Sequence[BaseException | None]:
        """Sends all, awaits all, and answers for each what went wrong, or None where all in-sync replicas have it."""
        ...


class SendingFailed(Exception):
    """Kafka did not acknowledge a record; it and all that follow it are still in the outbox."""


async def relay_oldest(outbox: Outbox, producer: Producer, limit: int, metrics: Metrics | None = None) -> int:
    """Relays up to `limit` rows, and answers how many it found. Raises SendingFailed at the first failure, when all
    rows before it are deleted: what comes after it is sent again, so that nothing overtakes it for good."""
    rows = await outbox.oldest(limit)
    if not rows:
        return 0
    records = [row.record for row in rows]
    began, started = time.time_ns(), time.perf_counter()
    errors = await producer.send(records)
    acknowledged = first_failure(errors)
    took = time.perf_counter() - started
    if acknowledged:
        await outbox.delete([row.id for row in rows[:acknowledged]])
    failure = errors[acknowledged] if acknowledged < len(rows) else None
    if metrics is not None:
        counts = Counter(record.topic for record in records[:acknowledged])
        metrics.relayed(counts.items(), took, type(failure).__qualname__ if failure else "")
    if (tracer := tracing.tracer()) is not None:
        tracer.sent(records, errors, began)
    if acknowledged < len(rows):
        raise SendingFailed(f"{rows[acknowledged].record.topic}") from failure
    return len(rows)


def first_failure(errors: Sequence[BaseException | None]) -> int:
    """How many records were acknowledged before the first that was not."""
    return next((index for index, error in enumerate(errors) if error is not None), len(errors))


_OLDEST = "SELECT id, topic, key, headers, value FROM postroom_outbox ORDER BY id LIMIT $1"
_DELETE = "DELETE FROM postroom_outbox WHERE id = ANY($1::bigint[])"


class PostgresOutbox:
    """The Outbox of a PostgreSQL database, over the connection that holds the relay's lock: a relay that has lost its
    lock has lost this, too, and can delete nothing any more."""

    def __init__(self, connection: "asyncpg.Connection[Any]") -> None:
        self._connection = connection

    @staticmethod
    async def prepare(connection: "asyncpg.Connection[Any]") -> None:
        """What a new connection needs to be told once."""
        await connection.set_type_codec(
            "json", encoder=str, decoder=headers_from_json, schema="pg_catalog", format="text"
        )
        # A deletion that a crash undoes means that a record is sent twice, which every reader can take.
        await connection.execute("SET synchronous_commit = off")

    async def oldest(self, limit: int) -> Sequence[OutboxRow]:
        return [
            OutboxRow(
                id=row["id"],
                record=OutgoingRecord(topic=row["topic"], key=row["key"], value=row["value"], headers=row["headers"]),
            )
            for row in await self._connection.fetch(_OLDEST, limit)
        ]

    async def delete(self, ids: Sequence[int]) -> None:
        await self._connection.execute(_DELETE, ids)


class KafkaProducer:
    """The Producer of a real Kafka: acks from all replicas, idempotent."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer

    async def send(self, records: Sequence[OutgoingRecord]) -> Sequence[BaseException | None]:
        acknowledgements: list[Awaitable[object]] = []
        for record in records:
            try:
                acknowledgements.append(
                    await self._producer.send(record.topic, record.value, key=record.key, headers=list(record.headers))
                )
            except Exception as error:
                # What was not handed over is as good as failed, and with it all that follows.
                results = await asyncio.gather(*acknowledgements, return_exceptions=True)
                return [*(r if isinstance(r, BaseException) else None for r in results), error]
        results = await asyncio.gather(*acknowledgements, return_exceptions=True)
        return [result if isinstance(result, BaseException) else None for result in results]


class Relay:
    """Runs as long as its service; begins again, with backoff, whatever goes wrong."""

    def __init__(
        self,
        connect: Callable[[], Awaitable["asyncpg.Connection[Any]"]],
        producer: Callable[[], AIOKafkaProducer],
        metrics: Metrics,
        *,
        batch_size: int,
        poll_interval: float,
    ) -> None:
        """`connect` opens a connection to the service's database that is the relay's alone; `producer` makes one that
        is not started."""
        self._connect = connect
        self._make_producer = producer
        self._metrics = metrics
        self._batch_size = batch_size
        self._poll_interval = poll_interval
        self._awake = asyncio.Event()
        self._stop = asyncio.Event()
        self.is_active = False
        """Whether this is the one relay of its database."""

    def wake(self) -> None:
        """There are new rows."""
        self._awake.set()

    def stop(self) -> None:
        """Return from run() when the outbox is empty, or cannot be emptied."""
        self._stop.set()
        self._awake.set()

    async def run(self) -> None:
        """Relays until stop()."""
        failures = 0
        while not self._stop.is_set():
            try:
                async with self._activity() as outbox:
                    while outbox is not None and not self._stop.is_set():
                        # A producer that has failed is not trusted again: an idempotent one can be beyond repair.
                        async with self._started_producer() as producer:
                            failures = 0
                            await self._relay(outbox, producer)
            except Exception as error:
                failures += 1
                self._metrics.relay_failures.inc()
                cause = error.__cause__ or error
                log.warning("relay begins again", error=describe(error), cause=describe(cause), failures=failures)
                if not self._stop.is_set():
                    await asyncio.sleep(min(0.1 * 2 ** min(failures, 6), 5.0))

    async def _relay(self, outbox: Outbox, producer: Producer) -> None:
        while True:
            # Before the outbox is read: what is committed from now on wakes the relay again.
            self._awake.clear()
            stopping = self._stop.is_set()
            count = await relay_oldest(outbox, producer, self._batch_size, self._metrics)
            if count == self._batch_size:
                continue
            if stopping:
                return
            try:
                async with asyncio.timeout(self._poll_interval):
                    await self._awake.wait()
            except TimeoutError:
                pass

    @asynccontextmanager
    async def _activity(self) -> AsyncIterator[Outbox | None]:
        """The time in which this relay is the active one."""
        async with AsyncExitStack() as stack:
            connection = await self._connect()
            stack.callback(connection.terminate)
            await PostgresOutbox.prepare(connection)
            if not await self._becomes_active(connection):
                yield None
                return
            await connection.add_listener("postroom_outbox", lambda *_: self.wake())
            self.is_active = True
            self._metrics.relay_active.set(1)
            log.info("relay is active")
            try:
                yield PostgresOutbox(connection)
            finally:
                self.is_active = False
                self._metrics.relay_active.set(0)

    async def _becomes_active(self, connection: "asyncpg.Connection[Any]") -> bool:
        """Waits for the lock; false where stop() comes first."""
        lock = asyncio.ensure_future(connection.execute("SELECT pg_advisory_lock($1)", LOCK))
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([lock, stop], return_when=asyncio.FIRST_COMPLETED)
            if not lock.done():
                return False
            await lock
            return True
        finally:
            lock.cancel()
            stop.cancel()

    @asynccontextmanager
    async def _started_producer(self) -> AsyncIterator[Producer]:
        producer = self._make_producer()
        try:
            await producer.start()
            yield KafkaProducer(producer)
        finally:
            try:
                async with asyncio.timeout(5):
                    await producer.stop()
            except Exception as error:
                log.warning("producer did not stop cleanly", error=describe(error))
