"""Organizations, their members, and what those may draw, in the database."""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.domain.books import Books
from billing.domain.spending import Place, Spending
from billing.domain.staff import Member, Staff

_ORGANIZATIONS = text("""
    SELECT organization_id, version FROM organizations WHERE organization_id = ANY(CAST(:ids AS uuid[]))
""")

_MEMBERS = text("""
    SELECT organization_id, account_id, role, version
    FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[])) AS asked (organization_id, account_id)
    JOIN members USING (organization_id, account_id)
""")

_CAPS = text("""
    SELECT organization_id, account_id, cap, month, spent
    FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[])) AS asked (organization_id, account_id)
    JOIN spend_caps USING (organization_id, account_id)
    LEFT JOIN spending USING (organization_id, account_id)
""")

_SPENT = text("""
    SELECT organization_id, account_id, month, spent
    FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[])) AS asked (organization_id, account_id)
    JOIN spending USING (organization_id, account_id)
""")

_SAVE_ORGANIZATIONS = text("""
    INSERT INTO organizations (organization_id, version)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]))
    ON CONFLICT (organization_id) DO UPDATE SET version = greatest(organizations.version, excluded.version)
""")

_SAVE_MEMBERS = text("""
    INSERT INTO members (organization_id, account_id, role, version)
    SELECT * FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:roles AS text[]),
                         CAST(:versions AS bigint[]))
    ON CONFLICT (organization_id, account_id) DO UPDATE SET role = excluded.role, version = excluded.version
    WHERE members.version < excluded.version
""")

_SAVE_CAPS = text("""
    INSERT INTO spend_caps (organization_id, account_id, cap)
    SELECT * FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:caps AS bigint[]))
    ON CONFLICT (organization_id, account_id) DO UPDATE SET cap = excluded.cap
""")

_ADD_SPENDING = text("""
    INSERT INTO spending (organization_id, account_id, month, spent)
    SELECT * FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:months AS date[]),
                         CAST(:added AS bigint[]))
    ON CONFLICT (organization_id, account_id, month) DO UPDATE SET spent = spending.spent + excluded.spent
""")

_GRANTED = text("""
    SELECT address_digest, account_id FROM trial_grants
    WHERE address_digest = ANY(CAST(:digests AS text[])) OR account_id = ANY(CAST(:account_ids AS uuid[]))
""")

_GRANT = text("""
    INSERT INTO trial_grants (address_digest, account_id, granted_at)
    SELECT digest, account_id, :now FROM unnest(CAST(:digests AS text[]), CAST(:account_ids AS uuid[]))
        AS new (digest, account_id)
""")


async def load_staff(
    connection: AsyncConnection, staff: Staff, organization_ids: Collection[UUID], places: Collection[Place]
) -> None:
    """The organizations, and what these accounts are in them."""
    if organization_ids:
        for row in await connection.execute(_ORGANIZATIONS, {"ids": list(organization_ids)}):
            staff.versions[row.organization_id] = row.version
    if places:
        for row in await connection.execute(_MEMBERS, _columns(places)):
            staff.members[(row.organization_id, row.account_id)] = Member(row.role, row.version)


async def load_spending(
    connection: AsyncConnection, spending: Spending, places: Collection[Place], to_be_capped: Collection[Place]
) -> None:
    """The caps of these members, and what those have spent who have one, or are getting one."""
    if places:
        for row in await connection.execute(_CAPS, _columns(places)):
            spending.caps[(row.organization_id, row.account_id)] = row.cap
            if row.month is not None:
                spending.spent[(row.organization_id, row.account_id, row.month)] = row.spent
    if to_be_capped:
        for row in await connection.execute(_SPENT, _columns(to_be_capped)):
            spending.spent[(row.organization_id, row.account_id, row.month)] = row.spent


async def load_grants(
    connection: AsyncConnection, books: Books, digests: Collection[str], account_ids: Collection[UUID]
) -> None:
    """Which of these mailboxes and accounts have had their trial credit."""
    if digests:
        rows = await connection.execute(_GRANTED, {"digests": list(digests), "account_ids": list(account_ids)})
        books.granted.update({row.address_digest: row.account_id for row in rows})


async def save_staff(connection: AsyncConnection, staff: Staff) -> None:
    """Writes what has changed."""
    if staff.changed_versions:
        ids = sorted(staff.changed_versions)
        await connection.execute(_SAVE_ORGANIZATIONS, {"ids": ids, "versions": [staff.versions[each] for each in ids]})
    if staff.changed_members:
        places = sorted(staff.changed_members)
        members = [staff.members[place] for place in places]
        values = {"roles": [member.role for member in members], "versions": [member.version for member in members]}
        await connection.execute(_SAVE_MEMBERS, _columns(places) | values)


async def save_spending(connection: AsyncConnection, spending: Spending) -> None:
    """Writes caps, and adds what was spent to what stands there."""
    if spending.changed_caps:
        places = sorted(spending.changed_caps)
        await connection.execute(_SAVE_CAPS, _columns(places) | {"caps": [spending.caps[place] for place in places]})
    added = sorted(key for key, amount in spending.added.items() if amount)
    if added:
        months = {"months": [month for _, _, month in added], "added": [spending.added[key] for key in added]}
        await connection.execute(_ADD_SPENDING, _columns([key[:2] for key in added]) | months)


async def save_grants(connection: AsyncConnection, grants: dict[str, UUID], now: datetime) -> None:
    """Writes who has had their trial credit. Raises IntegrityError where another instance was faster."""
    if grants:
        values = {"digests": list(grants), "account_ids": list(grants.values()), "now": now}
        await connection.execute(_GRANT, values)


def _columns(places: Collection[Place]) -> dict[str, list[object]]:
    return {"organization_ids": [each for each, _ in places], "account_ids": [each for _, each in places]}
