"""Billing with everything in memory: a test is the postman and the bank, and looks at what is told. Whatever a test
does, the books are looked at after it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

from billing.domain import charges
from billing.domain.books import Books, Cause
from billing.domain.chains import DRAW_ORDER
from billing.domain.charges import usage_id_of
from billing.domain.ledger import EntryKind, Ledger, LedgerAccount
from billing.domain.payers import CARD, CREDIT, Card, Payer
from billing.domain.paying import conclude
from billing.domain.payments import Failed, Payment, Settled, Succeeded
from billing.domain.spending import month_of
from billing.domain.terms import Terms
from billing.handlers import REACTIONS
from contracts import (
    AccountProfile,
    AttachCard,
    ChargeReversed,
    Command,
    CommandRefused,
    DetachCard,
    FundsExhausted,
    FundsRestored,
    MemberJoined,
    MemberLeft,
    OrganizationCreated,
    Refused,
    RetryCard,
    SetSpendCap,
    TopUpCredit,
    UsageCharged,
    UsageRecorded,
)
from contracts.billing import AccountFact, Charge, PayerFact, PayerKind, SourceKind
from postroom import AnswerTo, Context, Deferred, Message
from postroom.ids import uuid7

M = TypeVar("M", bound=Message)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def shares_of(fact: UsageCharged | ChargeReversed) -> dict[SourceKind, int]:
    """How much of the charge each source has paid."""
    return {share.kind: share.amount for share in fact.shares}


def of_type(told: Iterable[Message], kind: type[M]) -> list[M]:
    return [fact for fact in told if isinstance(fact, kind)]


def usage(
    account_id: UUID, amount: int, used_from: datetime, used_until: datetime, *, meter_id: str = "meter"
) -> UsageRecorded:
    """That costs so many micro-dollars."""
    return UsageRecorded(
        account_id=account_id,
        meter_id=meter_id,
        instance_id="instance-1",
        resource="gpu-a100",
        quantity=Decimal(amount),
        unit_price=1,
        used_from=used_from,
        used_until=used_until,
    )


class WatchedLedger(Ledger):
    """Looks, whenever something is drawn or written off, whether somebody else was to pay."""

    def __init__(self, books: Books) -> None:
        super().__init__()
        self._books = books

    def move(
        self,
        amount: int,
        source: LedgerAccount,
        target: LedgerAccount,
        *,
        kind: EntryKind,
        cause_id: UUID,
        subject_id: UUID,
        now: datetime,
    ) -> None:
        if amount and kind in ("usage", "write_off"):
            parts = [each for each in self._books.charges.values() if each.usage_id == subject_id and not each.is_gone]
            drawing = [each for each in parts if each.waiting >= amount]
            assert any(not self._is_before(source.kind, each) for each in drawing), f"{source.kind} was not to pay"
        super().move(amount, source, target, kind=kind, cause_id=cause_id, subject_id=subject_id, now=now)

    def _is_before(self, kind: str, charge: charges.Charge) -> bool:
        """Whether something could pay that comes before this kind of source."""
        able = []
        if charge.organization_id is not None:
            organization = self._books.payer(charge.organization_id, "organization")
            cap = self._books.spending.caps.get((charge.organization_id, charge.account_id))
            month = (charge.organization_id, charge.account_id, month_of(charge.used_from))
            if cap is None or self._books.spending.spent.get(month, 0) < cap:
                able += _able(organization, "organization_credit", "organization_card")
        if charge.waiting > charge.forgiven:
            able += _able(self._books.payer(charge.account_id, "account"), "member_credit", "member_card")
        before = DRAW_ORDER if kind == "write_off" else DRAW_ORDER[: DRAW_ORDER.index(kind)]
        return any(each in before for each in able)


def _able(payer: Payer, credit: SourceKind, card: SourceKind) -> list[SourceKind]:
    has_card = payer.card is not None and payer.card.declined is None
    return [credit] * (payer.credit > 0) + [card] * (has_card or payer.block > 0 or payer.charging_id is not None)


@dataclass
class Desk:
    """Billing, its clock, its bank, and everything that it has told."""

    terms: Terms = field(default_factory=Terms)
    now: datetime = NOON
    told: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.books = Books(self.terms, uuid7)
        self.books.ledger = WatchedLedger(self.books)
        self.charged: dict[tuple[UUID, int], UsageCharged] = {}
        """What a reader knows to be charged, by usage and part."""
        self.stopped: set[UUID] = set()
        """Accounts that are told that nothing can pay for them."""
        self.versions: Counter[UUID] = Counter()
        """The newest of each payer."""
        self._organizations: Counter[UUID] = Counter()
        """Versions, as membership counts them."""
        self._meters = count()
        self._booked: Counter[LedgerAccount] = Counter()
        self._looked_at = 0
        self._asked = 0

    # --- what is told to billing

    def handle(self, message: Message) -> list[Message]:
        """Reacts as postroom does, and returns what was told now. What is deferred has waited for long enough."""
        message_id = uuid7()
        context = Context(message_id, str(message_id), message.ce_type, str(message_id), self.now)
        try:
            try:
                decisions = list(REACTIONS[type(message)](message, self.books, context))
            except Deferred:
                decisions = list(REACTIONS[type(message)](message, self.books, replace(context, may_wait=False)))
        except Refused as refusal:
            assert isinstance(message, Command)
            decisions = [refusal.answer(message, str(message_id))]
        return self.tell(each.fact if isinstance(each, AnswerTo) else each for each in decisions)

    def organization(self, owner_id: UUID | None = None) -> tuple[UUID, UUID]:
        """A new one, and its owner, who is no member yet as far as billing has heard."""
        organization_id, owner_id = uuid7(), owner_id or uuid7()
        self.handle(
            OrganizationCreated(
                organization_id=organization_id,
                version=self._next(organization_id),
                name="Acme",
                owner_id=owner_id,
                created_at=self.now,
            )
        )
        return organization_id, owner_id

    def joined(self, organization_id: UUID, account_id: UUID, at: datetime, membership_id: UUID) -> MemberJoined:
        return MemberJoined(
            organization_id=organization_id,
            version=self._next(organization_id),
            account_id=account_id,
            membership_id=membership_id,
            role="member",
            invitation_id=None,
            inviter_id=None,
            joined_at=at,
        )

    def left(self, organization_id: UUID, account_id: UUID, at: datetime, membership_id: UUID) -> MemberLeft:
        return MemberLeft(
            organization_id=organization_id,
            version=self._next(organization_id),
            account_id=account_id,
            membership_id=membership_id,
            left_at=at,
        )

    def joins(self, organization_id: UUID, account_id: UUID | None = None, at: datetime | None = None) -> UUID:
        """An account, a new one where none is named, is a member since long ago, or since `at`."""
        account_id = account_id or uuid7()
        long_ago = NOON - timedelta(days=365)
        self.handle(
            self.joined(organization_id, account_id, at or long_ago, self._membership(organization_id, account_id))
        )
        return account_id

    def leaves(self, organization_id: UUID, account_id: UUID, at: datetime) -> list[Message]:
        return self.handle(self.left(organization_id, account_id, at, self._membership(organization_id, account_id)))

    def uses(
        self, account_id: UUID, amount: int, until: datetime | None = None, period: timedelta = HOUR
    ) -> list[Message]:
        """In the time up to `until`, or now."""
        until = until or self.now
        return self.handle(usage(account_id, amount, until - period, until, meter_id=f"meter-{next(self._meters)}"))

    def verified(self, account_id: UUID, address: str, *, is_proven: bool = True) -> list[Message]:
        return self.handle(
            AccountProfile(account_id=account_id, version=1, address=address, name="", verified=is_proven)
        )

    # --- what people want

    def asks_top_up(self, organization_id: UUID, actor_id: UUID, amount: int) -> list[Message]:
        return self.handle(TopUpCredit(**_by(organization_id, actor_id, "organization"), amount=amount))

    def asks_card(self, payer_id: UUID, actor_id: UUID, card_id: str = "pm_1") -> list[Message]:
        return self.handle(AttachCard(**_by(payer_id, actor_id, _kind(payer_id, actor_id)), card_id=card_id))

    def removes_card(self, payer_id: UUID, actor_id: UUID) -> list[Message]:
        return self.handle(DetachCard(**_by(payer_id, actor_id, _kind(payer_id, actor_id))))

    def retries_card(self, payer_id: UUID, actor_id: UUID) -> list[Message]:
        return self.handle(RetryCard(**_by(payer_id, actor_id, _kind(payer_id, actor_id))))

    def caps(self, organization_id: UUID, actor_id: UUID, account_id: UUID, cap: int | None) -> list[Message]:
        return self.handle(
            SetSpendCap(**_by(organization_id, actor_id, "organization"), account_id=account_id, cap=cap)
        )

    # --- what the bank says

    @property
    def pending(self) -> list[Payment]:
        """What the bank was asked for, and has not answered yet."""
        return self.books.payments

    def bank_says(self, settled: Settled) -> list[Message]:
        """The answer to a payment."""
        if settled.payment in self.pending:
            self.pending.remove(settled.payment)
            self._asked -= 1
        payment = settled.payment
        cause = Cause(payment.payment_id, payment.cause_id, payment.correlation_id, self.now)
        return self.tell(conclude(self.books, settled, cause))

    def bank_agrees(self) -> list[Message]:
        """To the payment that waits the longest."""
        return self.bank_says(agreed(self.pending[0]))

    def bank_declines(self, reason: str = "insufficient_funds") -> list[Message]:
        """The payment that waits the longest."""
        return self.bank_says(Failed(self.pending[0], reason))

    def has_credit(self, organization_id: UUID, amount: int) -> list[Message]:
        """It has bought some, with whatever card it had."""
        payment = Payment(
            payment_id=uuid7(),
            purpose="top_up",
            payer_kind="organization",
            payer_id=organization_id,
            card_id="pm_of_then",
            amount=amount,
            asked_by=uuid7(),
            cause_id=str(uuid7()),
            correlation_id=str(uuid7()),
            asked_at=self.now,
        )
        return self.bank_says(Succeeded(payment))

    def has_trial_credit(self, account_id: UUID) -> None:
        self.verified(account_id, f"{account_id}@example.com")

    def has_card(self, payer_id: UUID, actor_id: UUID, card_id: str = "pm_1") -> list[Message]:
        """A good one is on file."""
        self.asks_card(payer_id, actor_id, card_id)
        return self.bank_says(agreed(self.pending[-1]))

    # --- what is there

    def payer(self, payer_id: UUID) -> Payer:
        return self.books.payers[payer_id]

    def account(self, kind: SourceKind | str, owner_id: UUID | None = None) -> int:
        """What the ledger's entries sum up to."""
        return sum(
            amount
            for account, amount in self._booked.items()
            if account.kind == kind and owner_id in (None, account.owner_id)
        )

    def paid_by(self, usage: UsageRecorded) -> list[tuple[UUID | None, datetime, datetime]]:
        """Which organization, or none, the usage is charged to, piece by piece."""
        parts = sorted(
            (part for part in self.books.charges.values() if part.usage_id == usage_id_of(usage) and not part.is_gone),
            key=lambda part: part.part,
        )
        return [(part.organization_id, part.used_from, part.used_until) for part in parts]

    def tell(self, facts: Iterable[Message]) -> list[Message]:
        told = list(facts)
        for fact in told:
            self._listen(fact)
        self.told += told
        self._look_at_the_books()
        return told

    def _listen(self, fact: Message) -> None:
        assert type(fact).model_validate_json(fact.model_dump_json()) == fact, "it survives the wire"
        if isinstance(fact, PayerFact):
            self._heard(fact.payer_id, fact.version)
        elif isinstance(fact, AccountFact):
            self._keep(fact)
            if isinstance(fact, Charge):
                assert fact.amount == sum(share.amount for share in fact.shares) + fact.written_off
                assert all(share.amount > 0 for share in fact.shares)
                for payer_id, version in {(share.payer_id, share.payer_version) for share in fact.shares}:
                    if payer_id != fact.account_id:
                        self._heard(payer_id, version)
            self._heard(fact.account_id, fact.version)

    def _keep(self, fact: AccountFact) -> None:
        """As a reader does."""
        match fact:
            case UsageCharged():
                assert (fact.usage_id, fact.part) not in self.charged, "a part is charged once"
                self.charged[(fact.usage_id, fact.part)] = fact
            case ChargeReversed():
                before = self.charged.pop((fact.usage_id, fact.part))
                assert (before.amount, before.written_off) == (fact.amount, fact.written_off)
                assert shares_of(before) == shares_of(fact)
            case FundsExhausted():
                assert fact.account_id not in self.stopped, "that is told once"
                self.stopped.add(fact.account_id)
            case FundsRestored():
                self.stopped.remove(fact.account_id)

    def _heard(self, payer_id: UUID, version: int) -> None:
        assert version > self.versions[payer_id], "a payer's versions only grow"
        self.versions[payer_id] = version

    def _look_at_the_books(self) -> None:
        for entry in self.books.ledger.entries[self._looked_at :]:
            self._booked[entry.source] -= entry.amount
            self._booked[entry.target] += entry.amount
        self._looked_at = len(self.books.ledger.entries)
        assert sum(self._booked.values()) == 0
        for payer in self.books.payers.values():
            assert payer.credit == self._booked[payer.account(CREDIT[payer.kind])] >= 0
            assert payer.block == self._booked[payer.account(CARD[payer.kind])] >= 0
        charges = [charge for charge in self.books.charges.values() if not charge.is_gone]
        for charge in charges:
            assert charge.amount == sum(charge.paid.values()) + charge.waiting + charge.written_off
            assert min(charge.waiting, charge.written_off, *charge.paid.values(), charge.amount) >= 0
        assert self.charged.keys() == {(charge.usage_id, charge.part) for charge in charges if charge.is_told}
        for charge in charges:
            assert charge.is_told == (not charge.waiting)
            if charge.waiting:
                payers = self.books.payers_of(charge.account_id, charge.organization_id)
                assert any(payer.charging_id is not None for payer in payers), "it waits for a card, or not at all"
        self._look_at_payments()
        self._look_at_spending(charges)
        earned = sum(charge.amount - charge.waiting for charge in charges)
        assert self.account("revenue") == earned
        assert self.account("write_off") == -sum(charge.written_off for charge in charges)

    def _look_at_spending(self, charges: Iterable[charges.Charge]) -> None:
        """What members have drawn from their organizations, month by month."""
        spent: Counter[tuple[UUID, UUID, date]] = Counter()
        for charge in charges:
            if charge.organization_id is not None:
                place = charge.organization_id, charge.account_id, month_of(charge.used_from)
                spent[place] += charge.paid.get("organization_credit", 0) + charge.paid.get("organization_card", 0)
        assert +spent == +Counter(self.books.spending.spent)

    def _look_at_payments(self) -> None:
        """Those that are new are asked of cards on file; and a card is charged by one at a time."""
        for payment in self.pending[self._asked :]:
            card = self.payer(payment.payer_id).card if payment.purpose != "card" else None
            assert payment.purpose == "card" or (card and card.card_id == payment.card_id and not card.declined)
        self._asked = len(self.pending)
        blocks = {payment.payer_id: payment.payment_id for payment in self.pending if payment.purpose == "block"}
        charging = {payer.payer_id: payer.charging_id for payer in self.books.payers.values() if payer.charging_id}
        assert blocks == charging
        assert sum(payment.purpose == "block" for payment in self.pending) == len(blocks)

    def _membership(self, organization_id: UUID, account_id: UUID) -> UUID:
        """Of the one stay that most tests need."""
        return UUID(int=organization_id.int ^ account_id.int)

    def _next(self, organization_id: UUID) -> int:
        self._organizations[organization_id] += 1
        return self._organizations[organization_id]


def agreed(payment: Payment) -> Succeeded:
    """The bank's yes."""
    if payment.purpose != "card":
        return Succeeded(payment)
    assert payment.asked_by is not None
    return Succeeded(payment, Card(payment.card_id, "visa", "4242", 4, 2030, payment.asked_by))


def refusals(told: Iterable[Message]) -> list[str]:
    return [fact.reason for fact in of_type(told, CommandRefused)]


def _kind(payer_id: UUID, actor_id: UUID) -> PayerKind:
    return "account" if payer_id == actor_id else "organization"


def _by(payer_id: UUID, actor_id: UUID, kind: PayerKind) -> dict[str, Any]:
    return {"payer_id": payer_id, "payer_kind": kind, "actor_id": actor_id, "seen_organization_version": None}
