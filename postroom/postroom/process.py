"""A running service: waits for what it needs, works, and stops in order."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import asyncpg
import structlog
from prometheus_client.core import Metric
from sqlalchemy import QueuePool, text
from sqlalchemy.ext.asyncio import AsyncEngine

from postroom.consumer import Consumer
from postroom.database import create_engine
from postroom.dead_letters import describe
from postroom.health import Checks, EmbeddedServer, health_app
from postroom.kafka import create_admin, create_producer
from postroom.message import dead_letter_topic
from postroom.metrics import Metrics, Reading, read_postroom
from postroom.migrations import is_behind
from postroom.processor import Processor
from postroom.relay import Relay
from postroom.room import ServiceRoom
from postroom.timers import FORGET_INTERVAL, Timers
from postroom.topics import missing_topics
from postroom.transaction import PostgresTransactions

if TYPE_CHECKING:
    from postroom.runtime import Service

W = TypeVar("W")
log = structlog.get_logger()

_STUCK_AFTER = 300.0
"""Seconds after which a batch that is still in hand means that this process makes no progress."""
_LOOK_FOR_DEFERRED = 1.0
"""Seconds after which is looked for deferred messages that another process may have left."""

_LOOK_AT_LOOP = 1.0
"""Seconds between two looks at how late the event loop is."""

_READING_TAKES = 2.0
"""Seconds after which a reading of the database is given up."""

_PING = text("SELECT 1")


class Process(Generic[W]):
    """The running parts of a service."""

    def __init__(self, service: "Service[W]", stopping: asyncio.Event) -> None:
        self._service = service
        self._settings = settings = service.settings
        self._name = service.name
        self.stopping = stopping
        topics = [topic.name for topic in service.reactions.reads]
        self._metrics = Metrics(service.name, service.registry, topics=topics)
        self._engine: AsyncEngine = create_engine(settings, service.name)
        self._relay = Relay(
            self._connect_relay,
            lambda: create_producer(settings, f"{service.name}-relay"),
            self._metrics,
            batch_size=settings.relay_batch_size,
            poll_interval=settings.relay_poll_interval.total_seconds(),
        )
        self._transactions = PostgresTransactions(
            self._engine, wake_relay=self._relay.wake, relay_is_here=lambda: self._relay.is_active
        )
        self._room = ServiceRoom(self._transactions, service.reactions, service.clock, stopping)
        self._processor = Processor(
            service.reactions,
            self._transactions,
            self._metrics,
            clock=service.clock,
            attempts=settings.attempts,
            defer_for=settings.defer_for,
            on_commit=self._room.wake,
        )
        self._consumer = Consumer(settings, service.name, topics, self._processor.process)
        self._timers = Timers(service.reactions, self._transactions, service.clock)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    # --- the life of the process

    async def serve(self, listener: Any) -> None:
        server = EmbeddedServer(
            health_app(
                live=self._live,
                ready=self._ready,
                registry=self._metrics.registry,
                refresh_metrics=self._refresh_metrics,
                endpoints=self._service.endpoints(self._room),
            ),
            self._settings.http_host,
            self._settings.http_port,
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await self._run()
        finally:
            server.stop()
            await serving
            await self._engine.dispose()
            log.info("stopped")

    async def _run(self) -> None:
        log.info("starting")
        await self._until_there("database", self._database_is_ready)
        await self._until_there("kafka", self._topics_are_ready)
        await self._until_there("consumer", self._consumer_starts)
        if self.stopping.is_set():
            return
        self._start("relay", self._relay.run)
        self._start("deferred", self._resume_deferred)
        self._start("event loop", self._watch_loop)
        self._start("inbox", lambda: self._repeat(FORGET_INTERVAL, self._timers.forget))
        for timer in self._service.timers:
            self._start(timer.name, partial(self._repeat, timer.interval, partial(self._timers.run, timer)))
        for chore in self._service.chores:
            self._start(chore.name, partial(self._repeat, chore.interval, partial(self._timers.clean_up, chore)))
        for worker in self._service.workers:
            self._start(worker.__qualname__, partial(worker, self._room))
        log.info("ready")
        await self.stopping.wait()
        await self._stop()

    async def _stop(self) -> None:
        """In order: nothing new comes in, what was begun is finished, what was decided is told."""
        log.info("stopping")
        self._room.wake()
        timeout = self._settings.shutdown_timeout.total_seconds()
        relay = self._tasks.pop("relay")
        try:
            async with asyncio.timeout(timeout):
                await self._consumer.stop()
                await asyncio.gather(*self._tasks.values(), return_exceptions=True)
                self._relay.stop()
                await relay
        except TimeoutError:
            log.warning("not everything finished in time; the rest is done after the next start")
        for task in (relay, *self._tasks.values()):
            task.cancel()
        await asyncio.gather(relay, *self._tasks.values(), return_exceptions=True)

    def _start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        self._metrics.task_failures.labels(name)
        self._tasks[name] = asyncio.create_task(self._keep_running(name, run), name=name)

    async def _keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Whatever a task of ours meets, it begins again, and says so."""
        failures = 0
        while not self.stopping.is_set():
            began = time.monotonic()
            try:
                await run()
                return
            except Exception as error:
                self._metrics.task_failures.labels(name).inc()
                failures = failures + 1 if time.monotonic() - began < 60 else 1
                wait = min(0.1 * 2 ** min(failures, 8), 10.0)
                log.warning("task begins again", task=name, error=describe(error), wait_seconds=wait)
                await self._pause(wait)

    async def _pause(self, seconds: float) -> None:
        """Waits, but not beyond the stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.stopping.wait()
        except TimeoutError:
            pass

    async def _repeat(self, interval: timedelta, once: Callable[[], Awaitable[bool]]) -> None:
        """Runs `once` as long as it finds something to do, and then again after `interval`."""
        while not self.stopping.is_set():
            while await once() and not self.stopping.is_set():
                pass
            await self._pause(interval.total_seconds())

    async def _until_there(self, what: str, attempt: Callable[[], Awaitable[str | None]]) -> None:
        """Tries until nothing is wrong any more: a service may be started before all that it needs."""
        failures = 0
        while not self.stopping.is_set():
            try:
                fault = await attempt()
            except Exception as error:
                # No message is in play yet, so there is nothing in the text that must not be told.
                fault = f"{type(error).__name__}: {error}"
            if fault is None:
                return
            failures += 1
            if failures in (1, 5) or failures % 20 == 0:
                log.warning("waiting", for_=what, fault=fault, tries=failures)
            await self._pause(min(0.1 * 2 ** min(failures, 5), 2.0))

    async def _database_is_ready(self) -> str | None:
        async with self._engine.connect() as connection:
            if await is_behind(self._name, connection):
                return f"its tables are not up to date: run `python -m {self._name} migrate`"
        return None

    async def _topics_are_ready(self) -> str | None:
        """Also those that are written, dead letters included: a record for a topic that is not there would stop the
        relay, and with it all that follows."""
        reactions = self._service.reactions
        read = [topic.name for topic in reactions.reads]
        written = [topic.name for topic in reactions.writes] + [dead_letter_topic(name, self._name) for name in read]
        admin = create_admin(self._settings, self._name)
        try:
            await admin.start()
            missing = await missing_topics(admin, [*read, *written])
        finally:
            await admin.close()
        return f"no such topics: {', '.join(missing)}" if missing else None

    async def _consumer_starts(self) -> str | None:
        await self._consumer.start()
        return None

    async def _connect_relay(self) -> "asyncpg.Connection[Any]":
        url = self._settings.database_url.get_secret_value()
        return await asyncpg.connect(url, timeout=10, server_settings={"application_name": f"{self._name} relay"})

    # --- deferred messages

    async def _resume_deferred(self) -> None:
        """Hands deferred messages in again: when they fall due that were deferred here, and a little later where
        another process left them."""
        while not self.stopping.is_set():
            if not await self._processor.resume():
                await self._until_due()

    async def _until_due(self) -> None:
        """Returns when a message that was deferred here falls due, or when it is time to look for others."""
        look_at = time.monotonic() + _LOOK_FOR_DEFERRED
        while not self.stopping.is_set() and (wait := look_at - time.monotonic()) > 0:
            at, self._processor.deferred_at = self._processor.deferred_at, None
            if at is not None:
                wait = min(wait, max(0.005, (at - self._service.clock()).total_seconds()))
                look_at = time.monotonic() + wait
            await self._room.woken(wait)

    # --- what it says of itself

    def _live(self) -> Checks:
        dead = [name for name, task in self._tasks.items() if task.done() and not self.stopping.is_set()]
        driver = self._consumer.driver
        since = driver.working_since if driver is not None else None
        stuck = since is not None and time.monotonic() - since > _STUCK_AFTER
        return {
            "tasks": f"ended: {', '.join(dead)}" if dead else None,
            "consumer": "a batch has been in hand for more than five minutes" if stuck else None,
        }

    async def _ready(self) -> Checks:
        return {
            "stopping": "this process is stopping" if self.stopping.is_set() else None,
            "database": await self._fault_of_database(),
            "kafka": await self._fault_of_kafka(),
            "assignment": None if self._consumer.has_joined else "the consumer group has not assigned partitions yet",
            **{name: check() for name, check in self._service.readiness.items()},
        }

    async def _fault_of_database(self) -> str | None:
        try:
            async with asyncio.timeout(2), self._engine.connect() as connection:
                await connection.execute(_PING)
        except Exception as error:
            return describe(error)
        return None

    async def _fault_of_kafka(self) -> str | None:
        if self._consumer.driver is None:
            return "not connected yet"
        try:
            reachable = await self._consumer.broker.ping(timeout=2)
        except Exception as error:
            return describe(error)
        return None if reachable else "does not answer"

    async def _refresh_metrics(self) -> None:
        ready, gauges, lags = await asyncio.gather(self._ready(), self._read_gauges(), self._consumer.lag())
        self._metrics.set_ready((check, fault is not None) for check, fault in ready.items())
        self._metrics.set_read(gauges)
        self._metrics.set_lag((topic, partition, lag) for (topic, partition), lag in lags.items())
        pool = self._engine.pool
        if isinstance(pool, QueuePool):
            self._metrics.set_connections(pool.checkedout(), pool.checkedin(), pool.size())

    async def _read_gauges(self) -> list[Metric]:
        """What the database says, postroom's own tables first. One after another, and each by itself: one that is slow
        takes no more than its own gauges away."""
        return [gauge for read in (read_postroom, *self._service.readings) for gauge in await self._read(read)]

    async def _read(self, read: Reading) -> list[Metric]:
        """Nothing, rather than what was said before, where the database is away or takes long."""
        try:
            async with asyncio.timeout(_READING_TAKES), self._engine.connect() as connection:
                return list(await read(connection, self._service.clock()))
        except Exception as error:
            log.warning("the database's metrics are missing", error=describe(error))
            return []

    async def _watch_loop(self) -> None:
        while not self.stopping.is_set():
            began = time.monotonic()
            await self._pause(_LOOK_AT_LOOP)
            if not self.stopping.is_set():
                self._metrics.event_loop_delay.observe(max(0.0, time.monotonic() - began - _LOOK_AT_LOOP))
