"""What a batch of messages is decided on: everything that they mention, in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from invites.domain.accounts import Profile
from invites.domain.addresses import MailAddress, parse_address
from invites.domain.invitations import Invitation
from invites.domain.organizations import Member, Organization
from invites.domain.rates import Spending


@dataclass(slots=True)
class WorkingSet:
    """Filled by the store, changed by the handlers, saved by the store. Look-ups see what earlier messages of the same
    batch have done."""

    organizations: dict[UUID, Organization] = field(default_factory=dict)
    members: dict[tuple[UUID, UUID], Member] = field(default_factory=dict)
    """By organization and account."""
    profiles: dict[UUID, Profile] = field(default_factory=dict)
    invitations: dict[UUID, Invitation] = field(default_factory=dict)
    spending: Spending = field(default_factory=Spending)
    _accounts_at: dict[str, set[UUID]] = field(default_factory=dict)
    _by_digest: dict[str, Invitation] = field(default_factory=dict)
    _by_place: dict[tuple[UUID, str], Invitation] = field(default_factory=dict)
    _addresses: dict[str, MailAddress] = field(default_factory=dict, compare=False)

    # --- filling

    def add_profile(self, profile: Profile) -> None:
        """Takes a profile in, in the place of an older one."""
        self.profiles[profile.account_id] = profile
        if profile.address_normalized is not None:
            self._accounts_at.setdefault(profile.address_normalized, set()).add(profile.account_id)

    def add_invitation(self, invitation: Invitation) -> None:
        """Takes an invitation in, loaded or new."""
        self.invitations[invitation.id] = invitation
        self._by_digest[invitation.code_digest] = invitation
        if invitation.is_live:
            self._by_place[(invitation.organization_id, invitation.address_normalized)] = invitation

    def organization(self, organization_id: UUID) -> Organization:
        """The copy of an organization that membership speaks of; an empty one, if it is the first that is heard."""
        if organization_id not in self.organizations:
            self.organizations[organization_id] = Organization(organization_id)
        return self.organizations[organization_id]

    def member(self, organization_id: UUID, account_id: UUID) -> Member:
        """The copy of a member that membership speaks of; an empty one, if it is the first that is heard."""
        if (organization_id, account_id) not in self.members:
            self.members[(organization_id, account_id)] = Member(organization_id, account_id)
        return self.members[(organization_id, account_id)]

    # --- looking up

    def address(self, typed: str) -> MailAddress:
        """What a person typed, read once. Raises Refused(MALFORMED_ADDRESS)."""
        address = self._addresses.get(typed)
        if address is None:
            address = self._addresses[typed] = parse_address(typed)
        return address

    def is_admin(self, organization_id: UUID, account_id: UUID) -> bool:
        """Whether the account may invite and revoke there."""
        member = self.members.get((organization_id, account_id))
        return member is not None and member.is_admin

    def is_member(self, organization_id: UUID, account_id: UUID) -> bool:
        """Whether the account is in the organization, in whatever role."""
        member = self.members.get((organization_id, account_id))
        return member is not None and member.role is not None

    def accounts_at(self, address_normalized: str) -> Iterator[UUID]:
        """The accounts whose address it is."""
        for account_id in self._accounts_at.get(address_normalized, ()):
            if self.profiles[account_id].address_normalized == address_normalized:
                yield account_id

    def has_member_at(self, organization_id: UUID, address_normalized: str) -> bool:
        """Whether the address is that of a member of the organization."""
        return any(self.is_member(organization_id, account) for account in self.accounts_at(address_normalized))

    def addresses_of(self, organization_id: UUID, account_id: UUID) -> set[str]:
        """The account's addresses, normalized: its own, and the one at which it was invited here."""
        profile = self.profiles.get(account_id)
        member = self.members.get((organization_id, account_id))
        joined_by = self.invitations.get(member.invitation_id) if member and member.invitation_id else None
        found = (profile.address_normalized if profile else None, joined_by.address_normalized if joined_by else None)
        return {address for address in found if address is not None}

    def invitation_of(self, organization_id: UUID, invitation_id: UUID | None) -> Invitation | None:
        """The organization's invitation of that id; one of another organization is none."""
        invitation = self.invitations.get(invitation_id) if invitation_id else None
        return invitation if invitation is not None and invitation.organization_id == organization_id else None

    def invitation_with_digest(self, organization_id: UUID, code_digest: str) -> Invitation | None:
        """The organization's invitation with that link."""
        invitation = self._by_digest.get(code_digest)
        return invitation if invitation is not None and invitation.organization_id == organization_id else None

    def live_at(self, organization_id: UUID, address_normalized: str) -> Invitation | None:
        """The one live invitation of an address in an organization."""
        invitation = self._by_place.get((organization_id, address_normalized))
        return invitation if invitation is not None and invitation.is_live else None

    def live_for(self, organization_id: UUID, account_id: UUID) -> list[Invitation]:
        """The organization's live invitations of the account's addresses."""
        found = (self.live_at(organization_id, each) for each in self.addresses_of(organization_id, account_id))
        return [each for each in found if each is not None]

    def live_in(self, organization_id: UUID) -> list[Invitation]:
        """The organization's live invitations; all of them where the batch has a removal from it."""
        return [each for each in self.invitations.values() if each.is_live and each.organization_id == organization_id]
