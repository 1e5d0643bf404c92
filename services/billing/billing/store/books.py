"""billing's SQL: a batch costs the same few statements, whatever its size.

The rows of the payers are the locks. Statements after them see what was committed before the lock was granted (READ
COMMITTED), so that what two transactions decide about one payer is as if one had come after the other.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from billing.domain.books import Books
from billing.domain.payments import Settled
from billing.domain.terms import Terms
from billing.mentions import Mentions, mentions_of
from billing.store import members, payments
from billing.store.chains import load_chains, save_chains
from billing.store.charges import load_known_usages, load_since, load_waiting, save_charges
from billing.store.ledger import add_entries
from billing.store.payers import accounts_in_a_new_month, accounts_in_need, lock_payers, save_payers
from postroom import Message
from postroom.ids import uuid7


class BookStore:
    """Loads and saves Books."""

    def __init__(self, terms: Terms, clock: Callable[[], datetime]) -> None:
        self._terms = terms
        self._clock = clock

    async def load(self, connection: AsyncConnection, messages: Sequence[Message | Settled]) -> Books:
        """Everything that the messages, or outcomes of payments, mention; payers are locked."""
        return await self._load(connection, mentions_of(messages))

    async def load_restorable(self, connection: AsyncConnection, now: datetime) -> Books | None:
        """Accounts whose funds were exhausted by a cap of a month that is over; none where there is no such."""
        ids = await accounts_in_a_new_month(connection, now)
        return await self._load(connection, Mentions(accounts=ids)) if ids else None

    async def _load(self, connection: AsyncConnection, found: Mentions) -> Books:
        books = Books(self._terms, uuid7)
        in_need = await accounts_in_need(connection, found.stirred)
        await lock_payers(connection, books, found.accounts | in_need, "account")
        if found.memberships or books.payers:
            await load_chains(connection, books.chains, found.memberships, books.payers)
        organizations = found.organizations | {chain.organization_id for chain in books.chains.by_membership.values()}
        await load_since(connection, books, found.turned)
        await load_waiting(connection, books, in_need)
        organizations |= {each.organization_id for each in books.charges.values() if each.organization_id is not None}
        await lock_payers(connection, books, organizations, "organization")
        await self._load_rest(connection, books, found)
        return books

    async def save(self, connection: AsyncConnection, books: Books) -> None:
        """Writes what has changed. Raises IntegrityError where something is booked for the second time, or another
        instance has just made the same chain, or the same grant; who then loads again sees it."""
        await save_chains(connection, books.chains)
        await save_payers(connection, books.payers.values())
        await save_charges(connection, books.charges.values())
        await members.save_staff(connection, books.staff)
        await members.save_spending(connection, books.spending)
        await members.save_grants(connection, books.new_grants, self._clock())
        await add_entries(connection, books.ledger.entries)
        await payments.ask(connection, books.payments)

    async def _load_rest(self, connection: AsyncConnection, books: Books, found: Mentions) -> None:
        await load_known_usages(connection, books, found.usages)
        places = {(each.organization_id, each.account_id) for each in books.chains.by_membership.values()}
        await members.load_spending(connection, books.spending, places, found.to_be_capped)
        await members.load_staff(connection, books.staff, found.known, found.staff)
        accounts: list[UUID] = list(found.accounts) if found.mailboxes else []
        await members.load_grants(connection, books, found.mailboxes, accounts)
