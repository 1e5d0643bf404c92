"""What billing counts, for Prometheus: payments, and whether the books balance. The names are in
docs/observability.md."""

from collections.abc import Iterable
from datetime import datetime
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.domain.payments import Failed, Payment, Purpose, Settled

_OPEN = ("asked", "sent")
"""The states of payments that are not over."""

_WAITING = text("""
    SELECT purpose, state, count(*) AS number, extract(epoch FROM :now - min(asked_at)) AS age
    FROM payments WHERE due_at IS NOT NULL
    GROUP BY purpose, state
""")


class PaymentCounts:
    """Payments that this process has seen to."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._ended = Counter(
            "latchkey_payments_ended", "Payments that are over.", ("purpose", "outcome"), registry=registry
        )
        self._delays = Counter(
            "latchkey_payment_delays", "Times that a payment had to wait.", ("purpose",), registry=registry
        )
        for purpose in get_args(Purpose):
            self._delays.labels(purpose)
            for outcome in ("succeeded", "failed"):
                self._ended.labels(purpose, outcome)

    def end(self, settled: Settled) -> None:
        """This became of it."""
        outcome = "failed" if isinstance(settled, Failed) else "succeeded"
        self._ended.labels(settled.payment.purpose, outcome).inc()

    def put_off(self, payment: Payment) -> None:
        """It is not known what became of it."""
        self._delays.labels(payment.purpose).inc()


class BookCounts:
    """What the last check of the books has found."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._unbalanced = Gauge(
            "latchkey_books_unbalanced_accounts",
            "Accounts whose entries do not sum up to what their payer holds.",
            registry=registry,
        )
        self._checked = Gauge(
            "latchkey_books_checked_timestamp_seconds", "When the books were checked last.", registry=registry
        )

    def check(self, unbalanced: int, now: datetime) -> None:
        """They were checked, and so many accounts are wrong."""
        self._unbalanced.set(unbalanced)
        self._checked.set(now.timestamp())


async def read_payments(connection: AsyncConnection, now: datetime) -> Iterable[Metric]:
    """A Reading: payments that are not over."""
    found = {(row.purpose, row.state): row for row in await connection.execute(_WAITING, {"now": now})}
    number = GaugeMetricFamily("latchkey_payments", "Payments that are not over.", labels=("purpose", "state"))
    oldest = GaugeMetricFamily(
        "latchkey_payments_oldest_seconds", "For how long the oldest of them has been asked for.", labels=("purpose",)
    )
    for purpose in get_args(Purpose):
        rows = {state: found.get((purpose, state)) for state in _OPEN}
        for state, row in rows.items():
            number.add_metric((purpose, state), row.number if row else 0)
        oldest.add_metric((purpose,), max((float(row.age) for row in rows.values() if row), default=0.0))
    return number, oldest
