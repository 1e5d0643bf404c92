"""What pages and the API ask about money."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from console.view.money import BillingChain, Card, DaySpend, MemberSpend, OrganizationMoney, Receipt
from console.view.nouns import Page
from postroom import Room


class MoneyView:
    """Reads what billing has told. Months are named by their first day, and are those of UTC."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def chain(self, account_id: UUID) -> BillingChain:
        """Who pays for the account, now and until when. Details of the organization's card are in it for admins
        alone."""
        raise NotImplementedError

    async def card(self, payer_id: UUID) -> Card | None:
        """The card on file of an organization, or of an account."""
        raise NotImplementedError

    async def organization_money(self, organization_id: UUID) -> OrganizationMoney:
        """What the organization pays by, and has paid this month. With its card: for admins."""
        raise NotImplementedError

    async def member_spend(self, organization_id: UUID, month: date) -> Sequence[MemberSpend]:
        """What each member has used in the month, those who spent most first; and whoever is none any more and has
        spent something in it."""
        raise NotImplementedError

    async def daily_spend(
        self, month: date, *, organization_id: UUID | None = None, account_id: UUID | None = None
    ) -> Sequence[DaySpend]:
        """What was used on each day of the month: in an organization, by an account (in whichever organization, or
        none), or by an account in an organization. Days on which nothing was used are left out."""
        raise NotImplementedError

    async def receipts(self, payer_id: UUID, *, after: str | None = None, limit: int = 50) -> Page[Receipt]:
        """Money that came in from an organization, or an account, the newest first. `after` is the `next` of the page
        before; raises ValueError where it is not."""
        raise NotImplementedError
