"""Proves that each service stands alone: its tests pass, and it starts, where there is nothing but what it declares.

    python tests/independence.py                    every service
    python tests/independence.py invites billing    these

For each, wheels of contracts, postroom and the service itself are put into an empty virtual environment. In it, nothing
of another service is importable; without settings, the service ends and names those that it needs; it migrates a real
PostgreSQL; it serves /livez before there is a Kafka, and ends when it is asked to. A second environment adds what the
service's tests declare (the extra `test`), and nothing else, and its tests run there, against the installed wheels.

Environments are kept in `.latchkey/independence/`, and made anew where what they are made of has changed. Options go to
pytest; with --junit-xml=PATH, all reports are put together there. The exit code is 1 where a service failed.
"""

import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from environments import ROOT, NotMade, build_wheels, check, fingerprint, install, new_environment
from junit import put_together

from stack.environment import python_environment
from stack.loopback import answers_ok
from stack.ports import LOOPBACK, free_ports
from stack.postgres import PostgresServer
from stack.services import SERVICES
from testdatabases import Databases
from testdatabases.plugin import SERVER

KEPT = ROOT / ".latchkey" / "independence"
CONSTRAINTS = ROOT / "constraints.txt"
SHARED = ("contracts", "postroom")
"""What a service may build on, beside what comes from elsewhere."""
PATIENCE = 60.0
"""Seconds in which a process must start, or end."""

_LINK_KEY, _ACCOUNTS_KEY = (base64.urlsafe_b64encode(bytes([number]) * 32).decode() for number in (1, 2))
SETTINGS = {
    "invites": {"LINK_KEY": _LINK_KEY},
    "membership": {},
    "billing": {},
    "notifier": {
        "LINK_KEY": _LINK_KEY,
        "ACCOUNTS_KEY": _ACCOUNTS_KEY,
        "CONSOLE_URL": "https://console.example.com",
        "SMTP_HOST": LOOPBACK,
        "MAIL_FROM": "invitations@example.com",
    },
    "console": {"ACCOUNTS_KEY": _ACCOUNTS_KEY, "CONSOLE_URL": "https://console.example.com"},
}
"""What each service must be told, beside where Kafka and its database are."""


@dataclass(frozen=True)
class Alone:
    """A service in environments of its own."""

    service: str
    python: Path
    """Of the environment that has what the service needs to run."""
    test_python: Path
    """Of the one that adds what its tests need."""


class Failed(Exception):
    """What a service does not do alone, as a sentence."""


def main(arguments: Sequence[str]) -> int:
    options = [argument for argument in arguments if argument.startswith("-")]
    services = [argument for argument in arguments if argument not in options] or list(SERVICES)
    if unknown := set(services) - set(SERVICES):
        print(f"There is no service {', '.join(sorted(unknown))}. There are: {', '.join(SERVICES)}.", file=sys.stderr)
        return 2
    report = next((Path(option.partition("=")[2]) for option in options if option.startswith("--junit-xml=")), None)
    options = [option for option in options if not option.startswith("--junit-xml=")]
    verdicts = {}
    with tempfile.TemporaryDirectory() as scratch, postgres(Path(scratch)) as server_url:
        reports = Path(scratch) / "reports"
        for service in services:
            started = time.monotonic()
            try:
                alone = make_alone(service)
                stands_alone(alone, server_url, Path(scratch))
                verdicts[service] = tests_pass(alone, server_url, reports / f"{service}.xml", options)
            except (NotMade, Failed) as failure:
                verdicts[service] = f"failed: {failure}"
            print(f"{service}: {verdicts[service]} ({time.monotonic() - started:.0f} s)", flush=True)
        if report is not None:
            put_together(sorted(reports.glob("*.xml")), report)
    failed = {service: verdict for service, verdict in verdicts.items() if verdict.startswith("failed")}
    print(f"\n{len(services) - len(failed)} of {len(services)} services stand alone.")
    return 1 if failed else 0


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """The URL of a server, as its superuser."""
    server = PostgresServer(folder / "postgres")
    server.start()
    try:
        yield server.admin_url
    finally:
        server.stop()
        server.remove()


def make_alone(service: str) -> Alone:
    """Makes both environments, unless they are there and nothing that they are made of has changed."""
    sources = [ROOT / name for name in SHARED]
    own, for_tests = ROOT / "services" / service, ROOT / "testdatabases"
    folder = KEPT / f"{service}-{fingerprint([*sources, own, for_tests, CONSTRAINTS, Path(__file__)])}"
    alone = Alone(service, folder / "run" / "bin" / "python", folder / "test" / "bin" / "python")
    made = folder / "made"
    if not made.exists():
        print(f"{service}: making its environments", flush=True)
        for former in KEPT.glob(f"{service}-*"):
            shutil.rmtree(former)
        *wheels, of_tests = shared_wheels()
        [of_service] = build_wheels([own], folder / "wheels", CONSTRAINTS)
        new_environment(folder / "run")
        install(alone.python, [*map(str, wheels), str(of_service)], CONSTRAINTS)
        check(alone.python)
        new_environment(folder / "test", above=alone.python)
        install(alone.test_python, [*map(str, wheels), f"{of_service}[test]", str(of_tests)], CONSTRAINTS)
        made.touch()
    return alone


@cache
def shared_wheels() -> list[Path]:
    """The wheels of what services build on, and last of what gives their tests a database: the same for all of them."""
    return build_wheels([ROOT / name for name in (*SHARED, "testdatabases")], KEPT / "shared-wheels", CONSTRAINTS)


def stands_alone(alone: Alone, server_url: str, folder: Path) -> None:
    """Raises Failed where the service does not start as it should."""
    others = {*SERVICES, "stack", "bench", "testdatabases", "pytest", "pip"} - {alone.service}
    found = run(alone, "-c", f"from importlib.util import find_spec; print(*filter(find_spec, {sorted(others)}))")
    if found.stdout.strip():
        raise Failed(f"it can import {found.stdout.strip()}")

    lost = run(alone, "-m", alone.service)
    needed = {"DATABASE_URL", "KAFKA_BOOTSTRAP_SERVERS", *SETTINGS[alone.service]}
    unnamed = {name for name in needed if name not in lost.stdout}
    if lost.returncode == 0 or unnamed:
        raise Failed(
            f"without settings it ends with {lost.returncode}, and does not name {sorted(unnamed)}: {lost.stdout}"
        )

    databases = Databases(server_url)
    url = databases.create()
    kafka, health, web = free_ports(3)  # Nobody listens at the first.
    settings = {
        **SETTINGS[alone.service],
        "DATABASE_URL": url,
        "KAFKA_BOOTSTRAP_SERVERS": f"{LOOPBACK}:{kafka}",
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(health),
        "WEB_HOST": LOOPBACK,
        "WEB_PORT": str(web),
    }
    try:
        migrated = run(alone, "-m", alone.service, "migrate", settings=settings)
        if migrated.returncode:
            raise Failed(f"it does not migrate: {migrated.stdout}")
        lives_without_kafka(alone, settings, health, folder / f"{alone.service}.log")
    finally:
        databases.drop(url)


def lives_without_kafka(alone: Alone, settings: dict[str, str], health: int, log_path: Path) -> None:
    """Raises Failed where /livez is not 200 before there is a Kafka, or the process does not end when asked to."""
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [alone.python, "-m", alone.service], env=environment() | settings, cwd="/", stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + PATIENCE
        while not answers_ok(health, "/livez"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Failed(f"it does not serve /livez before there is a Kafka: {log_path.read_text()}")
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        if code := process.wait(PATIENCE):
            raise Failed(f"asked to end, it ends with {code}: {log_path.read_text()}")
    finally:
        process.kill()
        process.wait()


def tests_pass(alone: Alone, server_url: str, report: Path, options: Sequence[str]) -> str:
    """What came of the service's tests, in its own environment."""
    folder = ROOT / "services" / alone.service
    command: list[str | Path] = [
        alone.test_python,
        "-m",
        "pytest",
        "--quiet",
        "--tb=short",
        "-n",
        "auto",
        "-p",
        "no:cacheprovider",
    ]
    # With the settings of the house, and without its fixtures.
    command += ["-c", ROOT / "pyproject.toml", f"--rootdir={folder}", f"--confcutdir={folder}", *options]
    done = subprocess.run(
        [*command, f"--junit-xml={report}", folder / "tests"],
        env=environment() | {SERVER: server_url},
        cwd=folder,
        check=False,
    )
    return "its tests pass and it starts" if done.returncode == 0 else "failed: its tests, see above"


def run(alone: Alone, *arguments: str, settings: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs Python in the service's environment to its end; what it says is in `stdout`."""
    return subprocess.run(
        [alone.python, *arguments],
        env=environment() | (settings or {}),
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def environment() -> dict[str, str]:
    """Without any packages of ours, or settings."""
    return {name: value for name, value in python_environment().items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
