"""The services as processes of the platform: each is run by exactly the command that its image runs."""

import sys
from collections.abc import Mapping
from pathlib import Path

from stack.environment import python_environment
from stack.errors import StackError
from stack.loopback import answer, answers_ok
from stack.ports import LOOPBACK, require_free
from stack.process import Launch, ManagedProcess

SERVICES = ("invites", "membership", "billing", "notifier", "console")
"""All, by the names of their packages, which are those of their databases, too."""
WITH_PAGES = ("console",)
"""Those that serve people, on a port beside that of their health."""


def port_names(service: str, instance: str) -> tuple[str, ...]:
    """What the ports of an instance are called: that of its health alone; or, where the service has pages, that of the
    pages, which goes by the instance's name, and that of its health."""
    return (instance, f"{instance}-health") if service in WITH_PAGES else (instance,)


def owner_of_port(name: str) -> tuple[str, str] | None:
    """The service and the instance of it whose port is called so; None where it is no service's."""
    instance = name.removesuffix("-health")
    first, _, number = instance.rpartition("-")
    service = first if number.isdecimal() else instance
    is_one = service in SERVICES and name in port_names(service, instance)
    return (service, instance) if is_one else None


class ServiceProcess(ManagedProcess):
    """One instance of a service. Ready is what /readyz says."""

    ready_within = 60.0

    def __init__(
        self,
        service: str,
        name: str,
        port: int,
        log_path: Path,
        *,
        env: Mapping[str, str],
        folder: Path,
        web_port: int | None = None,
        interpreter: Path | None = None,
        dies_with_us: bool = True,
    ) -> None:
        """`name` tells the instances of a service apart; `port` is that of /livez, /readyz and /metrics; `env` is what
        the service is told; `folder` is where it runs, and where it writes nothing; `web_port` is where it serves
        people, if it does; `interpreter` is the Python that runs it, if not this one."""
        super().__init__(name, log_path, dies_with_us=dies_with_us)
        self.service = service
        self.port = port
        self.web_port = web_port
        self.env = {**env, "HTTP_HOST": LOOPBACK, "HTTP_PORT": str(port)}
        """May be changed before a start."""
        if web_port is not None:
            self.env |= {"WEB_HOST": LOOPBACK, "WEB_PORT": str(web_port)}
        self.interpreter = interpreter
        """In whose environment the service is installed; None for this one. May be changed before a start."""
        self._folder = folder

    @property
    def address(self) -> str:
        """Where people find it, if they do; else that of /livez, /readyz and /metrics."""
        return f"http://{LOOPBACK}:{self.port if self.web_port is None else self.web_port}"

    @property
    def web_address(self) -> str:
        """Of the pages and the API. Raises StackError where it has none."""
        if self.web_port is None:
            raise StackError(f"{self.name} has no pages.")
        return self.address

    def _prepare(self) -> Launch:
        require_free(self.port, self.name if self.web_port is None else f"{self.name} (health)")
        if self.web_port is not None:
            require_free(self.web_port, self.name)
        env = python_environment() | self.env
        if self.interpreter is not None:
            env.pop("PYTHONPATH", None)  # These are the packages of this Python.
        command = [str(self.interpreter or sys.executable), "-m", self.service]
        return Launch(command, env=env, folder=self._folder)

    def _is_ready(self) -> bool:
        return answers_ok(self.port, "/readyz")

    def _lacks(self) -> str:
        status, body = answer(self.port, "/readyz")
        return f"/readyz says: {body}" if status else ""
