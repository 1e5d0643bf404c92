"""docker-compose.yml, run under a name and on ports of a test's own."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import leftovers
from contained import ROOT, TAG, Databases
from docker import DockerClient

from stack.mailbox.server import MailboxServer
from stack.ports import LOOPBACK, free_ports
from stack.services import SERVICES
from stack.stripe.keys import StripeKeys
from stack.stripe.server import StripeServer

_UP_WITHIN = 180
"""Seconds."""
_PORTS = ("CONSOLE", "MAILBOX", "STRIPE", "KAFKA", "KAFKA_2", "KAFKA_3", "POSTGRES")


def is_there() -> bool:
    """Whether the machine has Docker's Compose plugin."""
    if shutil.which("docker") is None:
        return False
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


class Composed:
    """Up as a context manager; at the end nothing of it is left, its volumes included."""

    def __init__(
        self, engine: DockerClient, project: str, folder: Path, files: Sequence[str] = (), *, tag: str = TAG
    ) -> None:
        """`files` are further ones, beside docker-compose.yml; `folder` is for what is kept on this machine; `tag` is
        that of the images."""
        self._engine = engine
        self._project = project
        self._folder = folder
        self._files = ("docker-compose.yml", *files)
        self._tag = tag
        self._ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))

    @property
    def console_url(self) -> str:
        return f"http://{LOOPBACK}:{self._ports['CONSOLE']}"

    @property
    def bootstrap_servers(self) -> str:
        """Of all brokers that there are."""
        brokers = ("KAFKA", "KAFKA_2", "KAFKA_3") if "compose.kafka3.yml" in self._files else ("KAFKA",)
        return ",".join(f"{LOOPBACK}:{self._ports[name]}" for name in brokers)

    @property
    def mailbox(self) -> MailboxServer:
        return MailboxServer(self._folder, None, self._ports["MAILBOX"])

    @property
    def stripe(self) -> StripeServer:
        publishable = self.run("exec", "stripe", "cat", "/run/secrets/stripe_publishable_key")
        return StripeServer(self._folder, self._ports["STRIPE"], keys=StripeKeys("", publishable, ""))

    @cached_property
    def postgres(self) -> Databases:
        """Where a further file has published it, on `postgres_port`."""
        names = self.run("exec", "postgres", "sh", "-c", "cd /run/secrets && tail -n +1 *")
        passwords = dict(part.split(" <==\n") for part in names.removeprefix("==> ").split("\n==> "))
        return Databases(self.postgres_port, {service: passwords[service].strip() for service in SERVICES})

    @property
    def postgres_port(self) -> int:
        return self._ports["POSTGRES"]

    def configuration(self) -> dict[str, Any]:
        """What Compose makes of the files. Fails where they are not valid."""
        found: dict[str, Any] = json.loads(self.run("config", "--format=json"))
        return found

    def container(self, service: str) -> Any:
        """Of docker's own library."""
        return self._engine.containers.get(f"{self._project}-{service}-1")

    def __enter__(self) -> Self:
        try:
            self.run("up", "--wait", f"--wait-timeout={_UP_WITHIN}")
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def run(self, *arguments: str) -> str:
        """What a Compose command prints. Fails, with the containers' last words, where it fails."""
        done = self._compose(*arguments)
        if done.returncode != 0:
            words = self._compose("logs", "--tail=15").stdout
            raise AssertionError(f"docker compose {' '.join(arguments)}: {done.stderr}\n{words}")
        return done.stdout

    def _compose(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        files = [f"--file={file}" for file in self._files]
        ports = {f"LATCHKEY_{name}_PORT": str(port) for name, port in self._ports.items()}
        env = os.environ | ports | {"LATCHKEY_TAG": self._tag}
        command = ["docker", "compose", f"--project-name={self._project}", *files, *arguments]
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)

    def _remove(self) -> None:
        self._compose("down", "--volumes", "--timeout=2")
        leftovers.remove(self._engine, self._project)
