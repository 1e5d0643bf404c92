"""The migrations lead to the tables that tables.py declares."""

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from invites.tables import metadata
from postroom.tables import postroom_metadata


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    differences: list[object] = compare_metadata(context, [metadata, postroom_metadata])  # type: ignore[arg-type]  # Alembic takes several
    return differences


async def test_the_migrated_database_is_what_the_tables_say(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
