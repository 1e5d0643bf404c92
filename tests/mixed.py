"""Runs the black-box stories with one service at an earlier revision, and the others as they are here.

    python tests/mixed.py                           each service in turn, at the last release, and then an upgrade
    python tests/mixed.py invites                   this one
    python tests/mixed.py invites --rev 0f1e2d3     at any revision that git knows

The earlier service runs with the contracts, the postroom and the dependencies of its own revision, on a database that
the code of here has migrated: that is what a rolling upgrade goes through. The upgrade replaces all five, one by one,
while people join. Other options go to pytest; with --junit-xml=PATH, all reports are put together there. The exit code
is 1 where a story failed, and 2 where there is no such service or revision.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from environments import ROOT, NotMade
from junit import put_together
from revisions import UnknownRevision, interpreter_of, last_release

from stack.services import SERVICES

STORIES = ("tests/test_stories.py", "tests/test_money_stories.py", "tests/test_rules_over_the_api.py")
UPGRADE = ("tests/test_rolling_upgrade.py",)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python tests/mixed.py", allow_abbrev=False)
    parser.add_argument(
        "services", nargs="*", metavar="SERVICE", help=f"of {', '.join(SERVICES)}; all, if none is given"
    )
    parser.add_argument("--rev", help="a revision that git knows; the last release, if none is given")
    parser.add_argument("--junit-xml", type=Path, help="where all reports are put together")
    given, options = parser.parse_known_args(arguments)
    if unknown := set(given.services) - set(SERVICES):
        print(f"There is no service {', '.join(sorted(unknown))}. There are: {', '.join(SERVICES)}.", file=sys.stderr)
        return 2
    revision = given.rev or last_release()
    try:
        python = interpreter_of(revision)
    except (UnknownRevision, NotMade) as error:
        print(error, file=sys.stderr)
        return 2
    runs: dict[str, tuple[Sequence[str], Sequence[str]]] = {
        f"{service} of {revision[:12]}": ([service], STORIES) for service in given.services or SERVICES
    }
    if not given.services:
        runs[f"an upgrade from {revision[:12]}"] = (list(SERVICES), UPGRADE)
    failed = []
    with tempfile.TemporaryDirectory() as reports:
        for number, (name, (earlier, tests)) in enumerate(runs.items(), start=1):
            started = time.monotonic()
            report = Path(reports) / f"{number}.xml"
            interpreters = [f"--interpreter={service}={python}" for service in earlier]
            passed = play(tests, [*interpreters, *options, f"--junit-xml={report}", "-o", f"junit_suite_name={name}"])
            failed += [] if passed else [name]
            print(f"{name}: {'passed' if passed else 'failed'} ({time.monotonic() - started:.0f} s)", flush=True)
        if given.junit_xml is not None:
            put_together(sorted(Path(reports).glob("*.xml")), given.junit_xml)
    return 1 if failed else 0


def play(tests: Sequence[str], options: Sequence[str]) -> bool:
    """Whether the tests pass. All of them are played, whatever their marks."""
    command = [sys.executable, "-m", "pytest", "--quiet", "--tb=short", *options, *tests]
    return subprocess.run(command, cwd=ROOT, check=False).returncode == 0


if __name__ == "__main__":
    os.chdir(ROOT)
    sys.exit(main(sys.argv[1:]))
