"""The whole platform, for the stories and the fault tests: started once, and ended with the run."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stack.client import Client
from stack.platform import Platform

pytest.register_assert_rewrite("crowd", "office")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--interpreter",
        metavar="SERVICE=PYTHON",
        action="append",
        default=[],
        help="run this service by that Python, in whose environment another revision of it is (see tests/mixed.py)",
    )


@pytest.fixture(scope="session")
def interpreters(pytestconfig: pytest.Config) -> dict[str, Path]:
    """The Pythons of services that are not to be run by this one, by service."""
    given = (option.partition("=") for option in pytestconfig.getoption("interpreter"))
    return {service: Path(python) for service, _, python in given}


@pytest.fixture(scope="session")
def platform(tmp_path_factory: pytest.TempPathFactory, interpreters: dict[str, Path]) -> Iterator[Platform]:
    """Kafka, PostgreSQL, a mailbox and the services. A test that breaks a part of it mends it again."""
    from crowd import SETTINGS  # After its registration, above.

    with Platform(tmp_path_factory.mktemp("platform"), settings=SETTINGS, interpreters=interpreters) as platform:
        yield platform


@pytest.fixture
async def client(platform: Platform) -> AsyncIterator[Client]:
    """Somebody who watches every fact from now on."""
    platform.check()
    async with Client(platform.bootstrap_servers) as client:
        yield client
    platform.check()
