"""Fixtures of billing's tests."""

from collections.abc import AsyncIterator

import pytest
from billing_world import Instances
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from postroom.database import async_url
from postroom.migrations import migrate


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An empty database of billing's, migrated, with connections for many instances."""
    await migrate("billing", database_url)
    engine = create_async_engine(async_url(database_url), pool_size=25)
    yield engine
    await engine.dispose()


@pytest.fixture
def instances(engine: AsyncEngine) -> Instances:
    """Processes of billing on an empty database."""
    return Instances(engine)
