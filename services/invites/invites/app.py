"""Puts invites together from its settings."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from contracts import (
    INVITES_EVENTS,
    TOPICS,
    AcceptInvitation,
    AccountErased,
    AccountProfile,
    AdmissionRefused,
    DeclineInvitation,
    InviteMember,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    OrganizationCreated,
    Refused,
    RevokeInvitation,
)
from invites import handlers, retention, store
from invites.domain.invitations import Terms
from invites.domain.rates import Rate, RateLimits
from invites.handlers import Policy
from invites.settings import Settings
from invites.working_set import WorkingSet
from postroom import Chore, Every, Handler, Message, Service, utc_now

_HOUSEKEEPING = timedelta(minutes=1)


def policy_of(settings: Settings) -> Policy:
    """What the settings say about new invitations."""
    return Policy(
        link_key=settings.link_key_bytes,
        terms=Terms(settings.invitation_lifetime, settings.reminder_lead),
        limits=RateLimits(
            organization=Rate(settings.organization_invitations_per_day, timedelta(days=1)),
            inviter=Rate(settings.inviter_invitations_per_hour, timedelta(hours=1)),
            recipient=Rate(settings.recipient_invitations_per_day, timedelta(days=1)),
        ),
    )


def reactions(policy: Policy) -> dict[type[Message], Handler[WorkingSet]]:
    """Which function reacts to which message."""
    return {
        InviteMember: partial(handlers.invite, policy=policy),
        RevokeInvitation: handlers.revoke,
        AcceptInvitation: handlers.accept,
        DeclineInvitation: handlers.decline,
        AccountProfile: handlers.keep_profile,
        AccountErased: handlers.forget_person,
        OrganizationCreated: handlers.note_organization,
        MemberJoined: handlers.settle_admission,
        AdmissionRefused: handlers.settle_refusal,
        MemberPromoted: handlers.note_promotion,
        MemberDemoted: handlers.note_demotion,
        MemberLeft: handlers.note_departure,
        MemberRemoved: handlers.revoke_after_removal,
    }


def build(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Service[WorkingSet]:
    """The service, not started."""
    policy = policy_of(settings)
    kept = settings.closed_retention
    return Service(
        "invites",
        settings,
        reads=TOPICS.read_by("invites"),
        writes=INVITES_EVENTS,
        reactions=reactions(policy),
        store=store.InvitesStore(policy.limits),
        refusal=Refused,
        timers=[Every("time", settings.timer_interval, store.load_due, handlers.tell_time)],
        chores=[
            Chore("forget ended invitations", _HOUSEKEEPING, partial(retention.forget_ended_invitations, kept=kept)),
            Chore("forget former members", _HOUSEKEEPING, partial(retention.forget_former_members, kept=kept)),
            Chore("forget spent allowances", _HOUSEKEEPING, retention.forget_allowances),
        ],
        clock=clock,
    )
