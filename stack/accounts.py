"""Who runs PostgreSQL, which refuses to be run by root, and what that account can reach."""

import hashlib
import os
import pwd
import shutil
import tempfile
from pathlib import Path

from stack.errors import StackError
from stack.spawning import Account

_OWN_DESCRIPTORS = Path("/proc/self/fd")
_PLACES = Path("/var/tmp")  # noqa: S108  What is found there is looked at before it is used.


def unprivileged_account() -> Account | None:
    """Who runs what root must not run; None where the caller is not root, and runs it himself."""
    if os.geteuid() != 0:
        return None
    for name in ("nobody", "daemon"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    return Account(65534, 65534)


def can_reach(path: Path, account: Account) -> bool:
    """Whether the account may pass through every folder above `path`, by the folders' modes."""
    for folder in path.resolve().parents:
        if not folder.exists():
            continue
        status = folder.stat()
        bit = 0o100 if status.st_uid == account.uid else 0o010 if status.st_gid == account.gid else 0o001
        if not status.st_mode & bit:
            return False
    return True


def readable_copy(folder: Path, account: Account) -> Path:
    """The folder itself where the account can reach it, else a copy of it in a place where it can: a virtual
    environment may well lie in a home that is closed to others. There is one copy for each state of the original."""
    if can_reach(folder / "any", account):
        return folder
    state = hashlib.sha256(f"{folder} {folder.stat().st_mtime_ns}".encode()).hexdigest()[:12]
    copy = _PLACES / f"latchkey-{folder.name}-{state}"
    if not copy.exists():
        making = Path(tempfile.mkdtemp(prefix=f"{copy.name}-", dir=_PLACES))
        try:
            shutil.copytree(folder, making / "copy", symlinks=True)
            (making / "copy").chmod(0o755)
            # In one step, so that nobody finds half a copy. Whoever is second has made his own for nothing.
            (making / "copy").rename(copy)
        except FileExistsError:
            pass
        finally:
            shutil.rmtree(making, ignore_errors=True)
    status = copy.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise StackError(f"{copy} belongs to somebody else, or others may change it.", "Delete it, and try again.")
    return copy


def open_closed_folder(folder: Path) -> tuple[Path, int]:
    """A name for a folder under which whoever is given the descriptor can reach it, even where the folders above it are
    closed to him: Linux follows such a name to the open folder itself. Raises StackError where there is no Linux."""
    if not _OWN_DESCRIPTORS.exists():
        raise StackError(
            f"{folder} is closed to all but root, and PostgreSQL refuses to be run by root.",
            "Run the platform as an ordinary user, or choose a folder that others may pass through with --data.",
        )
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    return _OWN_DESCRIPTORS / str(descriptor), descriptor
