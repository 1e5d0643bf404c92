"""billing, put together."""

from collections.abc import Callable
from datetime import datetime

from billing.domain.books import Books
from billing.handlers import REACTIONS
from billing.settings import Settings
from billing.store.books import BookStore
from billing.store.chains import EndedChains
from billing.store.charges import EndedCharges
from billing.store.payments import EndedPayments
from contracts import BILLING_EVENTS, TOPICS, Refused
from postroom import Chore, Service, utc_now


def build(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Service[Books]:
    """The service, not started yet."""
    kept, often = settings.ended_retention, settings.purge_interval
    return Service(
        "billing",
        settings,
        reads=TOPICS.read_by("billing"),
        writes=BILLING_EVENTS,
        reactions=REACTIONS,
        store=BookStore(settings.terms, clock),
        refusal=Refused,
        chores=[
            Chore("purge ended chains", often, EndedChains(kept).purge),
            Chore("purge ended charges", often, EndedCharges(kept).purge),
            Chore("purge ended payments", often, EndedPayments(kept).purge),
        ],
        clock=clock,
    )
