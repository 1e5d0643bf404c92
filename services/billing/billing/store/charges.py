"""Charges in the database."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.domain.books import Books
from billing.domain.chains import DRAW_ORDER
from billing.domain.charges import Charge

_PURGED_AT_A_TIME = 5000

_COLUMNS = """
    usage_id, part, account_id, organization_id, resource, instance_id, used_from, used_until, amount,
    organization_credit, organization_card, member_credit, member_card, written_off, waiting, is_told
"""

_KNOWN = text("""
    SELECT usage_id FROM charges WHERE usage_id = ANY(CAST(:ids AS uuid[])) AND part = 1
""")

_WAITING = text(f"""
    SELECT {_COLUMNS} FROM charges WHERE waiting > 0 AND account_id = ANY(CAST(:account_ids AS uuid[]))
""")  # noqa: S608

# With all parts of the usages that lie, in part, after an instant from which on the account's stays are others.
_SINCE = text(f"""
    SELECT {_COLUMNS} FROM charges
    WHERE usage_id IN (
        SELECT usage_id
        FROM charges JOIN unnest(CAST(:account_ids AS uuid[]), CAST(:instants AS timestamptz[]))
            AS turned (account_id, instant) USING (account_id)
        WHERE used_until > instant)
""")  # noqa: S608

_SAVE = text(f"""
    INSERT INTO charges ({_COLUMNS})
    SELECT * FROM unnest(
        CAST(:usage_ids AS uuid[]), CAST(:parts AS int[]), CAST(:account_ids AS uuid[]),
        CAST(:organization_ids AS uuid[]), CAST(:resources AS text[]), CAST(:instance_ids AS text[]),
        CAST(:used_from AS timestamptz[]), CAST(:used_until AS timestamptz[]), CAST(:amounts AS bigint[]),
        CAST(:organization_credit AS bigint[]), CAST(:organization_card AS bigint[]),
        CAST(:member_credit AS bigint[]), CAST(:member_card AS bigint[]), CAST(:written_off AS bigint[]),
        CAST(:waiting AS bigint[]), CAST(:is_told AS boolean[]))
    ON CONFLICT (usage_id, part) DO UPDATE
    SET organization_id = excluded.organization_id, used_from = excluded.used_from, used_until = excluded.used_until,
        amount = excluded.amount, organization_credit = excluded.organization_credit,
        organization_card = excluded.organization_card, member_credit = excluded.member_credit,
        member_card = excluded.member_card, written_off = excluded.written_off, waiting = excluded.waiting,
        is_told = excluded.is_told
""")  # noqa: S608

_DELETE = text("""
    DELETE FROM charges
    USING unnest(CAST(:usage_ids AS uuid[]), CAST(:parts AS int[])) AS gone (usage_id, part)
    WHERE charges.usage_id = gone.usage_id AND charges.part = gone.part
""")

_PURGE = text("""
    DELETE FROM charges
    WHERE (usage_id, part) IN (SELECT usage_id, part FROM charges WHERE used_until < :before AND waiting = 0
                               LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


async def load_known_usages(connection: AsyncConnection, books: Books, usage_ids: Collection[UUID]) -> None:
    """Which of these usages were charged before."""
    if usage_ids:
        books.known_usages |= set((await connection.execute(_KNOWN, {"ids": list(usage_ids)})).scalars())


async def load_waiting(connection: AsyncConnection, books: Books, account_ids: Collection[UUID]) -> None:
    """The charges of these accounts that wait."""
    if account_ids:
        _add(books, (await connection.execute(_WAITING, {"account_ids": list(account_ids)})).all())


async def load_since(connection: AsyncConnection, books: Books, turned: Mapping[UUID, datetime]) -> None:
    """The charges of these accounts after an instant each."""
    if turned:
        parameters = {"account_ids": list(turned), "instants": list(turned.values())}
        _add(books, (await connection.execute(_SINCE, parameters)).all())


async def save_charges(connection: AsyncConnection, charges: Collection[Charge]) -> None:
    """Writes new and changed charges, and deletes those that are gone."""
    gone = [charge for charge in charges if charge.is_gone and not charge.is_new]
    if gone:
        places = {"usage_ids": [charge.usage_id for charge in gone], "parts": [charge.part for charge in gone]}
        await connection.execute(_DELETE, places)
    changed = [charge for charge in charges if charge.is_changed and not charge.is_gone]
    if not changed:
        return
    paid: dict[str, list[object]] = {kind: [charge.paid.get(kind, 0) for charge in changed] for kind in DRAW_ORDER}
    await connection.execute(
        _SAVE,
        paid
        | {
            "usage_ids": [charge.usage_id for charge in changed],
            "parts": [charge.part for charge in changed],
            "account_ids": [charge.account_id for charge in changed],
            "organization_ids": [charge.organization_id for charge in changed],
            "resources": [charge.resource for charge in changed],
            "instance_ids": [charge.instance_id for charge in changed],
            "used_from": [charge.used_from for charge in changed],
            "used_until": [charge.used_until for charge in changed],
            "amounts": [charge.amount for charge in changed],
            "written_off": [charge.written_off for charge in changed],
            "waiting": [charge.waiting for charge in changed],
            "is_told": [charge.is_told for charge in changed],
        },
    )


class EndedCharges:
    """The purge of charges that nobody can ask to be reversed any more. The ledger's entries stay."""

    def __init__(self, keep: timedelta) -> None:
        self._keep = keep

    async def purge(self, connection: AsyncConnection, now: datetime) -> int:
        """Deletes a bounded number of them and answers how many."""
        return (await connection.execute(_PURGE, {"before": now - self._keep, "limit": _PURGED_AT_A_TIME})).rowcount


def _add(books: Books, rows: Sequence[Row[Any]]) -> None:
    for row in rows:
        paid = {kind: amount for kind in DRAW_ORDER if (amount := getattr(row, kind))}
        books.add(
            Charge(
                usage_id=row.usage_id,
                part=row.part,
                account_id=row.account_id,
                organization_id=row.organization_id,
                resource=row.resource,
                instance_id=row.instance_id,
                used_from=row.used_from,
                used_until=row.used_until,
                amount=row.amount,
                waiting=row.waiting,
                paid=paid,
                written_off=row.written_off,
                is_told=row.is_told,
                is_new=False,
                is_changed=False,
            )
        )
