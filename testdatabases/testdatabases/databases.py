"""Databases on a server that is there, each with a role of its own."""

import asyncio
import itertools
import secrets
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import asyncpg


class Databases:
    """Makes databases whose names nobody else takes, and drops them. It may be used while an event loop runs: the calls
    wait until the server has done what they say."""

    def __init__(self, server_url: str) -> None:
        """`server_url` is a superuser's, of any database of the server."""
        self._server_url = server_url
        run = secrets.token_hex(4)
        self._names = (f"test_{run}_{number}" for number in itertools.count(1))

    def create(self) -> str:
        """The URL of a new, empty database, as its owner, who reaches no other."""
        name, password = next(self._names), secrets.token_hex(16)
        self._wait_for(
            self._execute(
                self._server_url,
                f"CREATE ROLE {name} LOGIN PASSWORD '{password}'",
                f"CREATE DATABASE {name} OWNER {name}",
                f"REVOKE ALL ON DATABASE {name} FROM PUBLIC",
            )
        )
        server = urlsplit(self._server_url)
        place = server.netloc.rpartition("@")[2]
        return server._replace(netloc=f"{name}:{password}@{place}", path=f"/{name}").geturl()

    def drop(self, url: str) -> None:
        """Drops a database that `create` has made, and its owner, whoever is connected."""
        name = _name(url)
        self._wait_for(
            self._execute(
                self._server_url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"DROP ROLE IF EXISTS {name}"
            )
        )

    def execute(self, url: str, statement: str) -> None:
        """Runs a statement in the database as the superuser, who may do what its owner may not."""
        self._wait_for(self._execute(urlsplit(self._server_url)._replace(path=f"/{_name(url)}").geturl(), statement))

    @staticmethod
    async def _execute(url: str, *statements: str) -> None:
        connection = await asyncpg.connect(url)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    @staticmethod
    def _wait_for(done: Coroutine[Any, Any, None]) -> None:
        # In a thread of its own: the caller's may be one in which an event loop runs.
        with ThreadPoolExecutor(max_workers=1) as thread:
            thread.submit(asyncio.run, done).result()


def _name(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")
