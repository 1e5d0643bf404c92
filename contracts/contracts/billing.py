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
    """What one source paid of a charge."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    kind: SourceKind
    payer_id: PayerId
    amount: MicroDollars


class PayerCommand(Command):
    """What every command about money says."""

    key_field: ClassVar[str] = "payer_id"

    payer_kind: PayerKind
    payer_id: PayerId
    actor_id: ActorId


class TopUpCredit(PayerCommand):
    """Buy prepaid credit for an organization. Outcome: CreditToppedUp, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.credit.top-up.v1"

    amount: MicroDollars


class AttachCard(PayerCommand):
    """Put a card on file, in the place of an earlier one. Outcome: CardAttached, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.attach.v1"

    card_id: CardId


class DetachCard(PayerCommand):
    """Take the card off file. Outcome: CardDetached, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.detach.v1"


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
    """Prepaid credit was bought."""

    ce_type: ClassVar[str] = "io.carolinacloud.credit.topped-up.v1"

    amount: MicroDollars
    balance: MicroDollars
    topped_up_at: Instant


class CardAttached(PayerFact):
    """A card is on file."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.attached.v1"

    card_id: CardId
    attached_at: Instant


class CardDetached(PayerFact):
    """No card is on file any more."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.detached.v1"

    card_id: CardId
    detached_at: Instant


class CardDeclined(PayerFact):
    """The card's bank said no; the card counts as exhausted until it is replaced or tried again by its owner."""

    ce_type: ClassVar[str] = "io.carolinacloud.card.declined.v1"

    card_id: CardId
    reason: str
    """The payment provider's decline code."""
    declined_at: Instant


class UsageCharged(Fact):
    """A recorded usage was booked, and split over the sources that paid."""

    ce_type: ClassVar[str] = "io.carolinacloud.usage.charged.v1"
    key_field: ClassVar[str] = "account_id"

    account_id: AccountId
    version: Version
    usage_id: str
    """The CloudEvents id of the UsageRecorded."""
    amount: MicroDollars
    shares: tuple[SourceShare, ...]
    """What each source paid; with `written_off` it sums up to `amount`."""
    written_off: MicroDollars
    charged_at: Instant


class FundsExhausted(Fact):
    """No source of the member can pay: its instances are to stop."""

    ce_type: ClassVar[str] = "io.carolinacloud.funds.exhausted.v1"
    key_field: ClassVar[str] = "account_id"

    account_id: AccountId
    version: Version
    exhausted_at: Instant


BILLING_COMMANDS = Topic(
    name="billing.commands",
    key="organization or account id (the payer)",
    owner="billing",
    writers=("console",),
    readers=(),
    messages=(TopUpCredit, AttachCard, DetachCard),
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
    readers=(),
    messages=(
        BillingChainEstablished,
        BillingChainClosed,
        CreditToppedUp,
        CardAttached,
        CardDetached,
        CardDeclined,
        UsageCharged,
        FundsExhausted,
        CommandRefused,
    ),
    partitions=6,
    retention=timedelta(days=365),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.IDENTIFIERS,
)
