"""The migrations make what tables.py describes, and a process can be started on it."""

from collections.abc import Callable

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from notifier.tables import metadata
from postroom.database import async_url
from postroom.migrations import is_behind
from postroom.tables import postroom_metadata

# What Alembic does not compare: the conditions of indexes and the texts of checks.
_DETAILS = text("""
    SELECT indexdef AS detail FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    UNION ALL
    SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
    ORDER BY detail
""")


async def test_the_migrations_make_the_tables(engine: AsyncEngine, make_database: Callable[[], str]) -> None:
    def differences(connection: Connection) -> list[object]:
        migration = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(migration, [metadata, postroom_metadata]))  # type: ignore[arg-type]  # it takes both

    described = create_async_engine(async_url(make_database()))
    async with engine.connect() as migrated, described.connect() as fresh:
        assert await migrated.run_sync(differences) == []
        await fresh.run_sync(metadata.create_all)
        await fresh.run_sync(postroom_metadata.create_all)
        expected = (await fresh.execute(_DETAILS)).scalars().all()
        assert (await migrated.execute(_DETAILS)).scalars().all() == expected
    await described.dispose()


async def test_a_migrated_database_is_not_behind(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        assert not await is_behind("notifier", connection)
