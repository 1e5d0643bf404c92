"""The whole platform, for the stories and the fault tests: started once, and ended with the run."""

from collections.abc import AsyncIterator, Iterator

import pytest

from stack.client import Client
from stack.platform import Platform

pytest.register_assert_rewrite("crowd", "office")


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Kafka, PostgreSQL, a mailbox and the services. A test that breaks a part of it mends it again."""
    from crowd import SETTINGS  # After its registration, above.

    with Platform(tmp_path_factory.mktemp("platform"), settings=SETTINGS) as platform:
        yield platform


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[Client]:
    """Somebody who watches every fact from now on."""
    platform.check()
    async with Client(platform.bootstrap_servers) as client:
        yield client
    platform.check()
