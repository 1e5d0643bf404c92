"""The batch consumer: FastStream over a consumer of aiokafka that wastes no time and commits behind the work.

FastStream's own defaults lose messages; what is set here, and why, is in docs/decisions. A batch is acknowledged when
its transaction has committed. It is given back (sought back to its first records) when the database stays away.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage

from postroom.dead_letters import describe
from postroom.kafka import REQUEST_TIMEOUT_MS, faststream_security
from postroom.record import Record
from postroom.settings import ServiceSettings

log = structlog.get_logger()

_FLUSH_WITHIN = 3.0
"""Seconds. What is not committed by then comes again."""

Process = Callable[[Sequence[Record]], Awaitable[None]]


class BatchConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """aiokafka's consumer with two differences, which FastStream's batch subscriber does not notice.

    `getmany` waits until there is something: an empty answer would make the subscriber sleep, and cost every message
    that finds a quiet service up to 200 ms. `commit` writes down how far the last batch reached and returns; the
    offsets are committed behind the next batches, one commit at a time, and not for each of them. What a crash leaves
    uncommitted comes again, and the inbox knows it.
    """

    def __init__(self, *args: Any, batch_interval: float, commit_interval: float, **kwargs: Any) -> None:
        """Seconds: `batch_interval` lies at least between two batches; for `commit_interval` those that were
        acknowledged wait for later ones to be committed with."""
        super().__init__(*args, **kwargs)
        self._batch_interval = batch_interval
        self._commit_interval = commit_interval
        self._next_batch_at = 0.0
        self._handed_out: dict[TopicPartition, int] = {}
        self._to_commit: dict[TopicPartition, int] = {}
        self._committing: asyncio.Task[None] | None = None
        self._flushing = asyncio.Event()
        self.working_since: float | None = None
        """When (monotonic seconds) the batch in hand was handed out; none while waiting for one."""

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: float = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        self.working_since = None
        # Records that come meanwhile are in the next batch.
        await asyncio.sleep(max(0.0, self._next_batch_at - time.monotonic()))
        while True:
            batches: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = await super().getmany(
                *partitions, timeout_ms=60_000, max_records=max_records
            )
            if batches:
                self._handed_out = {partition: records[-1].offset + 1 for partition, records in batches.items()}
                self.working_since = time.monotonic()
                self._next_batch_at = self.working_since + self._batch_interval
                return batches

    async def commit(self, offsets: Any = None) -> None:
        if offsets is not None:
            await super().commit(offsets)
            return
        self._to_commit |= self._handed_out
        self._handed_out = {}
        if self._committing is None or self._committing.done():
            self._committing = asyncio.create_task(self._commit_behind())

    async def flush_commits(self) -> None:
        """Returns when every batch that was acknowledged is committed, or cannot be soon: Kafka may be away."""
        if self._committing is None:
            return
        self._flushing.set()
        try:
            await asyncio.wait([self._committing], timeout=_FLUSH_WITHIN)
        finally:
            self._flushing.clear()

    async def stop(self) -> None:
        await self.flush_commits()
        await super().stop()

    async def _commit_behind(self) -> None:
        while self._to_commit:
            await self._pause()
            offsets, self._to_commit = self._to_commit, {}
            assigned = self.assignment()
            mine = {partition: offset for partition, offset in offsets.items() if partition in assigned}
            try:
                if mine:
                    await super().commit(mine)
            except (KafkaError, IllegalStateError) as error:
                # Whoever gets these partitions reads the records again, and its inbox knows them.
                log.info("offsets were not committed", error=describe(error))

    async def _pause(self) -> None:
        """Waits for further batches, unless nobody can wait for them any more."""
        try:
            async with asyncio.timeout(self._commit_interval):
                await self._flushing.wait()
        except TimeoutError:
            pass


class _CommitBeforeRevoked(ConsumerRebalanceListener):  # type: ignore[misc]
    """What is handled is committed before another instance takes the partitions over."""

    def __init__(self, consumer: "Consumer") -> None:
        self._consumer = consumer

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        if self._consumer.driver is not None:
            await self._consumer.driver.flush_commits()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        self._consumer.has_joined = True
        log.info("partitions assigned", count=len(assigned))


class Consumer:
    """One subscriber of one consumer group over all topics of a service."""

    def __init__(self, settings: ServiceSettings, group: str, topics: Sequence[str], process: Process) -> None:
        self.has_joined = False
        """Whether the group has given this process its partitions (perhaps none, if it has more members than those)."""
        self.broker = KafkaBroker(
            settings.kafka_bootstrap_servers.split(","),
            client_id=group,
            security=faststream_security(settings),
            request_timeout_ms=REQUEST_TIMEOUT_MS,
            metadata_max_age_ms=30_000,
            acks="all",
            enable_idempotence=True,
            ack_policy=AckPolicy.NACK_ON_ERROR,
            allow_auto_create_topics=False,
            graceful_timeout=settings.shutdown_timeout.total_seconds(),
            apply_types=False,
            logger=None,
        )
        session_timeout_ms = int(settings.kafka_session_timeout.total_seconds() * 1000)
        self._intervals = {
            "batch_interval": settings.batch_interval.total_seconds(),
            "commit_interval": settings.commit_interval.total_seconds(),
        }
        self._subscriber = self.broker.subscriber(
            *topics,
            group_id=group,
            batch=True,
            max_records=settings.batch_size,
            auto_offset_reset="earliest",
            session_timeout_ms=session_timeout_ms,
            heartbeat_interval_ms=session_timeout_ms // 3,
            fetch_max_wait_ms=500,
            fetch_min_bytes=1,
            listener=_CommitBeforeRevoked(self),
            parser=_parse_nothing,
            decoder=_decode_nothing,
        )

        @self._subscriber
        async def handle(records: Any) -> None:
            # Any: FastStream would make a Pydantic model of a more telling annotation.
            await process(records)

    @property
    def driver(self) -> BatchConsumer | None:
        """The consumer of aiokafka, once started."""
        consumer = self._subscriber.consumer
        return consumer if isinstance(consumer, BatchConsumer) else None

    async def start(self) -> None:
        """Joins the group. Raises KafkaConnectionError where Kafka is away."""
        await self.broker.connect()
        config = self.broker.config.broker_config
        # FastStream builds its consumers by this; ours takes the same options. After a failed start it is so already.
        options = config.builder.keywords if isinstance(config.builder, partial) else {}
        config.builder = partial(BatchConsumer, **{**options, **self._intervals})
        try:
            await self.broker.start()
        except Exception:
            await self.broker.stop()
            raise

    async def stop(self) -> None:
        """Finishes the batch in hand, commits its offsets and leaves the group."""
        await self.broker.stop()

    async def lag(self) -> dict[tuple[str, int], int]:
        """Records that are not fetched yet, by topic and partition, as far as Kafka has said."""
        driver = self.driver
        if driver is None:
            return {}
        lags: dict[tuple[str, int], int] = {}
        for partition in driver.assignment():
            end = driver.highwater(partition)
            if end is not None:
                lags[partition.topic, partition.partition] = max(0, end - await driver.position(partition))
        return lags


async def _parse_nothing(records: tuple[ConsumerRecord[bytes, bytes], ...], original: Any) -> KafkaMessage:
    """FastStream's message around the records, without looking into them: it decodes every header as UTF-8, fails where
    one is not, and then the whole batch would count as done. postroom reads each record by itself."""
    message: KafkaMessage = await original((replace(records[0], headers=(), value=b""),))
    message.raw_message = records
    return message


async def _decode_nothing(message: KafkaMessage) -> object:
    return message.raw_message
