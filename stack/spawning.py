"""Starting processes that end with us."""

import ctypes
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a process runs as, where that is not the caller."""

    uid: int
    gid: int


def spawn(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    log: IO[bytes],
    account: Account | None = None,
    folder: Path | None = None,
    descriptor: int | None = None,
    dies_with_us: bool,
) -> subprocess.Popen[bytes]:
    """Starts a command in a session of its own (a Ctrl-C in our terminal is not for it), with nothing to read and its
    output in `log`. It inherits `descriptor`. With `dies_with_us` the kernel kills it when this process ends, however
    it ends (Linux)."""

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command,
            env=dict(env),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=() if descriptor is None else (descriptor,),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_tie(os.getpid()) if dies_with_us else None,
        )

    return _spawner().run(start) if dies_with_us else start()


class _Spawner:
    """One thread that starts processes, and lasts as long as this process. The kernel kills a tied process when the
    *thread* that started it ends, so it must not be one that is gone before."""

    def __init__(self) -> None:
        self._orders: queue.SimpleQueue[tuple[Callable[[], subprocess.Popen[bytes]], Future[subprocess.Popen[bytes]]]]
        self._orders = queue.SimpleQueue()
        threading.Thread(target=self._serve, name="spawner", daemon=True).start()

    def run(self, start: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        answer: Future[subprocess.Popen[bytes]] = Future()
        self._orders.put((start, answer))
        return answer.result()

    def _serve(self) -> None:
        while True:
            start, answer = self._orders.get()
            try:
                answer.set_result(start())
            except BaseException as error:
                answer.set_exception(error)


@cache
def _spawner() -> _Spawner:
    return _Spawner()


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def _tie(parent: int) -> Callable[[], None] | None:
    """What the child does between fork and exec; None where the kernel knows no such thing. All is looked up before the
    fork: afterwards, in a copy of one thread of many, as little as possible may happen."""
    prctl = getattr(_libc(), "prctl", None)
    if prctl is None:
        return None
    kill = int(signal.SIGKILL)

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, kill)
        if os.getppid() != parent:  # It ended in between.
            os._exit(1)

    return tie
