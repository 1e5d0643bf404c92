"""Fixtures of membership's tests."""

from collections.abc import AsyncIterator

import pytest
from membership_desk import Desk, setting_up_acme
from membership_instance import Instances
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from postroom.database import async_url
from postroom.migrations import migrate


@pytest.fixture
def desk() -> Desk:
    """A desk of a world without organizations."""
    return Desk()


@pytest.fixture
def acme(desk: Desk) -> Desk:
    """A desk of a world with Acme and Globex."""
    for message in setting_up_acme():
        desk.tell(message)
    return desk


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An empty database of membership's, migrated, with connections for many instances."""
    await migrate("membership", database_url)
    engine = create_async_engine(async_url(database_url), pool_size=25)
    yield engine
    await engine.dispose()


@pytest.fixture
def instances(engine: AsyncEngine) -> Instances:
    """Processes of membership on an empty database."""
    return Instances(engine)
