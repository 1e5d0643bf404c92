"""Virtual environments in `.latchkey/`, made of wheels of this house and of what they declare."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_NOT_BUILT_IN = {"tests", "__pycache__", ".pytest_cache"}


class NotMade(Exception):
    """An environment could not be made; the text is what the command said that failed."""


def new_environment(folder: Path, *, above: Path | None = None) -> Path:
    """Makes an empty virtual environment and answers its Python. It has no pip: nothing is in it but what it is for.
    With `above`, it also sees everything that the environment of that Python has."""
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", "--without-pip", str(folder)])
    python = folder / "bin" / "python"
    if above is not None:
        (packages_of(python) / "above.pth").write_text(f"{packages_of(above)}\n")
    return python


def packages_of(python: Path) -> Path:
    """Where the packages of an environment are."""
    return next((python.parent.parent / "lib").glob("python3*")) / "site-packages"


def build_wheels(sources: Iterable[Path], into: Path, constraints: Path) -> list[Path]:
    """A wheel for each source folder, in their order."""
    wheels = []
    for source in sources:
        folder = into / source.name
        shutil.rmtree(folder, ignore_errors=True)
        _pip(["wheel", "--no-deps", "--wheel-dir", str(folder), str(source)], constraints)
        wheels += list(folder.glob("*.whl"))
    return wheels


def install(python: Path, what: Sequence[str], constraints: Path) -> None:
    """Installs wheels, with what they depend on, at the versions that the constraints say."""
    _pip(["--python", str(python), "install", "--no-warn-script-location", *what], constraints)


def check(python: Path) -> None:
    """Fails where something that is installed lacks what it declares."""
    _pip(["--python", str(python), "check"], None)


def fingerprint(paths: Iterable[Path]) -> str:
    """Of this Python and the contents of files and folders, without tests: 16 hexadecimal digits."""
    digest = hashlib.sha256(sys.version.encode())
    for path in paths:
        files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if _is_source(file, path))
        for file in files:
            digest.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def _is_source(file: Path, folder: Path) -> bool:
    return file.is_file() and not _NOT_BUILT_IN.intersection(file.relative_to(folder).parts)


def _pip(arguments: Sequence[str], constraints: Path | None) -> None:
    # What builds our own packages is held to the constraints, too; pip reads those from its environment.
    held = {} if constraints is None else {"PIP_CONSTRAINT": str(constraints), "PIP_BUILD_CONSTRAINT": str(constraints)}
    quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_PROGRESS_BAR": "off"}
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    _run([sys.executable, "-m", "pip", *arguments], environment | quiet | held)


def _run(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise NotMade(f"{' '.join(command)}\n{done.stdout}")
