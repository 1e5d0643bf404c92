"""Programs that come as Go modules: of pinned versions, built once, and kept in .latchkey/tools."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

KEPT_IN = Path(__file__).resolve().parents[2] / ".latchkey" / "tools"
BUILD_WITHIN = 900
"""Seconds. Helm is large: three minutes on two cores."""


class NotToBeHad(Exception):
    """There is no Go on this machine, or the modules cannot be fetched."""


@dataclass(frozen=True)
class GoTool:
    """A program by the module that it is in."""

    package: str
    version: str

    @property
    def name(self) -> str:
        return self.package.rpartition("/")[2]

    @property
    def path(self) -> Path:
        return KEPT_IN / f"{self.name}-{self.version}" / self.name

    def built(self) -> str:
        """Where the program is. Raises NotToBeHad with a sentence."""
        if not self.path.exists():
            self._build()
        return str(self.path)

    def _build(self) -> None:
        go = shutil.which("go")
        if go is None:
            raise NotToBeHad("There is no Go on this machine, which builds the linters of the Helm chart.")
        environment = os.environ | {"GOBIN": str(self.path.parent), "CGO_ENABLED": "0"}
        command = [go, "install", f"{self.package}@{self.version}"]
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=BUILD_WITHIN, check=False
            )
        except subprocess.TimeoutExpired:
            raise NotToBeHad(f"{self.name} could not be built within {BUILD_WITHIN} seconds.") from None
        if done.returncode:
            raise NotToBeHad(f"{self.name} could not be built: {(done.stderr.strip().splitlines() or ['?'])[-1]}")


HELM = GoTool("helm.sh/helm/v3/cmd/helm", "v3.22.0")
KUBE_SCORE = GoTool("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0")
