"""An invitation: from issued to its one end. Every change is a method that returns the facts that tell it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from contracts import (
    AcceptanceRepeated,
    CommandRefused,
    Fact,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationExpiring,
    InvitationIssued,
    InvitationReopened,
    InvitationRevoked,
    InvitationSuperseded,
    Reason,
    Refused,
    RevokeInvitation,
)
from invites.domain import sentences
from invites.domain.accounts import Profile
from invites.domain.addresses import MailAddress
from invites.domain.organizations import Organization


class State(StrEnum):
    """Where an invitation stands. The first two are live: of those there is one for an organization and an address."""

    PENDING = "pending"
    """Its link works."""
    ACCEPTING = "accepting"
    """Reserved for an account, until membership has admitted or refused it."""
    ACCEPTED = "accepted"
    SUPERSEDED = "superseded"
    REVOKED = "revoked"
    DECLINED = "declined"
    EXPIRED = "expired"


LIVE = frozenset({State.PENDING, State.ACCEPTING})
_ENDS = {
    State.SUPERSEDED: Reason.SUPERSEDED,
    State.REVOKED: Reason.REVOKED,
    State.DECLINED: Reason.DECLINED,
    State.EXPIRED: Reason.EXPIRED,
}


@dataclass(frozen=True, slots=True)
class Terms:
    """For how long an invitation is good."""

    lifetime: timedelta
    reminder_lead: timedelta
    """How long before its end it is reminded of; there is no reminder where it does not live longer than that."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """A wish to revoke. It waits while an acceptance is in flight, so that its answer is the truth."""

    reason: str
    """As in InvitationRevoked."""
    actor_id: UUID | None = None
    """Who asked; none where a removal did."""
    command_id: str | None = None
    """The command that is to be answered; none where a removal asked."""
    correlation_id: str | None = None


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """A fact that is the outcome of an earlier command, which had to wait."""

    fact: Fact
    command_id: str
    correlation_id: str


Told = Fact | LateAnswer


@dataclass(slots=True)
class Invitation:
    """An invitation of an address into an organization."""

    id: UUID
    organization_id: UUID
    address: str
    """As the inviter typed it."""
    address_normalized: str
    code_digest: str
    inviter_id: UUID
    state: State
    version: int
    issued_at: datetime
    expires_at: datetime
    due_at: datetime | None
    """When time alone changes something next: the reminder, then the end. None once it is closed."""
    accepted_by: UUID | None = None
    """Whom it is, or was, reserved for."""
    ended_at: datetime | None = None
    waiting: tuple[Revocation, ...] = ()
    is_new: bool = False
    changed: bool = False
    """Whether it is still to be saved."""

    @classmethod
    def issue(
        cls,
        *,
        invitation_id: UUID,
        organization_id: UUID,
        inviter_id: UUID,
        address: MailAddress,
        code_digest: str,
        terms: Terms,
        now: datetime,
    ) -> "Invitation":
        """A new, pending invitation; `issued` tells of it."""
        expires_at = now + terms.lifetime
        reminded = timedelta(0) < terms.reminder_lead < terms.lifetime
        return cls(
            id=invitation_id,
            organization_id=organization_id,
            address=address.typed,
            address_normalized=address.normalized,
            code_digest=code_digest,
            inviter_id=inviter_id,
            state=State.PENDING,
            version=1,
            issued_at=now,
            expires_at=expires_at,
            due_at=expires_at - terms.reminder_lead if reminded else expires_at,
            is_new=True,
            changed=True,
        )

    @property
    def is_live(self) -> bool:
        """Whether it holds the place of its address in its organization."""
        return self.state in LIVE

    @property
    def is_pending(self) -> bool:
        """Whether its link works, unless its time is over."""
        return self.state is State.PENDING

    @property
    def is_superseded(self) -> bool:
        """Whether a newer one has taken its place."""
        return self.state is State.SUPERSEDED

    def is_overdue(self, now: datetime) -> bool:
        """Whether its time is over though nobody has said so yet."""
        return self.is_pending and self.expires_at <= now

    def issued(self, organization: Organization, inviter: Profile | None, supersedes: UUID | None) -> InvitationIssued:
        """The fact of a new invitation."""
        return InvitationIssued(
            organization_id=self.organization_id,
            invitation_id=self.id,
            version=self.version,
            address=self.address,
            code_digest=self.code_digest,
            organization_name=organization.name,
            inviter_id=self.inviter_id,
            inviter_name=inviter.name if inviter else "",
            issued_at=self.issued_at,
            expires_at=self.expires_at,
            supersedes=supersedes,
        )

    # --- by the admins

    def make_way(self, newer: UUID, now: datetime) -> InvitationSuperseded | InvitationExpired:
        """A newer invitation of the same address takes its place. One whose time is over has just ended."""
        if self.is_overdue(now):
            return self.expire(now)
        self._turn(State.SUPERSEDED, now)
        return InvitationSuperseded(**self._about(), superseded_by=newer, superseded_at=now)

    def ask_to_revoke(self, revocation: Revocation, now: datetime) -> list[Fact]:
        """Kills the link; where an acceptance is in flight, nothing is told before membership has spoken. Raises
        Refused where there is nothing left to revoke."""
        if self.state is State.ACCEPTED:
            raise Refused(Reason.ALREADY_ACCEPTED, sentences.TOO_LATE_TO_REVOKE)
        if not self.is_live or self.is_overdue(now):
            raise Refused(self._end, sentences.nothing_to_revoke(self._end))
        return self.revoke(revocation, now)

    def revoke(self, revocation: Revocation, now: datetime) -> list[Fact]:
        """As ask_to_revoke, of a live invitation, whoever asks."""
        if self.state is State.ACCEPTING:
            self.waiting += (revocation,)
            self._touch()
            return []
        return [self._revoked(revocation.reason, revocation.actor_id, now)]

    # --- by the invitee

    def accept(self, account_id: UUID, profile: Profile | None, is_member: bool, now: datetime) -> list[Fact]:
        """The account follows the link. `is_member`: whether it is in the organization already. Raises Refused; the
        invitation is then as it was."""
        if self._is_taken_by(account_id, is_member):
            return [self._repeated(account_id)]
        if self.state in (State.ACCEPTING, State.ACCEPTED):
            raise Refused(Reason.ALREADY_ACCEPTED, sentences.LINK_IS_USED)
        if not self.is_pending or self.is_overdue(now):
            if is_member and profile is not None and self._is_for(profile):
                return [self._repeated(account_id)]
            raise self._dead_link()
        self._require_right_person(profile)
        if is_member:
            return [self._revoked("already_a_member", None, now), self._repeated(account_id)]
        self.accepted_by = account_id
        self._turn(State.ACCEPTING, now)
        return [InvitationAccepted(**self._about(), account_id=account_id, inviter_id=self.inviter_id, accepted_at=now)]

    def decline(self, account_id: UUID | None, now: datetime) -> list[Fact]:
        """The invitee says no. Raises Refused."""
        if self.state in (State.ACCEPTING, State.ACCEPTED):
            raise Refused(Reason.ALREADY_ACCEPTED, sentences.LINK_IS_USED)
        if not self.is_pending or self.is_overdue(now):
            raise self._dead_link()
        self._turn(State.DECLINED, now)
        return [InvitationDeclined(**self._about(), declined_by=account_id, declined_at=now)]

    # --- by membership's word

    def admit(self, account_id: UUID, now: datetime) -> list[Told]:
        """Membership has admitted the account: the invitation is used up, and revocations come too late. Membership
        is believed, whomever the invitation was reserved for."""
        if not self.is_live:
            return []
        self.accepted_by = account_id
        return self._use_up(now)

    def find_used(self, account_id: UUID, now: datetime) -> list[Told]:
        """Membership has refused the account, since somebody else has joined by this invitation."""
        if not self._is_reserved_for(account_id):
            return []
        self.accepted_by = None
        return self._use_up(now)

    def reopen(self, account_id: UUID, reason: str, now: datetime) -> list[Told]:
        """Membership has refused the account, which is elsewhere: the link lives again, unless it was to be revoked
        or its time went by meanwhile."""
        if not self._is_reserved_for(account_id):
            return []
        first_asked = self.waiting[:1]
        waiting = self._settle()
        self.accepted_by = None
        self._turn(State.PENDING, now)
        reopened = InvitationReopened(
            **self._about(), account_id=account_id, reason=reason, expires_at=self.expires_at, reopened_at=now
        )
        if first_asked:
            revoked = self._revoked(first_asked[0].reason, first_asked[0].actor_id, now)
            return [reopened, *self._answers(revoked, waiting)]
        return [reopened, self.expire(now)] if self.is_overdue(now) else [reopened]

    def close_as_member(self, account_id: UUID, now: datetime) -> list[Told]:
        """Membership has found that the account is a member already: nobody joined by this link, and nobody will."""
        if not self._is_reserved_for(account_id):
            return []
        waiting = self._settle()
        return self._answers(self._revoked("already_a_member", None, now), waiting)

    # --- by time

    def expire(self, now: datetime) -> InvitationExpired:
        """Nobody came in time."""
        self._turn(State.EXPIRED, now)
        return InvitationExpired(**self._about(), expired_at=now)

    def fall_due(self, organization: Organization, inviter: Profile | None, now: datetime) -> list[Fact]:
        """What time alone brings: the end, or the reminder. After an outage that was longer, the end alone."""
        if not self.is_pending or self.due_at is None or self.due_at > now:
            return []
        if self.expires_at <= now:
            return [self.expire(now)]
        self.due_at = self.expires_at
        self._touch()
        return [
            InvitationExpiring(
                **self._about(),
                address=self.address,
                organization_name=organization.name,
                inviter_id=self.inviter_id,
                inviter_name=inviter.name if inviter else "",
                expires_at=self.expires_at,
            )
        ]

    # --- within

    def _touch(self) -> None:
        self.version += 1
        self.changed = True

    def _turn(self, state: State, now: datetime) -> None:
        self.state = state
        self._touch()
        if not self.is_live:
            self.ended_at, self.due_at = now, None

    def _about(self) -> dict[str, Any]:
        return {"organization_id": self.organization_id, "invitation_id": self.id, "version": self.version}

    def _is_for(self, profile: Profile) -> bool:
        return profile.address_normalized == self.address_normalized

    def _is_reserved_for(self, account_id: UUID) -> bool:
        return self.state is State.ACCEPTING and self.accepted_by == account_id

    def _use_up(self, now: datetime) -> list[Told]:
        waiting = self._settle()
        self._turn(State.ACCEPTED, now)
        return [self._refusal(each, Reason.ALREADY_ACCEPTED, sentences.TOO_LATE_TO_REVOKE) for each in waiting]

    def _is_taken_by(self, account_id: UUID, is_member: bool) -> bool:
        """Whether it is this account's own acceptance again. One who joined by it and left has used it up."""
        used = self.state is State.ACCEPTED and self.accepted_by == account_id
        return self._is_reserved_for(account_id) or (used and is_member)

    def _require_right_person(self, profile: Profile | None) -> None:
        if profile is None or profile.address is None:
            raise Refused(Reason.UNKNOWN_ACCOUNT, sentences.UNKNOWN_ACCOUNT)
        if not profile.verified:
            raise Refused(Reason.MAILBOX_NOT_PROVEN, sentences.MAILBOX_NOT_PROVEN)
        if not self._is_for(profile):
            raise Refused(Reason.ADDRESS_DIFFERS, sentences.address_differs(self.address, profile.address))

    def _repeated(self, account_id: UUID) -> AcceptanceRepeated:
        return AcceptanceRepeated(**self._about(), account_id=account_id)

    def _revoked(self, reason: str, actor_id: UUID | None, now: datetime) -> InvitationRevoked:
        self._turn(State.REVOKED, now)
        return InvitationRevoked(**self._about(), reason=reason, revoked_by=actor_id, revoked_at=now)

    @property
    def _end(self) -> Reason:
        """How it ended, or would have if somebody had looked at the clock."""
        return _ENDS.get(self.state, Reason.EXPIRED)

    def _dead_link(self) -> Refused:
        return Refused(self._end, sentences.dead_link(self._end, self.ended_at or self.expires_at))

    def _settle(self) -> list[Revocation]:
        """The commands that waited, and wait no longer."""
        waiting = [each for each in self.waiting if each.command_id is not None]
        self.waiting = ()
        return waiting

    def _answers(self, revoked: InvitationRevoked, waiting: list[Revocation]) -> list[Told]:
        """The revocation answers the first command that asked for one; later ones find it revoked already."""
        if not waiting:
            return [revoked]
        first, *later = waiting
        return [
            _late(revoked, first),
            *(self._refusal(each, Reason.REVOKED, sentences.nothing_to_revoke(Reason.REVOKED)) for each in later),
        ]

    def _refusal(self, waited: Revocation, reason: Reason, message: str) -> LateAnswer:
        assert waited.command_id is not None
        refusal = CommandRefused(
            command_type=RevokeInvitation.ce_type,
            command_id=waited.command_id,
            command_key=self.organization_id,
            actor_id=waited.actor_id,
            reason=reason,
            message=message,
        )
        return _late(refusal, waited)


def _late(fact: Fact, waited: Revocation) -> LateAnswer:
    assert waited.command_id is not None
    return LateAnswer(fact, waited.command_id, waited.correlation_id or waited.command_id)
