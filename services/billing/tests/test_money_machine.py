"""No sequence of messages and of the bank's answers, in whatever order they come, breaks the promises about money.

What is to hold after every step, `billing_desk.Desk` looks at: the books sum up and hold what the payers are said to
hold; nobody is below zero; a charge is paid, waits for a card that is being charged, or is written off; no source is
drawn while one before it could pay; no card is asked that is not on file.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from billing_desk import Desk, agreed, usage
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from billing.domain.books import Cause
from billing.domain.charges import amount_of, usage_id_of
from billing.domain.funds import runway
from billing.domain.payments import Failed
from billing.domain.terms import Terms
from billing.handlers import restore_funds
from contracts import MemberJoined, UsageRecorded
from postroom import Context, Message
from postroom.ids import uuid7

START = datetime(2026, 3, 31, 12, tzinfo=UTC)
"""Twelve hours before a month turns."""
TICK = timedelta(minutes=30)
TERMS = Terms(card_block=10_000, trial_credit=7_000, top_up_least=10_000)
AMOUNTS = st.sampled_from([0, 1, 333, 5_000, 9_999, 10_000, 25_001])
NUMBERS = st.integers(0, 5)
ACCOUNTS = st.integers(0, 2)
ORGANIZATIONS = st.integers(0, 1)
PAYERS = st.sampled_from([0, 0, 1, 1, 2, 3, 4])
"""The organizations, and the accounts."""
AGO = st.sampled_from([0, 0, 0, 1, 2, 4, 8])
TICKS = st.sampled_from([1, 2, 6, 0])
MOSTLY = st.sampled_from([True, True, False])
LATE = st.sampled_from([False, False, True])


@dataclass
class Stay:
    organization_id: UUID
    account_id: UUID
    begin: datetime
    end: datetime | None = None
    membership_id: UUID = field(default_factory=uuid7)


class Money(RuleBasedStateMachine):
    """Two organizations and three accounts, whose messages are under way for as long as they like."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk(TERMS, START)
        founded = [self.desk.organization() for _ in range(2)]
        self.organizations = [organization_id for organization_id, _ in founded]
        self.owners = dict(founded)
        self.accounts = [uuid7() for _ in range(3)]
        self.stays: list[Stay] = []
        """The truth, as membership knows it."""
        self.under_way: list[Message] = []
        self.recorded: list[UsageRecorded] = []
        """That billing was told, each once."""
        for number, account_id in enumerate(self.accounts):
            self.moves(number, 0 if number < 2 else 1)
            self.desk.verified(account_id, f"{number}@example.com")
        while self.under_way:
            self.arrives(0)
        self.desk.has_card(self.organizations[0], self.owners[self.organizations[0]])
        self.desk.has_card(self.accounts[0], self.accounts[0])
        self.uses(0, [5_000], ago=0, ticks=0, late=False)
        self.desk.bank_agrees()
        for organization_id in self.organizations:
            self.desk.has_credit(organization_id, 12_345)

    # --- membership and meters

    @rule(account=ACCOUNTS, organization=ORGANIZATIONS)
    def moves(self, account: int, organization: int) -> None:
        """Out of the organization that they are in; or into this one."""
        account_id, organization_id = self.accounts[account], self.organizations[organization]
        if stay := self._home(account_id):
            stay.end = self.desk.now
            self.under_way.append(self.desk.left(stay.organization_id, account_id, stay.end, stay.membership_id))
        else:
            stay = Stay(organization_id, account_id, self.desk.now)
            self.stays.append(stay)
            self.under_way.append(self.desk.joined(organization_id, account_id, stay.begin, stay.membership_id))

    @rule(account=ACCOUNTS, amounts=st.lists(AMOUNTS, min_size=1, max_size=4), ago=AGO, ticks=TICKS, late=LATE)
    def uses(self, account: int, amounts: list[int], ago: int, ticks: int, late: bool) -> None:
        until = self.desk.now - ago * TICK
        for amount in amounts:
            meter_id = str(len(self.recorded))
            recorded = usage(self.accounts[account], amount, until - ticks * TICK, until, meter_id=meter_id)
            self.recorded.append(recorded)
            self.under_way.append(recorded)
            if not late:
                self.arrives(-1)

    @rule(number=NUMBERS)
    def is_told_again(self, number: int) -> None:
        if self.recorded:
            self.under_way.append(self.recorded[number % len(self.recorded)])

    @rule(numbers=st.lists(NUMBERS, min_size=1, max_size=3))
    def arrive(self, numbers: list[int]) -> None:
        for number in numbers:
            if self.under_way:
                self.arrives(number % len(self.under_way))

    def arrives(self, number: int) -> None:
        message = self.under_way.pop(number)
        self.desk.handle(message)
        if isinstance(message, MemberJoined):
            # It may give another organization money back, of which its members are told in time.
            self._look_at_the_clock()

    @rule(
        ticks=st.integers(1, 6),
        amounts=st.lists(st.tuples(ACCOUNTS, AMOUNTS), min_size=1, max_size=4),
        bank=st.sampled_from(["agrees", "agrees", "declines", "is silent"]),
    )
    def time_passes(self, ticks: int, amounts: list[tuple[int, int]], bank: str) -> None:
        """Instances run, the bank does its work, and the timer looks at the clock."""
        self.desk.now += ticks * TICK
        for account, amount in amounts:
            self.uses(account, [amount], ago=0, ticks=ticks, late=False)
        if bank != "is silent":
            self.the_bank_answers([0, 0], agrees=bank == "agrees")
        self._look_at_the_clock()

    # --- people

    @rule(account=ACCOUNTS, address=NUMBERS)
    def proves(self, account: int, address: int) -> None:
        self.desk.verified(self.accounts[account], f"{address}@example.com")

    @rule(organization=ORGANIZATIONS, amount=st.sampled_from([1, 9_999, 20_000, 60_000]))
    def buys_credit(self, organization: int, amount: int) -> None:
        organization_id = self.organizations[organization]
        if amount == 20_000:
            self.desk.asks_top_up(organization_id, self.owners[organization_id], amount)
        else:
            self.desk.has_credit(organization_id, amount)

    @rule(payer=PAYERS, deed=st.sampled_from(["has", "has", "asks", "removes", "retries"]), card=st.integers(0, 1))
    def sees_to_a_card(self, payer: int, deed: str, card: int) -> None:
        whose = self._payer(payer)
        match deed:
            case "has":
                self.desk.has_card(*whose, f"pm_{card}")
            case "asks":
                self.desk.asks_card(*whose, f"pm_{card}")
            case "removes":
                self.desk.removes_card(*whose)
            case "retries":
                self.desk.retries_card(*whose)

    @rule(organization=ORGANIZATIONS, account=ACCOUNTS, cap=st.sampled_from([None, 0, 4_000, 12_000, 30_000, -1]))
    def caps(self, organization: int, account: int, cap: int | None) -> None:
        organization_id = self.organizations[organization]
        self.desk.caps(organization_id, self.owners[organization_id], self.accounts[account], cap)

    # --- the bank

    @rule(numbers=st.lists(NUMBERS, min_size=1, max_size=3), agrees=MOSTLY)
    def the_bank_answers(self, numbers: list[int], agrees: bool) -> None:
        for number in numbers:
            if self.desk.pending:
                payment = self.desk.pending[number % len(self.desk.pending)]
                self.desk.bank_says(agreed(payment) if agrees else Failed(payment, "insufficient_funds"))

    # --- what holds

    @invariant()
    def every_usage_is_charged_once_and_in_full(self) -> None:
        under_way = {usage_id_of(each) for each in self.under_way if isinstance(each, UsageRecorded)}
        charged: dict[UUID, int] = {}
        for part in self.desk.books.charges.values():
            if not part.is_gone:
                charged[part.usage_id] = charged.get(part.usage_id, 0) + part.amount
        for recorded in self.recorded:
            usage_id = usage_id_of(recorded)
            assert charged.pop(usage_id, None) == amount_of(recorded) or usage_id in under_way
        assert not charged

    @invariant()
    def nobody_has_stopped_whose_sources_can_pay(self) -> None:
        cause = Cause(uuid7(), "", "", self.desk.now)
        for account_id in self.accounts:
            if account_id in self.desk.stopped:
                assert not runway(self.desk.books, account_id, cause).can_pay
            assert (account_id in self.desk.stopped) == (
                self.desk.books.payer(account_id, "account").funds == "exhausted"
            )

    @invariant()
    def nobody_has_drawn_more_than_the_trial_credit(self) -> None:
        assert -self.desk.account("promotion") == TERMS.trial_credit * len(self.desk.books.granted)
        assert len(set(self.desk.books.granted.values())) == len(self.desk.books.granted)

    def teardown(self) -> None:
        """Everything arrives in the end; then each instant is paid for by whom membership says, and nothing waits."""
        while self.under_way:
            self.arrives(0)
        while self.desk.pending:
            self.desk.bank_says(Failed(self.desk.pending[0], "expired_card"))
        self.every_usage_is_charged_once_and_in_full()
        for recorded in self.recorded:
            assert self.desk.paid_by(recorded) == self._truth(recorded)
        assert not any(charge.waiting for charge in self.desk.books.charges.values() if not charge.is_gone)

    def _look_at_the_clock(self) -> None:
        """As the timer does."""
        self.desk.tell(restore_funds(self.desk.books, Context(uuid7(), "timer", "timer", "timer", self.desk.now)))

    def _truth(self, recorded: UsageRecorded) -> list[tuple[UUID | None, datetime, datetime]]:
        """Tick by tick, put together."""
        pieces: list[tuple[UUID | None, datetime, datetime]] = []
        instant = recorded.used_from
        while instant < recorded.used_until or not pieces:
            organization_id = self._organization(recorded.account_id, instant)
            end = min(instant + TICK, recorded.used_until)
            if pieces and pieces[-1][0] == organization_id:
                pieces[-1] = (organization_id, pieces[-1][1], end)
            else:
                pieces.append((organization_id, instant, end))
            instant += TICK
        return pieces

    def _organization(self, account_id: UUID, instant: datetime) -> UUID | None:
        for stay in self.stays:
            is_over = stay.end is not None and stay.end <= instant
            if stay.account_id == account_id and stay.begin <= instant and not is_over:
                return stay.organization_id
        return None

    def _home(self, account_id: UUID) -> Stay | None:
        stays = [stay for stay in self.stays if stay.account_id == account_id and stay.end is None]
        return stays[0] if stays else None

    def _payer(self, number: int) -> tuple[UUID, UUID]:
        """Any of them, and who decides about its money."""
        if number < len(self.organizations):
            return self.organizations[number], self.owners[self.organizations[number]]
        account_id = self.accounts[number - len(self.organizations)]
        return account_id, account_id


Money.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None, derandomize=True)
test_money = Money.TestCase
