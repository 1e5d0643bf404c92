"""Money, as pages and the API show it: sources, cards, spending, receipts. Amounts are integer micro-dollars. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Literal
from uuid import UUID

from contracts.billing import SourceKind

Funds = Literal["ok", "low", "exhausted"]
ReceiptKind = Literal["top_up", "card_charge", "trial_credit"]

ORGANIZATION_SOURCES: tuple[SourceKind, ...] = ("organization_credit", "organization_card")
MEMBER_SOURCES: tuple[SourceKind, ...] = ("member_credit", "member_card")
SOURCES: tuple[SourceKind, ...] = (*ORGANIZATION_SOURCES, *MEMBER_SOURCES)
"""In the order in which they are drawn from."""

_BRANDS = {"amex": "American Express", "diners": "Diners Club", "jcb": "JCB", "unionpay": "UnionPay"}
"""Those that are not written as the payment provider's word for them with a capital."""


@dataclass(frozen=True, slots=True)
class Card:
    """A card on file. Of its number only the end is known."""

    card_id: str
    """The payment provider's reference."""
    brand: str
    """In the provider's words, such as `visa`."""
    last4: str
    expiry_month: int
    """The month of the year after which it is no good."""
    expiry_year: int
    """In four digits."""
    declined: str | None
    """Why its bank said no, as the provider's code; none while it is counted on."""

    @property
    def name(self) -> str:
        """As people know it: "Visa ending in 4242"."""
        return card_name(self.brand, self.last4)


@dataclass(frozen=True, slots=True)
class Source:
    """One place that an account's usage is paid from."""

    kind: SourceKind
    payer_id: UUID
    """The organization, or the account itself."""
    left: int
    """Of a credit the balance; of a card what it was charged and is not used up yet."""
    burn_rate: int
    """What is drawn from its payer in an hour, by everybody, at the present rate."""
    card: Card | None
    """Of the source that is a card, where one is on file. The organization's is told to its admins alone."""
    can_pay: bool
    """Whether it pays when it is its turn: something is left or its card can be charged, and no spend cap is in the
    way."""


@dataclass(frozen=True, slots=True)
class BillingChain:
    """Who pays for what an account uses: now, and until when."""

    account_id: UUID
    organization_id: UUID | None
    sources: tuple[Source, ...]
    """In the order in which they are drawn from: four in an organization, two without one."""
    paying: SourceKind | None
    """Who pays next; none where nothing can pay."""
    until: datetime | None
    """Until when that one pays, at the present rate; none where it does not end, or nothing is used."""
    exhausted_at: datetime | None
    """When nothing can pay any more, at the present rate; where that is so already, since when. None where it does not
    come to that, or nothing is used."""
    funds: Funds
    """`exhausted`: the account's instances are stopped. `low`: they will be before long."""
    burn_rate: int
    """What the account uses in an hour, at the present rate."""
    cap: int | None
    """What the organization pays at most for the account in a month."""
    spent: int
    """What the organization has paid for the account this month."""

    def without_organization_s_card(self) -> "BillingChain":
        """As those see it who are no admins: whether the organization's card can pay, and not which one it is."""
        sources = (replace(each, card=None) if each.kind == "organization_card" else each for each in self.sources)
        return replace(self, sources=tuple(sources))


@dataclass(frozen=True, slots=True)
class OrganizationMoney:
    """What an organization pays by, and what it pays."""

    organization_id: UUID
    credit: int
    """What is left of what was bought."""
    card: Card | None
    card_left: int
    """What its card was charged and is not used up yet."""
    burn_rate: int
    """What is drawn from the organization in an hour, at the present rate."""
    spent: int
    """What it has paid this month, for all its members."""


@dataclass(frozen=True, slots=True)
class MemberSpend:
    """What a member's usage has cost in a month, in the organization. Name and address are empty for an account that
    console does not know (any more)."""

    account_id: UUID
    name: str
    address: str
    by_source: Mapping[SourceKind, int]
    """All four kinds of source."""
    written_off: int
    """What no source could pay. Nobody is ever charged for it."""
    cap: int | None
    """What the organization pays at most for them in a month."""

    @property
    def total(self) -> int:
        """What was paid, by whomever."""
        return sum(self.by_source.values())

    @property
    def from_organization(self) -> int:
        """What counts against the cap."""
        return sum(self.by_source.get(kind, 0) for kind in ORGANIZATION_SOURCES)


@dataclass(frozen=True, slots=True)
class DaySpend:
    """What was used on a day (UTC), by who paid for it. Usage counts for the day on which it began."""

    day: date
    by_source: Mapping[SourceKind, int]
    """All four kinds of source."""
    written_off: int

    @property
    def total(self) -> int:
        """What was paid, by whomever."""
        return sum(self.by_source.values())


@dataclass(frozen=True, slots=True)
class Receipt:
    """Money that came in."""

    receipt_id: UUID
    """Of a payment by card the payment's."""
    kind: ReceiptKind
    """`top_up`: prepaid credit was bought; `card_charge`: a block, to be used up; `trial_credit`: a gift."""
    amount: int
    at: datetime
    card: str
    """The card that was charged, such as "Visa ending in 4242"; empty where it is not known, or there was none."""
    by: UUID | None
    """The account that bought; none where nobody did."""


def card_name(brand: str, last4: str) -> str:
    """As people know their card; `brand` in the payment provider's words."""
    return f"{_BRANDS.get(brand, brand.title())} ending in {last4}"


def month_of(instant: datetime) -> date:
    """The first day of the calendar month (UTC) that an instant is in: how months are named here."""
    return instant.astimezone(UTC).date().replace(day=1)


def month_after(month: date) -> date:
    """The next one."""
    return date(month.year + month.month // 12, month.month % 12 + 1, 1)
