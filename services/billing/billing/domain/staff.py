"""Who may decide about an organization's money: a copy of what membership tells."""

from dataclasses import dataclass, field
from uuid import UUID

from contracts.message import Role


@dataclass(slots=True)
class Member:
    """What an account is in an organization; nothing, where it is not, or not any more, in it."""

    role: Role | None
    version: int
    """Of the organization, when this was told."""

    @property
    def is_admin(self) -> bool:
        return self.role in ("owner", "admin")


@dataclass(slots=True)
class Staff:
    """The organizations that a batch mentions, and their members that it mentions."""

    versions: dict[UUID, int] = field(default_factory=dict)
    """The newest that was heard, by organization."""
    members: dict[tuple[UUID, UUID], Member] = field(default_factory=dict)
    changed_versions: set[UUID] = field(default_factory=set)
    changed_members: set[tuple[UUID, UUID]] = field(default_factory=set)

    def heard(self, organization_id: UUID, version: int) -> None:
        """Something of that version was told of the organization."""
        if version > self.versions.get(organization_id, 0):
            self.versions[organization_id] = version
            self.changed_versions.add(organization_id)

    def note(self, organization_id: UUID, account_id: UUID, role: Role | None, version: int) -> None:
        """What the account is from that version on; older news change nothing."""
        self.heard(organization_id, version)
        known = self.members.get((organization_id, account_id))
        if known is None or version > known.version:
            self.members[(organization_id, account_id)] = Member(role, version)
            self.changed_members.add((organization_id, account_id))

    def is_admin(self, organization_id: UUID, account_id: UUID) -> bool:
        """Whether the account may decide about the organization's money."""
        member = self.members.get((organization_id, account_id))
        return member is not None and member.is_admin

    def is_member(self, organization_id: UUID, account_id: UUID) -> bool:
        """Whether the account is in the organization."""
        member = self.members.get((organization_id, account_id))
        return member is not None and member.role is not None
