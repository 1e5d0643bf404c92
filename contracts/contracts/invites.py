"""Invitations: asked of and told by invites."""

from datetime import timedelta
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.message import (
    PERSONAL,
    AccountId,
    ActorId,
    Address,
    CodeDigest,
    Command,
    CommandRefused,
    Fact,
    Instant,
    InvitationId,
    OrganizationId,
    SeenOrganizationVersion,
    SeenProfileVersion,
    Version,
)
from contracts.topic import Cleanup, PersonalData, Topic

OrganizationName = Annotated[
    str,
    Field(description="What the organization is called; written by people, not to be trusted in letters or pages."),
]
InviterId = Annotated[UUID, Field(description="The account that invited.")]
InviterName = Annotated[
    str,
    Field(
        description="What the inviter calls themselves, empty where it is not known. Personal data, not to be trusted.",
        json_schema_extra=PERSONAL,
    ),
]
ExpiryTime = Annotated[
    AwareDatetime, Field(description="When the invitation's time is over, with its time zone (written in UTC).")
]


class InviteMember(Command):
    """Invite an address into an organization. Outcome: InvitationIssued (with an InvitationSuperseded where one was
    pending), or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.invite.v1"
    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    actor_id: ActorId
    address: str = Field(max_length=1000, json_schema_extra=PERSONAL)
    """The address as the admin typed it; invites validates it. Personal data."""
    seen_profile_version: SeenProfileVersion = None
    seen_organization_version: SeenOrganizationVersion = None


class RevokeInvitation(Command):
    """Kill a pending invitation's link. Outcome: InvitationRevoked, or CommandRefused; where an acceptance is in
    flight, the outcome comes when membership has spoken."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.revoke.v1"
    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    actor_id: ActorId
    invitation_id: InvitationId
    seen_organization_version: SeenOrganizationVersion = None


class AcceptInvitation(Command):
    """Follow the link as a signed-in account. Outcome: InvitationAccepted (membership then admits or refuses),
    AcceptanceRepeated, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.accept.v1"
    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    actor_id: ActorId
    code_digest: CodeDigest
    seen_profile_version: SeenProfileVersion = None
    seen_organization_version: SeenOrganizationVersion = None


class DeclineInvitation(Command):
    """Say no, by the link; an account is not needed for it. Outcome: InvitationDeclined, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.decline.v1"
    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    actor_id: UUID | None = None
    """The account that declines, where somebody is signed in."""
    code_digest: CodeDigest


class InvitationFact(Fact):
    """What every fact about an invitation says."""

    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    invitation_id: InvitationId
    version: Version


class InvitationIssued(InvitationFact):
    """An invitation is pending, and its link is live until it expires."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.issued.v1"

    address: Address
    code_digest: CodeDigest
    organization_name: OrganizationName
    inviter_id: InviterId
    inviter_name: InviterName
    issued_at: Instant
    expires_at: ExpiryTime
    supersedes: UUID | None
    """The invitation whose link died for this one, where there was one."""


class InvitationSuperseded(InvitationFact):
    """A newer invitation has taken this one's place; this link is dead."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.superseded.v1"

    superseded_by: UUID
    """The newer invitation."""
    superseded_at: Instant


class InvitationRevoked(InvitationFact):
    """The link is dead, and nobody joined by it."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.revoked.v1"

    reason: str
    """`revoked` (somebody asked), `member_removed` (its address belongs to somebody who was removed),
    `inviter_removed` (its sender was removed), `already_a_member` (its address became a member in another way)."""
    revoked_by: UUID | None
    """The account that asked, where somebody did."""
    revoked_at: Instant


class InvitationDeclined(InvitationFact):
    """The invitee said no; the link is dead."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.declined.v1"

    declined_by: UUID | None
    """The account that declined, where somebody was signed in."""
    declined_at: Instant


class InvitationExpiring(InvitationFact):
    """The invitation is still pending and expires soon: the moment for one reminder."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.expiring.v1"

    address: Address
    organization_name: OrganizationName
    inviter_id: InviterId
    inviter_name: InviterName
    expires_at: ExpiryTime


class InvitationExpired(InvitationFact):
    """Nobody accepted in time; the link is dead. The address can be invited again."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.expired.v1"

    expired_at: Instant


class InvitationAccepted(InvitationFact):
    """The right account followed the live link; the invitation is reserved for it until membership admits it
    (MemberJoined) or refuses it (AdmissionRefused)."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.accepted.v1"

    account_id: AccountId
    inviter_id: InviterId
    accepted_at: Instant


class AcceptanceRepeated(InvitationFact):
    """The account that has accepted this invitation accepted it again (a double click, a second tab). Nothing changes;
    it is the answer to the second command."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.acceptance-repeated.v1"

    account_id: AccountId


class InvitationReopened(InvitationFact):
    """Membership refused the account; the invitation is pending again, and its link is live."""

    ce_type: ClassVar[str] = "io.carolinacloud.invitation.reopened.v1"

    account_id: AccountId
    reason: str
    """Why membership refused, as in AdmissionRefused."""
    expires_at: ExpiryTime
    reopened_at: Instant


INVITES_COMMANDS = Topic(
    name="invites.commands",
    key="organization id",
    owner="invites",
    writers=("console",),
    readers=("invites",),
    messages=(InviteMember, RevokeInvitation, AcceptInvitation, DeclineInvitation),
    partitions=6,
    retention=timedelta(days=7),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.ADDRESSES,
)

INVITES_EVENTS = Topic(
    name="invites.events",
    key="organization id",
    owner="invites",
    writers=("invites",),
    readers=("membership", "notifier", "console"),
    messages=(
        InvitationIssued,
        InvitationSuperseded,
        InvitationRevoked,
        InvitationDeclined,
        InvitationExpiring,
        InvitationExpired,
        InvitationAccepted,
        AcceptanceRepeated,
        InvitationReopened,
        CommandRefused,
    ),
    partitions=6,
    retention=timedelta(days=30),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.ADDRESSES,
)
