"""What is kept for how long: housekeeping, in bounded pieces, that nobody has to be told of."""

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

_DELETED_AT_A_TIME = 2000

_FORGET_INVITATIONS = text("""
    DELETE FROM invitations
    WHERE id IN (SELECT id FROM invitations WHERE ended_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED)
""")

_FORGET_MEMBERS = text("""
    DELETE FROM members
    WHERE (organization_id, account_id) IN (
        SELECT organization_id, account_id FROM members WHERE ended_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED)
""")

_FORGET_ALLOWANCES = text("""
    DELETE FROM allowances
    WHERE (scope, subject) IN (
        SELECT scope, subject FROM allowances WHERE spent_until <= :now LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


async def forget_ended_invitations(connection: AsyncConnection, now: datetime, *, kept: timedelta) -> int:
    """Deletes some of the invitations that ended longer than `kept` ago; returns how many."""
    return await _forget(connection, _FORGET_INVITATIONS, {"before": now - kept})


async def forget_former_members(connection: AsyncConnection, now: datetime, *, kept: timedelta) -> int:
    """Deletes some of the members who left longer than `kept` ago; returns how many."""
    return await _forget(connection, _FORGET_MEMBERS, {"before": now - kept})


async def forget_allowances(connection: AsyncConnection, now: datetime) -> int:
    """Deletes some of the allowances that have come back in full; returns how many."""
    return await _forget(connection, _FORGET_ALLOWANCES, {"now": now})


async def _forget(connection: AsyncConnection, statement: TextClause, values: dict[str, Any]) -> int:
    return (await connection.execute(statement, values | {"limit": _DELETED_AT_A_TIME})).rowcount
