"""Fixtures of notifier's tests."""

from collections.abc import AsyncIterator

import pytest
from notifier_mailbox import Mailbox
from notifier_office import Office
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from postroom.database import async_url
from postroom.migrations import migrate


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An empty database of notifier's, migrated."""
    await migrate("notifier", database_url)
    engine = create_async_engine(async_url(database_url), pool_size=25, hide_parameters=True)
    yield engine
    await engine.dispose()


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    """A mail server on loopback."""
    async with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture
def office(engine: AsyncEngine, mailbox: Mailbox) -> Office:
    """notifier on that database, writing to that mail server."""
    return Office(engine, mailbox.port)
