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
    organization_credit, organization_card, member_credit, member_card, written_off, waiting, forgiven, is_told
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
        WHERE used_until >= instant)
""")  # noqa: S608

_ADD = text(f"""
    INSERT INTO charges ({_COLUMNS})
    SELECT * FROM unnest(
        CAST(:usage_ids AS uuid[]), CAST(:parts AS int[]), CAST(:account_ids AS uuid[]),
        CAST(:organization_ids AS uuid[]), CAST(:resources AS text[]), CAST(:instance_ids AS text[]),
        CAST(:used_from AS timestamptz[]), CAST(:used_until AS timestamptz[]), CAST(:amounts AS bigint[]),
        CAST(:organization_credit AS bigint[]), CAST(:organization_card AS bigint[]),
        CAST(:member_credit AS bigint[]), CAST(:member_card AS bigint[]), CAST(:written_off AS bigint[]),
        CAST(:waiting AS bigint[]), CAST(:forgiven AS bigint[]), CAST(:is_told AS boolean[]))
""")  # noqa: S608

_UPDATE = text("""
    UPDATE charges
    SET organization_id = changed.organization_id, used_from = changed.used_from, used_until = changed.used_until,
        amount = changed.amount, organization_credit = changed.organization_credit,
        organization_card = changed.organization_card, member_credit = changed.member_credit,
        member_card = changed.member_card, written_off = changed.written_off, waiting = changed.waiting,
        forgiven = changed.forgiven, is_told = changed.is_told
    FROM unnest(
        CAST(:usage_ids AS uuid[]), CAST(:parts AS int[]), CAST(:organization_ids AS uuid[]),
        CAST(:used_from AS timestamptz[]), CAST(:used_until AS timestamptz[]), CAST(:amounts AS bigint[]),
        CAST(:organization_credit AS bigint[]), CAST(:organization_card AS bigint[]),
        CAST(:member_credit AS bigint[]), CAST(:member_card AS bigint[]), CAST(:written_off AS bigint[]),
        CAST(:waiting AS bigint[]), CAST(:forgiven AS bigint[]), CAST(:is_told AS boolean[]))
        AS changed (usage_id, part, organization_id, used_from, used_until, amount, organization_credit,
                    organization_card, member_credit, member_card, written_off, waiting, forgiven, is_told)
    WHERE charges.usage_id = changed.usage_id AND charges.part = changed.part
""")

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
    """Writes new and changed charges, and deletes those that are gone. Raises IntegrityError where another instance has
    just charged the same usage; who then loads again sees it."""
    gone = [charge for charge in charges if charge.is_gone and not charge.is_new]
    changed = [charge for charge in charges if charge.is_changed and not charge.is_gone]
    if gone:
        await connection.execute(_DELETE, _places_of(gone))
    if old := [charge for charge in changed if not charge.is_new]:
        await connection.execute(_UPDATE, _places_of(old) | _state_of(old))
    if new := [charge for charge in changed if charge.is_new]:
        await connection.execute(
            _ADD,
            _places_of(new)
            | _state_of(new)
            | {
                "account_ids": [charge.account_id for charge in new],
                "resources": [charge.resource for charge in new],
                "instance_ids": [charge.instance_id for charge in new],
            },
        )


class EndedCharges:
    """The purge of charges that nobody can ask to be reversed any more. The ledger's entries stay."""

    def __init__(self, keep: timedelta) -> None:
        self._keep = keep

    async def purge(self, connection: AsyncConnection, now: datetime) -> int:
        """Deletes a bounded number of them and answers how many."""
        return (await connection.execute(_PURGE, {"before": now - self._keep, "limit": _PURGED_AT_A_TIME})).rowcount


def _places_of(charges: Sequence[Charge]) -> dict[str, list[object]]:
    return {"usage_ids": [charge.usage_id for charge in charges], "parts": [charge.part for charge in charges]}


def _state_of(charges: Sequence[Charge]) -> dict[str, list[object]]:
    """What may change of a charge, as arrays."""
    paid: dict[str, list[object]] = {kind: [charge.paid.get(kind, 0) for charge in charges] for kind in DRAW_ORDER}
    return paid | {
        "organization_ids": [charge.organization_id for charge in charges],
        "used_from": [charge.used_from for charge in charges],
        "used_until": [charge.used_until for charge in charges],
        "amounts": [charge.amount for charge in charges],
        "written_off": [charge.written_off for charge in charges],
        "waiting": [charge.waiting for charge in charges],
        "forgiven": [charge.forgiven for charge in charges],
        "is_told": [charge.is_told for charge in charges],
    }


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
                forgiven=row.forgiven,
                is_told=row.is_told,
                is_new=False,
                is_changed=False,
            )
        )
