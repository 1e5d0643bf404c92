"""The handlers with everything in memory: a test is the postman, and looks at what is told."""

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from contracts import (
    AcceptInvitation,
    AccountProfile,
    AdmissionRefused,
    Command,
    CommandRefused,
    DeclineInvitation,
    InvitationIssued,
    InviteMember,
    MemberJoined,
    MemberRemoved,
    Message,
    OrganizationCreated,
    Refused,
    RevokeInvitation,
)
from invites import handlers
from invites.app import reactions
from invites.domain.invitations import Invitation, Terms
from invites.domain.rates import Rate, RateLimits
from invites.handlers import Policy
from invites.working_set import WorkingSet
from postroom import AnswerTo, Context, Deferred
from postroom.ids import uuid7

M = TypeVar("M", bound=Message)
LINK_KEY = b"a key of tests, which is no secret"
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LIFETIME = timedelta(days=7)
REMINDER_LEAD = timedelta(days=2)
NO_LIMITS = RateLimits(Rate(0, timedelta(days=1)), Rate(0, timedelta(hours=1)), Rate(0, timedelta(days=1)))


def policy(limits: RateLimits = NO_LIMITS, lifetime: timedelta = LIFETIME) -> Policy:
    return Policy(LINK_KEY, Terms(lifetime, REMINDER_LEAD), limits)


@dataclass
class Desk:
    """invites, its clock, and everything that it has told."""

    policy: Policy = field(default_factory=policy)
    now: datetime = START
    known: WorkingSet = field(default_factory=WorkingSet)
    told: list[Message] = field(default_factory=list)
    answers: dict[str, list[Message]] = field(default_factory=dict)
    """What was told as the outcome of each command, by its id."""
    versions: dict[UUID, int] = field(default_factory=dict)
    """Of the organizations, as membership counts them."""

    def handle(self, message: Message, may_wait: bool = True, command_id: str | None = None) -> list[Message]:
        """Reacts as postroom does, and returns what was told now. Raises Deferred where it waits."""
        ce_id = command_id or str(uuid7())
        context = self._context(ce_id, message.ce_type, may_wait)
        before = deepcopy(self.known)
        try:
            decisions = list(reactions(self.policy)[type(message)](message, self.known, context))
        except Deferred:
            assert self.known == before, "what is deferred changes nothing"
            raise
        except Refused as refusal:
            assert self.known == before, "a refusal changes nothing"
            assert isinstance(message, Command)
            decisions = [refusal.answer(message, ce_id)]
        return self._tell(decisions, ce_id)

    def wait(self, duration: timedelta) -> list[Message]:
        """Lets time pass, and the timer look at the clock."""
        self.now += duration
        ce_id = str(uuid7())
        return self._tell(handlers.tell_time(self.known, self._context(ce_id, "time", may_wait=False)), ce_id)

    def _context(self, ce_id: str, ce_type: str, may_wait: bool) -> Context:
        return Context(
            message_id=uuid7(), ce_id=ce_id, ce_type=ce_type, correlation_id=ce_id, now=self.now, may_wait=may_wait
        )

    def _tell(self, decisions: Iterable[Any], ce_id: str) -> list[Message]:
        told: list[Any] = []
        for decision in decisions:
            fact: Any = decision.fact if isinstance(decision, AnswerTo) else decision
            cause = decision.command_id if isinstance(decision, AnswerTo) else ce_id
            self.answers.setdefault(cause, []).append(fact)
            told.append(fact)
        self.told += told
        return told

    # --- people and organizations, as console and membership tell of them

    def account(self, address: str, name: str = "Somebody", verified: bool = True) -> UUID:
        """Somebody signs up."""
        account_id = uuid7()
        self.handle(AccountProfile(account_id=account_id, version=1, address=address, name=name, verified=verified))
        return account_id

    def organization(self, owner_id: UUID, name: str = "Acme") -> UUID:
        """An organization is created by its owner."""
        organization_id = uuid7()
        self.handle(
            OrganizationCreated(
                organization_id=organization_id, version=1, name=name, owner_id=owner_id, created_at=self.now
            )
        )
        self.versions[organization_id] = 1
        self.join(organization_id, owner_id, role="owner")
        return organization_id

    def next_version(self, organization_id: UUID) -> int:
        self.versions[organization_id] += 1
        return self.versions[organization_id]

    def join(
        self, organization_id: UUID, account_id: UUID, invitation_id: UUID | None = None, role: Any = "member"
    ) -> list[Message]:
        """Membership admits the account."""
        return self.handle(
            MemberJoined(
                organization_id=organization_id,
                version=self.next_version(organization_id),
                account_id=account_id,
                membership_id=uuid7(),
                role=role,
                invitation_id=invitation_id,
                inviter_id=None,
                joined_at=self.now,
            )
        )

    def turn_away(
        self, invitation: Invitation, account_id: UUID, reason: str = "in_another_organization"
    ) -> list[Message]:
        """Membership refuses the account."""
        return self.handle(
            AdmissionRefused(
                organization_id=invitation.organization_id,
                version=self.versions[invitation.organization_id],
                account_id=account_id,
                invitation_id=invitation.id,
                reason=reason,
                refused_at=self.now,
            )
        )

    def remove(self, organization_id: UUID, account_id: UUID, removed_by: UUID) -> list[Message]:
        """Membership puts the account out."""
        return self.handle(
            MemberRemoved(
                organization_id=organization_id,
                version=self.next_version(organization_id),
                account_id=account_id,
                membership_id=uuid7(),
                removed_by=removed_by,
                removed_at=self.now,
            )
        )

    # --- commands

    def invite(self, organization_id: UUID, actor_id: UUID, address: str) -> list[Message]:
        return self.handle(InviteMember(organization_id=organization_id, actor_id=actor_id, address=address))

    def invited(self, organization_id: UUID, actor_id: UUID, address: str) -> Invitation:
        """Invites, and returns the invitation."""
        issued = only(InvitationIssued, self.invite(organization_id, actor_id, address))
        return self.known.invitations[issued.invitation_id]

    def revoke(self, invitation: Invitation, actor_id: UUID, command_id: str | None = None) -> list[Message]:
        command = RevokeInvitation(
            organization_id=invitation.organization_id, actor_id=actor_id, invitation_id=invitation.id
        )
        return self.handle(command, command_id=command_id)

    def accept(self, invitation: Invitation, account_id: UUID) -> list[Message]:
        """The account follows the link."""
        return self.handle(
            AcceptInvitation(
                organization_id=invitation.organization_id, actor_id=account_id, code_digest=invitation.code_digest
            )
        )

    def decline(self, invitation: Invitation, account_id: UUID | None = None) -> list[Message]:
        return self.handle(
            DeclineInvitation(
                organization_id=invitation.organization_id, actor_id=account_id, code_digest=invitation.code_digest
            )
        )


def only(kind: type[M], told: Iterable[Message]) -> M:
    """The one fact that was told, which is of this kind."""
    (fact,) = told
    assert isinstance(fact, kind), fact
    return fact


def reason(told: Iterable[Message]) -> str:
    """Why the command was refused."""
    return only(CommandRefused, told).reason


def sentence(told: Iterable[Message]) -> str:
    """What the person is told whose command was refused."""
    return only(CommandRefused, told).message


def kinds(told: Iterable[Message]) -> list[str]:
    """The names of the facts."""
    return [type(fact).__name__ for fact in told]
