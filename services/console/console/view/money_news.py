"""What a batch of billing's facts changes in the view of money. Newer versions of a payer win, here and in the rows;
what was spent is summed up."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime
from uuid import UUID

from console.view.money import Funds, ReceiptKind
from contracts.billing import SourceKind

Day = tuple[UUID, date, UUID | None]
"""An account, a day, and the organization in which the account was; none where it was in none."""


@dataclass(frozen=True, slots=True)
class BalanceNews:
    """What a source holds, as of a version of its payer."""

    version: int
    amount: int


@dataclass(frozen=True, slots=True)
class RateNews:
    """How fast money is used, as of a version of the payer."""

    version: int
    per_hour: int
    told_at: datetime


@dataclass(frozen=True, slots=True)
class CardOnFile:
    """What is known of a card."""

    card_id: str
    brand: str
    last4: str
    expiry_month: int
    expiry_year: int


@dataclass(frozen=True, slots=True)
class CardNews:
    """Which card is on file, as of a version of its payer."""

    version: int
    card: CardOnFile | None
    declined: str | None = None


@dataclass(frozen=True, slots=True)
class DeclineNews:
    """Whether a card is counted on, as of a version of its payer."""

    version: int
    card_id: str
    declined: str | None


@dataclass(frozen=True, slots=True)
class FundsNews:
    """Whether anything can pay for an account, as of its version."""

    version: int
    state: Funds
    at: datetime


@dataclass(frozen=True, slots=True)
class CapNews:
    """What is paid at most for a member in a month, as of a version of the organization."""

    version: int
    cap: int | None


@dataclass(slots=True)
class Spent:
    """What has come on top of a day's spending; below zero where charges were reversed."""

    by_source: dict[SourceKind, int] = field(default_factory=dict)
    written_off: int = 0


@dataclass(frozen=True, slots=True)
class ReceiptNews:
    """Money that came in."""

    receipt_id: UUID
    payer_id: UUID
    kind: ReceiptKind
    amount: int
    at: datetime
    bought_by: UUID | None = None
    card_id: str | None = None
    """None: whichever was on file."""
    card: CardOnFile | None = None
    """Where this batch has told of it."""


@dataclass(slots=True)
class MoneyNews:
    """What a batch says of money."""

    balances: dict[tuple[UUID, SourceKind], BalanceNews] = field(default_factory=dict)
    rates: dict[UUID, RateNews] = field(default_factory=dict)
    cards: dict[UUID, CardNews] = field(default_factory=dict)
    declines: dict[UUID, DeclineNews] = field(default_factory=dict)
    """Of cards that this batch has told nothing else of."""
    funds: dict[UUID, FundsNews] = field(default_factory=dict)
    caps: dict[tuple[UUID, UUID], CapNews] = field(default_factory=dict)
    """By organization and account."""
    spent: dict[Day, Spent] = field(default_factory=dict)
    receipts: dict[UUID, ReceiptNews] = field(default_factory=dict)
    changed: set[UUID] = field(default_factory=set)
    """Organizations and accounts whose pages are to show it at once."""
    used: set[UUID] = field(default_factory=set)
    """Those of which nothing is told but that they go on using."""

    def hear_of_balance(self, payer_id: UUID, kind: SourceKind, version: int, amount: int) -> None:
        """The newest counts."""
        known = self.balances.get((payer_id, kind))
        if known is None or known.version <= version:
            self.balances[payer_id, kind] = BalanceNews(version, amount)

    def hear_of_rate(self, payer_id: UUID, version: int, per_hour: int, told_at: datetime) -> None:
        """The newest counts."""
        known = self.rates.get(payer_id)
        if known is None or known.version <= version:
            self.rates[payer_id] = RateNews(version, per_hour, told_at)

    def hear_of_card(self, payer_id: UUID, version: int, card: CardOnFile | None) -> None:
        """The newest counts; it is counted on until something else is heard."""
        known = self.cards.get(payer_id)
        if known is None or known.version < version:
            self.cards[payer_id] = CardNews(version, card)

    def hear_of_decline(self, payer_id: UUID, version: int, card_id: str, declined: str | None) -> None:
        """The newest counts, of the card that is on file then."""
        known = self.cards.get(payer_id)
        if known is None:
            earlier = self.declines.get(payer_id)
            if earlier is None or earlier.version < version:
                self.declines[payer_id] = DeclineNews(version, card_id, declined)
        elif known.version < version and known.card is not None and known.card.card_id == card_id:
            self.cards[payer_id] = CardNews(version, known.card, declined)

    def hear_of_funds(self, account_id: UUID, news: FundsNews) -> None:
        """The newest counts."""
        known = self.funds.get(account_id)
        if known is None or known.version < news.version:
            self.funds[account_id] = news

    def hear_of_cap(self, organization_id: UUID, account_id: UUID, news: CapNews) -> None:
        """The newest counts."""
        known = self.caps.get((organization_id, account_id))
        if known is None or known.version < news.version:
            self.caps[organization_id, account_id] = news

    def spend(self, day: Day) -> Spent:
        """What comes on top of what was spent on that day."""
        found = self.spent.get(day)
        if found is None:
            found = self.spent[day] = Spent()
        return found

    def receive(self, receipt: ReceiptNews) -> None:
        """Money came in, by the card that is on file at this point of the batch."""
        known = self.cards.get(receipt.payer_id)
        card = known.card if known is not None and receipt.kind != "trial_credit" else None
        if card is not None and receipt.card_id in (None, card.card_id):
            receipt = replace(receipt, card=card)
        self.receipts.setdefault(receipt.receipt_id, receipt)
