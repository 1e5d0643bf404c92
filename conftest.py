"""Fixtures for every test in the house: a real PostgreSQL, and databases that nobody else uses."""

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stack.kafka import KafkaServer
from stack.ports import free_port
from stack.postgres import PostgresServer, new_password


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A server for the whole run; it ends with it."""
    folder = tmp_path_factory.mktemp("postgres")
    server = PostgresServer(folder / "data", free_port(), folder / "postgres.log", password=new_password())
    server.start()
    try:
        yield server
    finally:
        server.stop()
        server.remove()


@pytest.fixture(scope="session")
def _database_names() -> Iterator[str]:
    return (f"test_{number}" for number in itertools.count(1))


@pytest.fixture
def make_database(postgres_server: PostgresServer, _database_names: Iterator[str]) -> Iterator[Callable[[], str]]:
    """Makes empty databases, each with a role of its own, and answers their URLs; they are gone after the test."""
    made: list[str] = []

    def make() -> str:
        name = next(_database_names)
        made.append(name)
        return postgres_server.create_database(name)

    yield make
    for name in made:
        postgres_server.drop_database(name)


@pytest.fixture
def database_url(make_database: Callable[[], str]) -> str:
    """An empty database."""
    return make_database()


@pytest.fixture(scope="session")
def repository() -> Path:
    """The folder that holds the whole house."""
    return Path(__file__).parent


@pytest.fixture(scope="session")
def kafka_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker for the whole run; it ends with it. Tests that use it are marked `platform`."""
    folder = tmp_path_factory.mktemp("kafka")
    server = KafkaServer(folder, free_port(), free_port(), folder / "kafka.log")
    server.start()
    try:
        yield server
    finally:
        server.kill()
