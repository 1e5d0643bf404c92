"""Money as JSON. Amounts are whole micro-dollars, as in the messages: 1 dollar is 1000000."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from console.api.models import Input, NextCursor, Output
from console.view.money import Funds, ReceiptKind
from contracts.billing import SourceKind

_MOST = 10**15
"""A billion dollars: what is more is a typing error."""
_CENT = 10_000

MicroDollars = Annotated[int, Field(description="In micro-dollars.", json_schema_extra={"format": "int64"})]
PerHour = Annotated[
    int,
    Field(
        description="Micro-dollars an hour, at the present rate; 0 where nothing is used.",
        json_schema_extra={"format": "int64"},
    ),
]
MonthName = Annotated[str, Field(description="A calendar month (UTC).", examples=["2026-03"])]
# As a payment provider names things, so that nobody's card number gets any further than this by mistake.
CardReference = Annotated[
    str,
    StringConstraints(max_length=255, pattern=r"^[A-Za-z]+_[A-Za-z0-9_]+$"),
    Field(
        description="The payment provider's reference, made in the person's browser: with Stripe, the id of a "
        "PaymentMethod. Never a card's number.",
        examples=["pm_card_visa"],
    ),
]


class BySource(Output):
    """Who has paid how much."""

    organization_credit: MicroDollars
    organization_card: MicroDollars
    member_credit: MicroDollars
    member_card: MicroDollars


class Card(Output):
    """A card on file."""

    card_id: str
    """The payment provider's reference."""
    brand: Annotated[str, Field(examples=["visa"])]
    """In the payment provider's words."""
    last4: Annotated[str, Field(examples=["4242"])]
    expiry_month: int
    """The month of the year after which it is no good."""
    expiry_year: int
    declined: Annotated[str | None, Field(examples=["insufficient_funds"])]
    """Why its bank said no, as the provider's code: it is not charged until it is replaced or retried. None while it is
    counted on."""


class PaymentMethod(Output):
    """The card of a payer."""

    card: Card | None
    """None where no card is on file."""
    left: MicroDollars
    """What cards were charged in advance and is not used up yet: it is used first, whatever becomes of the card."""


class Source(Output):
    """One place that usage is paid from."""

    kind: SourceKind
    payer_id: UUID
    """The organization, or the account itself."""
    left: MicroDollars
    """Of a credit the balance; of a card what it was charged in advance and is not used up yet."""
    burn_rate: PerHour
    """What everybody draws from its payer."""
    card: Card | None
    """The organization's is shown to its admins alone."""
    can_pay: bool
    """Whether it pays when it is its turn. A card that is counted on can; no source of the organization can while the
    spend cap is reached."""


class BillingChain(Output):
    """Who pays for what the caller uses: now, and until when."""

    organization_id: UUID | None
    sources: list[Source]
    """In the order in which they are drawn from: four in an organization, two without one."""
    paying: SourceKind | None
    """Who pays next. None where nothing can pay."""
    until: datetime | None
    """Until when that one pays. None where it does not end, or nothing is used."""
    exhausted_at: datetime | None
    """When nothing can pay any more; where that is so already, since when. None where it does not come to that, or
    nothing is used."""
    funds: Funds
    """`exhausted`: the caller's instances are stopped. `low`: they will be before long."""
    burn_rate: PerHour
    """What the caller uses."""
    cap: MicroDollars | None
    """What the organization pays at most for the caller in a calendar month. None where there is no limit."""
    spent: MicroDollars
    """What the organization has paid for the caller this month."""


class OrganizationBilling(Output):
    """What an organization pays by."""

    organization_id: UUID
    credit: MicroDollars
    """What is left of what was bought."""
    burn_rate: PerHour
    """What all its members draw."""
    month: MonthName
    """The present one."""
    spent: MicroDollars | None
    """What it has paid this month, for all its members. Shown to admins alone."""
    payment_method: PaymentMethod | None
    """Shown to admins alone."""


class DayUsage(Output):
    """What was used on a day (UTC)."""

    day: date
    paid: BySource
    written_off: MicroDollars
    """What no source could pay. Nobody is ever charged for it."""


class Usage(Output):
    """What was used in a month."""

    month: MonthName
    paid: BySource
    written_off: MicroDollars
    """What no source could pay. Nobody is ever charged for it."""
    days: list[DayUsage]
    """Those on which something was used."""


class MemberUsage(Output):
    """What somebody has used in a month. Name and address are empty for an account that is not known (any more)."""

    account_id: UUID
    name: str
    address: str
    paid: BySource
    written_off: MicroDollars
    cap: MicroDollars | None
    """What the organization pays at most for them in a month. None where there is no limit."""


class OrganizationUsage(Usage):
    """What was used in an organization in a month: by all of its members for its admins, by the caller for others."""

    members: list[MemberUsage]
    """Whoever is in it, and whoever was and has used something in the month; who spent most comes first."""


class TopUpRequest(Input):
    """How much credit is bought."""

    amount: Annotated[int, Field(strict=True, gt=0, le=_MOST, multiple_of=_CENT, examples=[25_000_000])]
    """In micro-dollars; whole cents, since cards are charged in these."""


class TopUp(Output):
    """Credit was bought, and the organization's card was charged for it."""

    payment_id: UUID
    """That of its receipt."""
    organization_id: UUID
    amount: MicroDollars
    balance: MicroDollars
    """The organization's credit after this."""
    topped_up_at: datetime


class CardRequest(Input):
    """Another card."""

    card_id: CardReference


class SpendCapRequest(Input):
    """A limit."""

    cap: Annotated[int, Field(strict=True, ge=0, le=_MOST, examples=[50_000_000])]
    """In micro-dollars, for each calendar month (UTC); 0 leaves the member to their own sources."""


class SpendCap(Output):
    """What the organization pays at most for a member in a month."""

    organization_id: UUID
    account_id: UUID
    cap: MicroDollars


class Receipt(Output):
    """Money that came in."""

    receipt_id: UUID
    kind: ReceiptKind
    """`top_up`: prepaid credit was bought. `card_charge`: a card was charged in advance, for usage. `trial_credit`: a
    gift."""
    amount: MicroDollars
    at: datetime
    card: Annotated[str, Field(examples=["Visa ending in 4242"])]
    """Empty where it is not known, or there was none."""
    by: UUID | None
    """The account that bought; none where nobody did."""


class ReceiptPage(Output):
    """Some of the receipts."""

    items: list[Receipt]
    next: NextCursor
