"""Runs everything that must pass, the quick things first, and says at the end what did not: `make test`.

    python tests/run.py                  every stage
    python tests/run.py lint types       only these

All output goes to `.latchkey/test/<stage>.log`, too. The exit code is 0 if every stage passed and no process was left
behind, 1 if not, 2 for an unknown stage, and 130 after Ctrl-C.
"""

import contextlib
import ctypes
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO
from xml.etree import ElementTree

import psutil
from rich import box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".latchkey" / "test"
BUDGET = 2100
"""Seconds that the whole run may take on two cores; a run that takes longer says so."""
GRACE = 5
"""Seconds in which processes of a stage that has ended may still be ending."""

SERVICES = ("invites", "membership", "billing", "notifier", "console")
PACKAGES = ("contracts", "postroom", *SERVICES, "stack", "testdatabases", "audit")
"""The importable packages, which mypy takes by name."""
OTHER_CODE = ("conftest.py", "bench", "tools", "deploy/compose", "deploy/images")
SHARED_TESTS = ("contracts/tests", "postroom/tests", "examples/audit/tests", "tests")
PROGRAMS = ("examples/subscribers/python-*/*.py",)
"""Each stands alone, and some have the same name."""
TEST_FOLDERS = ("contracts/tests", "postroom/tests", "services/*/tests", "examples/audit/tests", "tests", "tests/*")
"""Each is a world of its own, with its own conftest.py, and is put on the path, as pytest does."""


@dataclass(frozen=True)
class Stage:
    """One line of the summary: it passes if each of its commands ends with exit code 0."""

    name: str
    title: str
    commands: tuple[list[str], ...]
    live: bool = False
    """Whether its output is shown while it runs, rather than only where it failed."""


@dataclass
class Outcome:
    """What came of a stage."""

    stage: Stage
    passed: bool
    seconds: float
    report: "Report | None" = None
    """What pytest reported; none where the stage has no tests."""


@dataclass
class Report:
    """The tests of a stage."""

    ran: int
    skipped: int
    failures: list[str]
    """The failed tests, by name."""


def main(arguments: list[str]) -> int:
    stages = all_stages()
    if unknown := set(arguments) - set(stages):
        print(f"No such stage: {', '.join(sorted(unknown))}. There are: {', '.join(stages)}.", file=sys.stderr)
        return 2
    console = Console(highlight=False, no_color=True, width=120) if os.environ.get("CI") else Console(highlight=False)
    adopt_orphans()
    RESULTS.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    leftovers: list[str] = []
    started = time.monotonic()
    try:
        for name, stage in stages.items():
            if not arguments or name in arguments:
                outcomes.append(run_stage(stage, console))
                leftovers += end_leftovers(stage.title)
    except KeyboardInterrupt:
        end_leftovers("Interrupted")
        console.print("\nInterrupted.")
        return 130
    show_summary(outcomes, leftovers, time.monotonic() - started, console)
    return 0 if all(outcome.passed for outcome in outcomes) and not leftovers else 1


def all_stages() -> dict[str, Stage]:
    """The stages by name, in the order in which they run."""
    python = sys.executable
    pytest = [python, "-m", "pytest", "--quiet", "--tb=short", "--durations=10", "--durations-min=1"]
    packages = [argument for package in PACKAGES for argument in ("-p", package)]
    programs = sorted([str(path)] for pattern in PROGRAMS for path in ROOT.glob(pattern))
    elsewhere = "not browser and not examples and not mixed and not chart and not containers"
    stages = (
        Stage("format", "Format", ([python, "-m", "ruff", "format", "--check", "."],)),
        Stage("lint", "Lint", ([python, "-m", "ruff", "check", "."],)),
        Stage(
            "types",
            "Types",
            tuple([python, "-m", "mypy", *code] for code in (packages, OTHER_CODE, *programs, *test_folders())),
        ),
        Stage("imports", "Import rules", ([str(Path(python).with_name("lint-imports")), "--no-cache"],)),
        # On all cores: these tests share nothing but the PostgreSQL of their own process. Those of the services run
        # where there is nothing but what each of them declares.
        Stage(
            "tests",
            "Tests",
            ([*pytest, "-n", "auto", "-m", f"not platform and {elsewhere}", *SHARED_TESTS],),
            live=True,
        ),
        Stage("services", "Each service alone", ([python, "tests/independence.py"],), live=True),
        Stage("mechanisms", "Safety mechanisms, taken away one by one", ([python, "tests/prove_mechanisms.py"],)),
        Stage("platform", "Tests on the real platform", ([*pytest, "-m", f"platform and {elsewhere}"],), live=True),
        # Two platforms side by side: a browser and what it looks at wait for each other most of the time.
        Stage(
            "browser",
            "Tests in a real browser",
            ([*pytest, "-rs", "-n", "2", "--dist", "loadfile", "-m", "browser", "tests/browser"],),
            live=True,
        ),
        Stage(
            "examples",
            "Subscribers in other languages",
            ([*pytest, "-rs", "-m", "examples", "tests/examples"],),
            live=True,
        ),
        Stage("mixed", "Each service at the last release", ([python, "tests/mixed.py"],), live=True),
        Stage("chart", "The Helm chart", ([*pytest, "-rs", "-m", "chart", "tests/chart"],), live=True),
        Stage("containers", "In containers", ([*pytest, "-m", "containers", "tests/containers"],), live=True),
    )
    return {stage.name: stage for stage in stages}


def test_folders() -> list[list[str]]:
    """The folders of tests that hold Python files, each as arguments for mypy."""
    folders = sorted(str(folder.relative_to(ROOT)) for pattern in TEST_FOLDERS for folder in ROOT.glob(pattern))
    # One folder may be within another, and has its own conftest.py, which mypy would take for the same module.
    within = [f"^{folder}/.*/" for folder in folders]
    return [
        [folder, "--exclude", inner]
        for folder, inner in zip(folders, within, strict=True)
        if any((ROOT / folder).rglob("*.py"))
    ]


def run_stage(stage: Stage, console: Console) -> Outcome:
    """Runs the stage's commands one after another, also where one fails, so that all failures are known at once."""
    console.print(f"\n[bold]== {stage.title}[/]")
    report_path = RESULTS / f"{stage.name}.xml"
    report_path.unlink(missing_ok=True)
    options = [f"--junit-xml={report_path}", f"--color={'yes' if console.is_terminal else 'no'}"] if stage.live else []
    started = time.monotonic()
    with log_path(stage).open("wb") as log:
        codes = [run_command([*command, *options], log, live=stage.live) for command in stage.commands]
    passed = not any(codes)
    if not passed and not stage.live:
        console.out(log_path(stage).read_text(encoding="utf-8", errors="replace"), end="")
    outcome = Outcome(stage, passed, time.monotonic() - started, read_report(report_path))
    console.print(f"{verdict(passed)} in {outcome.seconds:.1f} s")
    return outcome


def run_command(command: list[str], log: BinaryIO, *, live: bool) -> int:
    """Runs it in the root without input, writes what it says to the log (and shows it, if `live`); gives its exit code.

    The end of its output is not waited for: a process that it has left behind may hold the other end open for ever.
    """
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        copier = threading.Thread(target=copy_output, args=(process.stdout, log, live), daemon=True)
        copier.start()
        try:
            code = process.wait()
        except KeyboardInterrupt:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(GRACE)
            raise
        copier.join(timeout=2)
        return code


def copy_output(source: IO[bytes], log: BinaryIO, live: bool) -> None:
    with contextlib.suppress(OSError, ValueError):  # closed, since the stage is over
        while chunk := os.read(source.fileno(), 65536):
            log.write(chunk)
            if live:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()


def read_report(path: Path) -> Report | None:
    """What a JUnit report says, or none where there is none (pytest did not come to its end)."""
    if not path.exists():
        return None
    cases = list(ElementTree.parse(path).getroot().iter("testcase"))
    failed = [case for case in cases if case.find("failure") is not None or case.find("error") is not None]
    names = [f"{case.get('classname', '')}::{case.get('name', '')}".removeprefix("::") for case in failed]
    return Report(len(cases), sum(case.find("skipped") is not None for case in cases), names)


def adopt_orphans() -> None:
    """On Linux, makes this process the parent of whatever its descendants leave behind, so that it can be found.

    Elsewhere, only what still has a living parent among them is found.
    """
    if sys.platform == "linux":
        become_subreaper = 36  # PR_SET_CHILD_SUBREAPER of linux/prctl.h
        ctypes.CDLL(None).prctl(become_subreaper, 1, 0, 0, 0)


def end_leftovers(title: str) -> list[str]:
    """Ends the processes that a stage has left behind, and describes them: there should be none."""
    found = psutil.Process().children(recursive=True)
    _, alive = psutil.wait_procs(found, timeout=GRACE)
    descriptions = []
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            descriptions.append(f"{title}: process {process.pid}: {' '.join(process.cmdline())[:100]}")
            process.kill()
    psutil.wait_procs(alive, timeout=GRACE)
    return descriptions


def show_summary(outcomes: list[Outcome], leftovers: list[str], seconds: float, console: Console) -> None:
    table = Table(title="\nSummary", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("Stage")
    table.add_column("Result")
    table.add_column("Tests", justify="right")
    table.add_column("Skipped", justify="right")
    table.add_column("Seconds", justify="right")
    for outcome in outcomes:
        counts = (outcome.report.ran, outcome.report.skipped) if outcome.report else ("", "")
        table.add_row(outcome.stage.title, verdict(outcome.passed), *map(str, counts), f"{outcome.seconds:.1f}")
    table.add_section()
    table.add_row("All", verdict(all(outcome.passed for outcome in outcomes)), "", "", f"{seconds:.1f}")
    console.print(table)
    for outcome in outcomes:
        if not outcome.passed:
            console.print(
                f"[red]{outcome.stage.title}[/] failed; all it said is in {relative(log_path(outcome.stage))}"
            )
            for name in outcome.report.failures if outcome.report else ():
                console.print(f"  {name}", markup=False, soft_wrap=True)
    if leftovers:
        console.print("[red]Processes were left behind[/], and are ended now:")
        for description in leftovers:
            console.print(f"  {description}", markup=False, soft_wrap=True)
    if seconds > BUDGET:
        console.print(f"[yellow]This took longer than the {BUDGET} s that a run may take.[/]")


def verdict(passed: bool) -> str:
    return "[green]passed[/]" if passed else "[red]failed[/]"


def log_path(stage: Stage) -> Path:
    return RESULTS / f"{stage.name}.log"


def relative(path: Path) -> Path:
    return path.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
