"""Payments on a real PostgreSQL: whatever is lost, and wherever a process is killed, a card is charged once."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from billing_world import ACME, ADMIN, JOINED_AT, MEMBER, NOW, Clock, Instances, Stay
from prometheus_client import CollectorRegistry
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from billing.counts import PaymentCounts
from billing.domain.payers import Card
from billing.domain.payments import NOT_ON_FILE, Failed, Payment, Settled, Succeeded
from billing.domain.terms import DOLLAR, Terms
from billing.handlers import REACTIONS
from billing.payments import Pace, Payments
from billing.provider import ProviderAway
from billing.store.books import BookStore
from billing.store.ledger import BooksCheck, balances, differences
from contracts import (
    BILLING_EVENTS,
    TOPICS,
    AttachCard,
    CardAttached,
    CardCharged,
    CardDeclined,
    CommandRefused,
    CreditToppedUp,
    DetachCard,
    Message,
    OrganizationCreated,
    TopUpCredit,
    UsageCharged,
    UsageRecorded,
)
from postroom.processor import Reactions
from postroom.room import ServiceRoom
from postroom.transaction import PostgresTransactions

LEASE = timedelta(seconds=90)
GOOD, DECLINING, ASKING, FORGOTTEN = "pm_good", "pm_declining", "pm_asking", "pm_forgotten"
"""The last was good once, and the provider knows it no more."""


class Bank:
    """A payment provider whose intents charge once, as Stripe's do, and whose answers can be lost."""

    def __init__(self) -> None:
        self.intents: dict[str, Payment] = {}
        self.charged: Counter[UUID] = Counter()
        """How often money really moved, by payment."""
        self.canceled: set[str] = set()
        self.lost = 0
        """How many of the next answers are lost after the deed."""
        self.lost_confirmations = 0
        """How many of those, of the next, that say what came of a charge."""
        self.confused_by: int | None = None
        """An amount at which it answers what nobody has foreseen."""
        self.in_between: Callable[[], Awaitable[None]] | None = None
        """What happens, once, when an intent was made and is not confirmed yet."""
        self._confirmed: set[str] = set()
        self.is_closed = False

    async def customer(self, payer_id: UUID, payer_kind: str) -> str:
        return f"cus_{payer_id.hex}"

    async def check(self, payment: Payment, customer_id: str) -> Settled:
        assert customer_id == f"cus_{payment.payer_id.hex}"
        assert payment.asked_by is not None
        self._answer()
        return Succeeded(payment, Card(payment.card_id, "visa", "4242", 4, 2030, payment.asked_by))

    async def prepare(self, payment: Payment, customer_id: str) -> str | Failed:
        if payment.card_id == FORGOTTEN:
            return Failed(payment, "resource_missing", is_unknown=True)
        assert customer_id == f"cus_{payment.payer_id.hex}"
        if payment.amount == self.confused_by:
            raise KeyError("status")
        intent_id = f"pi_{len(self.intents)}"  # Another one each time: it remembers no keys.
        self.intents[intent_id] = payment
        self._answer()
        if self.in_between is not None:
            happens, self.in_between = self.in_between, None
            await happens()
        return intent_id

    async def confirm(self, payment: Payment, intent_id: str) -> Settled:
        assert self.intents[intent_id] == payment
        settled = self._decide(payment)
        if isinstance(settled, Succeeded) and intent_id not in self.canceled and intent_id not in self._confirmed:
            self._confirmed.add(intent_id)
            self.charged[payment.payment_id] += 1
        if self.lost_confirmations:
            self.lost_confirmations -= 1
            raise ProviderAway("whether it was charged was lost")
        self._answer()
        return settled

    async def cancel(self, payment: Payment, intent_id: str) -> Settled:
        if intent_id in self._confirmed:
            return Succeeded(payment)
        self.canceled.add(intent_id)
        self._answer()
        return Failed(payment, NOT_ON_FILE)

    async def close(self) -> None:
        self.is_closed = True

    def _answer(self) -> None:
        if self.lost:
            self.lost -= 1
            raise ProviderAway("the answer was lost")

    def _decide(self, payment: Payment) -> Settled:
        if payment.card_id == DECLINING:
            return Failed(payment, "insufficient_funds")
        if payment.card_id == ASKING:
            return Failed(payment, "authentication_required", needs_cardholder=True)
        return Succeeded(payment)


class Killed(BaseException):
    """kill -9."""


@dataclass
class Till:
    """Billing with its worker, on one database."""

    engine: AsyncEngine
    bank: Bank = field(default_factory=Bank)
    clock: Clock = field(default_factory=lambda: Clock(NOW))

    def __post_init__(self) -> None:
        self.instances = Instances(self.engine, self.clock)
        transactions = PostgresTransactions(self.engine, wake_relay=lambda: None, relay_is_here=lambda: True)
        store = BookStore(Terms(), self.clock)
        reactions = Reactions("billing", TOPICS.read_by("billing"), (BILLING_EVENTS,), REACTIONS, store)
        self.room = ServiceRoom(transactions, reactions, self.clock, asyncio.Event())
        self._registry = CollectorRegistry()
        counts = PaymentCounts(self._registry)
        self._payments = Payments(self.bank, store, Pace(LEASE), counts=counts, spread=lambda: 0.0)

    async def founded(self, card_id: str | None = GOOD) -> None:
        """An organization with a member, and with a card on file."""
        created = OrganizationCreated(
            organization_id=ACME, version=1, name="Acme", owner_id=ADMIN, created_at=JOINED_AT - timedelta(days=1)
        )
        await self.instances.hand_in(created, Stay(MEMBER, ACME).joined())
        if card_id is not None:
            await self.ask(
                AttachCard(
                    payer_kind="organization",
                    payer_id=ACME,
                    actor_id=ADMIN,
                    seen_organization_version=None,
                    card_id=card_id,
                )
            )

    async def ask(self, command: Message) -> None:
        """A command, and what follows of it."""
        await self.instances.hand_in(command)
        await self.settle()

    async def uses(self, amount: int, hour: int = 0) -> None:
        """The member uses something worth so many micro-dollars, in an hour of its own."""
        start = JOINED_AT + timedelta(hours=hour)
        usage = UsageRecorded(
            account_id=MEMBER,
            meter_id="meter",
            instance_id="instance",
            resource="gpu",
            quantity=Decimal(1),
            unit_price=amount,
            used_from=start,
            used_until=start + timedelta(hours=1),
        )
        await self.instances.hand_in(usage)

    async def work(self) -> None:
        """The worker, as the service runs it."""
        await self._payments.make(self.room)

    async def step(self) -> None:
        """The worker, as far as it comes without waiting."""
        while await self._payments.make_due(self.room):
            pass

    async def settle(self) -> None:
        """The worker, until nothing is due; what was put off, or left behind, becomes due in between."""
        for _ in range(50):
            await self.step()
            async with self.engine.connect() as connection:
                open_ = await connection.execute(text("SELECT count(*) FROM payments WHERE due_at IS NOT NULL"))
                if not open_.scalar_one():
                    return
            self.clock.passes(LEASE)
        raise AssertionError("there are payments that do not end")

    async def told(self, kind: type[Message]) -> list[Message]:
        return [fact for fact in await self.instances.facts() if isinstance(fact, kind)]

    async def holds(self, column: str) -> int:
        async with self.engine.connect() as connection:
            row = await connection.execute(text(f"SELECT {column} FROM payers WHERE payer_id = :id"), {"id": ACME})
            return int(row.scalar_one())

    def counted(self, purpose: str, outcome: str) -> float | None:
        """How many payments are said to be over so."""
        labels = {"purpose": purpose, "outcome": outcome}
        return self._registry.get_sample_value("latchkey_payments_ended_total", labels)

    async def check_books(self) -> dict[str, int]:
        async with self.engine.connect() as connection:
            assert await differences(connection) == []
            sums = await balances(connection)
        assert sum(sums.values()) == 0
        return sums


@pytest.fixture
async def till(engine: AsyncEngine) -> AsyncIterator[Till]:
    """Whatever a test does with it, its books balance in the end."""
    till = Till(engine)
    yield till
    await till.check_books()


def top_up(amount: int = 50 * DOLLAR) -> TopUpCredit:
    return TopUpCredit(
        payer_kind="organization", payer_id=ACME, actor_id=ADMIN, seen_organization_version=None, amount=amount
    )


async def test_a_card_is_on_file_when_its_bank_has_agreed(till: Till) -> None:
    await till.founded()

    (attached,) = await till.told(CardAttached)
    assert isinstance(attached, CardAttached)
    assert (attached.card_id, attached.brand, attached.last4, attached.attached_by) == (GOOD, "visa", "4242", ADMIN)
    assert not till.bank.charged


async def test_credit_is_there_when_the_card_was_charged(till: Till) -> None:
    await till.founded()
    await till.ask(top_up())

    (topped_up,) = await till.told(CreditToppedUp)
    assert isinstance(topped_up, CreditToppedUp)
    assert (topped_up.amount, topped_up.balance, topped_up.topped_up_by) == (50 * DOLLAR, 50 * DOLLAR, ADMIN)
    assert list(till.bank.charged.values()) == [1]
    assert (await till.check_books())["card_clearing"] == -50 * DOLLAR


@pytest.mark.parametrize(
    ("card_id", "reason"),
    [(DECLINING, "card_declined"), (ASKING, "card_needs_cardholder"), (FORGOTTEN, "unknown_card")],
    ids=["no", "who is it", "what card"],
)
async def test_a_top_up_whose_card_says_no_is_refused(till: Till, card_id: str, reason: str) -> None:
    await till.founded(card_id)
    await till.ask(top_up())

    (refused,) = await till.told(CommandRefused)
    assert isinstance(refused, CommandRefused)
    assert (refused.reason, refused.command_type) == (reason, TopUpCredit.ce_type)
    assert await till.holds("credit") == 0


async def test_usage_is_paid_by_the_rest_of_the_block_before_the_card_is_charged_again(till: Till) -> None:
    await till.founded()
    for hour in range(3):
        await till.uses(4 * DOLLAR, hour)
        await till.settle()

    assert [fact.amount for fact in await till.told(CardCharged) if isinstance(fact, CardCharged)] == [
        10 * DOLLAR,
        10 * DOLLAR,
    ]
    assert await till.holds("block") == 8 * DOLLAR
    assert len(await till.told(UsageCharged)) == 3
    await till.check_books()


async def test_a_declined_card_counts_as_exhausted(till: Till) -> None:
    await till.founded(DECLINING)
    await till.uses(4 * DOLLAR)
    await till.settle()
    await till.uses(4 * DOLLAR, 1)
    await till.settle()

    (declined,) = await till.told(CardDeclined)
    assert isinstance(declined, CardDeclined)
    assert declined.reason == "insufficient_funds"
    charged = [fact for fact in await till.told(UsageCharged) if isinstance(fact, UsageCharged)]
    assert [each.written_off for each in charged] == [4 * DOLLAR, 4 * DOLLAR]
    assert not till.bank.charged


async def test_usage_waits_for_no_card_that_the_provider_knows_no_more(till: Till) -> None:
    await till.founded(FORGOTTEN)
    await till.uses(4 * DOLLAR)
    await till.settle()

    (declined,) = await till.told(CardDeclined)
    (charged,) = await till.told(UsageCharged)
    assert isinstance(declined, CardDeclined)
    assert isinstance(charged, UsageCharged)
    assert (declined.reason, charged.written_off) == ("resource_missing", 4 * DOLLAR)


async def test_lost_answers_are_asked_for_again_and_charge_once(till: Till) -> None:
    await till.founded()
    till.bank.lost, till.bank.lost_confirmations = 5, 5
    await till.ask(top_up())

    assert list(till.bank.charged.values()) == [1]
    assert len(await till.told(CreditToppedUp)) == 1
    assert await till.holds("credit") == 50 * DOLLAR


async def test_a_card_that_was_taken_off_file_before_is_not_charged(till: Till) -> None:
    await till.founded()
    await till.uses(4 * DOLLAR)  # A block is asked for, and not sent yet.
    await till.ask(DetachCard(payer_kind="organization", payer_id=ACME, actor_id=ADMIN, seen_organization_version=None))

    assert not till.bank.charged
    async with till.engine.connect() as connection:
        reasons = await connection.execute(text("SELECT reason FROM payments WHERE purpose = 'block'"))
        assert list(reasons.scalars()) == [NOT_ON_FILE]
    assert till.counted("block", "failed") == 1
    (charged,) = await till.told(UsageCharged)
    assert isinstance(charged, UsageCharged)
    assert charged.written_off == 4 * DOLLAR
    assert await till.told(CardDeclined) == []


async def test_a_payment_that_cannot_be_understood_holds_up_no_other(till: Till) -> None:
    await till.founded()
    await till.instances.hand_in(top_up(20 * DOLLAR), top_up(30 * DOLLAR))
    till.bank.confused_by = 20 * DOLLAR
    await till.step()
    assert await till.holds("credit") == 30 * DOLLAR
    till.bank.confused_by = None
    await till.settle()

    assert await till.holds("credit") == 50 * DOLLAR


async def test_a_card_that_is_taken_off_file_while_its_payment_waits_is_not_charged(till: Till) -> None:
    await till.founded()
    await till.instances.hand_in(top_up())
    detach = DetachCard(payer_kind="organization", payer_id=ACME, actor_id=ADMIN, seen_organization_version=None)
    till.bank.in_between = lambda: till.instances.hand_in(detach)
    await till.settle()

    assert not till.bank.charged
    (refused,) = await till.told(CommandRefused)
    assert isinstance(refused, CommandRefused)
    assert refused.reason == "no_card"


async def test_a_block_that_was_charged_before_its_card_was_taken_off_file_pays_and_until_that_is_known_nobody_else(
    till: Till,
) -> None:
    await till.founded()
    await till.uses(4 * DOLLAR)
    till.bank.lost_confirmations = 1
    await till.step()  # It is charged, and nobody knows.
    detach = DetachCard(payer_kind="organization", payer_id=ACME, actor_id=ADMIN, seen_organization_version=None)
    await till.instances.hand_in(detach)
    assert await till.told(UsageCharged) == []
    await till.settle()

    (charged,) = await till.told(UsageCharged)
    assert isinstance(charged, UsageCharged)
    assert [(share.kind, share.amount) for share in charged.shares] == [("organization_card", 4 * DOLLAR)]
    assert len(await till.told(CardCharged)) == 1
    assert await till.holds("block") == 6 * DOLLAR
    assert (await till.check_books())["card_clearing"] == -10 * DOLLAR


async def test_a_backlog_is_one_payment(till: Till) -> None:
    await till.founded()
    for hour in range(5):
        await till.uses(9 * DOLLAR, hour)
    await till.settle()

    amounts = [fact.amount // DOLLAR for fact in await till.told(CardCharged) if isinstance(fact, CardCharged)]
    assert amounts == [10, 40]
    assert len(await till.told(UsageCharged)) == 5
    assert await till.holds("block") == 5 * DOLLAR


async def test_of_two_cards_the_newest_wish_counts(till: Till) -> None:
    await till.founded(None)

    def attach(card_id: str) -> AttachCard:
        return AttachCard(
            payer_kind="organization",
            payer_id=ACME,
            actor_id=ADMIN,
            seen_organization_version=None,
            card_id=card_id,
        )

    till.bank.lost = 1
    await till.instances.hand_in(attach("pm_older"))
    await till.step()
    await till.ask(attach("pm_newer"))

    (attached,) = await till.told(CardAttached)
    (refused,) = await till.told(CommandRefused)
    assert isinstance(attached, CardAttached)
    assert isinstance(refused, CommandRefused)
    assert (attached.card_id, refused.reason) == ("pm_newer", "unknown_card")


async def test_a_worker_that_failed_is_started_again_and_goes_on(till: Till) -> None:
    await till.founded()
    await till.instances.hand_in(top_up())

    def fail(*_: object) -> None:
        raise OSError("the database is away")

    event.listen(till.engine.sync_engine, "before_cursor_execute", fail)
    with pytest.raises(OSError, match="away"):
        await till.work()
    event.remove(till.engine.sync_engine, "before_cursor_execute", fail)
    await till.settle()

    assert await till.holds("credit") == 50 * DOLLAR
    assert not till.bank.is_closed


async def test_several_processes_at_once_charge_once(till: Till) -> None:
    await till.founded()
    await till.instances.hand_in(top_up())
    others = [Till(till.engine, till.bank, till.clock) for _ in range(5)]
    await asyncio.gather(*(other.step() for other in others))

    assert list(till.bank.charged.values()) == [1]
    assert len(await till.told(CreditToppedUp)) == 1


async def test_a_process_that_was_overtaken_while_it_stood_still_charges_nothing(till: Till) -> None:
    await till.founded()
    await till.instances.hand_in(top_up())
    other = Till(till.engine, till.bank, till.clock)

    async def overtake() -> None:
        till.clock.passes(LEASE)
        await other.settle()

    till.bank.in_between = overtake
    await till.settle()

    assert len(till.bank.intents) == 2, "each had made one, and only one of them may charge"
    assert list(till.bank.charged.values()) == [1]
    assert len(await till.told(CreditToppedUp)) == 1


@pytest.mark.parametrize("change", ["UPDATE entries SET amount = amount + 1", "DELETE FROM entries"])
async def test_what_is_booked_cannot_be_changed(till: Till, change: str) -> None:
    await till.founded()
    await till.ask(top_up())
    async with till.engine.connect() as connection:
        with pytest.raises(DBAPIError, match="append-only"):
            await connection.execute(text(change))


async def test_books_that_do_not_balance_are_heard_of(till: Till) -> None:
    await till.founded()
    await till.ask(top_up())
    async with till.engine.begin() as connection:
        with capture_logs() as said:
            await BooksCheck().run(connection, till.clock())
        assert said == []
        await connection.execute(text("UPDATE payers SET credit = credit + 1 WHERE payer_id = :id"), {"id": ACME})
        with capture_logs() as said:
            await BooksCheck().run(connection, till.clock())

        await connection.execute(text("UPDATE payers SET credit = credit - 1 WHERE payer_id = :id"), {"id": ACME})

    (error,) = said
    assert (error["log_level"], error["kind"], error["held"] - error["booked"]) == ("error", "organization_credit", 1)


@contextmanager
def killed_at(engine: AsyncEngine, statement: int) -> Iterator[list[int]]:
    """The process dies before this statement, or commit, of those that follow."""
    seen = [0]

    def count(*_: object) -> None:
        seen[0] += 1
        if seen[0] >= statement:
            raise Killed

    for name in ("before_cursor_execute", "commit"):
        event.listen(engine.sync_engine, name, count)
    try:
        yield seen
    finally:
        for name in ("before_cursor_execute", "commit"):
            event.remove(engine.sync_engine, name, count)


async def test_killed_at_any_statement_around_a_charge_it_charges_once(till: Till) -> None:
    await till.founded()
    kills = 0
    for statement in range(1, 100):
        await till.uses(10 * DOLLAR, hour=statement)
        with killed_at(till.engine, statement):
            try:
                await till.settle()
            except* Killed:
                kills += 1
        if kills < statement:
            break
        await till.settle()
        assert len(till.bank.charged) == till.counted("block", "succeeded") == statement
        assert len(await till.told(CardCharged)) == len(await till.told(UsageCharged)) == statement

    assert kills > 15, "it was killed at every statement of a payment"
    assert set(till.bank.charged.values()) == {1}
    assert await till.holds("block") == 0
    await till.check_books()
