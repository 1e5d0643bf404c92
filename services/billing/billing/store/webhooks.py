"""What the payment provider has told, in the database: each event is taken once."""

from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

TOLERANCE_SECONDS = 300
"""For how long a signature holds."""
_FORGOTTEN_AT_A_TIME = 1000

_HEAR = text("""
    INSERT INTO heard_webhooks (event_id, heard_at) VALUES (:event_id, :now) ON CONFLICT (event_id) DO NOTHING
""")

_FORGET = text("""
    DELETE FROM heard_webhooks
    WHERE event_id IN (SELECT event_id FROM heard_webhooks WHERE heard_at < :before LIMIT :limit
                       FOR UPDATE SKIP LOCKED)
""")


async def hear(connection: AsyncConnection, event_id: str, now: datetime) -> bool:
    """Takes an event; answers whether it was not taken before."""
    return (await connection.execute(_HEAR, {"event_id": event_id, "now": now})).rowcount > 0


class HeardWebhooks:
    """The purge of what was heard longer ago than a signature holds."""

    async def purge(self, connection: AsyncConnection, now: datetime) -> int:
        """Deletes a bounded number of them and answers how many."""
        before = now - timedelta(seconds=2 * TOLERANCE_SECONDS)
        return (await connection.execute(_FORGET, {"before": before, "limit": _FORGOTTEN_AT_A_TIME})).rowcount
