"""How many invitations may be sent from where: those of an organization, an inviter and a recipient count invites. And
how often somebody may have the bank of a card asked, since that is how stolen cards are tried out."""

from datetime import timedelta
from uuid import UUID

from console.accounts.domain import Visitor
from console.limits import Allowance, network_of
from console.settings import Settings

_HOUR = timedelta(hours=1)


def invitations(settings: Settings, visitor: Visitor, number: int = 1) -> Allowance:
    """Of so many invitations at once, from one network address."""
    limit = settings.invitations_per_network_per_hour
    return Allowance("invitations from", network_of(visitor.network_address), limit, _HOUR, times=number)


def cards(settings: Settings, account_id: UUID) -> Allowance:
    """Of one question to the bank of a card, by whoever has put it on file, retries it, or tops up with it."""
    return Allowance("cards by", str(account_id), settings.cards_per_account_per_hour, _HOUR)
