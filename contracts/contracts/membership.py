"""Organizations and their members: asked of and told by membership."""

from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from pydantic import Field

from contracts.message import (
    AccountId,
    ActorId,
    Command,
    CommandRefused,
    Fact,
    Instant,
    InvitationId,
    MembershipId,
    OrganizationId,
    Role,
    Version,
)
from contracts.topic import Cleanup, PersonalData, Topic


class CreateOrganization(Command):
    """Make an organization and own it. Outcome: OrganizationCreated and the owner's MemberJoined, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.organization.create.v1"
    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    actor_id: ActorId
    name: str = Field(max_length=1000)
    """What it shall be called: 2 to 255 characters, unique whatever the case; membership validates it."""


class MemberCommand(Command):
    """What every command about a member says."""

    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    actor_id: ActorId
    account_id: AccountId


class PromoteMember(MemberCommand):
    """Make a member an admin. Outcome: MemberPromoted, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.promote.v1"


class DemoteMember(MemberCommand):
    """Make an admin a plain member. Outcome: MemberDemoted, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.demote.v1"


class RemoveMember(MemberCommand):
    """Put a member out of the organization. Outcome: MemberRemoved, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.remove.v1"


class LeaveOrganization(Command):
    """Leave the organization that one is in. Outcome: MemberLeft, or CommandRefused."""

    ce_type: ClassVar[str] = "io.carolinacloud.organization.leave.v1"
    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    actor_id: ActorId


class OrganizationFact(Fact):
    """What every fact about an organization says."""

    key_field: ClassVar[str] = "organization_id"

    organization_id: OrganizationId
    version: Version


class OrganizationCreated(OrganizationFact):
    """There is a new organization; the MemberJoined of its owner follows it."""

    ce_type: ClassVar[str] = "io.carolinacloud.organization.created.v1"

    name: str
    """What it is called; written by people, not to be trusted in letters or pages."""
    owner_id: UUID
    """The account that owns it."""
    created_at: Instant


class MemberJoined(OrganizationFact):
    """An account is in the organization from now on: its owner, or somebody whose acceptance was admitted."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.joined.v1"

    account_id: AccountId
    membership_id: MembershipId
    role: Role
    invitation_id: UUID | None
    """The accepted invitation; none for the owner who created the organization."""
    inviter_id: UUID | None
    """The account that invited; none for the owner."""
    joined_at: Instant


class AdmissionRefused(OrganizationFact):
    """Somebody accepted an invitation and cannot be admitted. The version is the organization's, unchanged."""

    ce_type: ClassVar[str] = "io.carolinacloud.admission.refused.v1"

    account_id: AccountId
    invitation_id: InvitationId
    reason: str
    """`in_another_organization` or `unknown_organization` (invites reopens the invitation), `already_a_member` or
    `already_accepted` (somebody else has used it; invites closes it)."""
    refused_at: Instant


class MemberPromoted(OrganizationFact):
    """A member is an admin now."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.promoted.v1"

    account_id: AccountId
    membership_id: MembershipId
    role: Role
    promoted_by: UUID
    """The account that did it."""
    promoted_at: Instant


class MemberDemoted(OrganizationFact):
    """An admin is a plain member now."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.demoted.v1"

    account_id: AccountId
    membership_id: MembershipId
    role: Role
    demoted_by: UUID
    """The account that did it."""
    demoted_at: Instant


class MemberRemoved(OrganizationFact):
    """An account was put out of the organization."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.removed.v1"

    account_id: AccountId
    membership_id: MembershipId
    removed_by: UUID
    """The account that did it."""
    removed_at: Instant


class MemberLeft(OrganizationFact):
    """An account left the organization by itself."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.left.v1"

    account_id: AccountId
    membership_id: MembershipId
    left_at: Instant


MEMBERSHIP_COMMANDS = Topic(
    name="membership.commands",
    key="organization id",
    owner="membership",
    writers=("console",),
    readers=("membership",),
    messages=(CreateOrganization, PromoteMember, DemoteMember, RemoveMember, LeaveOrganization),
    partitions=6,
    retention=timedelta(days=7),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.IDENTIFIERS,
)

MEMBERSHIP_EVENTS = Topic(
    name="membership.events",
    key="organization id",
    owner="membership",
    writers=("membership",),
    readers=("invites", "billing", "notifier", "console"),
    messages=(
        OrganizationCreated,
        MemberJoined,
        AdmissionRefused,
        MemberPromoted,
        MemberDemoted,
        MemberRemoved,
        MemberLeft,
        CommandRefused,
    ),
    partitions=6,
    retention=timedelta(days=365),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.IDENTIFIERS,
)
