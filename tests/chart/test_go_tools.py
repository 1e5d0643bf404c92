"""Programs that cannot be had: the tests that need them are skipped, and say why."""

import os
from pathlib import Path

import go_tools
import pytest
from go_tools import GoTool, NotToBeHad

pytestmark = pytest.mark.chart


def test_a_program_that_takes_too_long_to_build_cannot_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    go = tmp_path / "go"
    go.write_text("#!/bin/sh\nexec sleep 60\n", encoding="utf-8")
    go.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(go_tools, "BUILD_WITHIN", 0.2)

    with pytest.raises(NotToBeHad, match=r"^tool could not be built within 0\.2 seconds\.$"):
        GoTool("example.com/tool", "v1.0.0").built()
