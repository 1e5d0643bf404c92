"""SQL of commands: what was sent, and what is known of its outcome. The outcomes are written by console.view.store."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from console.commands.outcome import Outcome
from contracts import Command

_FORGOTTEN_AT_A_TIME = 2000

_INSERT = text("""
    INSERT INTO commands (command_id, ce_type, organization_id, actor_id, invitation_id, sent_at, state)
    SELECT command_id, ce_type, organization_id, actor_id, invitation_id, :now, 'waiting'
    FROM unnest(CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:organization_ids AS uuid[]),
                CAST(:actor_ids AS uuid[]), CAST(:invitation_ids AS uuid[]))
        AS sent (command_id, ce_type, organization_id, actor_id, invitation_id)
""")

_READ = text("""
    SELECT command_id, ce_type, organization_id, actor_id, sent_at, state, reason, message, ended_at,
           CASE WHEN organizations.name IS NULL THEN result
                ELSE result || jsonb_build_object('organization_name', organizations.name) END AS result
    FROM commands LEFT JOIN organizations USING (organization_id)
    WHERE command_id = ANY(CAST(:ids AS uuid[]))
""")

_FORGET = text("""
    DELETE FROM commands
    WHERE command_id IN (SELECT command_id FROM commands WHERE sent_at < :before ORDER BY sent_at LIMIT :limit
                         FOR UPDATE SKIP LOCKED)
""")


async def insert(
    connection: AsyncConnection,
    commands: Sequence[tuple[UUID, Command]],
    invitation_ids: Sequence[UUID | None],
    now: datetime,
) -> None:
    """Remembers commands that are being sent in the same transaction."""
    await connection.execute(
        _INSERT,
        {
            "ids": [command_id for command_id, _ in commands],
            "types": [command.ce_type for _, command in commands],
            "organization_ids": [command.partition_key for _, command in commands],
            "actor_ids": [command.actor for _, command in commands],
            "invitation_ids": list(invitation_ids),
            "now": now,
        },
    )


async def read(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Outcome]:
    """What is known of them; those that are not known are left out."""
    rows = await connection.execute(_READ, {"ids": list(ids)})
    return {row.command_id: _outcome(row) for row in rows}


async def forget(connection: AsyncConnection, now: datetime, *, kept: timedelta) -> int:
    """Deletes commands that were sent longer ago, a bounded number, and answers how many."""
    return (await connection.execute(_FORGET, {"before": now - kept, "limit": _FORGOTTEN_AT_A_TIME})).rowcount


def _outcome(row: Any) -> Outcome:
    return Outcome(
        command_id=row.command_id,
        ce_type=row.ce_type,
        organization_id=row.organization_id,
        actor_id=row.actor_id,
        sent_at=row.sent_at,
        state=row.state,
        reason=row.reason,
        message=row.message,
        result=row.result or {},
        ended_at=row.ended_at,
    )
