"""What a service counts, for Prometheus. Nothing here names a person."""

from enum import StrEnum
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


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

    def __init__(self, service: str) -> None:
        self.registry = CollectorRegistry()
        labels: dict[str, Any] = {"namespace": "postroom", "registry": self.registry}
        self._messages = Counter(
            "messages", "Messages by type and by what became of them.", ("service", "type", "outcome"), **labels
        )
        self._service = service
        self._counters: dict[tuple[str, Outcome], Counter] = {}
        self.batch_size = Histogram(
            "batch_size",
            "Records that were fetched at a time.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
            **labels,
        )
        self.batch_seconds = Histogram(
            "batch_seconds",
            "Seconds from the begin of a batch's transaction to its commit.",
            buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10),
            **labels,
        )
        self.handler_seconds = Histogram(
            "handler_seconds",
            "Seconds that the handlers of a batch took, without the database.",
            buckets=(0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5),
            **labels,
        )
        self.outages = Counter("outages", "Transactions that were tried again since the database was away.", **labels)
        self.relayed = Counter("relayed_records", "Outbox rows that Kafka has acknowledged.", **labels)
        self.relay_failures = Counter("relay_failures", "Times that the relay had to begin again.", **labels)
        self.relay_active = Gauge("relay_active", "1 where this process is the active relay of its database.", **labels)
        self.outbox_rows = Gauge("outbox_rows", "Rows that wait in the outbox.", **labels)
        self.outbox_age = Gauge("outbox_oldest_seconds", "Age of the oldest row in the outbox.", **labels)
        self.deferred_rows = Gauge("deferred_rows", "Messages that wait for another message.", **labels)
        self.consumer_lag = Gauge("consumer_lag_records", "Records not fetched yet.", ("topic", "partition"), **labels)

    def count(self, ce_type: str, outcome: Outcome, number: int = 1) -> None:
        """So many more messages of this type with this outcome."""
        counter = self._counters.get((ce_type, outcome))
        if counter is None:
            counter = self._messages.labels(service=self._service, type=ce_type, outcome=outcome.value)
            self._counters[ce_type, outcome] = counter
        counter.inc(number)
