"""Puts Latchkey and its dependencies into `.venv`. Called by the Makefile; needs nothing but Python.

    python3 tools/install.py                  what the demo needs
    python3 tools/install.py --dev            and what tests, checks and the bench need
    python3 tools/install.py --constraints    resolves everything anew, and writes constraints.txt

Kept to the syntax of Python 3.6, so that an old Python can say that it is too old.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List

OLDEST = (3, 11)
ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
CONSTRAINTS = ROOT / "constraints.txt"
CONSTRAINTS_HEADER = """\
# The exact version of everything that Latchkey installs, builds and is tested with: the same for everybody.
# Made by `make constraints` in a fresh virtual environment of Python 3.11; to upgrade, run it again, then `make test`.
"""
# Packages are built with these; pip takes them for the build alone, so that a list of what is installed lacks them.
BUILD_TOOLS = ["hatchling", "editables"]
ADVICE = """\
Latchkey needs Python 3.11 or newer with its venv module.
  Debian, Ubuntu   apt install python3 python3-venv
  Fedora           dnf install python3
  macOS            brew install python@3.13
Another Python can be named: make PYTHON=/path/to/python3"""


class InstallationFailed(Exception):
    """The environment could not be made; the text says why, and what to do."""


def main(arguments: List[str]) -> int:
    use_new_enough_python()
    try:
        if "--constraints" in arguments:
            write_constraints()
        else:
            install("dev" if "--dev" in arguments else "")
    except InstallationFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    return 0


def use_new_enough_python() -> None:
    """Returns where this Python is new enough; otherwise goes on with one that is, or ends with advice."""
    if sys.version_info >= OLDEST:
        return
    for minor in (13, 12, 11, 14):
        python = shutil.which("python3.{}".format(minor))
        if python and subprocess.call([python, "-c", ""], stderr=subprocess.DEVNULL) == 0:
            os.execv(python, [python, *sys.argv])
    sys.exit("This is Python {}.{}.\n{}".format(*sys.version_info[:2], ADVICE))


def install(extra: str) -> None:
    stamp = VENV / (".installed-for-development" if extra else ".installed")
    make_environment(VENV)
    pip_install(VENV, [*packages("[dev,bench]" if extra else ""), "-c", str(CONSTRAINTS)])
    stamp.touch()
    if extra:
        (VENV / ".installed").touch()


def write_constraints() -> None:
    """Writes what a fresh environment resolves to today, and what builds the packages, as exact versions."""
    if sys.version_info[:2] != OLDEST:
        raise InstallationFailed("Constraints are resolved with Python 3.11, the oldest one that is supported.")
    with tempfile.TemporaryDirectory() as folder:
        make_environment(Path(folder))
        pip_install(Path(folder), [*packages("[dev,bench]"), *BUILD_TOOLS])
        freeze = [python_of(Path(folder)), "-m", "pip", "freeze", "--exclude-editable"]
        versions = subprocess.run(freeze, check=True, stdout=subprocess.PIPE, universal_newlines=True).stdout.split()
    CONSTRAINTS.write_text(CONSTRAINTS_HEADER + "\n".join(sorted(versions, key=str.lower)) + "\n", encoding="utf-8")
    print("Wrote {}: {} packages".format(CONSTRAINTS.name, len(versions)))


def packages(extras: str) -> List[str]:
    services = sorted(str(project.parent) for project in ROOT.glob("services/*/pyproject.toml"))
    folders = ["contracts", "postroom", *services, *(["testdatabases"] if extras else []), "." + extras]
    return [part for folder in folders for part in ("-e", folder)]


def python_of(environment: Path) -> str:
    return str(environment / ("Scripts" if os.name == "nt" else "bin") / "python")


def make_environment(environment: Path) -> None:
    """Makes it where there is none that works. A failed attempt leaves nothing behind."""
    if Path(python_of(environment)).exists():
        return
    print("Making a virtual environment in", environment.name, flush=True)
    command = [sys.executable, "-m", "venv", "--clear", str(environment)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode:
        shutil.rmtree(str(environment), ignore_errors=True)
        raise InstallationFailed(done.stdout + "\n" + ADVICE)


def pip_install(environment: Path, what: List[str]) -> None:
    """One pip call, whose output goes to a log; what is shown is one line that moves on.

    The tools that build our own packages are held to the constraints, too (pip reads those from its environment).
    """
    log_path = environment / "install.log"
    variables = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1")
    if "-c" in what:
        variables.update(PIP_CONSTRAINT=str(CONSTRAINTS), PIP_BUILD_CONSTRAINT=str(CONSTRAINTS))
    print("Installing Latchkey's dependencies (the first time takes half a minute or more)", flush=True)
    seen = 0
    command = [python_of(environment), "-m", "pip", "install", "--no-input", "--progress-bar", "off", *what]
    with log_path.open("w", encoding="utf-8") as log:
        with subprocess.Popen(
            command,
            cwd=str(ROOT),
            env=variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        ) as pip:
            for line in pip.stdout or ():
                log.write(line)
                words = line.split()
                if words[:1] in (["Collecting"], ["Obtaining"]):
                    seen += 1
                    show("{} packages found: {}".format(seen, words[1].split("/")[-1]))
                elif words[:1] in (["Installing"], ["Building"], ["Preparing"]):
                    show(line.strip())
    show("")
    if pip.returncode:
        last_lines = "".join(log_path.read_text(encoding="utf-8").splitlines(keepends=True)[-15:])
        raise InstallationFailed(
            last_lines
            + "\npip could not install the dependencies; all it said is in "
            + str(log_path)
            + "\nThe first installation needs the network, or a mirror that pip is set up to use."
        )


def show(text: str) -> None:
    """Shows progress in place, on a terminal; a log gets none of it."""
    if sys.stdout.isatty() and not os.environ.get("CI"):
        print("\r\033[2K" + ("  " + text)[: shutil.get_terminal_size().columns - 1], end="", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
