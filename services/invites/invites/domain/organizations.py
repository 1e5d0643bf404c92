"""Organizations and who is in them: invites' own copy. Membership is the authority."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

Role = Literal["owner", "admin", "member"]


@dataclass(slots=True)
class Organization:
    """An organization that has been heard of."""

    id: UUID
    name: str = ""
    """Empty while only facts about its members have come."""
    version: int = 0
    """The newest that was heard."""
    changed: bool = False
    """Whether it is still to be saved."""

    def heard(self, version: int, name: str | None = None) -> None:
        """Takes note of a fact about it. Facts that were re-driven may come late, and change nothing then."""
        if version > self.version:
            self.version = version
            self.changed = True
        if name is not None and name != self.name:
            self.name = name
            self.changed = True


@dataclass(slots=True)
class Member:
    """Somebody who is, or was, in an organization."""

    organization_id: UUID
    account_id: UUID
    role: Role | None = None
    """None for somebody who is not in it any more."""
    version: int = 0
    """The organization's, when this was so: an older fact about the same account changes nothing."""
    invitation_id: UUID | None = None
    """What they joined by."""
    ended_at: datetime | None = None
    """When they left or were removed."""
    changed: bool = False
    """Whether it is still to be saved."""

    def heard(self, role: Role | None, version: int, at: datetime, invitation_id: UUID | None = None) -> bool:
        """Takes note of what membership says of them, and answers whether it was news. Facts that were re-driven may
        come late, and change nothing then."""
        if version <= self.version:
            return False
        self.role = role
        self.version = version
        self.invitation_id = invitation_id or self.invitation_id
        self.ended_at = None if role else at
        self.changed = True
        return True

    @property
    def is_admin(self) -> bool:
        """Whether they may invite and revoke."""
        return self.role in ("owner", "admin")
