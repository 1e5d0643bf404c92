"""When a process was born: with its id, what tells it from every other. And whether it still lives."""

import sys
from pathlib import Path

import psutil

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_STATE, _THREADS, _START_TIME = 0, 17, 19
"""Where they are in /proc/PID/stat, counted after the name (proc(5))."""


def born(pid: int) -> str:
    """The time of birth of a process that is there, in a form to compare. Raises psutil.NoSuchProcess.

    On Linux in clock ticks since that boot, not in the time of day: that one moves when the clock is set.
    """
    if sys.platform == "linux":
        return f"{_BOOT.read_text().strip()}:{_stat(pid)[_START_TIME]}"
    return f"{psutil.Process(pid).create_time():.2f}"


def is_same(pid: int, birth: str) -> bool:
    """Whether the process with this id is the one that was born then, and still lives."""
    try:
        return born(pid) == birth and is_alive(pid)
    except psutil.NoSuchProcess:
        return False


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and not only the entry that its parent has not taken note of yet (a zombie).

    One whose first thread has ended is shown as a zombie, too, while others still hold its files and ports; it lives.
    """
    try:
        if sys.platform == "linux":
            stat = _stat(pid)
            return stat[_STATE] not in "ZX" or int(stat[_THREADS]) > 1
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _stat(pid: int) -> list[str]:
    try:
        # The name may itself have blanks and brackets, so that only what follows it can be split.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError as error:
        raise psutil.NoSuchProcess(pid) from error
