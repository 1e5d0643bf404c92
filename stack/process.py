"""A process of the platform: started with its log, recognized again, ended with certainty, and missed when it dies."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from stack.birth import born, is_alive, is_same
from stack.errors import NoSpaceError, NotReadyError, ProcessDiedError, StackError
from stack.spawning import Account, spawn

_LOG_LINES = 15
_POLL = 0.03


@dataclass(frozen=True, slots=True)
class Launch:
    """How a process is started: its command, its whole environment, who runs it (None: the caller) and where. It is
    given `descriptor`, which is closed here when the process has it."""

    command: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    folder: Path | None = None
    descriptor: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """What a process is recognized by later: a process id alone is soon somebody else's."""

    pid: int
    born: str


class ManagedProcess(ABC):
    """One server of the platform. Its methods may be called again and again, in any order and from any thread; only a
    process that this object has started, or has recognized by its identity, is ever signalled."""

    stop_signal = signal.SIGTERM
    """What asks it to end."""
    ready_within = 60.0
    """Seconds after which a start has failed."""

    def __init__(self, name: str, log_path: Path, *, dies_with_us: bool = True) -> None:
        """`dies_with_us`: the kernel kills the process when this one ends, however it ends (Linux), so that a killed
        test run leaves nothing behind."""
        self.name = name
        self.log_path = log_path
        self.on_start: Callable[[], None] = lambda: None
        """Called when a process has been started, before it is ready."""
        self._dies_with_us = dies_with_us
        self._lock = threading.RLock()
        self._child: subprocess.Popen[bytes] | None = None
        self._identity: Identity | None = None
        self._expected = False  # Whether it should be running now.
        self._log_begins = 0  # Where in the log the present start begins, in bytes.

    @abstractmethod
    def _prepare(self) -> Launch:
        """Makes what the process needs before it starts, and says how to start it. Raises StackError."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where it is found."""

    @abstractmethod
    def _is_ready(self) -> bool:
        """Whether the running process does its work by now."""

    def _lacks(self) -> str:
        """What it says of itself, where it runs and is not ready."""
        return ""

    @property
    def identity(self) -> Identity | None:
        """Of the process that runs now, or ran last."""
        return self._identity

    @property
    def pid(self) -> int | None:
        """Its process id, while it runs."""
        return self._identity.pid if self._identity is not None and self.is_running else None

    @property
    def is_running(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return self._identity is not None and is_same(self._identity.pid, self._identity.born)

    @property
    def is_missed(self) -> bool:
        """Whether it has ended, and nobody has stopped or killed it."""
        return self._expected and not self.is_running

    @property
    def is_ready(self) -> bool:
        """Whether it runs and does its work."""
        return self.is_running and self._is_ready()

    def recognize(self, identity: Identity) -> bool:
        """Takes over a process that another command has started, unless it has ended. Returns whether it runs."""
        with self._lock:
            self._child, self._identity, self._expected = None, identity, True
            return self.is_running

    def start(self, *, wait: bool = True) -> None:
        """Starts it where it does not run, and waits until it is ready. Raises StackError."""
        with self._lock:
            if not self.is_running:
                self._spawn(self._prepare())
        if wait:
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Returns when it is ready. Raises ProcessDiedError or NotReadyError."""
        deadline = time.monotonic() + self.ready_within
        while not self._is_ready():
            self.check()
            if not self._expected:
                raise StackError(f"{self.name} was stopped while it was starting.")
            if time.monotonic() > deadline:
                what = f"{self.name} runs, but is not ready after {self.ready_within:.0f} seconds. {self._lacks()}"
                raise NotReadyError(what.strip(), self.last_words())
            time.sleep(_POLL)

    def stop(self, timeout: float = 30.0) -> None:
        """Asks it to end and waits; kills it after `timeout` seconds."""
        self._expected = False
        self.resume()  # Who stands still hears nothing.
        self._signal(self.stop_signal)
        if not self._gone_within(timeout):
            self.kill()

    def kill(self) -> None:
        """SIGKILL to it and all its children, which have no chance to tidy up; returns when they are gone."""
        self._expected = False
        family = self._family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._gone_within(10)
        deadline = time.monotonic() + 10
        while any(is_alive(child.pid) for child in family[1:]) and time.monotonic() < deadline:
            time.sleep(0.005)

    def restart(self) -> None:
        """stop() and start()."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP to it and its children: they stand still, and keep their connections and locks."""
        self._signal_family(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: they go on where they stood."""
        self._signal_family(signal.SIGCONT)

    def check(self) -> None:
        """Raises ProcessDiedError where it should be running and is not."""
        if self.is_missed:
            code = self._child.returncode if self._child is not None else None
            raise died(self.name, code, self.last_words())

    def last_words(self) -> str:
        """The end of its log, for an error."""
        return last_words(self.log_path)

    def _said(self, size: int = 64 * 1024) -> str:
        """What it has written to its log since its start, the last `size` bytes of it."""
        with contextlib.suppress(OSError), self.log_path.open("rb") as log:
            log.seek(max(self._log_begins, self.log_path.stat().st_size - size))
            return log.read().decode(errors="replace")
        return ""

    def _spawn(self, launch: Launch) -> None:
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as log:
            self._log_begins = log.tell()
            try:
                self._child = spawn(
                    launch.command,
                    env=launch.env,
                    log=log,
                    account=launch.account,
                    folder=launch.folder,
                    descriptor=launch.descriptor,
                    dies_with_us=self._dies_with_us,
                )
            except OSError as error:
                raise StackError(f"{self.name} could not be started: {error}.") from error
            finally:
                if launch.descriptor is not None:
                    os.close(launch.descriptor)
        self._identity = Identity(self._child.pid, born(self._child.pid))
        self._expected = True
        self.on_start()

    def _signal(self, number: signal.Signals) -> None:
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _signal_family(self, number: signal.Signals) -> None:
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _family(self) -> list[psutil.Process]:
        """The process, and then its children."""
        pid = self.pid
        if pid is None:
            return []
        try:
            process = psutil.Process(pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def _gone_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.is_running:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.005)
        return True


def died(name: str, code: int | None, words: str) -> StackError:
    """The error for a process that ended with `code` (negative: by that signal; None: not known)."""
    if "No space left on device" in words:
        return NoSpaceError(f"{name} has ended, because the disk is full.", words)
    how = "" if code is None else f", by {signal.Signals(-code).name}" if code < 0 else f", with exit status {code}"
    return ProcessDiedError(f"{name} has ended{how}.", words)


def last_words(log_path: Path) -> str:
    """The last lines of a log."""
    try:
        with log_path.open("rb") as log:
            log.seek(max(0, log_path.stat().st_size - 32 * 1024))
            lines = log.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
    except OSError:
        lines = []
    said = "\n".join(f"  | {line}" for line in lines) or "  | (nothing)"
    return f"The end of {log_path}:\n{said}"


def run_to_end(
    name: str,
    command: Sequence[str],
    log_path: Path,
    *,
    env: Mapping[str, str],
    folder: Path,
    cancelled: threading.Event,
    timeout: float = 120.0,
) -> None:
    """Runs a command that is over soon; what it says goes to its log. Raises ProcessDiedError where it does not exit
    with 0 (also when it is `cancelled`), NotReadyError where it is not over after `timeout` seconds."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        child = spawn(command, env=env, log=log, folder=folder, dies_with_us=True)
    deadline = time.monotonic() + timeout
    while child.poll() is None and time.monotonic() < deadline and not cancelled.wait(_POLL):
        pass
    over = child.poll() is not None
    child.kill()
    code = child.wait()
    if not over and not cancelled.is_set():
        raise NotReadyError(f"{name} is not over after {timeout:.0f} seconds.", last_words(log_path))
    if code != 0:
        raise died(name, code, last_words(log_path))
