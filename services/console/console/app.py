"""Puts console together from its settings."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from prometheus_client import CollectorRegistry

from console import limits
from console.accounts import retention
from console.changes import Usage
from console.commands import idempotency
from console.commands import store as commands
from console.settings import Settings
from console.view import store as view
from console.view.handlers import REACTIONS
from console.view.working_set import News
from console.web.server import Web
from contracts import (
    ACCOUNTS_EVENTS,
    ACCOUNTS_PROFILES,
    BILLING_COMMANDS,
    INVITES_COMMANDS,
    MEMBERSHIP_COMMANDS,
    TOPICS,
)
from postroom import Chore, Service, utc_now

_HOUSEKEEPING = timedelta(minutes=1)


def build(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Service[News]:
    """The service, not started."""
    registry = CollectorRegistry()
    web = Web(settings, registry)
    usage = Usage()
    kept = settings.closed_retention
    return Service(
        "console",
        settings,
        reads=TOPICS.read_by("console"),
        writes=(ACCOUNTS_PROFILES, ACCOUNTS_EVENTS, INVITES_COMMANDS, MEMBERSHIP_COMMANDS, BILLING_COMMANDS),
        reactions=REACTIONS,
        store=view.NewsStore(clock, usage),
        chores=[
            Chore("forget invitations", _HOUSEKEEPING, partial(view.forget_invitations, kept=kept)),
            Chore("forget former members", _HOUSEKEEPING, partial(view.forget_former_members, kept=kept)),
            Chore("forget commands", _HOUSEKEEPING, partial(commands.forget, kept=settings.command_retention)),
            Chore("forget idempotency keys", _HOUSEKEEPING, idempotency.forget),
            Chore("forget sessions", _HOUSEKEEPING, partial(retention.forget_sessions, idle=settings.session_idle)),
            Chore("forget challenges", _HOUSEKEEPING, retention.forget_challenges),
            Chore("forget allowances", _HOUSEKEEPING, limits.forget_allowances),
        ],
        workers=[web.serve, usage.tell, retention.forgetting_unproven(settings.sign_up_lifetime)],
        readiness={"web": web.lacks},
        clock=clock,
        registry=registry,
    )
