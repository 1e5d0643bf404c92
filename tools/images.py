"""Builds the images of the services and of the stand-ins: `make images`. Needs Python and a Docker engine, no more.

    python3 tools/images.py                     all
    python3 tools/images.py invites             these
    python3 tools/images.py --context invites   writes what the build is given, a tar file, to the standard output

Each is built from a context of its own, which holds no source of another service, and is called `latchkey/<name>:dev`.
The engine's classic builder can do it as well as BuildKit. Settings: LATCHKEY_TAG instead of `dev`;
LATCHKEY_BUILD_NETWORK where packages are reached from the machine's own network only (`host`).
"""

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("invites", "membership", "billing", "notifier", "console")
STAND_INS = "stand-ins"
_SHARED = ("constraints.txt", "contracts", "postroom", "deploy/images")
"""What every service is built from, beside its own folder."""
_OF_STAND_INS = (
    "constraints.txt",
    "deploy/compose",
    "stack/Dockerfile",
    "stack/__init__.py",
    "stack/errors.py",
    "stack/mailbox",
    "stack/ports.py",
    "stack/stripe",
)
_LEFT_OUT = ("tests", "__pycache__")
"""Folders that no image needs."""
_REVISION = ("git", "rev-parse", "HEAD")


def main(arguments: Sequence[str]) -> int:
    only_context = arguments[:1] == ["--context"]
    names = arguments[1:] if only_context else arguments or (*SERVICES, STAND_INS)
    if unknown := set(names) - {*SERVICES, STAND_INS}:
        print(f"There is no image {', '.join(sorted(unknown))}.", file=sys.stderr)
        return 2
    if only_context:
        sys.stdout.buffer.write(b"".join(context(name) for name in names[:1]))
        return 0
    return next((code for name in names if (code := build(name))), 0)


def build(name: str) -> int:
    """The exit code of `docker build`, which says by itself what is wrong."""
    print(f"== {image(name)}", flush=True)
    command = ["docker", "build", "--quiet", "--tag", image(name), "--file", dockerfile(name)]
    command += [f"--network={os.environ.get('LATCHKEY_BUILD_NETWORK', 'default')}"]
    command += [f"--build-arg=REVISION={revision()}"] if name in SERVICES else []
    try:
        return subprocess.run([*command, "-"], input=context(name), check=False).returncode
    except FileNotFoundError:
        print("There is no docker on this machine.", file=sys.stderr)
        return 1


def image(name: str) -> str:
    return f"latchkey/{name}:{os.environ.get('LATCHKEY_TAG', 'dev')}"


def dockerfile(name: str) -> str:
    return "stack/Dockerfile" if name == STAND_INS else f"services/{name}/Dockerfile"


def context(name: str) -> bytes:
    """All that the build gets to see, as a tar file."""
    paths = _OF_STAND_INS if name == STAND_INS else (*_SHARED, f"services/{name}")
    packed = io.BytesIO()
    # docker knows a tar file by its first 512 bytes, which the format of PAX may fill with something else.
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in paths:
            tar.add(ROOT / path, path, filter=_needed)
    return packed.getvalue()


def revision() -> str:
    """Of this checkout, if it is one."""
    found = subprocess.run(_REVISION, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def _needed(file: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if Path(file.name).name in _LEFT_OUT:
        return None
    # What is built is the same whoever owns the checkout, and whatever their umask is.
    file.mode = 0o755 if file.isdir() or file.mode & 0o100 else 0o644
    file.uid = file.gid = 0
    file.uname = file.gname = ""
    return file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
