"""Organizations, members and invitations, as pages and the API show them. Pure."""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, Literal, TypeVar
from uuid import UUID

T = TypeVar("T")

Role = Literal["owner", "admin", "member"]
InvitationState = Literal["pending", "accepting", "accepted", "superseded", "revoked", "declined", "expired"]
Delivery = Literal["queued", "sent", "bounced", "failed"]


@dataclass(frozen=True, slots=True)
class Membership:
    """An account's place in its organization."""

    organization_id: UUID
    organization_name: str
    organization_version: int
    """The newest that membership has told."""
    organization_revision: int
    """Grows with every change that a page could show."""
    role: Role
    joined_at: datetime

    @property
    def is_admin(self) -> bool:
        """Whether they may invite, revoke, promote, demote and remove."""
        return self.role in ("owner", "admin")

    @property
    def is_owner(self) -> bool:
        return self.role == "owner"


@dataclass(frozen=True, slots=True)
class Organization:
    """An organization, and how many belong to it."""

    organization_id: UUID
    name: str
    version: int
    revision: int
    created_at: datetime | None
    members: int
    pending: int
    """Invitations that are live."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in an organization. Name and address are empty for an account that console does not know."""

    account_id: UUID
    membership_id: UUID
    name: str
    address: str
    role: Role
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation, whatever became of it."""

    invitation_id: UUID
    organization_id: UUID
    organization_name: str
    address: str
    address_normalized: str
    code_digest: str
    state: InvitationState
    inviter_id: UUID
    inviter_name: str
    issued_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    delivery: Delivery
    """Of the letter with the link."""
    organization_version: int | None = None
    """The newest that membership has told of its organization, where it was found by its link."""

    def state_at(self, now: datetime) -> InvitationState:
        """Its state: one whose time is over has expired, whether or not somebody has said so yet."""
        return "expired" if self.state == "pending" and self.expires_at <= now else self.state

    def is_live(self, now: datetime) -> bool:
        """Whether its link works, or is at work."""
        return self.state_at(now) in ("pending", "accepting")

    def days_left(self, now: datetime) -> int:
        """Days until its time is over, begun ones included; 0 when it is."""
        return max(0, math.ceil((self.expires_at - now) / timedelta(days=1)))

    @property
    def superseded_at(self) -> datetime | None:
        """When a newer one was sent, where one was."""
        return self.ended_at if self.state == "superseded" else None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A piece of a list."""

    items: list[T]
    next: str | None
    """What to ask for the next piece with; none at the end."""
