"""A real PostgreSQL with invites' tables, fresh for each test that asks for it."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from postroom.database import async_url
from postroom.migrations import migrate


@pytest.fixture
async def make_engine(make_database: Callable[[], str]) -> AsyncIterator[Callable[[], Awaitable[AsyncEngine]]]:
    """Makes engines, each on a migrated database of its own."""
    engines: list[AsyncEngine] = []

    async def make() -> AsyncEngine:
        url = make_database()
        await migrate("invites", url)
        engines.append(create_async_engine(async_url(url), pool_size=25))
        return engines[-1]

    yield make
    for engine in engines:
        await engine.dispose()


@pytest.fixture
async def engine(make_engine: Callable[[], Awaitable[AsyncEngine]]) -> AsyncEngine:
    return await make_engine()
