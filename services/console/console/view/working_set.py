"""What a batch of facts changes in the view. Nothing is loaded for it: newer versions win, here and in the rows."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from console.view.money_news import MoneyNews
from console.view.nouns import Delivery, InvitationState, Role

LAST_VERSION = 2**31
"""Of an invitation that has been used: whatever is still told of it is older."""


@dataclass(slots=True)
class OrganizationNews:
    """What is heard of an organization."""

    organization_id: UUID
    version: int = 0
    name: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class MemberNews:
    """Somebody's place in an organization, as of a version of that organization."""

    organization_id: UUID
    account_id: UUID
    membership_id: UUID
    role: Role | None
    version: int
    joined_at: datetime
    """Of one stay the earliest counts: facts about a later change know only when that was."""
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Issued:
    """What never changes about an invitation."""

    address: str
    address_normalized: str
    code_digest: str
    organization_name: str
    inviter_id: UUID
    inviter_name: str
    issued_at: datetime
    expires_at: datetime


@dataclass(slots=True)
class InvitationNews:
    """What is heard of an invitation. Its facts may come before the one of its issue, which comes on another topic."""

    invitation_id: UUID
    organization_id: UUID
    version: int = 0
    state: InvitationState = "pending"
    ended_at: datetime | None = None
    issued: Issued | None = None
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of the command with this id, if it is of this type."""

    command_id: UUID
    ce_type: str
    reason: str | None = None
    """None where what was asked for is so."""
    message: str | None = None
    result: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """The account is in the organization: the outcome of every acceptance of it that waits."""

    organization_id: UUID
    account_id: UUID
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rejection:
    """The account cannot be admitted: the outcome of every acceptance of it by this invitation that waits."""

    invitation_id: UUID
    account_id: UUID
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Repetition:
    """The command repeats an acceptance: it is done if the account is a member by now; otherwise it waits on."""

    command_id: UUID
    result: Mapping[str, Any]


@dataclass(slots=True)
class News:
    """The working set of a batch."""

    organizations: dict[UUID, OrganizationNews] = field(default_factory=dict)
    members: dict[tuple[UUID, UUID], MemberNews] = field(default_factory=dict)
    invitations: dict[UUID, InvitationNews] = field(default_factory=dict)
    verdicts: dict[UUID, Verdict] = field(default_factory=dict)
    admissions: list[Admission] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    repetitions: list[Repetition] = field(default_factory=list)
    money: MoneyNews = field(default_factory=MoneyNews)

    def organization(self, organization_id: UUID) -> OrganizationNews:
        """What is heard of it in this batch; whatever is asked for counts as changed."""
        return self.organizations.setdefault(organization_id, OrganizationNews(organization_id))

    def invitation(self, organization_id: UUID, invitation_id: UUID) -> InvitationNews:
        """What is heard of it in this batch."""
        self.organization(organization_id)
        return self.invitations.setdefault(invitation_id, InvitationNews(invitation_id, organization_id))

    def hear_of_member(self, news: MemberNews) -> None:
        """The newest counts."""
        organization = self.organization(news.organization_id)
        organization.version = max(organization.version, news.version)
        key = (news.organization_id, news.account_id)
        known = self.members.get(key)
        if known is not None and known.membership_id == news.membership_id:
            news = replace(news, joined_at=min(known.joined_at, news.joined_at))
        if known is None or known.version < news.version:
            self.members[key] = news

    def hear_of_invitation(
        self,
        organization_id: UUID,
        invitation_id: UUID,
        version: int,
        state: InvitationState,
        ended_at: datetime | None = None,
    ) -> None:
        """The newest counts."""
        known = self.invitation(organization_id, invitation_id)
        if known.version < version:
            known.version, known.state, known.ended_at = version, state, ended_at

    def decide(self, verdict: Verdict) -> None:
        """The first outcome of a command is its outcome."""
        self.verdicts.setdefault(verdict.command_id, verdict)
