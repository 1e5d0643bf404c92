"""What invites does about each message. The map of the service: one function per message, and one for time."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from uuid import UUID

from contracts import (
    AcceptInvitation,
    AccountErased,
    AccountProfile,
    AdmissionRefused,
    DeclineInvitation,
    Fact,
    InviteMember,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    OrganizationCreated,
    Reason,
    Refused,
    RevokeInvitation,
    code_digest,
    link_code,
)
from invites.domain import sentences
from invites.domain.accounts import Profile
from invites.domain.invitations import Invitation, LateAnswer, Revocation, Terms, Told
from invites.domain.organizations import Organization
from invites.domain.rates import RateLimits, subjects
from invites.working_set import WorkingSet
from postroom import AnswerTo, Context, Deferred
from postroom.ids import uuid7

Decisions = Iterable[Fact | AnswerTo]


@dataclass(frozen=True, slots=True)
class Policy:
    """What settings decide about new invitations."""

    link_key: bytes
    terms: Terms
    limits: RateLimits
    new_id: Callable[[], UUID] = uuid7


# --- commands


def invite(command: InviteMember, known: WorkingSet, context: Context, *, policy: Policy) -> Decisions:
    """Issues an invitation; one that is pending for the same address is superseded."""
    organization = _organization(command, known, context)
    inviter = _profile(command, known, context)
    _require_admin(command, known, "invite people")
    address = known.address(command.address).normalized
    if known.has_member_at(organization.id, address):
        raise Refused(Reason.ALREADY_A_MEMBER, sentences.ALREADY_A_MEMBER)
    older = known.live_at(organization.id, address)
    if older is not None and not older.is_pending:
        raise Refused(Reason.ACCEPTANCE_IN_PROGRESS, sentences.ACCEPTANCE_IN_PROGRESS)
    known.spending.spend(subjects(policy.limits, organization.id, command.actor_id, address), context.now)
    invitation = _new_invitation(command, known, context, policy)
    if older is None:
        return [invitation.issued(organization, inviter, supersedes=None)]
    ended = older.make_way(invitation.id, context.now)
    return [ended, invitation.issued(organization, inviter, older.id if older.is_superseded else None)]


def revoke(command: RevokeInvitation, known: WorkingSet, context: Context) -> Decisions:
    """Kills a pending invitation's link; while it is being accepted, the answer waits for membership's."""
    _organization(command, known, context)
    _require_admin(command, known, "revoke invitations")
    invitation = known.invitation_of(command.organization_id, command.invitation_id)
    if invitation is None:
        raise Refused(Reason.UNKNOWN_INVITATION, sentences.UNKNOWN_INVITATION)
    asked = Revocation("revoked", command.actor_id, context.ce_id, context.correlation_id)
    return invitation.ask_to_revoke(asked, context.now)


def accept(command: AcceptInvitation, known: WorkingSet, context: Context) -> Decisions:
    """Reserves the invitation for the account, and so asks membership to admit it."""
    invitation = _by_link(command, known)
    _organization(command, known, context)
    profile = _profile(command, known, context)
    if profile is None and context.may_wait:
        raise Deferred("the profile of the account has not come yet")
    is_member = known.is_member(command.organization_id, command.actor_id)
    return invitation.accept(command.actor_id, profile, is_member, context.now)


def decline(command: DeclineInvitation, known: WorkingSet, context: Context) -> Decisions:
    """Closes the invitation on the invitee's word."""
    return _by_link(command, known).decline(command.actor_id, context.now)


# --- what console says of accounts


def keep_profile(fact: AccountProfile, known: WorkingSet, context: Context) -> Decisions:
    """Keeps the newest profile of an account."""
    profile = known.profiles.get(fact.account_id)
    if profile is None or fact.version > profile.version:
        known.add_profile(Profile.of(fact))
    return ()


def forget_person(fact: AccountErased, known: WorkingSet, context: Context) -> Decisions:
    """Forgets address and name of an account."""
    profile = known.profiles.get(fact.account_id)
    if profile is not None:
        profile.erase()
    return ()


# --- what membership says of organizations


def note_organization(fact: OrganizationCreated, known: WorkingSet, context: Context) -> Decisions:
    """Knows the organization and its owner, who may invite at once: the owner's MemberJoined may be later."""
    known.organization(fact.organization_id).heard(fact.version, fact.name)
    known.member(fact.organization_id, fact.owner_id).heard("owner", fact.version, fact.created_at)
    return ()


def settle_admission(fact: MemberJoined, known: WorkingSet, context: Context) -> Decisions:
    """The accepted invitation is used up. Another one that is pending for the new member has lost its purpose."""
    known.organization(fact.organization_id).heard(fact.version)
    member = known.member(fact.organization_id, fact.account_id)
    is_news = member.heard(fact.role, fact.version, fact.joined_at, fact.invitation_id)
    accepted = known.invitation_of(fact.organization_id, fact.invitation_id)
    told = list(accepted.admit(fact.account_id, context.now)) if accepted is not None else []
    if is_news:
        for pending in known.live_for(fact.organization_id, fact.account_id):
            told += pending.revoke(Revocation("already_a_member"), context.now)
    return _published(told)


def settle_refusal(fact: AdmissionRefused, known: WorkingSet, context: Context) -> Decisions:
    """Reopens the invitation of an account that is elsewhere; closes one that is of no use to anybody any more."""
    known.organization(fact.organization_id).heard(fact.version)
    invitation = known.invitation_of(fact.organization_id, fact.invitation_id)
    if invitation is None:
        return ()
    match fact.reason:
        case Reason.ALREADY_A_MEMBER:
            return _published(invitation.close_as_member(fact.account_id, context.now))
        case Reason.ALREADY_ACCEPTED:
            return _published(invitation.find_used(fact.account_id, context.now))
        case _:
            return _published(invitation.reopen(fact.account_id, fact.reason, context.now))


def note_promotion(fact: MemberPromoted, known: WorkingSet, context: Context) -> Decisions:
    """From now on they may invite and revoke."""
    known.organization(fact.organization_id).heard(fact.version)
    known.member(fact.organization_id, fact.account_id).heard(fact.role, fact.version, fact.promoted_at)
    return ()


def note_demotion(fact: MemberDemoted, known: WorkingSet, context: Context) -> Decisions:
    """From now on they may not. What they have sent belongs to the organization, and stays."""
    known.organization(fact.organization_id).heard(fact.version)
    known.member(fact.organization_id, fact.account_id).heard(fact.role, fact.version, fact.demoted_at)
    return ()


def note_departure(fact: MemberLeft, known: WorkingSet, context: Context) -> Decisions:
    """They are in it no more. What they have sent belongs to the organization, and stays."""
    known.organization(fact.organization_id).heard(fact.version)
    known.member(fact.organization_id, fact.account_id).heard(None, fact.version, fact.left_at)
    return ()


def revoke_after_removal(fact: MemberRemoved, known: WorkingSet, context: Context) -> Decisions:
    """Revokes what is pending for the removed member's address, and what they have sent."""
    known.organization(fact.organization_id).heard(fact.version)
    member = known.member(fact.organization_id, fact.account_id)
    if not member.heard(None, fact.version, fact.removed_at):
        return ()
    addresses = known.addresses_of(fact.organization_id, fact.account_id)
    told: list[Fact] = []
    for invitation in known.live_in(fact.organization_id):
        if invitation.address_normalized in addresses:
            told += invitation.revoke(Revocation("member_removed"), context.now)
        elif invitation.inviter_id == fact.account_id:
            told += invitation.revoke(Revocation("inviter_removed"), context.now)
    return told


# --- time


def tell_time(known: WorkingSet, context: Context) -> Decisions:
    """Reminds of invitations that end soon, and ends those whose time is over. The working set holds what is due."""
    told: list[Fact] = []
    for invitation in known.invitations.values():
        organization = known.organization(invitation.organization_id)
        told += invitation.fall_due(organization, known.profiles.get(invitation.inviter_id), context.now)
    return told


# --- what they have in common


def _organization(
    command: InviteMember | RevokeInvitation | AcceptInvitation, known: WorkingSet, context: Context
) -> Organization:
    """The organization, at least as new as the client has seen it (unless waiting has not helped)."""
    organization = known.organizations.get(command.organization_id)
    version = organization.version if organization is not None else 0
    if context.may_wait and version < (command.seen_organization_version or 1):
        raise Deferred("the organization is not known as the client has seen it")
    if organization is None:
        raise Refused(Reason.UNKNOWN_ORGANIZATION, sentences.UNKNOWN_ORGANIZATION)
    return organization


def _profile(command: InviteMember | AcceptInvitation, known: WorkingSet, context: Context) -> Profile | None:
    """The actor's profile, at least as new as the client has seen it (unless waiting has not helped)."""
    profile = known.profiles.get(command.actor_id)
    version = profile.version if profile is not None else 0
    if context.may_wait and version < (command.seen_profile_version or 0):
        raise Deferred("the profile of the account is not known as the client has seen it")
    return profile


def _require_admin(command: InviteMember | RevokeInvitation, known: WorkingSet, doing: str) -> None:
    if not known.is_admin(command.organization_id, command.actor_id):
        raise Refused(Reason.NOT_AN_ADMIN, sentences.not_an_admin(doing))


def _by_link(command: AcceptInvitation | DeclineInvitation, known: WorkingSet) -> Invitation:
    invitation = known.invitation_with_digest(command.organization_id, command.code_digest)
    if invitation is None:
        raise Refused(Reason.UNKNOWN_INVITATION, sentences.UNKNOWN_INVITATION)
    return invitation


def _new_invitation(command: InviteMember, known: WorkingSet, context: Context, policy: Policy) -> Invitation:
    invitation_id = policy.new_id()
    invitation = Invitation.issue(
        invitation_id=invitation_id,
        organization_id=command.organization_id,
        inviter_id=command.actor_id,
        address=known.address(command.address),
        code_digest=code_digest(link_code(policy.link_key, invitation_id)),
        terms=policy.terms,
        now=context.now,
    )
    known.add_invitation(invitation)
    return invitation


def _published(told: Iterable[Told]) -> list[Fact | AnswerTo]:
    return [
        AnswerTo(each.fact, each.command_id, each.correlation_id) if isinstance(each, LateAnswer) else each
        for each in told
    ]
