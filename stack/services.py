"""The services as processes of the platform: each is run by exactly the command that its image runs."""

import sys
from collections.abc import Mapping
from pathlib import Path

from stack.environment import python_environment
from stack.loopback import answer, answers_ok
from stack.ports import LOOPBACK, require_free
from stack.process import Launch, ManagedProcess

SERVICES = ("invites", "membership", "billing", "notifier")
"""All, by the names of their packages, which are those of their databases, too."""


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
        dies_with_us: bool = True,
    ) -> None:
        """`name` tells the instances of a service apart; `env` is what the service is told; `folder` is where it runs,
        and where it writes nothing."""
        super().__init__(name, log_path, dies_with_us=dies_with_us)
        self.service = service
        self.port = port
        self.env = {**env, "HTTP_HOST": LOOPBACK, "HTTP_PORT": str(port)}
        """May be changed before a start."""
        self._folder = folder

    @property
    def address(self) -> str:
        """Of /livez, /readyz and /metrics."""
        return f"http://{LOOPBACK}:{self.port}"

    def _prepare(self) -> Launch:
        require_free(self.port, self.name)
        return Launch([sys.executable, "-m", self.service], env=python_environment() | self.env, folder=self._folder)

    def _is_ready(self) -> bool:
        return answers_ok(self.port, "/readyz")

    def _lacks(self) -> str:
        status, body = answer(self.port, "/readyz")
        return f"/readyz says: {body}" if status else ""
