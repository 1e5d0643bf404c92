"""The heart: a batch of records becomes one transaction, and nothing is lost, done twice, or silently dropped.

1. the inbox takes the ids and answers which are new;
2. the store fetches the working set;
3. the handlers decide, message by message, in order;
4. the store writes what has changed;
5. the facts go to the outbox; commit.

A batch that fails is divided until the guilty message is alone; its neighbours are handled, in their order, and the
guilty one becomes a dead letter when it has failed often enough.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from postroom import tracing
from postroom.database import is_outage
from postroom.dead_letters import dead_letter, describe
from postroom.envelope import NotForUs, Reader, Received, Unreadable, write
from postroom.handling import AnswerTo, Context, Decision, Deferred, Handler, Store
from postroom.ids import identity_of_place
from postroom.message import Message, Topic
from postroom.metrics import Metrics, Outcome
from postroom.record import OutgoingRecord, Record, StoredRecord
from postroom.tally import Item, Tally, about, names_of
from postroom.transaction import Deferral, Transaction, Transactions

if TYPE_CHECKING:
    from postroom.telemetry import Processing

W = TypeVar("W")
log = structlog.get_logger()

_UNTRACED = nullcontext()

_KEEP_AFTER_RETENTION = timedelta(days=2)
"""How much longer than the topic's retention the inbox remembers: a segment of up to a day is deleted as a whole."""
_KEEP_OF_COMPACTED = timedelta(days=30)
"""For a topic that keeps its last records for ever: handlers of state go by its version, not by the inbox."""


class OutageLasts(Exception):
    """The database is away for so long that the batch is given back to Kafka, to be fetched again."""


class _HandlerFailed(Exception):
    """Says which message of a batch was being handled when a handler failed."""

    def __init__(self, item: Item, error: Exception) -> None:
        self.item = item
        self.error = error


@dataclass(frozen=True, slots=True)
class Reactions(Generic[W]):
    """What a service does about messages, and where it tells of it."""

    name: str
    """The service: its consumer group, and its place in ce_source."""
    reads: Sequence[Topic]
    writes: Sequence[Topic]
    handlers: Mapping[type[Message], Handler[W]]
    store: Store[W]
    refusal: type[Exception] | None = None

    @property
    def source(self) -> str:
        """The ce_source of its messages."""
        return f"/latchkey/{self.name}"

    def topic_of(self, message: Message) -> Topic:
        """Where a message of this service is written to. Raises LookupError where none, or several, of the topics that
        it writes hold the type."""
        if len(self.writes) == 1:
            return self.writes[0]
        kind = type(message)
        found = [topic for topic in self.writes if kind in topic.messages or kind is topic.tombstone]
        if len(found) != 1:
            raise LookupError(f"{kind.__name__} is on {len(found)} of the topics that {self.name} writes.")
        return found[0]


class Processor(Generic[W]):
    """Handles the records of one service, over any Transactions."""

    def __init__(
        self,
        reactions: Reactions[W],
        transactions: Transactions,
        metrics: Metrics,
        *,
        clock: Callable[[], datetime],
        attempts: int = 3,
        defer_for: timedelta = timedelta(seconds=60),
        give_back_after: timedelta = timedelta(seconds=60),
        on_commit: Callable[[], None] = lambda: None,
    ) -> None:
        self._reactions = reactions
        self._reader = Reader(reactions.name, reactions.reads, reactions.handlers)
        self._topics = {topic.name: topic for topic in reactions.reads}
        self._transactions = transactions
        self._metrics = metrics
        self._clock = clock
        self._attempts = attempts
        self._defer_for = defer_for
        self._give_back_after = give_back_after
        self._on_commit = on_commit
        self.deferred_at: datetime | None = None
        """When the next deferred message falls due, as far as this process knows."""

    async def process(self, records: Sequence[Record]) -> None:
        """Handles records that were fetched; returns when every one of them is committed: handled, known already,
        deferred, skipped or a dead letter. Raises OutageLasts where the database stays away; nothing is lost then,
        since what was not committed will be fetched again."""
        now = self._clock()
        items = [item for record in records if (item := self._read(record, now.date())) is not None]
        self._metrics.fetched(Counter(map(attrgetter("topic"), records)).items())
        if not items:
            self._metrics.last_commit.set_to_current_time()  # What is skipped is done with, too.
            return
        tracer = tracing.tracer()
        with tracer.polled(items) if tracer else _UNTRACED:
            await self._process(items, time.monotonic() + self._give_back_after.total_seconds())
        # Not by each transaction: deferred messages may be taken up while the batches of Kafka are held up.
        self._metrics.last_commit.set_to_current_time()
        age = self._clock().timestamp() - min(map(attrgetter("timestamp"), records)) / 1000
        self._metrics.message_age.observe(max(0.0, age))

    async def resume(self, limit: int = 500) -> int:
        """Handles deferred messages whose time has come, and answers how many there were."""
        now = self._clock()
        due = await self._transactions.due(now, limit)
        items = [item for each in due if (item := self._read(each.record, now.date(), each)) is not None]
        if items:
            await self._process(items, time.monotonic() + self._give_back_after.total_seconds())
        return len(items)

    def _read(self, record: Record, today: date, deferral: Deferral | None = None) -> Item | None:
        topic = self._topics[record.topic]
        keep = topic.retention + _KEEP_AFTER_RETENTION if topic.retention else _KEEP_OF_COMPACTED
        received: Received | Unreadable
        try:
            received = self._reader.read(record)
        except Unreadable as error:
            received = error
        except NotForUs as skipped:
            if deferral is not None:
                # It was deferred by code that reacted to it; this code does not, and it must not vanish.
                gone = Unreadable(identity_of_place(record), "There is no reaction to this type any more.")
                return Item(gone, record, today + keep, deferral)
            self._metrics.count(skipped.ce_type, Outcome.SKIPPED)
            return None
        return Item(received, record, today + keep, deferral)

    async def _process(self, items: Sequence[Item], deadline: float) -> None:
        try:
            await self._persist(items, deadline)
        except OutageLasts:
            raise
        except _HandlerFailed as failure:
            if len(items) == 1:
                await self._try_again(items[0], failure.error, deadline)
                return
            at = next(index for index, item in enumerate(items) if item is failure.item)
            for part in (items[:at], items[at : at + 1], items[at + 1 :]):
                if part:
                    await self._process(part, deadline)
        except Exception as error:
            # Nobody knows whose fault it is: the store failed, perhaps at a unique index since another instance was
            # faster. Halves find it in a few steps, and load afresh what the other instance wrote.
            if len(items) == 1:
                await self._try_again(items[0], error, deadline)
                return
            middle = len(items) // 2
            await self._process(items[:middle], deadline)
            await self._process(items[middle:], deadline)

    async def _try_again(self, item: Item, error: Exception, deadline: float) -> None:
        """Handles a message that has failed once by itself, and makes it a dead letter when it has failed too often."""
        for attempt in range(2, self._attempts + 1):
            self._metrics.count(item.ce_type, Outcome.RETRIED)
            log.warning("message failed", attempt=attempt - 1, **about(item, error))
            await asyncio.sleep(_backoff(attempt, first=0.05, cap=1.0))
            try:
                await self._persist([item], deadline)
                return
            except OutageLasts:
                raise
            except _HandlerFailed as failure:
                error = failure.error
            except Exception as failure:
                error = failure
        await self._persist([item], deadline, fault=error)

    async def _persist(self, items: Sequence[Item], deadline: float, fault: Exception | None = None) -> None:
        """Commits the items, however long the database is away (until `deadline`); with a `fault`, as dead letters."""
        attempt = 0
        while True:
            try:
                await self._commit(items, fault)
                return
            except Exception as error:
                if not is_outage(error):
                    raise
                attempt += 1
                self._metrics.outages.inc()
                wait = _backoff(attempt, first=0.05, cap=5.0)
                if time.monotonic() + wait > deadline:
                    raise OutageLasts from error
                log.warning("database is away", wait_seconds=round(wait, 2), error=describe(error))
                await asyncio.sleep(wait)

    async def _commit(self, items: Sequence[Item], fault: Exception | None) -> None:
        tracer = tracing.tracer()
        traces = tracer.processing(self._reactions.name, items) if tracer else None
        started = time.perf_counter()
        try:
            tally, deferrals = await self._transact(items, fault, traces)
        except Exception as error:
            guilty = error.item if isinstance(error, _HandlerFailed) else items[0] if len(items) == 1 else None
            error_type = type(error.error if isinstance(error, _HandlerFailed) else error).__qualname__
            self._metrics.failed(time.perf_counter() - started, error_type)
            if traces and guilty:
                traces.fail(guilty.record, error_type)
            raise
        self._metrics.committed(time.perf_counter() - started)
        tally.report(self._metrics, traces)
        if deferrals:
            soonest = min(deferral.next_at for deferral in deferrals)
            self.deferred_at = soonest if self.deferred_at is None else min(self.deferred_at, soonest)
        self._on_commit()

    async def _transact(
        self, items: Sequence[Item], fault: Exception | None, traces: "Processing | None"
    ) -> tuple[Tally, Sequence[Deferral]]:
        now = self._clock()
        tally = Tally()
        async with self._transactions.begin() as transaction:
            new = await self._claim(transaction, items, tally)
            readable = [item for item in new if isinstance(item.received, Received)] if fault is None else []
            outgoing: list[OutgoingRecord] = []
            deferrals: list[Deferral] = []
            if readable:
                await self._decide(transaction.connection, readable, now, outgoing, deferrals, tally, traces)
            for item in new:
                error = fault or (item.received if isinstance(item.received, Unreadable) else None)
                if error is not None:
                    outgoing.append(dead_letter(item.record, self._reactions.name, error))
                    tally.dead.append((item, error))
            await transaction.post(outgoing, now)
            await transaction.defer(deferrals)
        return tally, deferrals

    async def _claim(self, transaction: Transaction, items: Sequence[Item], tally: Tally) -> list[Item]:
        """The items that nobody has handled yet, in their order."""
        fresh = {item.message_id: item.forget_on for item in items if item.deferral is None}
        claimed = await transaction.claim(list(fresh.items()))
        resumed = await transaction.resume(
            [item.deferral.id for item in items if item.deferral and item.deferral.id is not None]
        )
        new: list[Item] = []
        for item in items:
            if item.deferral is not None:
                if item.deferral.id in resumed:
                    new.append(item)
            elif item.message_id in claimed:
                claimed.discard(item.message_id)  # The same message twice in one batch.
                new.append(item)
            else:
                tally.duplicates.append(item)
        return new

    async def _decide(
        self,
        connection: AsyncConnection,
        items: Sequence[Item],
        now: datetime,
        outgoing: list[OutgoingRecord],
        deferrals: list[Deferral],
        tally: Tally,
        traces: "Processing | None",
    ) -> None:
        store = self._reactions.store
        working_set = await store.load(connection, [_received(item).message for item in items])
        started = time.perf_counter()
        for item in items:
            received = _received(item)
            arrived_at = item.deferral.arrived_at if item.deferral else now
            context = Context(
                message_id=received.message_id,
                ce_id=received.ce_id,
                ce_type=received.ce_type,
                correlation_id=received.correlation_id,
                now=now,
                may_wait=now < arrived_at + self._defer_for,
                causation_id=received.causation_id,
                traceparent=traces.traceparent(item.record) if traces else None,
            )
            decisions: Iterable[Decision]
            try:
                if traces is None:
                    decisions = self._handle(received, working_set, context, tally)
                else:
                    with traces.within(item.record):
                        decisions = self._handle(received, working_set, context, tally)
            except Deferred:
                deferrals.append(_deferral(item, arrived_at, now))
                tally.outcomes.append((received, Outcome.DEFERRED))
                continue
            except Exception as error:
                raise _HandlerFailed(item, error) from error
            records = self._records(decisions, received, now)
            outgoing.extend(records if traces is None else [traces.create(each, item.record) for each in records])
        self._metrics.handler_duration.observe(time.perf_counter() - started)
        await store.save(connection, working_set)

    def _handle(self, received: Received, working_set: W, context: Context, tally: Tally) -> Iterable[Decision]:
        handler = self._reactions.handlers[type(received.message)]
        try:
            decisions = tuple(handler(received.message, working_set, context))
        except Exception as error:
            if self._reactions.refusal is None or not isinstance(error, self._reactions.refusal):
                raise
            refusal: Any = error
            answer: Message = refusal.answer(received.message, received.ce_id)
            tally.outcomes.append((received, Outcome.REFUSED))
            log.info("refused", reason=str(refusal.reason), **names_of(received))
            return (answer,)
        tally.outcomes.append((received, Outcome.HANDLED))
        return decisions

    def _records(self, decisions: Iterable[Decision], received: Received, now: datetime) -> Iterable[OutgoingRecord]:
        for decision in decisions:
            answer = isinstance(decision, AnswerTo)
            message = decision.fact if isinstance(decision, AnswerTo) else decision
            yield write(
                message,
                topic=self._reactions.topic_of(message),
                source=self._reactions.source,
                correlation_id=decision.correlation_id if isinstance(decision, AnswerTo) else received.correlation_id,
                causation_id=decision.command_id if isinstance(decision, AnswerTo) else received.ce_id,
                now=now,
                traceparent=None if answer else received.traceparent,
            )


def _received(item: Item) -> Received:
    assert isinstance(item.received, Received)
    return item.received


def _deferral(item: Item, arrived_at: datetime, now: datetime) -> Deferral:
    attempts = item.deferral.attempts + 1 if item.deferral else 1
    record = item.record
    return Deferral(
        id=None,
        record=StoredRecord(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            key=record.key,
            value=record.value,
            headers=tuple(record.headers),
        ),
        arrived_at=arrived_at,
        next_at=now + timedelta(seconds=min(0.02 * 2 ** (attempts - 1), 1.0)),
        attempts=attempts,
    )


def _backoff(attempt: int, *, first: float, cap: float) -> float:
    """Seconds to wait before the next try: doubling, capped, and spread so that instances do not march in step."""
    return min(first * 2.0 ** min(attempt - 1, 16), cap) * random.uniform(0.5, 1.0)  # noqa: S311
