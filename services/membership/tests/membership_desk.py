"""The cast of membership's tests, and a desk where they hand in their wishes, as postroom would, without a database."""

import itertools
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from uuid import UUID

from contracts import (
    Command,
    CommandRefused,
    CreateOrganization,
    DemoteMember,
    InvitationAccepted,
    LeaveOrganization,
    PromoteMember,
    Refused,
    RemoveMember,
)
from membership.domain import Roster
from membership.handlers import REACTIONS
from postroom import AnswerTo, Context, Message
from postroom.ids import uuid7

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)

ACME, GLOBEX = uuid7(), uuid7()
OWNER, ADMIN, MEMBER, STRANGER, RIVAL = (uuid7() for _ in range(5))
"""Accounts: three in Acme as setting_up_acme makes it, one in no organization, and the owner of Globex."""


def context(now: datetime = NOON, *, may_wait: bool = True) -> Context:
    """What postroom tells a handler."""
    message_id = uuid7()
    return Context(message_id, str(message_id), "type", str(message_id), now, may_wait)


class Desk:
    """Hands messages to their handlers, over one roster that knows everything."""

    def __init__(self) -> None:
        self.roster = Roster()
        self.now = NOON

    def tell(self, message: Message, *, may_wait: bool = True) -> tuple[Message | AnswerTo, ...]:
        """The facts that follow. A second passes before each message. Raises Deferred."""
        self.now += timedelta(seconds=1)
        told_at = context(self.now, may_wait=may_wait)
        before = deepcopy(self.roster)
        try:
            return tuple(REACTIONS[type(message)](message, self.roster, told_at))
        except Refused as refusal:
            assert self.roster == before, "a refusal changes nothing"
            assert isinstance(message, Command)
            return (refusal.answer(message, told_at.ce_id),)

    def refusal(self, command: Command) -> CommandRefused:
        """How the command is refused."""
        (outcome,) = self.tell(command)
        assert isinstance(outcome, CommandRefused)
        assert outcome.actor_id == command.actor
        assert outcome.message.endswith("."), "a sentence for a person"
        return outcome

    def role(self, account_id: UUID, organization_id: UUID = ACME) -> str | None:
        """What the account is in the organization."""
        member = self.roster.members.get(account_id)
        return member.role if member is not None and member.organization_id == organization_id else None


def create(organization_id: UUID = ACME, actor_id: UUID = OWNER, name: str = "Acme") -> CreateOrganization:
    return CreateOrganization(organization_id=organization_id, actor_id=actor_id, name=name)


def accepted(
    account_id: UUID, organization_id: UUID = ACME, invitation_id: UUID | None = None, inviter_id: UUID = OWNER
) -> InvitationAccepted:
    return InvitationAccepted(
        organization_id=organization_id,
        invitation_id=invitation_id or uuid7(),
        version=2,
        account_id=account_id,
        inviter_id=inviter_id,
        accepted_at=NOON,
    )


def promote(account_id: UUID, actor_id: UUID = OWNER, organization_id: UUID = ACME) -> PromoteMember:
    return PromoteMember(organization_id=organization_id, actor_id=actor_id, account_id=account_id)


def demote(account_id: UUID, actor_id: UUID = OWNER, organization_id: UUID = ACME) -> DemoteMember:
    return DemoteMember(organization_id=organization_id, actor_id=actor_id, account_id=account_id)


def remove(account_id: UUID, actor_id: UUID = OWNER, organization_id: UUID = ACME) -> RemoveMember:
    return RemoveMember(organization_id=organization_id, actor_id=actor_id, account_id=account_id)


def leave(actor_id: UUID, organization_id: UUID = ACME) -> LeaveOrganization:
    return LeaveOrganization(organization_id=organization_id, actor_id=actor_id)


def setting_up_acme() -> list[Message]:
    """Acme with its owner, an admin and a member; and Globex with its owner."""
    return [
        create(),
        accepted(ADMIN),
        promote(ADMIN),
        accepted(MEMBER),
        create(GLOBEX, RIVAL, "Globex"),
    ]


def organizations(number: int) -> list[CreateOrganization]:
    """So many organizations, each of an owner of its own."""
    return [create(uuid7(), uuid7(), f"Organization {n}") for n in itertools.islice(itertools.count(1), number)]
