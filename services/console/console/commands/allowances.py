"""How many invitations may be sent from where. Those of an organization, an inviter and a recipient count invites."""

from datetime import timedelta

from console.accounts.domain import Visitor
from console.limits import Allowance, network_of
from console.settings import Settings

_HOUR = timedelta(hours=1)


def invitations(settings: Settings, visitor: Visitor, number: int = 1) -> Allowance:
    """Of so many invitations at once, from one network address."""
    limit = settings.invitations_per_network_per_hour
    return Allowance("invitations from", network_of(visitor.network_address), limit, _HOUR, times=number)
