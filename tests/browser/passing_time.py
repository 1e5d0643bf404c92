"""Time that passes at once. A week does not pass in a test, so the services are told that it has; what comes of that is
what comes of a week."""

from uuid import UUID

import asyncpg

from stack.platform import Platform

_A_WEEK_PASSES = {
    "console": """
        UPDATE invitations SET issued_at = issued_at - interval '8 days', expires_at = expires_at - interval '8 days'
        WHERE organization_id = $1 AND address = $2
    """,
    "invites": """
        UPDATE invitations SET issued_at = issued_at - interval '8 days', expires_at = expires_at - interval '8 days',
                               due_at = due_at - interval '8 days'
        WHERE organization_id = $1 AND address = $2
    """,
}


async def a_week_passes(platform: Platform, organization_id: UUID, address: str) -> None:
    """For the invitations of this address to the organization."""
    for service, statement in _A_WEEK_PASSES.items():
        connection = await asyncpg.connect(platform.postgres.url(service))
        try:
            await connection.execute(statement, organization_id, address)
        finally:
            await connection.close()
