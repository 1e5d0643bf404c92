"""What a service counts, for Prometheus. Nothing here names a person. The names are in docs/observability.md.

Where OpenTelemetry has a convention for a metric, it has that name, in its Prometheus form:
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-metrics/
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from datetime import datetime
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

Reading = Callable[[AsyncConnection, datetime], Awaitable[Iterable[Metric]]]
"""What the service's database says at a moment, as gauges. One that takes long makes every scrape take long."""

DURATIONS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""Seconds: the buckets of durations. Most of them are those that OpenTelemetry advises."""
_AGES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)

_OUTBOX = text("""
    SELECT count(*) AS rows, coalesce(extract(epoch FROM :now - min(created_at)), 0) AS age
    FROM (SELECT created_at FROM postroom_outbox ORDER BY id LIMIT 100000) AS waiting
""")
_DEFERRED = text("""
    SELECT count(*) AS rows, coalesce(extract(epoch FROM :now - min(arrived_at)), 0) AS age
    FROM (SELECT arrived_at FROM postroom_deferred ORDER BY id LIMIT 100000) AS waiting
""")


class Outcome(StrEnum):
    """What became of a message that was read."""

    HANDLED = "handled"
    REFUSED = "refused"
    DEFERRED = "deferred"
    DUPLICATE = "duplicate"
    SKIPPED = "skipped"
    RETRIED = "retried"
    DEAD_LETTERED = "dead_lettered"


class Metrics:
    """The figures of one service process, in a registry of their own."""

    def __init__(self, service: str, registry: CollectorRegistry | None = None, *, topics: Sequence[str] = ()) -> None:
        """`topics` are those that are read. `registry` may hold figures of the service's own already."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # They double the number of series, and say when a counter was made.
        self.registry = registry if registry is not None else CollectorRegistry()
        self._service = service
        self._read = _LastReading()
        self.registry.register(self._read)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        _target_info(self.registry, service)
        self._of_messages(topics)
        self._of_kafka()
        self._of_the_process()

    def _of_messages(self, topics: Sequence[str]) -> None:
        labels: dict[str, Any] = {"namespace": "postroom", "registry": self.registry}
        self._messages = Counter(
            "messages", "Messages by type and by what became of them.", ("type", "outcome"), **labels
        )
        self._counters: dict[tuple[str, Outcome], Counter] = {}
        self._dead_letters = Counter(
            "dead_letters", "Messages that became dead letters, by the topic they were read from.", ("topic",), **labels
        )
        for topic in topics:
            self._dead_letters.labels(topic)  # Who alerts on an increase does not see the first of a series.
        self.batch_records = Histogram(
            "batch_records",
            "Records that were fetched at a time.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            **labels,
        )
        self.handler_duration = Histogram(
            "handler_duration_seconds",
            "What the handlers of a batch took, without the database.",
            buckets=(0.0001, 0.00025, 0.0005, *DURATIONS),
            **labels,
        )
        self.message_age = Histogram(
            "message_age_seconds",
            "Age of the oldest record of a batch when the batch was committed.",
            buckets=_AGES,
            **labels,
        )
        self.last_commit = Gauge(
            "last_commit_timestamp_seconds",
            "When this process has committed its last batch of records from Kafka.",
            **labels,
        )
        self.outages = Counter("outages", "Transactions that were tried again since the database was away.", **labels)
        self._consumer_lag = Gauge(
            "consumer_lag_records", "Records that are not fetched yet.", ("topic", "partition"), **labels
        )

    def _of_kafka(self) -> None:
        system = ("messaging_system", "messaging_operation_name")
        self._consumed = Counter(
            "messaging_client_consumed_messages",
            "Records that were fetched from Kafka.",
            (*system, "messaging_destination_name", "messaging_consumer_group_name"),
            registry=self.registry,
        )
        self._sent = Counter(
            "messaging_client_sent_messages",
            "Records of the outbox that Kafka has acknowledged.",
            (*system, "messaging_destination_name"),
            registry=self.registry,
        )
        self._sending = Histogram(
            "messaging_client_operation_duration_seconds",
            "What the relay's sending of some rows took.",
            (*system, "error_type"),
            buckets=DURATIONS,
            registry=self.registry,
        )
        self._processing = Histogram(
            "messaging_process_duration_seconds",
            "A batch's transaction, from its begin to its commit, or to what it failed by.",
            (*system, "messaging_consumer_group_name", "error_type"),
            buckets=DURATIONS,
            registry=self.registry,
        )
        self._processed = self._processing.labels("kafka", "process", self._service, "")
        labels: dict[str, Any] = {"namespace": "postroom", "registry": self.registry}
        self.relay_failures = Counter("relay_failures", "Times that the relay had to begin again.", **labels)
        self.relay_active = Gauge("relay_active", "1 where this process is the active relay of its database.", **labels)

    def _of_the_process(self) -> None:
        labels: dict[str, Any] = {"namespace": "postroom", "registry": self.registry}
        self.task_failures = Counter(
            "task_failures", "Times that a task of the process failed and began again.", ("task",), **labels
        )
        self._ready = Gauge("ready", "1 where /readyz finds nothing wrong, by what it looks at.", ("check",), **labels)
        self.event_loop_delay = Histogram(
            "event_loop_delay_seconds", "How late the event loop ran what was due.", buckets=DURATIONS, **labels
        )
        self._connections = Gauge(
            "db_client_connection_count",
            "Connections to the database.",
            ("db_client_connection_pool_name", "db_client_connection_state"),
            registry=self.registry,
        )
        self._most_connections = Gauge(
            "db_client_connection_max",
            "The most connections that there may be.",
            ("db_client_connection_pool_name",),
            registry=self.registry,
        )

    # --- messages

    def count(self, ce_type: str, outcome: Outcome, number: int = 1) -> None:
        """So many more messages of this type with this outcome."""
        counter = self._counters.get((ce_type, outcome))
        if counter is None:
            counter = self._messages.labels(type=ce_type, outcome=outcome.value)
            self._counters[ce_type, outcome] = counter
        counter.inc(number)

    def count_dead_letter(self, ce_type: str, topic: str) -> None:
        """One more dead letter of this type, from this topic."""
        self.count(ce_type, Outcome.DEAD_LETTERED)
        self._dead_letters.labels(topic).inc()

    def fetched(self, counts: Iterable[tuple[str, int]]) -> None:
        """So many records came from each topic at once."""
        number = 0
        for topic, count in counts:
            self._consumed.labels("kafka", "poll", topic, self._service).inc(count)
            number += count
        self.batch_records.observe(number)

    def committed(self, seconds: float) -> None:
        """A batch's transaction has taken so long."""
        self._processed.observe(seconds)

    def failed(self, seconds: float, error_type: str) -> None:
        """A batch's transaction has taken so long, for nothing."""
        self._processing.labels("kafka", "process", self._service, error_type).observe(seconds)

    def relayed(self, counts: Iterable[tuple[str, int]], seconds: float, error_type: str = "") -> None:
        """Kafka has acknowledged so many records for each topic; with an `error_type`, not all that were sent."""
        for topic, count in counts:
            self._sent.labels("kafka", "send", topic).inc(count)
        self._sending.labels("kafka", "send", error_type).observe(seconds)

    # --- read when Prometheus asks

    def set_lag(self, lags: Iterable[tuple[str, int, int]]) -> None:
        """Topic, partition, and how many records of it are not fetched yet; others are somebody else's by now."""
        self._consumer_lag.clear()
        for topic, partition, lag in lags:
            self._consumer_lag.labels(topic, partition).set(lag)

    def set_ready(self, faults: Iterable[tuple[str, bool]]) -> None:
        """What /readyz looks at, and whether something is wrong with it."""
        for check, is_wrong in faults:
            self._ready.labels(check).set(not is_wrong)

    def set_connections(self, used: int, idle: int, most: int) -> None:
        """To the service's database."""
        self._connections.labels(self._service, "used").set(used)
        self._connections.labels(self._service, "idle").set(idle)
        self._most_connections.labels(self._service).set(most)

    def set_read(self, gauges: Sequence[Metric]) -> None:
        """What the database says; in the place of what it said before."""
        self._read.gauges = gauges


async def read_postroom(connection: AsyncConnection, now: datetime) -> Iterable[Metric]:
    """A Reading of postroom's own tables."""
    outbox = (await connection.execute(_OUTBOX, {"now": now})).one()
    deferred = (await connection.execute(_DEFERRED, {"now": now})).one()
    return [
        GaugeMetricFamily("postroom_outbox_rows", "Rows that wait in the outbox.", value=outbox.rows),
        GaugeMetricFamily(
            "postroom_outbox_oldest_seconds", "Age of the oldest row in the outbox.", value=float(outbox.age)
        ),
        GaugeMetricFamily("postroom_deferred_rows", "Messages that wait for another message.", value=deferred.rows),
        GaugeMetricFamily(
            "postroom_deferred_oldest_seconds", "How long the oldest of them has waited.", value=float(deferred.age)
        ),
    ]


class _LastReading(Collector):
    """Gauges as they were read last."""

    def __init__(self) -> None:
        self.gauges: Sequence[Metric] = ()

    def collect(self) -> Iterator[Metric]:
        yield from self.gauges


def _target_info(registry: CollectorRegistry, service: str) -> None:
    """What OpenTelemetry calls a resource."""
    info = Gauge(
        "target_info",
        "Which release of which service this is.",
        ("service_namespace", "service_name", "service_version"),
        registry=registry,
    )
    info.labels("latchkey", service, release_of(service)).set(1)


def release_of(service: str) -> str:
    """The version of the package that is installed; `unknown` where none is, as in a test."""
    try:
        return version(f"latchkey-{service}")
    except PackageNotFoundError:
        return "unknown"
