"""Organizations, their members and roles: the rules of DESIGN section 2, decided in memory.

Versions: a new organization's OrganizationCreated is version 1 and its owner's MemberJoined version 2; every further
change of who is in it, and as what, adds 1. A refusal changes nothing and carries the version as it is.
"""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts import (
    AdmissionRefused,
    CreateOrganization,
    DemoteMember,
    InvitationAccepted,
    LeaveOrganization,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    OrganizationCreated,
    PromoteMember,
    Reason,
    Refused,
    RemoveMember,
)
from contracts.message import Role
from membership.names import MAX_LENGTH, MIN_LENGTH, OrganizationName

_FIRST_VERSION = 1


@dataclass(slots=True)
class Organization:
    """An organization, as far as deciding needs it: its members are in the Roster, those that are mentioned."""

    organization_id: UUID
    name: OrganizationName
    created_at: datetime
    version: int
    stored_version: int = 0
    """The version that the database has; 0 where it has none of it."""

    def advance(self) -> int:
        """The version of the change that is being made."""
        self.version += 1
        return self.version


@dataclass(slots=True)
class Member:
    """One stay of one account in one organization."""

    membership_id: UUID
    organization_id: UUID
    account_id: UUID
    role: Role
    invitation_id: UUID | None
    """The invitation that was accepted; none for the owner."""
    joined_at: datetime
    ended_at: datetime | None = None
    """When the account left or was removed; none while it is a member."""


@dataclass(slots=True)
class Roster:
    """The organizations and members that a batch of messages mentions, and what becomes of them.

    Methods raise Refused, or return AdmissionRefused, before anything has changed.
    """

    organizations: dict[UUID, Organization] = field(default_factory=dict)
    members: dict[UUID, Member] = field(default_factory=dict)
    """By account, over all organizations: an account is in at most one."""
    admitted: dict[UUID, UUID] = field(default_factory=dict)
    """Invitation to the account that it has made a member, whether or not that is one still."""
    taken_names: set[str] = field(default_factory=set)
    """Those of the names in the batch, folded, that an organization has."""
    joined: list[Member] = field(default_factory=list)
    """New since the roster was loaded."""
    changed: dict[UUID, Member] = field(default_factory=dict)
    """By membership: those with another role, or an end, since the roster was loaded."""

    def create(
        self, command: CreateOrganization, membership_id: UUID, now: datetime
    ) -> tuple[OrganizationCreated, MemberJoined]:
        """A new organization, owned by the actor. Raises Refused."""
        name = OrganizationName.parse(command.name)
        if name is None:
            raise Refused(
                Reason.MALFORMED_NAME,
                f"An organization's name has {MIN_LENGTH} to {MAX_LENGTH} characters, all on one line.",
            )
        if command.organization_id in self.organizations:
            raise Refused(Reason.ORGANIZATION_EXISTS, "This organization has been created already.")
        if command.actor_id in self.members:
            raise Refused(
                Reason.ALREADY_IN_AN_ORGANIZATION,
                "You are in an organization already. Leave it before you create another one.",
            )
        if name.folded in self.taken_names:
            raise Refused(Reason.NAME_TAKEN, f"There is an organization called “{name.text}” already.")
        organization = Organization(command.organization_id, name, now, _FIRST_VERSION)
        self.organizations[organization.organization_id] = organization
        self.taken_names.add(name.folded)
        created = OrganizationCreated(
            organization_id=organization.organization_id,
            version=organization.version,
            name=name.text,
            owner_id=command.actor_id,
            created_at=now,
        )
        owner = Member(membership_id, organization.organization_id, command.actor_id, "owner", None, now)
        return created, self._add(owner, organization, inviter_id=None)

    def admit(
        self, accepted: InvitationAccepted, membership_id: UUID, now: datetime
    ) -> tuple[MemberJoined | AdmissionRefused, ...]:
        """Who accepted is a member from now on, or is refused. Nothing to tell where the same invitation has admitted
        the same account before, though it may have left since: an invitation is good for one stay."""
        if self.admitted.get(accepted.invitation_id) == accepted.account_id:
            return ()
        organization = self.organizations.get(accepted.organization_id)
        reason = self._why_not(accepted, organization)
        if reason is not None or organization is None:
            return (_refusal(accepted, reason or Reason.UNKNOWN_ORGANIZATION, organization, now),)
        member = Member(
            membership_id=membership_id,
            organization_id=accepted.organization_id,
            account_id=accepted.account_id,
            role="member",
            invitation_id=accepted.invitation_id,
            joined_at=now,
        )
        return (self._add(member, organization, accepted.inviter_id),)

    def promote(self, command: PromoteMember, now: datetime) -> MemberPromoted:
        """A member becomes an admin. Raises Refused."""
        organization, member = self._managed(command, "make somebody an admin")
        if member.role != "member":
            raise Refused(Reason.ALREADY_AN_ADMIN, "This member is an admin already.")
        self._change(member).role = "admin"
        return MemberPromoted(
            organization_id=organization.organization_id,
            version=organization.advance(),
            account_id=member.account_id,
            membership_id=member.membership_id,
            role=member.role,
            promoted_by=command.actor_id,
            promoted_at=now,
        )

    def demote(self, command: DemoteMember, now: datetime) -> MemberDemoted:
        """An admin becomes a plain member. Raises Refused."""
        organization, member = self._managed(command, "take the admin role from somebody")
        if member.role == "owner":
            raise Refused(Reason.OWNER_IS_FIXED, "The owner of an organization cannot be demoted.")
        if member.role != "admin":
            raise Refused(Reason.NOT_AN_ADMIN_ROLE, "This member is no admin, so there is nothing to take back.")
        self._change(member).role = "member"
        return MemberDemoted(
            organization_id=organization.organization_id,
            version=organization.advance(),
            account_id=member.account_id,
            membership_id=member.membership_id,
            role=member.role,
            demoted_by=command.actor_id,
            demoted_at=now,
        )

    def remove(self, command: RemoveMember, now: datetime) -> MemberRemoved:
        """A member is put out of the organization. Raises Refused."""
        organization, member = self._managed(command, "remove somebody")
        if member.role == "owner":
            raise Refused(Reason.OWNER_IS_FIXED, "The owner of an organization cannot be removed.")
        self._end(member, now)
        return MemberRemoved(
            organization_id=organization.organization_id,
            version=organization.advance(),
            account_id=member.account_id,
            membership_id=member.membership_id,
            removed_by=command.actor_id,
            removed_at=now,
        )

    def leave(self, command: LeaveOrganization, now: datetime) -> MemberLeft:
        """The actor leaves the organization. Raises Refused."""
        organization = self._organization(command.organization_id)
        member = self._member(organization, command.actor_id)
        if member is None:
            raise Refused(Reason.NOT_A_MEMBER, "You are no member of this organization.")
        if member.role == "owner":
            raise Refused(Reason.OWNER_IS_FIXED, "The owner cannot leave the organization.")
        self._end(member, now)
        return MemberLeft(
            organization_id=organization.organization_id,
            version=organization.advance(),
            account_id=member.account_id,
            membership_id=member.membership_id,
            left_at=now,
        )

    def _why_not(self, accepted: InvitationAccepted, organization: Organization | None) -> Reason | None:
        if organization is None:
            return Reason.UNKNOWN_ORGANIZATION
        if accepted.invitation_id in self.admitted:
            return Reason.ALREADY_ACCEPTED
        member = self.members.get(accepted.account_id)
        if member is None:
            return None
        if member.organization_id == accepted.organization_id:
            return Reason.ALREADY_A_MEMBER
        return Reason.IN_ANOTHER_ORGANIZATION

    def _managed(self, command: PromoteMember | DemoteMember | RemoveMember, deed: str) -> tuple[Organization, Member]:
        """The organization and the member that the command is about, once its actor may manage people there."""
        organization = self._organization(command.organization_id)
        actor = self._member(organization, command.actor_id)
        if actor is None or actor.role == "member":
            raise Refused(Reason.NOT_AN_ADMIN, f"Only the owner and admins of an organization can {deed}.")
        member = self._member(organization, command.account_id)
        if member is None:
            raise Refused(Reason.NOT_A_MEMBER, "This person is no member of the organization.")
        return organization, member

    def _organization(self, organization_id: UUID) -> Organization:
        organization = self.organizations.get(organization_id)
        if organization is None:
            raise Refused(Reason.UNKNOWN_ORGANIZATION, "There is no such organization.")
        return organization

    def _member(self, organization: Organization, account_id: UUID) -> Member | None:
        member = self.members.get(account_id)
        return member if member is not None and member.organization_id == organization.organization_id else None

    def _add(self, member: Member, organization: Organization, inviter_id: UUID | None) -> MemberJoined:
        self.members[member.account_id] = member
        self.joined.append(member)
        if member.invitation_id is not None:
            self.admitted[member.invitation_id] = member.account_id
        return MemberJoined(
            organization_id=member.organization_id,
            version=organization.advance(),
            account_id=member.account_id,
            membership_id=member.membership_id,
            role=member.role,
            invitation_id=member.invitation_id,
            inviter_id=inviter_id,
            joined_at=member.joined_at,
        )

    def _change(self, member: Member) -> Member:
        self.changed[member.membership_id] = member
        return member

    def _end(self, member: Member, now: datetime) -> None:
        self._change(member).ended_at = now
        del self.members[member.account_id]


def _refusal(
    accepted: InvitationAccepted, reason: Reason, organization: Organization | None, now: datetime
) -> AdmissionRefused:
    return AdmissionRefused(
        organization_id=accepted.organization_id,
        # An organization that is not known here has no version; the first is the one that hides no later fact.
        version=organization.version if organization is not None else _FIRST_VERSION,
        account_id=accepted.account_id,
        invitation_id=accepted.invitation_id,
        reason=reason,
        refused_at=now,
    )
