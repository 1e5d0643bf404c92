"""Fixtures of console's tests."""

from collections.abc import AsyncIterator

import pytest
from accounts_desk import AccountsDesk
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from postroom.database import async_url
from postroom.migrations import migrate


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An empty database of console's, migrated, with connections for many instances."""
    await migrate("console", database_url)
    engine = create_async_engine(async_url(database_url), pool_size=25, hide_parameters=True)
    yield engine
    await engine.dispose()


@pytest.fixture
def desk(engine: AsyncEngine) -> AccountsDesk:
    """The accounts of console, on an empty database."""
    return AccountsDesk(engine)
