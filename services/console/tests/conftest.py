"""Fixtures of console's tests."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
from accounts_desk import AccountsDesk
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from console.tables import metadata
from postroom.database import async_url
from postroom.migrations import migrate
from postroom.tables import postroom_metadata
from testdatabases import Databases

_TABLES = ", ".join(table.name for each in (metadata, postroom_metadata) for table in each.sorted_tables)
_EMPTY = f"""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    TRUNCATE {_TABLES};
"""


@pytest.fixture(scope="session")
def _migrated(databases: Databases) -> Iterator[str]:
    """One database for all of these tests: to migrate one for each would take longer than most of them."""
    url = databases.create()
    asyncio.run(migrate("console", url))
    yield url
    databases.drop(url)


@pytest.fixture
def database_url(databases: Databases, _migrated: str) -> Iterator[str]:
    """An empty database of console's, migrated. It is emptied after the test, whatever that has left open."""
    yield _migrated
    databases.execute(_migrated, _EMPTY)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """With connections for many instances."""
    engine = create_async_engine(async_url(database_url), pool_size=25, hide_parameters=True)
    yield engine
    await engine.dispose()


@pytest.fixture
def desk(engine: AsyncEngine) -> AccountsDesk:
    """The accounts of console, on an empty database."""
    return AccountsDesk(engine)
