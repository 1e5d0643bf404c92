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
from billing.store.payers import accounts_in_need, lock_payers, restorable_accounts, save_payers
from postroom import Message
from postroom.ids import uuid7


class BookStore:
    """Loads and saves Books."""

    def __init__(self, terms: Terms, clock: Callable[[], datetime]) -> None:
        self._terms = terms
        self._clock = clock

    async def load(self, connection: AsyncConnection, messages: Sequence[Message | Settled]) -> Books:
        """Everything that the messages, or outcomes of payments, mention; payers are locked."""
        found = mentions_of(messages)
        if not found.stirred:
            return await self._load(connection, found, set())
        in_need = await accounts_in_need(connection, found.stirred)
        while True:
            # Who has come to be in need while we waited for an organization's lock is known only when we have it. But
            # accounts are locked before organizations: so the locks are given back, and taken anew in their order.
            attempt = await connection.begin_nested()
            books = await self._load(connection, found, in_need)
            late = await accounts_in_need(connection, found.stirred) - in_need
            if not late:
                await attempt.commit()
                return books
            await attempt.rollback()
            in_need |= late

    async def load_restorable(self, connection: AsyncConnection, now: datetime) -> Books | None:
        """Accounts whose funds were exhausted, and whose organization may pay again: since the month has turned, or
        since they belong to it from a moment on that has come by now. None where there is no such."""
        ids = await restorable_accounts(connection, now)
        return await self._load(connection, Mentions(accounts=ids), set()) if ids else None

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

    async def _load(self, connection: AsyncConnection, found: Mentions, in_need: set[UUID]) -> Books:
        """All of it; also of the accounts that are in need."""
        books = Books(self._terms, uuid7)
        await members.load_staff(connection, books.staff, found.known, found.staff)
        # There is no row for whom nobody but a command has mentioned: its kind would be what the command says.
        capped = {account_id for _, account_id in found.to_be_capped & books.staff.members.keys()}
        await lock_payers(connection, books, found.accounts | capped | in_need, "account")
        await load_chains(connection, books.chains, found.memberships, books.payers)
        await load_since(connection, books, found.turned)
        await load_waiting(connection, books, in_need | (found.stirred & books.payers.keys()))
        places = found.staff | books.chains.places | books.places
        organizations = {organization_id for organization_id, _ in books.chains.places | books.places}
        asked = found.asked & books.staff.versions.keys()
        await lock_payers(connection, books, found.organizations | organizations | asked, "organization")
        await load_known_usages(connection, books, found.usages)
        await members.load_spending(connection, books.spending, places, found.to_be_capped)
        await members.load_grants(connection, books, found.mailboxes, found.accounts)
        books.is_complete = True
        return books
