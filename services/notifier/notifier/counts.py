"""What notifier counts, for Prometheus: letters, and what became of them. The names are in docs/observability.md."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from notifier.domain import Kind, Letter, State
from notifier.working_set import Post
from postroom.metrics import DURATIONS

_UNDER_WAY = (State.WAITING, State.QUEUED, State.SENDING)
_AFTER_AN_ATTEMPT = (State.SENT, State.BOUNCED, State.FAILED, State.WITHDRAWN, State.QUEUED)

# Each half has an index, and is bounded: the longer letters do not leave, the more of them there are.
_LETTERS = text("""
    SELECT state, count(*) AS number, extract(epoch FROM :now - min(created_at)) AS age
    FROM (
        (SELECT state, created_at FROM letters WHERE state IN ('queued', 'sending') ORDER BY due_at LIMIT 100000)
        UNION ALL
        (SELECT state, created_at FROM letters WHERE state = 'waiting' LIMIT 100000)
    ) AS under_way
    GROUP BY state
""")


class LetterCounts:
    """Letters that this process has tried to deliver, or has given up."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Counter(
            "latchkey_letter_attempts",
            "What became of letters: by an attempt to deliver them, or since their time was over.",
            ("kind", "outcome"),
            registry=registry,
        )
        for kind in Kind:
            for state in _AFTER_AN_ATTEMPT:
                self._attempts.labels(kind.value, state.value)
        self.duration = Histogram(
            "latchkey_letter_delivery_duration_seconds",
            "What the mail server took over a letter.",
            buckets=(*DURATIONS, 60),
            registry=registry,
        )
        self.outages = Counter(
            "latchkey_mail_server_outages",
            "Times that the mail server, or the database, could not be reached for letters.",
            registry=registry,
        )

    def end(self, letter: Letter) -> None:
        """An attempt is over, and the letter in the state that followed."""
        self._attempts.labels(letter.kind.value, letter.state.value).inc()

    def end_overtime(self, post: Post) -> None:
        """The time of these letters is over, and each in the state in which it ended."""
        for letter in post.overtime:
            self.end(letter)


async def read_letters(connection: AsyncConnection, now: datetime) -> Iterable[Metric]:
    """A Reading: letters that have not ended."""
    found = {row.state: row for row in await connection.execute(_LETTERS, {"now": now})}
    number = GaugeMetricFamily("latchkey_letters", "Letters that have not ended.", labels=("state",))
    oldest = GaugeMetricFamily("latchkey_letters_oldest_seconds", "Age of the oldest of them.", labels=("state",))
    for state in _UNDER_WAY:
        row = found.get(state.value)
        number.add_metric((state.value,), row.number if row else 0)
        oldest.add_metric((state.value,), float(row.age) if row else 0.0)
    return number, oldest
