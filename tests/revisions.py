"""Earlier revisions of this repository, kept in `.latchkey/`: their source, and an environment of their services."""

import io
import shutil
import subprocess
import tarfile
import tempfile
import tomllib
from pathlib import Path

from environments import ROOT, build_wheels, check, fingerprint, install, new_environment

KEPT = ROOT / ".latchkey" / "revisions"
_NOT_DECLARED = ("httpx",)
"""What the billing of release 0.1.0 needs, and does not declare: without it, that release does not start alone."""
_SOURCE = ("constraints.txt", "contracts", "postroom", "services")


class UnknownRevision(Exception):
    """git does not have the revision; the text says what to do."""


def last_release() -> str:
    """The revision of the last release on record: what runs while this is being rolled out."""
    releases = tomllib.loads((ROOT / "releases.toml").read_text(encoding="utf-8"))["release"]
    return str(releases[-1]["revision"])


def source_of(revision: str) -> Path:
    """A folder with contracts, postroom and the services as they were at a revision, by any name that git knows.
    Raises UnknownRevision."""
    folder = KEPT / _commit(revision)
    source = folder / "source"
    if not source.exists():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(dir=folder))
        archive = subprocess.run(
            ["git", "archive", "--format=tar", folder.name, *_SOURCE], cwd=ROOT, capture_output=True, check=True
        )
        with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
            tar.extractall(unfinished, filter="data")
        try:
            unfinished.rename(source)
        except OSError:  # Another process was quicker.
            shutil.rmtree(unfinished)
    return source


def interpreter_of(revision: str) -> Path:
    """The Python of an environment that has contracts, postroom and every service as they were at a revision, with the
    dependencies that it was tested with. Raises UnknownRevision, or NotMade."""
    source = source_of(revision)
    folder = source.parent / f"environment-{fingerprint([Path(__file__)])}"
    python, made = folder / "bin" / "python", folder / "made"
    if not made.exists():
        print(f"Making an environment of {source.parent.name[:12]}", flush=True)
        constraints = source / "constraints.txt"
        sources = [source / "contracts", source / "postroom", *sorted((source / "services").iterdir())]
        wheels = build_wheels(sources, source.parent / "wheels", constraints)
        new_environment(folder)
        install(python, [*map(str, wheels), *_NOT_DECLARED], constraints)
        check(python)
        made.touch()
    return python


def _commit(revision: str) -> str:
    found = subprocess.run(
        ["git", "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if found.returncode:
        raise UnknownRevision(
            f"git has no revision {revision} here. Where this copy has a part of the history only, fetch the rest:"
            " git fetch --unshallow --tags"
        )
    return found.stdout.strip()
