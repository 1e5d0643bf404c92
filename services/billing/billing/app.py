"""billing, put together."""

from billing.domain import Chains
from billing.handlers import REACTIONS
from billing.settings import Settings
from billing.store import ChainStore, EndedChains
from contracts import BILLING_EVENTS, TOPICS
from postroom import Chore, Service


def build(settings: Settings) -> Service[Chains]:
    """The service, not started yet."""
    ended_chains = EndedChains(settings.ended_retention)
    return Service(
        "billing",
        settings,
        reads=TOPICS.read_by("billing"),
        writes=BILLING_EVENTS,
        reactions=REACTIONS,
        store=ChainStore(),
        chores=[Chore("purge ended chains", settings.purge_interval, ended_chains.purge)],
    )
