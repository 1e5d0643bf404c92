"""What console does about each message: it keeps the view, and learns what became of its commands. The map."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from console.accounts.addresses import normalize_address
from console.view import sentences
from console.view.money_handlers import MONEY_REACTIONS
from console.view.nouns import Delivery, InvitationState
from console.view.verdicts import command_id_of, done
from console.view.working_set import (
    LAST_VERSION,
    Admission,
    Issued,
    MemberNews,
    News,
    Rejection,
    Repetition,
    Verdict,
)
from contracts import (
    AcceptanceRepeated,
    AdmissionRefused,
    Command,
    CommandRefused,
    CreateOrganization,
    DeclineInvitation,
    DemoteMember,
    Fact,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationIssued,
    InvitationReopened,
    InvitationRevoked,
    InvitationSuperseded,
    InviteMember,
    LeaveOrganization,
    LetterBounced,
    LetterFailed,
    LetterSent,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    OrganizationCreated,
    PromoteMember,
    RemoveMember,
    RevokeInvitation,
)
from contracts.invites import InvitationFact
from postroom import Context, Handler, Message

Told = Iterable[Fact]
_NOTHING: tuple[Fact, ...] = ()

# --- invitations


def note_invitation(fact: InvitationIssued, news: News, context: Context) -> Told:
    """A new pending row, and the outcome of who invited."""
    invitation = news.invitation(fact.organization_id, fact.invitation_id)
    invitation.issued = Issued(
        address=fact.address,
        address_normalized=normalize_address(fact.address),
        code_digest=fact.code_digest,
        organization_name=fact.organization_name,
        inviter_id=fact.inviter_id,
        inviter_name=fact.inviter_name,
        issued_at=fact.issued_at,
        expires_at=fact.expires_at,
    )
    news.hear_of_invitation(fact.organization_id, fact.invitation_id, fact.version, "pending")
    result = {
        "invitation_id": str(fact.invitation_id),
        "address": fact.address,
        "issued_at": fact.issued_at.isoformat(),
        "expires_at": fact.expires_at.isoformat(),
    }
    return _done(news, context, InviteMember, result)


def note_superseding(fact: InvitationSuperseded, news: News, context: Context) -> Told:
    """The row goes; its place is taken by a newer one."""
    return _ended(fact, "superseded", fact.superseded_at, news)


def note_revocation(fact: InvitationRevoked, news: News, context: Context) -> Told:
    """The row goes; the outcome of who revoked."""
    _ended(fact, "revoked", fact.revoked_at, news)
    return _done(news, context, RevokeInvitation, {"invitation_id": str(fact.invitation_id)})


def note_declining(fact: InvitationDeclined, news: News, context: Context) -> Told:
    """The row goes; the outcome of who declined."""
    _ended(fact, "declined", fact.declined_at, news)
    return _done(news, context, DeclineInvitation, {"invitation_id": str(fact.invitation_id)})


def note_expiry(fact: InvitationExpired, news: News, context: Context) -> Told:
    """The row says so, and offers to invite again."""
    return _ended(fact, "expired", fact.expired_at, news)


def note_acceptance(fact: InvitationAccepted, news: News, context: Context) -> Told:
    """Somebody is joining; membership has the last word."""
    news.hear_of_invitation(fact.organization_id, fact.invitation_id, fact.version, "accepting")
    return _NOTHING


def note_reopening(fact: InvitationReopened, news: News, context: Context) -> Told:
    """Membership has refused; the invitation is pending again. The outcome, too, for who clicked twice meanwhile."""
    news.hear_of_invitation(fact.organization_id, fact.invitation_id, fact.version, "pending")
    news.rejections.append(_rejection(fact.invitation_id, fact.account_id, fact.reason))
    return _NOTHING


def note_repetition(fact: AcceptanceRepeated, news: News, context: Context) -> Told:
    """The outcome of a second click: the first one's."""
    command_id = command_id_of(context.causation_id)
    if command_id is not None:
        result = {"invitation_id": str(fact.invitation_id), "repeated": True}
        news.repetitions.append(Repetition(command_id, result))
    return _NOTHING


# --- organizations and members


def note_organization(fact: OrganizationCreated, news: News, context: Context) -> Told:
    """An organization is there; its owner's MemberJoined follows."""
    organization = news.organization(fact.organization_id)
    organization.version = max(organization.version, fact.version)
    organization.name, organization.created_at = fact.name, fact.created_at
    return _NOTHING


def note_member(fact: MemberJoined, news: News, context: Context) -> Told:
    """A new member; the outcome of who accepted, or created the organization."""
    news.hear_of_member(
        MemberNews(
            organization_id=fact.organization_id,
            account_id=fact.account_id,
            membership_id=fact.membership_id,
            role=fact.role,
            version=fact.version,
            joined_at=fact.joined_at,
            ended_at=None,
        )
    )
    organization_id, membership_id = str(fact.organization_id), str(fact.membership_id)
    result: dict[str, Any] = {"organization_id": organization_id, "membership_id": membership_id, "repeated": False}
    if fact.invitation_id is None:
        return _done(news, context, CreateOrganization, result)
    news.hear_of_invitation(fact.organization_id, fact.invitation_id, LAST_VERSION, "accepted", fact.joined_at)
    result["invitation_id"] = str(fact.invitation_id)
    news.admissions.append(Admission(fact.organization_id, fact.account_id, result))
    return _NOTHING


def note_rejection(fact: AdmissionRefused, news: News, context: Context) -> Told:
    """The outcome of who accepted and cannot be admitted."""
    news.rejections.append(_rejection(fact.invitation_id, fact.account_id, fact.reason))
    return _NOTHING


def note_promotion(fact: MemberPromoted, news: News, context: Context) -> Told:
    """A member is an admin; the outcome of who promoted."""
    news.hear_of_member(_with_role(fact, fact.promoted_at))
    return _done(news, context, PromoteMember, {"account_id": str(fact.account_id), "role": fact.role})


def note_demotion(fact: MemberDemoted, news: News, context: Context) -> Told:
    """An admin is a member; the outcome of who demoted."""
    news.hear_of_member(_with_role(fact, fact.demoted_at))
    return _done(news, context, DemoteMember, {"account_id": str(fact.account_id), "role": fact.role})


def note_removal(fact: MemberRemoved, news: News, context: Context) -> Told:
    """The member is out; the outcome of who removed."""
    news.hear_of_member(_gone(fact, fact.removed_at))
    return _done(news, context, RemoveMember, {"account_id": str(fact.account_id)})


def note_departure(fact: MemberLeft, news: News, context: Context) -> Told:
    """The member is out; the outcome of who left."""
    news.hear_of_member(_gone(fact, fact.left_at))
    return _done(news, context, LeaveOrganization, {"account_id": str(fact.account_id)})


# --- letters, and refusals


def note_delivery(fact: LetterSent, news: News, context: Context) -> Told:
    """The invitation's letter has left."""
    return _delivered(fact, "sent", news)


def note_bounce(fact: LetterBounced, news: News, context: Context) -> Told:
    """The invitation's letter was refused for good."""
    return _delivered(fact, "bounced", news)


def note_failed_delivery(fact: LetterFailed, news: News, context: Context) -> Told:
    """The invitation's letter could not be delivered."""
    return _delivered(fact, "failed", news)


def note_refusal(fact: CommandRefused, news: News, context: Context) -> Told:
    """The outcome of who asked for something that cannot be."""
    command_id = command_id_of(fact.command_id)
    if command_id is not None:
        news.decide(Verdict(command_id, fact.command_type, fact.reason, fact.message))
    return _NOTHING


REACTIONS: Mapping[type[Message], Handler[News]] = {
    InvitationIssued: note_invitation,
    InvitationSuperseded: note_superseding,
    InvitationRevoked: note_revocation,
    InvitationDeclined: note_declining,
    InvitationExpired: note_expiry,
    InvitationAccepted: note_acceptance,
    InvitationReopened: note_reopening,
    AcceptanceRepeated: note_repetition,
    OrganizationCreated: note_organization,
    MemberJoined: note_member,
    AdmissionRefused: note_rejection,
    MemberPromoted: note_promotion,
    MemberDemoted: note_demotion,
    MemberRemoved: note_removal,
    MemberLeft: note_departure,
    LetterSent: note_delivery,
    LetterBounced: note_bounce,
    LetterFailed: note_failed_delivery,
    CommandRefused: note_refusal,
    **MONEY_REACTIONS,
}


# --- what they have in common


def _done(news: News, context: Context, command: type[Command], result: Mapping[str, Any]) -> Told:
    done(news, context, command, result)
    return _NOTHING


def _ended(fact: InvitationFact, state: InvitationState, at: Any, news: News) -> Told:
    news.hear_of_invitation(fact.organization_id, fact.invitation_id, fact.version, state, at)
    return _NOTHING


def _delivered(fact: LetterSent | LetterBounced | LetterFailed, delivery: Delivery, news: News) -> Told:
    if fact.kind == "invitation" and fact.invitation_id is not None and fact.organization_id is not None:
        news.invitation(fact.organization_id, fact.invitation_id).delivery = delivery
    return _NOTHING


def _with_role(fact: MemberPromoted | MemberDemoted, at: Any) -> MemberNews:
    return MemberNews(
        fact.organization_id, fact.account_id, fact.membership_id, fact.role, fact.version, joined_at=at, ended_at=None
    )


def _gone(fact: MemberRemoved | MemberLeft, at: Any) -> MemberNews:
    return MemberNews(
        fact.organization_id, fact.account_id, fact.membership_id, None, fact.version, joined_at=at, ended_at=at
    )


def _rejection(invitation_id: UUID, account_id: UUID, reason: str) -> Rejection:
    return Rejection(invitation_id, account_id, reason, sentences.not_admitted(reason))
