"""billing, put together."""

from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry

from billing.counts import BookCounts, PaymentCounts, read_payments
from billing.domain.books import Books
from billing.handlers import REACTIONS, restore_funds
from billing.payments import Pace, Payments
from billing.provider import Stripe
from billing.settings import Settings
from billing.store.books import BookStore
from billing.store.chains import EndedChains
from billing.store.charges import EndedCharges
from billing.store.ledger import BooksCheck
from billing.store.payments import EndedPayments
from billing.store.webhooks import HeardWebhooks
from billing.webhooks import Webhooks
from contracts import BILLING_EVENTS, TOPICS, Refused
from postroom import Chore, Every, Service, utc_now


def build(settings: Settings, clock: Callable[[], datetime] = utc_now) -> Service[Books]:
    """The service, not started yet."""
    kept, often = settings.ended_retention, settings.purge_interval
    store = BookStore(settings.terms, clock)
    api_key = settings.stripe_api_key.get_secret_value()
    pace = Pace(settings.payment_lease, settings.payment_interval.total_seconds())
    registry = CollectorRegistry()
    payments = Payments(Stripe(api_key, settings.stripe_api_base), store, pace, counts=PaymentCounts(registry))
    return Service(
        "billing",
        settings,
        reads=TOPICS.read_by("billing"),
        writes=BILLING_EVENTS,
        reactions=REACTIONS,
        store=store,
        refusal=Refused,
        timers=[Every("new month", settings.restore_interval, store.load_restorable, restore_funds)],
        chores=[
            Chore("purge ended chains", often, EndedChains(kept).purge),
            Chore("purge ended charges", often, EndedCharges(kept).purge),
            Chore("purge ended payments", often, EndedPayments(kept).purge),
            Chore("check the books", settings.check_interval, BooksCheck(BookCounts(registry).check).run),
            Chore("forget heard webhooks", often, HeardWebhooks().purge),
        ],
        workers=[payments.make] if api_key else [],
        endpoints=Webhooks(settings.stripe_webhook_secret.get_secret_value()).endpoints,
        clock=clock,
        registry=registry,
        readings=[read_payments],
    )
