"""Fixtures for every test in the house: a real PostgreSQL, whose databases testdatabases makes, and a real Kafka."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack.kafka import KafkaServer
from stack.ports import free_port
from stack.postgres import PostgresServer, new_password
from testdatabases.plugin import SERVER


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
def database_server(request: pytest.FixtureRequest) -> str:
    """The developer's own server, where there is one; else that of this run."""
    server_url: str = os.environ.get(SERVER) or request.getfixturevalue("postgres_server").admin_url
    return server_url


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
