"""notifier, put together."""

import socket
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from prometheus_client import CollectorRegistry

from contracts import NOTIFIER_EVENTS, TOPICS
from notifier import retention
from notifier.counts import LetterCounts, read_letters
from notifier.delivery import Delivery, Pace
from notifier.handlers import REACTIONS, end_overtime
from notifier.rendering import Renderer
from notifier.settings import Settings, Tls
from notifier.smtp import MailServer
from notifier.store import LetterStore
from notifier.working_set import Post
from postroom import Chore, Every, Service, utc_now

_SOON = timedelta(seconds=1)
_HOUSEKEEPING = timedelta(minutes=10)


def build(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Service[Post]:
    """The service, not started yet."""
    patience = settings.patience
    letters = LetterStore(patience)
    registry = CollectorRegistry()
    counts = LetterCounts(registry)
    delivery = Delivery(mail_server(settings), renderer(settings), patience, pace(settings), counts=counts)
    kept = settings.keep_ended
    return Service(
        "notifier",
        settings,
        reads=TOPICS.read_by("notifier"),
        writes=NOTIFIER_EVENTS,
        reactions=REACTIONS,
        store=letters,
        timers=[
            Every("overtime", timedelta(seconds=5), letters.load_overtime, end_overtime, committed=counts.end_overtime)
        ],
        chores=[
            Chore("queue complete letters", _SOON, letters.queue_complete),
            Chore("forget ended letters", _HOUSEKEEPING, partial(retention.forget_letters, kept=kept)),
            Chore("forget ended invitations", _HOUSEKEEPING, partial(retention.forget_ended_invitations, kept=kept)),
        ],
        workers=[delivery.deliver],
        clock=clock,
        registry=registry,
        readings=[read_letters],
    )


def renderer(settings: Settings) -> Renderer:
    """What writes the letters."""
    return Renderer(
        console_url=str(settings.console_url),
        link_key=settings.link_key_bytes,
        accounts_key=settings.accounts_key_bytes,
        sender=settings.sender,
    )


def mail_server(settings: Settings) -> MailServer:
    """Where they go."""
    is_secret = settings.smtp_tls is not Tls.NONE
    return MailServer(
        host=settings.smtp_host,
        port=settings.smtp_port,
        local_hostname=settings.smtp_hostname or socket.gethostname(),
        timeout=settings.smtp_timeout.total_seconds(),
        implicit_tls=settings.smtp_tls is Tls.IMPLICIT,
        starttls=settings.smtp_tls is Tls.STARTTLS,
        tls_context=ssl.create_default_context(cafile=settings.smtp_ca_file) if is_secret else None,
        username=settings.smtp_username,
        password=settings.smtp_password.get_secret_value() if settings.smtp_username else None,
    )


def pace(settings: Settings) -> Pace:
    """How much is done at a time."""
    return Pace(
        connections=settings.smtp_connections,
        claim_size=settings.claim_size,
        lease=settings.lease,
        interval=settings.delivery_interval.total_seconds(),
        idle=settings.smtp_idle.total_seconds(),
    )
