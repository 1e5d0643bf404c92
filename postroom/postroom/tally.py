"""A message on its way through the processor, and what a transaction has done with its messages: counted, written to
the log and traced when it has committed."""

import logging
from collections import Counter
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any
from uuid import UUID

import structlog

from postroom.dead_letters import describe, where
from postroom.envelope import Received, Unreadable
from postroom.metrics import Metrics, Outcome
from postroom.record import Record
from postroom.transaction import Deferral

if TYPE_CHECKING:
    from postroom.telemetry import Processing

log = structlog.get_logger()

_UNTRACED = nullcontext()


@dataclass(frozen=True, slots=True)
class Item:
    """A message on its way through the processor."""

    received: Received | Unreadable
    record: Record
    forget_on: date
    deferral: Deferral | None = None

    @property
    def message_id(self) -> UUID:
        return self.received.message_id

    @property
    def ce_type(self) -> str:
        return self.received.ce_type if isinstance(self.received, Received) else "unreadable"

    @property
    def traceparent(self) -> str | None:
        """What the message says of it: in structured mode it is in the body, where no header has it."""
        return self.received.traceparent if isinstance(self.received, Received) else None


class Tally:
    """What a transaction did. What did not commit has not happened, so nobody is told of it before."""

    __slots__ = ("dead", "duplicates", "outcomes")

    def __init__(self) -> None:
        self.outcomes: list[tuple[Received, Outcome]] = []
        self.duplicates: list[Item] = []
        self.dead: list[tuple[Item, Exception]] = []

    def report(self, metrics: Metrics, traces: "Processing | None") -> None:
        """Counts it, writes it to the log, and ends its spans."""
        counts = Counter((received.ce_type, outcome) for received, outcome in self.outcomes)
        for (ce_type, outcome), number in counts.items():
            metrics.count(ce_type, outcome, number)
        if log.is_enabled_for(logging.DEBUG):
            for received, outcome in self.outcomes:
                log.debug("message", outcome=outcome.value, **names_of(received))
        for item in self.duplicates:
            metrics.count(item.ce_type, Outcome.DUPLICATE)
        for item, error in self.dead:
            metrics.count_dead_letter(item.ce_type, item.record.topic)
            with traces.within(item.record) if traces else _UNTRACED:
                log.error("message is a dead letter", **about(item, error))
        if traces:
            self._trace(traces)

    def _trace(self, traces: "Processing") -> None:
        for received, outcome in self.outcomes:
            traces.end(received.record, outcome.value)
        for item in self.duplicates:
            traces.end(item.record, Outcome.DUPLICATE.value)
        for item, error in self.dead:
            traces.end(item.record, Outcome.DEAD_LETTERED.value, type(error).__qualname__)
        traces.end_writing()


def about(item: Item, error: BaseException) -> dict[str, Any]:
    """What a line of the log says of a message that has failed, and of the error: where it happened, not its text."""
    record = item.record
    found = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "message_id": str(item.message_id),
        "error": describe(error),
        "where": where(error).splitlines()[-1:],
    }
    return found | names_of(item.received) if isinstance(item.received, Received) else found


def names_of(received: Received) -> dict[str, Any]:
    """What a line of the log calls a message by."""
    return {"type": received.ce_type, "id": received.ce_id, "correlation_id": received.correlation_id}
