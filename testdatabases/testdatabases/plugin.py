"""The fixtures."""

import os
from collections.abc import Callable, Iterator

import pytest

from testdatabases.databases import Databases

SERVER = "TEST_DATABASE_SERVER"


@pytest.fixture(scope="session")
def database_server() -> str:
    """The URL of a PostgreSQL server, as a superuser of it. Whoever starts one for the tests overrides this."""
    url = os.environ.get(SERVER)
    if not url:
        pytest.fail(
            f"These tests need a PostgreSQL. Set {SERVER} to a superuser's URL of it,"
            " as in postgresql://postgres:secret@127.0.0.1:5432/postgres.",
            pytrace=False,
        )
    return url


@pytest.fixture(scope="session")
def databases(database_server: str) -> Databases:
    """For whoever needs a database for longer than a test."""
    return Databases(database_server)


@pytest.fixture
def make_database(databases: Databases) -> Iterator[Callable[[], str]]:
    """Makes empty databases, each with a role of its own, and answers their URLs; they are gone after the test."""
    made: list[str] = []

    def make() -> str:
        made.append(databases.create())
        return made[-1]

    yield make
    for url in made:
        databases.drop(url)


@pytest.fixture
def database_url(make_database: Callable[[], str]) -> str:
    """An empty database."""
    return make_database()
