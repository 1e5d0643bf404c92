"""The ledger in the database: entries are added, and never changed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.domain.ledger import Entry

log = structlog.get_logger()

_ADD = text("""
    INSERT INTO entries (cause_id, turn, kind, source_kind, source_owner_id, target_kind, target_owner_id, amount,
                         subject_id, booked_at)
    SELECT * FROM unnest(
        CAST(:cause_ids AS uuid[]), CAST(:turns AS int[]), CAST(:kinds AS text[]), CAST(:source_kinds AS text[]),
        CAST(:source_owner_ids AS uuid[]), CAST(:target_kinds AS text[]), CAST(:target_owner_ids AS uuid[]),
        CAST(:amounts AS bigint[]), CAST(:subject_ids AS uuid[]), CAST(:booked_at AS timestamptz[]))
""")

# What the entries sum up to, against what stands in the payers' rows.
_DIFFERENCES = text("""
    WITH moved AS (
        SELECT source_kind AS kind, source_owner_id AS owner_id, -amount AS amount FROM entries
        UNION ALL
        SELECT target_kind, target_owner_id, amount FROM entries
    ), booked AS (
        SELECT kind, owner_id, sum(amount) AS amount FROM moved
        WHERE kind IN ('organization_credit', 'organization_card', 'member_credit', 'member_card')
        GROUP BY kind, owner_id
    ), held AS (
        SELECT CASE kind WHEN 'organization' THEN 'organization_credit' ELSE 'member_credit' END AS kind,
               payer_id AS owner_id, credit AS amount
        FROM payers
        UNION ALL
        SELECT CASE kind WHEN 'organization' THEN 'organization_card' ELSE 'member_card' END, payer_id, block
        FROM payers
    )
    SELECT kind, owner_id, coalesce(booked.amount, 0) AS booked, coalesce(held.amount, 0) AS held
    FROM booked FULL JOIN held USING (kind, owner_id)
    WHERE coalesce(booked.amount, 0) <> coalesce(held.amount, 0)
    ORDER BY kind, owner_id
    LIMIT :limit
""")

_BALANCES = text("""
    SELECT kind, sum(amount) AS amount
    FROM (SELECT source_kind AS kind, -amount AS amount FROM entries
          UNION ALL
          SELECT target_kind, amount FROM entries) AS moved
    GROUP BY kind
""")


@dataclass(frozen=True, slots=True)
class Difference:
    """An account whose entries do not sum up to what its payer is said to hold. There is none, or there is a bug."""

    kind: str
    owner_id: UUID
    booked: int
    held: int


async def add_entries(connection: AsyncConnection, entries: Sequence[Entry]) -> None:
    """Adds them. Raises IntegrityError where a cause is booked for the second time."""
    if not entries:
        return
    await connection.execute(
        _ADD,
        {
            "cause_ids": [entry.cause_id for entry in entries],
            "turns": [entry.turn for entry in entries],
            "kinds": [entry.kind for entry in entries],
            "source_kinds": [entry.source.kind for entry in entries],
            "source_owner_ids": [entry.source.owner_id for entry in entries],
            "target_kinds": [entry.target.kind for entry in entries],
            "target_owner_ids": [entry.target.owner_id for entry in entries],
            "amounts": [entry.amount for entry in entries],
            "subject_ids": [entry.subject_id for entry in entries],
            "booked_at": [entry.booked_at for entry in entries],
        },
    )


async def differences(connection: AsyncConnection, limit: int = 100) -> list[Difference]:
    """What is wrong with the books: in one statement, and so at one moment."""
    rows = await connection.execute(_DIFFERENCES, {"limit": limit})
    return [Difference(row.kind, row.owner_id, int(row.booked), int(row.held)) for row in rows]


class BooksCheck:
    """The check of the books, of which somebody should hear when it fails: there is an error in the log for each
    account that is not what its entries say. It reads the whole ledger."""

    def __init__(self, tell: Callable[[int, datetime], None] = lambda *_: None) -> None:
        """`tell` is called with the number of accounts that are wrong, after each check."""
        self._tell = tell

    async def run(self, connection: AsyncConnection, now: datetime) -> int:
        """A chore that removes nothing."""
        wrong = await differences(connection)
        self._tell(len(wrong), now)
        for found in wrong:
            log.error(
                "the books do not balance",
                kind=found.kind,
                owner_id=str(found.owner_id),
                booked=found.booked,
                held=found.held,
            )
        return 0


async def balances(connection: AsyncConnection) -> dict[str, int]:
    """What all accounts of each kind hold together; all kinds together hold zero."""
    return {row.kind: int(row.amount) for row in await connection.execute(_BALANCES)}
