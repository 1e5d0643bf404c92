"""What is counted of commands, for Prometheus. The names are in docs/observability.md."""

from prometheus_client import CollectorRegistry, Histogram

from console.commands.outcome import Outcome
from postroom.metrics import DURATIONS

_STATES = ("done", "refused", "waiting")


class CommandCounts:
    """How long the requests of one process have waited for the outcomes of their commands."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._duration = Histogram(
            "latchkey_command_outcome_duration_seconds",
            "How long a request has waited for the outcome of its commands.",
            ("outcome",),
            buckets=DURATIONS,
            registry=registry,
        )
        for state in _STATES:
            self._duration.labels(state)

    def answer(self, outcomes: list[Outcome], seconds: float) -> None:
        """A request has these outcomes, after so long."""
        for outcome in outcomes:
            self._duration.labels(outcome.state).observe(seconds)
