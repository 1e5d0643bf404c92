"""Payments are made: each by an intent of its own at the provider, until it is known what became of it.

An intent is made, which charges nothing; its id is written down; then it is confirmed, which charges the card once.
A process that is killed leaves a payment behind whose lease ends; the next goes on with the intent that stands there.
What became of a payment, and what follows from it, is booked in one transaction, once.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog
from prometheus_client import CollectorRegistry

from billing.counts import PaymentCounts
from billing.domain.books import Cause
from billing.domain.paying import conclude
from billing.domain.payments import NOT_ON_FILE, Failed, Payment, Settled
from billing.provider import ProviderAway
from billing.store import payments as rows
from billing.store.books import BookStore
from billing.store.payers import LockedCard, keep_customer, lock_card
from billing.store.payments import ClaimedPayment
from postroom import Room, WorkTransaction
from postroom.database import is_outage
from postroom.tracing import span

log = structlog.get_logger()

_AT_A_TIME = 4
"""Fewer than the connections of the service's pool, which the messages need as well."""
_LONGEST_WAIT = 60.0
"""Seconds between two attempts."""


class Provider(Protocol):
    """Who makes payments. What raises ProviderAway may have been done, or not: it is asked again."""

    async def customer(self, payer_id: UUID, payer_kind: str) -> str:
        """Who the payer is to the provider; always the same."""
        ...

    async def check(self, payment: Payment, customer_id: str) -> Settled:
        """Whether a card is good, to be kept. Nothing is charged."""
        ...

    async def prepare(self, payment: Payment, customer_id: str) -> str | Failed:
        """Makes an intent to charge the card, which charges nothing yet, and answers its id; Failed where there cannot
        be one."""
        ...

    async def confirm(self, payment: Payment, intent_id: str) -> Settled:
        """Charges the card by the intent, unless it was charged by it, or cannot be; what came of it. An intent charges
        once, however often it is confirmed."""
        ...

    async def cancel(self, payment: Payment, intent_id: str) -> Settled:
        """Sees to it that the card is not charged by the intent; Succeeded where it was."""
        ...

    async def close(self) -> None:
        """Ends the connections."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How payments are taken up."""

    lease: timedelta = timedelta(seconds=90)
    interval: float = 1.0
    """Seconds after which is looked for payments that nobody has woken us for."""


@dataclass(frozen=True, slots=True)
class _Booked:
    """This became of a payment, and all that follows from it is written."""

    settled: Settled


class Payments:
    """A worker of the service. Several processes may work on one database."""

    def __init__(
        self,
        provider: Provider,
        store: BookStore,
        pace: Pace,
        *,
        counts: PaymentCounts | None = None,
        spread: Callable[[], float] = random.random,
    ) -> None:
        """`spread` from 0 to 1 spreads the pauses of payments that failed together. Without `counts`, nobody learns
        what was counted."""
        self._provider = provider
        self._store = store
        self._pace = pace
        self._counts = counts or PaymentCounts(CollectorRegistry())
        self._spread = spread

    async def make(self, room: Room) -> None:
        """Makes payments until the service stops; those in hand are finished."""
        try:
            while not room.stopping.is_set():
                if not await self.make_due(room):
                    await room.woken(self._pace.interval)
        finally:
            if room.stopping.is_set():  # Otherwise this is started again.
                await self._provider.close()

    async def make_due(self, room: Room) -> int:
        """Sees to some of the payments that are due, and answers how many they were."""
        async with room.reading() as connection:
            if not await rows.is_any_due(connection, room.clock()):
                return 0
        async with room.transaction() as transaction:
            claimed = await rows.claim(transaction.connection, room.clock(), lease=self._pace.lease, limit=_AT_A_TIME)
        async with asyncio.TaskGroup() as group:
            for each in claimed:
                group.create_task(self._see_to(room, each))
        return len(claimed)

    async def _see_to(self, room: Room, claimed: ClaimedPayment) -> None:
        payment = claimed.payment
        about = {"latchkey.payment.id": str(payment.payment_id), "latchkey.payment.purpose": payment.purpose}
        with span(f"pay {payment.purpose}", kind="client", parent=payment.traceparent, attributes=about) as paying:
            try:
                made = await self._made(room, payment)
            except Exception as error:
                # Whatever it is, it is about this payment, and must not hold up the others.
                known = isinstance(error, ProviderAway) or is_outage(error)
                why = str(error) if isinstance(error, ProviderAway) else type(error).__name__
                (log.warning if known else log.error)("payment waits", payment_id=str(payment.payment_id), why=why)
                self._counts.put_off(payment)
                paying.fail(type(error).__name__)
                await self._put_off(room, claimed)
                return
            if isinstance(made, _Booked):
                self._counts.end(made.settled)
            elif made is not None:
                await self._book(room, made)

    async def _put_off(self, room: Room, claimed: ClaimedPayment) -> None:
        wait = min(0.25 * 2.0 ** min(claimed.attempts, 16), _LONGEST_WAIT) * (1 - self._spread() / 2)
        try:
            async with room.transaction() as transaction:
                until = room.clock() + timedelta(seconds=wait)
                await rows.put_off(transaction.connection, claimed.payment.payment_id, until)
        except Exception as error:
            if not is_outage(error):
                raise
            # Its lease ends, and it is asked for again.

    async def _made(self, room: Room, payment: Payment) -> Settled | _Booked | None:
        """What became of it; none where another process has booked that."""
        async with room.transaction() as transaction:
            card = await lock_card(transaction.connection, payment.payer_id)
            locked = await rows.lock(transaction.connection, payment.payment_id)
            if locked is None:
                return None
            is_charged = payment.purpose != "card"
            if is_charged and locked.intent_id is None and not _is_on_file(card, payment):
                return await self._book_in(transaction, Failed(payment, NOT_ON_FILE), room.clock())
        customer_id = card.customer_id or await self._customer(room, payment)
        if not is_charged:
            return await self._provider.check(payment, customer_id)
        prepared = locked.intent_id or await self._provider.prepare(payment, customer_id)
        async with room.transaction() as transaction:
            # Under the payer's lock: who takes a card off file is before this, or after the card was being charged.
            card = await lock_card(transaction.connection, payment.payer_id)
            locked = await rows.lock(transaction.connection, payment.payment_id)
            if locked is None:
                return None
            if locked.intent_id is not None:
                prepared = locked.intent_id  # Somebody else's, who was faster.
            if isinstance(prepared, Failed):
                return await self._book_in(transaction, prepared, room.clock())
            await rows.send(transaction.connection, payment.payment_id, prepared)
        if not _is_on_file(card, payment):
            return await self._provider.cancel(payment, prepared)
        return await self._provider.confirm(payment, prepared)

    async def _customer(self, room: Room, payment: Payment) -> str:
        customer_id = await self._provider.customer(payment.payer_id, payment.payer_kind)
        async with room.transaction() as transaction:
            await keep_customer(transaction.connection, payment.payer_id, customer_id)
        return customer_id

    async def _book(self, room: Room, settled: Settled) -> None:
        """However long the database is away: what was charged has to be booked, by us or by who asks next."""
        payment, failures = settled.payment, 0
        while True:
            try:
                await self._book_once(room, settled)
                break
            except Exception as error:
                if not is_outage(error):
                    raise
                failures += 1
                await asyncio.sleep(min(0.05 * 2.0 ** min(failures, 16), _LONGEST_WAIT))
        failed = settled.reason if isinstance(settled, Failed) else None
        log.info("payment", payment_id=str(payment.payment_id), purpose=payment.purpose, failed=failed)

    async def _book_once(self, room: Room, settled: Settled) -> None:
        async with room.transaction() as transaction:
            booked = await self._book_in(transaction, settled, room.clock())
        if booked is not None:
            self._counts.end(booked.settled)

    async def _book_in(self, transaction: WorkTransaction, settled: Settled, now: datetime) -> _Booked | None:
        """Counted it is by who commits the transaction."""
        payment = settled.payment
        if not await rows.end(transaction.connection, settled, now):
            return None  # Another process has.
        books = await self._store.load(transaction.connection, [settled])
        cause = Cause(payment.payment_id, payment.cause_id, payment.correlation_id, now)
        facts = list(conclude(books, settled, cause))
        await self._store.save(transaction.connection, books)
        await transaction.publish(facts, correlation_id=payment.correlation_id, causation_id=payment.cause_id, now=now)
        return _Booked(settled)


def _is_on_file(card: LockedCard, payment: Payment) -> bool:
    return card.card_id == payment.card_id and not card.is_declined
