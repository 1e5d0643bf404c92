"""What happens because time passes: timers, whose facts are told, and chores, which only clean up."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from postroom import tracing
from postroom.envelope import write
from postroom.handling import AnswerTo, Chore, Context, Decision, Every
from postroom.ids import uuid7
from postroom.processor import Reactions
from postroom.record import OutgoingRecord
from postroom.transaction import Transactions

W = TypeVar("W")

FORGET_INTERVAL = timedelta(minutes=10)
_FORGET_AT_A_TIME = 5000


class Timers(Generic[W]):
    """One run of a timer or a chore at a time, each in one transaction."""

    def __init__(self, reactions: Reactions[W], transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._reactions = reactions
        self._transactions = transactions
        self._clock = clock

    async def run(self, timer: Every[W]) -> bool:
        """Decides over some of what is due; false where nothing was."""
        now = self._clock()
        tracer = tracing.tracer()
        writing = tracer.writing() if tracer else None
        async with self._transactions.begin() as transaction:
            working_set = await timer.load(transaction.connection, now)
            if working_set is None:
                return False
            run_id = uuid7()
            with tracing.span(f"timer {timer.name}") as span:
                context = Context(
                    message_id=run_id,
                    ce_id=str(run_id),
                    ce_type=timer.name,
                    correlation_id=str(run_id),
                    now=now,
                    may_wait=False,
                    traceparent=span.traceparent,
                )
                records = [self._record(decision, now) for decision in timer.react(working_set, context)]
                if writing:
                    records = [writing.create(record) for record in records]
                await self._reactions.store.save(transaction.connection, working_set)
                await transaction.post(records, now)
        timer.committed(working_set)
        if writing:
            writing.end()
        return True

    async def clean_up(self, chore: Chore) -> bool:
        """Does a piece of a chore; false where nothing was left to do."""
        async with self._transactions.begin() as transaction:
            return await chore.run(transaction.connection, self._clock()) > 0

    async def forget(self) -> bool:
        """Removes ids from the inbox whose messages no topic holds any more; false where there were none."""
        return await self._transactions.forget(self._clock().date(), _FORGET_AT_A_TIME) > 0

    def _record(self, decision: Decision, now: datetime) -> OutgoingRecord:
        """Nothing caused it but time, so it starts a correlation of its own (unless it answers a command)."""
        answer = decision if isinstance(decision, AnswerTo) else None
        message = decision.fact if isinstance(decision, AnswerTo) else decision
        return write(
            message,
            topic=self._reactions.topic_of(message),
            source=self._reactions.source,
            correlation_id=answer.correlation_id if answer else None,
            causation_id=answer.command_id if answer else None,
            now=now,
        )
