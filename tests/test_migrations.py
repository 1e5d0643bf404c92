"""Each service's migrations make what its tables.py describes, and a process can be started on it."""

import importlib
from collections.abc import AsyncIterator, Callable

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from check_migrations import migrate_as_it_was, refusals, schema_of
from revisions import last_release, source_of
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from postroom.database import async_url
from postroom.migrations import is_behind, migrate
from postroom.tables import postroom_metadata
from stack.services import SERVICES

# What Alembic does not compare: the conditions of indexes and the texts of checks.
_DETAILS = text("""
    SELECT indexdef AS detail FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'
    UNION ALL
    SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
    WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'
    ORDER BY detail
""")

pytestmark = pytest.mark.parametrize("service", SERVICES)


@pytest.fixture
async def migrated(service: str, database_url: str) -> AsyncIterator[AsyncEngine]:
    """A database that the service's migrations have made."""
    await migrate(service, database_url)
    engine = create_async_engine(async_url(database_url))
    yield engine
    await engine.dispose()


async def test_the_migrations_make_the_tables(
    service: str, migrated: AsyncEngine, make_database: Callable[[], str]
) -> None:
    metadata: MetaData = importlib.import_module(f"{service}.tables").metadata

    def differences(connection: Connection) -> list[object]:
        migration = MigrationContext.configure(connection, opts={"compare_server_default": True})
        return list(compare_metadata(migration, [metadata, postroom_metadata]))  # type: ignore[arg-type]  # it takes both

    described = create_async_engine(async_url(make_database()))
    async with migrated.connect() as made, described.connect() as fresh:
        assert await made.run_sync(differences) == []
        await fresh.run_sync(metadata.create_all)
        await fresh.run_sync(postroom_metadata.create_all)
        expected = (await fresh.execute(_DETAILS)).scalars().all()
        assert (await made.execute(_DETAILS)).scalars().all() == expected
    await described.dispose()


async def test_a_migrated_database_is_not_behind_and_migrating_again_changes_nothing(
    service: str, migrated: AsyncEngine, database_url: str
) -> None:
    await migrate(service, database_url)
    async with migrated.connect() as connection:
        assert not await is_behind(service, connection)


async def test_a_new_database_is_behind(service: str, database_url: str) -> None:
    engine = create_async_engine(async_url(database_url))
    async with engine.connect() as connection:
        assert await is_behind(service, connection)
    await engine.dispose()


async def test_the_last_release_can_live_with_what_is_new(service: str, database_url: str) -> None:
    assert await refusals(service, database_url, source_of(last_release())) == []


async def test_a_database_of_the_last_release_becomes_the_same_as_a_new_one(
    service: str, migrated: AsyncEngine, make_database: Callable[[], str]
) -> None:
    url = make_database()
    migrate_as_it_was(service, url, source_of(last_release()))
    await migrate(service, url)
    upgraded = create_async_engine(async_url(url))
    async with upgraded.connect() as older, migrated.connect() as newer:
        assert await older.run_sync(schema_of) == await newer.run_sync(schema_of)
        assert (await older.execute(_DETAILS)).scalars().all() == (await newer.execute(_DETAILS)).scalars().all()
    await upgraded.dispose()
