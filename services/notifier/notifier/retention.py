"""How long notifier keeps what has ended: its chores."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

_DELETED_AT_A_TIME = 2000

_FORGET_LETTERS = text("""
    DELETE FROM letters
    WHERE letter_id IN (SELECT letter_id FROM letters WHERE ended_at < :before ORDER BY ended_at LIMIT :limit
                        FOR UPDATE SKIP LOCKED)
""")

_FORGET_ENDS = text("""
    DELETE FROM ended_invitations
    WHERE invitation_id IN (SELECT invitation_id FROM ended_invitations WHERE ended_at < :before ORDER BY ended_at
                            LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


async def forget_letters(connection: AsyncConnection, now: datetime, *, kept: timedelta) -> int:
    """Deletes letters that ended longer ago than `kept`, a bounded number, and answers how many."""
    return (await connection.execute(_FORGET_LETTERS, {"before": now - kept, "limit": _DELETED_AT_A_TIME})).rowcount


async def forget_ended_invitations(connection: AsyncConnection, now: datetime, *, kept: timedelta) -> int:
    """Deletes the memory of invitations that ended longer ago than `kept`; bounded, too."""
    return (await connection.execute(_FORGET_ENDS, {"before": now - kept, "limit": _DELETED_AT_A_TIME})).rowcount
