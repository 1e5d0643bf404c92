"""membership, put together."""

from contracts import MEMBERSHIP_EVENTS, TOPICS, Refused
from membership.domain import Roster
from membership.handlers import REACTIONS
from membership.settings import Settings
from membership.store import EndedMembers, RosterStore
from postroom import Chore, Service


def build(settings: Settings) -> Service[Roster]:
    """The service, not started yet."""
    ended_members = EndedMembers(settings.ended_retention)
    return Service(
        "membership",
        settings,
        reads=TOPICS.read_by("membership"),
        writes=MEMBERSHIP_EVENTS,
        reactions=REACTIONS,
        store=RosterStore(),
        refusal=Refused,
        chores=[Chore("purge ended members", settings.purge_interval, ended_members.purge)],
    )
