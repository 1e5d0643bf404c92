"""What a batch of messages speaks of: the keys by which the store loads the working set."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from contracts import (
    AcceptInvitation,
    AccountErased,
    AccountProfile,
    AdmissionRefused,
    DeclineInvitation,
    InviteMember,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    OrganizationCreated,
    Refused,
    RevokeInvitation,
)
from invites.domain.addresses import normalize_address
from invites.working_set import WorkingSet
from postroom import Message

Membership = tuple[UUID, UUID]
"""An organization and an account."""
Place = tuple[UUID, str]
"""An organization and a normalized address: where there is at most one live invitation."""


@dataclass(slots=True)
class Mentions:
    """Keys, each kind in a set of its own."""

    organizations: set[UUID] = field(default_factory=set)
    memberships: set[Membership] = field(default_factory=set)
    accounts: set[UUID] = field(default_factory=set)
    invitations: set[UUID] = field(default_factory=set)
    digests: set[str] = field(default_factory=set)
    invited: set[tuple[UUID, UUID, str]] = field(default_factory=set)
    """Organization, inviter and normalized address of each InviteMember that can be read."""
    joining: set[Membership] = field(default_factory=set)
    removed: set[Membership] = field(default_factory=set)
    new_addresses: dict[UUID, set[str]] = field(default_factory=dict)
    """Normalized addresses that the batch itself brings, by account."""

    @classmethod
    def of(cls, messages: Sequence[Message], known: WorkingSet) -> "Mentions":
        """What the messages mention. Addresses are read on the way, and kept in `known`."""
        mentions = cls()
        for message in messages:
            mentions._add(message, known)
        return mentions

    def _add(self, message: Message, known: WorkingSet) -> None:
        match message:
            case AcceptInvitation():
                self._member(message.organization_id, message.actor_id)
                self.accounts.add(message.actor_id)
                self.digests.add(message.code_digest)
            case MemberJoined():
                self._member(message.organization_id, message.account_id)
                if message.invitation_id is not None:
                    self.accounts.add(message.account_id)
                    self.invitations.add(message.invitation_id)
                    self.joining.add((message.organization_id, message.account_id))
            case AccountProfile():
                self.accounts.add(message.account_id)
                self.new_addresses.setdefault(message.account_id, set()).add(normalize_address(message.address))
            case AccountErased():
                self.accounts.add(message.account_id)
            case InviteMember():
                self._member(message.organization_id, message.actor_id)
                self.accounts.add(message.actor_id)
                self._invite(message, known)
            case RevokeInvitation():
                self._member(message.organization_id, message.actor_id)
                self.invitations.add(message.invitation_id)
            case DeclineInvitation():
                self.organizations.add(message.organization_id)
                self.digests.add(message.code_digest)
            case AdmissionRefused():
                self.organizations.add(message.organization_id)
                self.invitations.add(message.invitation_id)
            case OrganizationCreated():
                self._member(message.organization_id, message.owner_id)
            case MemberPromoted() | MemberDemoted() | MemberLeft():
                self._member(message.organization_id, message.account_id)
            case MemberRemoved():
                self._member(message.organization_id, message.account_id)
                self.accounts.add(message.account_id)
                self.removed.add((message.organization_id, message.account_id))

    def _member(self, organization_id: UUID, account_id: UUID) -> None:
        self.organizations.add(organization_id)
        self.memberships.add((organization_id, account_id))

    def _invite(self, message: InviteMember, known: WorkingSet) -> None:
        try:
            address = known.address(message.address)
        except Refused:
            return  # The handler will say so.
        self.invited.add((message.organization_id, message.actor_id, address.normalized))

    # --- what follows from what was loaded

    @property
    def invited_addresses(self) -> set[str]:
        """The addresses whose accounts must be known, since one may be a member already."""
        return {address for _, _, address in self.invited}

    def all_memberships(self, known: WorkingSet) -> set[Membership]:
        """Those that are mentioned, and those of the accounts that have an invited address, now or after this batch."""
        if not self.invited:
            return self.memberships
        accounts_at: dict[str, set[UUID]] = {}
        for account_id, addresses in self.new_addresses.items():
            for address in addresses:
                accounts_at.setdefault(address, set()).add(account_id)
        for address in self.invited_addresses:
            accounts_at.setdefault(address, set()).update(known.accounts_at(address))
        of_addresses = {
            (organization_id, account_id)
            for organization_id, _, address in self.invited
            for account_id in accounts_at[address]
        }
        return self.memberships | of_addresses

    def places(self, known: WorkingSet) -> set[Place]:
        """Where a live invitation matters: where somebody is invited, and where somebody joins."""
        places = {(organization_id, address) for organization_id, _, address in self.invited}
        for organization_id, account_id in self.joining:
            profile = known.profiles.get(account_id)
            if profile is not None and profile.address_normalized is not None:
                places.add((organization_id, profile.address_normalized))
            places.update((organization_id, address) for address in self.new_addresses.get(account_id, ()))
        return places

    def all_invitations(self, known: WorkingSet) -> set[UUID]:
        """Those that are mentioned, and those by which removed members had joined: they tell their addresses."""
        joined_by = {known.members[each].invitation_id for each in self.removed if each in known.members}
        return self.invitations | {each for each in joined_by if each is not None}
