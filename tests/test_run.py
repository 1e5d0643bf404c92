"""The test runner: what fails is said, and what is left behind is found and ended."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

RUNNER = Path(__file__).with_name("run.py")

LEAVES_A_PROCESS_BEHIND = """
import subprocess, sys
sleeper = "import time; time.sleep(60)"
print(subprocess.Popen([sys.executable, "-c", sleeper], start_new_session=True, stdout=subprocess.DEVNULL).pid)
"""
HOLDS_OUR_OUTPUT_OPEN = LEAVES_A_PROCESS_BEHIND.replace(", stdout=subprocess.DEVNULL", "")


def run_with_stages(folder: Path, *commands: str) -> subprocess.CompletedProcess[str]:
    """The runner, with Python programs in place of its stages, and with its logs in `folder`."""
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(RUNNER.parent)!r})
import run
run.RESULTS, run.ROOT, run.GRACE = Path({str(folder)!r}) / "results", Path({str(folder)!r}), 0.5
programs = enumerate({commands!r}, start=1)
stages = [run.Stage(f"stage{{n}}", f"Stage {{n}}", ([sys.executable, "-c", code],), live=True) for n, code in programs]
run.all_stages = lambda: {{stage.name: stage for stage in stages}}
sys.exit(run.main([]))
"""
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "CI": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_run_in_which_all_is_well_ends_with_0(tmp_path: Path) -> None:
    run = run_with_stages(tmp_path, "print('all is well')")

    assert run.returncode == 0, run.stdout + run.stderr
    assert (tmp_path / "results" / "stage1.log").read_text() == "all is well\n"


def test_a_failure_is_named_and_later_stages_run_all_the_same(tmp_path: Path) -> None:
    run = run_with_stages(tmp_path, "import sys; sys.exit('this is why')", "print('the second ran')")

    assert run.returncode == 1
    assert "this is why" in run.stdout
    assert "the second ran" in run.stdout
    assert "Stage 1 failed; all it said is in results/stage1.log" in run.stdout


@pytest.mark.parametrize(
    "program", [LEAVES_A_PROCESS_BEHIND, HOLDS_OUR_OUTPUT_OPEN], ids=["silent", "holds the output"]
)
@pytest.mark.skipif(sys.platform != "linux", reason="orphans are found on Linux only")
def test_a_process_that_is_left_behind_fails_the_run_and_is_ended(tmp_path: Path, program: str) -> None:
    run = run_with_stages(tmp_path, program)

    assert run.returncode == 1, run.stdout + run.stderr
    pid = int((tmp_path / "results" / "stage1.log").read_text())
    assert f"Stage 1: process {pid}: " in run.stdout
    assert not psutil.pid_exists(pid)


def test_a_build_machine_gets_no_colours(tmp_path: Path) -> None:
    run = run_with_stages(tmp_path, "print('all is well')")

    assert "\x1b" not in run.stdout


def test_an_unknown_stage_is_an_error() -> None:
    run = subprocess.run([sys.executable, RUNNER, "nonsense"], capture_output=True, text=True, check=False)

    assert run.returncode == 2
    assert run.stderr.startswith("No such stage: nonsense. There are: format, lint, types, imports, tests, ")
