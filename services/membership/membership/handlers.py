"""What membership does about each message. The map of the service."""

from collections.abc import Mapping, Sequence

from contracts import (
    CreateOrganization,
    DemoteMember,
    Fact,
    InvitationAccepted,
    LeaveOrganization,
    PromoteMember,
    RemoveMember,
)
from membership.domain import Roster
from postroom import Context, Deferred, Handler, Message
from postroom.ids import uuid7


def create_organization(command: CreateOrganization, roster: Roster, context: Context) -> Sequence[Fact]:
    """The organization and its owner's membership, or a refusal."""
    return roster.create(command, uuid7(), context.now)


def admit_member(accepted: InvitationAccepted, roster: Roster, context: Context) -> Sequence[Fact]:
    """Whoever accepted an invitation joins, or is refused. An organization that is not known (yet) is waited for."""
    if accepted.organization_id not in roster.organizations and context.may_wait:
        raise Deferred("the organization of an accepted invitation is not known here")
    return roster.admit(accepted, uuid7(), context.now)


def promote_member(command: PromoteMember, roster: Roster, context: Context) -> Sequence[Fact]:
    """A member becomes an admin, or the command is refused."""
    return (roster.promote(command, context.now),)


def demote_member(command: DemoteMember, roster: Roster, context: Context) -> Sequence[Fact]:
    """An admin becomes a member, or the command is refused."""
    return (roster.demote(command, context.now),)


def remove_member(command: RemoveMember, roster: Roster, context: Context) -> Sequence[Fact]:
    """A member is put out, or the command is refused."""
    return (roster.remove(command, context.now),)


def let_member_leave(command: LeaveOrganization, roster: Roster, context: Context) -> Sequence[Fact]:
    """A member leaves, or the command is refused."""
    return (roster.leave(command, context.now),)


REACTIONS: Mapping[type[Message], Handler[Roster]] = {
    InvitationAccepted: admit_member,
    CreateOrganization: create_organization,
    PromoteMember: promote_member,
    DemoteMember: demote_member,
    RemoveMember: remove_member,
    LeaveOrganization: let_member_leave,
}
