"""Who pays: asked of and told by billing."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from contracts.message import (
    AccountId,
    ActorId,
    Command,
    CommandRefused,
    Fact,
    Instant,
    MembershipId,
    MicroDollars,
    OrganizationId,
    SeenOrganizationVersion,
    Version,
)
from contracts.topic import Cleanup, PersonalData, Topic

SourceKind = Annotated[
    Literal["organization_credit", "organization_card", "member_credit", "member_card"],
    Field(
        description="What kind of source pays: the organization's prepaid credit or card, the member's trial credit or "
        "card."
    ),
]
PayerKind = Annotated[
    Literal["organization", "account"], Field(description="Whether the payer is an organization or a person.")
]
PayerId = Annotated[UUID, Field(description="The id of the organization or account that pays.")]
ChainId = Annotated[UUID, Field(description="The billing chain's id (UUIDv7): one per membership.")]
CardId = Annotated[
    str, Field(max_length=255, description="The payment provider's reference of a card; never its number.")
]
PaymentId = Annotated[UUID, Field(description="The id (UUIDv7) of a payment by card, by which it is made only once.")]
EffectiveTime = Annotated[
    AwareDatetime,
    Field(
        description="From when on it holds, with its time zone (written in UTC): when the member joined, "
        "left or was removed."
    ),
]


class ChainSource(BaseModel):
    """One place that money is drawn from."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    position: int = Field(ge=1)
    """Its turn: source 2 pays only what source 1 cannot."""
    kind: SourceKind
    payer_kind: PayerKind
    payer_id: PayerId


class SourceShare(BaseModel):
    """What one source paid of a charge, and what is left there."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    kind: SourceKind
    payer_id: PayerId
    amount: MicroDollars
    left: MicroDollars
    """What the source holds after this: of a credit the balance, of a card the rest of the block that was charged."""
    payer_version: Version
    """Of the payer: of two shares, or a share and a fact about the payer, the one with the higher version is newer."""
    burn_rate: MicroDollars
    """What is drawn from this payer in an hour, at the present rate, by everybody."""


class PayerCommand(Command):
    """What every command about money says."""

    key_field: ClassVar[str] = "payer_id"

    payer_kind: PayerKind
    payer_id: PayerId
    actor_id: ActorId
    seen_organization_version: SeenOrganizationVersion


class TopUpCredit(PayerCommand):
    """Buy prepaid credit for an organization, with its card, as the owner or an admin. Outcome: CreditToppedUp when the
    card was charged, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.credit.top-up.v1"

    amount: MicroDollars


class AttachCard(PayerCommand):
    """Put a card on file, in the place of an earlier one: an organization's as its owner or an admin, an account's as
    the account itself. It is checked with its bank, and not charged. Outcome: CardAttached, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.attach.v1"

    card_id: CardId


class DetachCard(PayerCommand):
    """Take the card off file. What is left of a block that it was charged is still used. Outcome: CardDetached, or
    CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.detach.v1"


class RetryCard(PayerCommand):
    """Count on a card again that was declined. It is charged when it is its turn, and may be declined anew. Outcome:
    CardRetried, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.retry.v1"


class SetSpendCap(PayerCommand):
    """Limit what a member may draw from the organization's sources in a calendar month (UTC), as the owner or an admin.
    Outcome: SpendCapSet, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.spend-cap.set.v1"

    account_id: AccountId
    cap: MicroDollars | None
    """None takes the limit away; 0 leaves the member to their own sources."""


class ChainFact(Fact):
    """What every fact about a member's billing chain says."""

    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    account_id: AccountId
    membership_id: MembershipId
    chain_id: ChainId
    version: Version


class BillingChainEstablished(ChainFact):
    """From `effective_at` on, the member's usage is paid by these sources, in this order."""

    ce_type: ClassVar[str] = "io.carolinacloud.billing-chain.established.v1"

    sources: tuple[ChainSource, ...]
    """In the order in which they are drawn from."""
    effective_at: EffectiveTime
    established_at: Instant


class BillingChainClosed(ChainFact):
    """From `effective_at` on, the organization pays nothing more for this member."""

    ce_type: ClassVar[str] = "io.carolinacloud.billing-chain.closed.v1"

    reason: str
    """`left`, or `removed`."""
    effective_at: EffectiveTime
    closed_at: Instant


class PayerFact(Fact):
    """What every fact about a payer says."""

    key_field: ClassVar[str] = "payer_id"

    payer_kind: PayerKind
    payer_id: PayerId
    version: Version


class CreditToppedUp(PayerFact):
    """Prepaid credit was bought; the organization's card was charged for it."""

    ce_type: ClassVar[str] = "io.carolinacloud.credit.topped-up.v1"

    payment_id: PaymentId
    amount: MicroDollars
    balance: MicroDollars
    """The organization's credit after this."""
    topped_up_by: ActorId
    topped_up_at: Instant


class CreditGranted(PayerFact):
    """An account has its trial credit: once for each address that was proven."""

    ce_type: ClassVar[str] = "io.carolinacloud.credit.granted.v1"

    amount: MicroDollars
    balance: MicroDollars
    """The account's trial credit after this."""
    granted_at: Instant


class CardAttached(PayerFact):
    """A card is on file, in the place of an earlier one."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.attached.v1"

    card_id: CardId
    brand: str
    """Such as `visa`, in the provider's words."""
    last4: str
    """The last four digits, by which people know their cards."""
    expiry_month: int = Field(ge=1, le=12)
    """The month of the year after which it is no good."""
    expiry_year: int = Field(ge=2000)
    """In four digits."""
    attached_by: ActorId
    attached_at: Instant


class CardDetached(PayerFact):
    """No card is on file any more."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.detached.v1"

    card_id: CardId
    detached_at: Instant


class CardCharged(PayerFact):
    """A card was charged a block, ahead of the usage that will use it up."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.charged.v1"

    payment_id: PaymentId
    card_id: CardId
    amount: MicroDollars
    left: MicroDollars
    """What the payer has paid by card and not used up, after this."""
    charged_at: Instant


class CardDeclined(PayerFact):
    """The card's bank said no, or asks for the cardholder; the card counts as exhausted until it is replaced or tried
    again by its owner."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.declined.v1"

    card_id: CardId
    amount: MicroDollars
    """What it was to be charged."""
    reason: str
    """The payment provider's decline code, such as `insufficient_funds` or `authentication_required`."""
    attached_by: ActorId
    declined_at: Instant


class CardRetried(PayerFact):
    """A card that was declined is counted on again."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.retried.v1"

    card_id: CardId
    retried_at: Instant


class SpendCapSet(PayerFact):
    """What a member may draw from the organization's sources in a calendar month (UTC) is limited, or not any more."""

    ce_type: ClassVar[str] = "io.carolinacloud.spend-cap.fixed.v1"

    account_id: AccountId
    cap: MicroDollars | None
    """None where there is no limit any more."""
    set_by: ActorId
    set_at: Instant


class AccountFact(Fact):
    """What every fact about the usage of an account says."""

    key_field: ClassVar[str] = "account_id"

    account_id: AccountId
    version: Version


class Charge(AccountFact):
    """What is said of a charge, and of its reversal. A usage that lies on both sides of an account's joining or leaving
    is charged in parts."""

    usage_id: UUID
    """Of the usage: the same for each part, and each time that it is charged."""
    part: int = Field(ge=1)
    """1 for a usage that is charged in one piece; otherwise its pieces count up in the order of their time."""
    organization_id: OrganizationId | None
    """In which the account was then; none where it was in none, and its own sources alone could pay."""
    resource: str
    """What was used, such as `gpu-a100` or `storage-gb`."""
    instance_id: str
    """The instance that used it."""
    used_from: AwareDatetime
    """The start of the interval (included)."""
    used_until: AwareDatetime
    """The end of the interval (not included)."""
    amount: MicroDollars
    shares: tuple[SourceShare, ...]
    """By source, in the order in which they were drawn from; with `written_off` they sum up to `amount`."""
    written_off: MicroDollars
    """What no source could pay. Nobody is ever charged for it."""


class UsageCharged(Charge):
    """A recorded usage was booked, and split over the sources that paid."""

    ce_type: ClassVar[str] = "io.carolinacloud.usage.charged.v1"

    burn_rate: MicroDollars
    """What the account uses in an hour, at the present rate."""
    charged_at: Instant


class ChargeReversed(Charge):
    """A charge was taken back in full, since it is known by now that the account had joined or left before;
    UsageCharged of the same usage follows. The shares say what was given back."""

    ce_type: ClassVar[str] = "io.carolinacloud.charge.reversed.v1"

    reversed_at: Instant


class FundsLow(AccountFact):
    """At the present rate, no source of the account can pay any more before long. Told once, until there is more."""

    ce_type: ClassVar[str] = "io.carolinacloud.funds.low.v1"

    organization_id: OrganizationId | None
    """In which the account is, if it is in one."""
    left: MicroDollars
    """What all its sources hold."""
    burn_rate: MicroDollars
    """What the account uses in an hour."""
    exhausted_by: AwareDatetime
    """When nothing will be left, at this rate."""
    noticed_at: Instant


class FundsExhausted(AccountFact):
    """No source of the account can pay: its instances are to stop."""

    ce_type: ClassVar[str] = "io.carolinacloud.funds.exhausted.v1"

    organization_id: OrganizationId | None
    """In which the account is, if it is in one."""
    exhausted_at: Instant


class FundsRestored(AccountFact):
    """After FundsExhausted, a source can pay again: the account's instances may go on."""

    ce_type: ClassVar[str] = "io.carolinacloud.funds.restored.v1"

    restored_at: Instant


BILLING_COMMANDS = Topic(
    name="billing.commands",
    key="organization or account id (the payer)",
    owner="billing",
    writers=("console",),
    readers=("billing",),
    messages=(TopUpCredit, AttachCard, DetachCard, RetryCard, SetSpendCap),
    partitions=6,
    retention=timedelta(days=7),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.IDENTIFIERS,
)

BILLING_EVENTS = Topic(
    name="billing.events",
    key="organization or account id",
    owner="billing",
    writers=("billing",),
    readers=("console", "notifier"),
    messages=(
        BillingChainEstablished,
        BillingChainClosed,
        CreditToppedUp,
        CreditGranted,
        CardAttached,
        CardDetached,
        CardCharged,
        CardDeclined,
        CardRetried,
        SpendCapSet,
        UsageCharged,
        ChargeReversed,
        FundsLow,
        FundsExhausted,
        FundsRestored,
        CommandRefused,
    ),
    partitions=6,
    retention=timedelta(days=365),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.IDENTIFIERS,
)
