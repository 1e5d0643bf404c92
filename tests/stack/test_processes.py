"""Processes: started, recognized, paused, ended with certainty, and missed when they die."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from stack.birth import is_alive
from stack.errors import NoSpaceError, NotReadyError, ProcessDiedError, StackError
from stack.process import Launch, ManagedProcess, run_to_end
from stack.steps import Steps

READY = "print('ready', flush=True);"
UNTIL_TOLD = "import time; time.sleep(60)"


class Program(ManagedProcess):
    """A few lines of Python, ready when they have printed `ready`."""

    ready_within = 10.0

    def __init__(self, folder: Path, code: str, *, dies_with_us: bool = True) -> None:
        super().__init__("program", folder / "program.log", dies_with_us=dies_with_us)
        self.code = code

    @property
    def address(self) -> str:
        return ""

    def _prepare(self) -> Launch:
        return Launch([sys.executable, "-c", textwrap.dedent(self.code)])

    def _is_ready(self) -> bool:
        return "ready" in self._said()


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., Program]]:
    made: list[Program] = []

    def make(code: str, **options: bool) -> Program:
        made.append(Program(tmp_path, code, **options))
        return made[-1]

    yield make
    for process in made:
        process.kill()


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, f"still not so after 10 s: {what}"
        time.sleep(0.01)


def is_gone(pid: int) -> bool:
    return not is_alive(pid)


def test_start_returns_when_the_process_is_ready_and_stop_when_it_is_gone(program: Callable[..., Program]) -> None:
    process = program(READY + UNTIL_TOLD)
    process.start()
    pid = process.pid
    assert process.is_ready
    assert pid is not None

    process.stop()

    assert is_gone(pid)
    assert process.pid is None


def test_a_second_start_is_none(program: Callable[..., Program]) -> None:
    process = program(READY + UNTIL_TOLD)
    process.start()
    pid = process.pid
    process.start()

    assert process.pid == pid


def test_a_restart_is_ready_by_what_it_says_itself_and_not_by_what_was_said_before(
    program: Callable[..., Program],
) -> None:
    process = program(READY + UNTIL_TOLD)
    process.start()
    process.stop()
    process.code = "import sys; sys.exit(3)"

    with pytest.raises(ProcessDiedError, match="exit status 3"):
        process.start()


def test_a_process_that_died_is_said_with_its_exit_status_and_its_last_lines(program: Callable[..., Program]) -> None:
    process = program(READY + "print('the disk is on fire', flush=True); raise SystemExit(7)")
    process.start()
    until(lambda: not process.is_running, "it has ended")

    with pytest.raises(ProcessDiedError, match=r"program has ended, with exit status 7\.(.|\n)*the disk is on fire"):
        process.check()


def test_a_process_that_somebody_else_killed_is_said_with_the_signal(program: Callable[..., Program]) -> None:
    process = program(READY + UNTIL_TOLD)
    process.start()
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not process.is_running, "it has ended")

    with pytest.raises(ProcessDiedError, match="by SIGKILL"):
        process.check()


def test_a_full_disk_is_called_by_its_name(program: Callable[..., Program]) -> None:
    process = program("print('OSError: [Errno 28] No space left on device'); raise SystemExit(1)")

    with pytest.raises(NoSpaceError, match="the disk is full"):
        process.start()


def test_a_process_that_we_killed_ourselves_is_not_missed(program: Callable[..., Program]) -> None:
    process = program(READY + UNTIL_TOLD)
    process.start()
    process.kill()

    process.check()
    assert not process.is_running


def test_a_process_that_does_not_become_ready_is_said_so(program: Callable[..., Program]) -> None:
    process = program("print('thinking', flush=True);" + UNTIL_TOLD)
    process.ready_within = 0.3

    with pytest.raises(NotReadyError, match=r"(.|\n)*thinking"):
        process.start()


def test_who_does_not_end_when_asked_is_killed(program: Callable[..., Program]) -> None:
    process = program("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + READY + UNTIL_TOLD)
    process.start()
    process.stop(timeout=0.2)

    assert not process.is_running


def test_a_kill_takes_the_children_along(program: Callable[..., Program]) -> None:
    process = program(f"import subprocess; subprocess.Popen(['sleep', '60']); {READY} {UNTIL_TOLD}")
    process.start()
    assert process.pid is not None
    (child,) = psutil.Process(process.pid).children()
    process.kill()

    assert is_gone(child.pid)


def test_a_paused_process_stands_still_until_it_is_resumed(program: Callable[..., Program]) -> None:
    process = program(READY + UNTIL_TOLD)
    process.start()
    process.pause()
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_STOPPED, "it stands still")
    process.resume()
    until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_SLEEPING, "it goes on")


def test_a_paused_process_can_be_stopped(program: Callable[..., Program]) -> None:
    process = program(READY + UNTIL_TOLD)
    process.start()
    process.pause()
    process.stop()

    assert not process.is_running


def test_a_process_is_recognized_by_another_command(program: Callable[..., Program]) -> None:
    process, elsewhere = program(READY + UNTIL_TOLD), program(READY + UNTIL_TOLD)
    process.start()
    assert process.identity is not None
    assert elsewhere.recognize(process.identity)
    assert elsewhere.pid == process.pid
    elsewhere.stop()

    assert not process.is_running


def test_a_process_that_only_has_the_same_id_is_never_touched(program: Callable[..., Program]) -> None:
    foreign, process = program(READY + UNTIL_TOLD), program(READY)
    foreign.start()
    assert foreign.identity is not None
    assert not process.recognize(replace(foreign.identity, born="another time"))
    with pytest.raises(ProcessDiedError):
        process.check()
    process.stop()
    process.kill()

    assert foreign.is_running


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ties processes on Linux only")
@pytest.mark.parametrize("tied", [True, False])
def test_a_process_dies_with_whoever_started_it_unless_it_is_detached(tmp_path: Path, tied: bool) -> None:
    script = f"""
        import sys, threading, time
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from test_processes import READY, UNTIL_TOLD, Program
        process = Program(Path({str(tmp_path)!r}), READY + UNTIL_TOLD, dies_with_us={tied})
        # The thread that starts it is soon gone, and that alone must not end it.
        thread = threading.Thread(target=process.start)
        thread.start()
        thread.join()
        print(process.pid, flush=True)
        time.sleep(60)
    """
    starter = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    with starter:
        pid = int(starter.stdout.readline())
        assert not is_gone(pid)
        starter.kill()
    if tied:
        until(lambda: is_gone(pid), "it died with its starter")
    else:
        assert not is_gone(pid)
        os.kill(pid, signal.SIGKILL)


def test_a_command_that_fails_is_said_with_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(ProcessDiedError, match=r"migration has ended, with exit status 2(.|\n)*no such table"):
        run_to_end(
            "migration",
            [sys.executable, "-c", "print('no such table'); raise SystemExit(2)"],
            tmp_path / "migration.log",
            env={},
            folder=tmp_path,
            cancelled=Steps().cancelled,
        )


def test_a_command_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    with pytest.raises(NotReadyError, match="not over after"):
        run_to_end(
            "migration",
            ["sleep", "60"],
            tmp_path / "migration.log",
            env={"PATH": os.environ["PATH"]},
            folder=tmp_path,
            cancelled=Steps().cancelled,
            timeout=0.1,
        )


def test_a_program_that_is_not_there_is_said_so(tmp_path: Path) -> None:
    class Missing(Program):
        def _prepare(self) -> Launch:
            return Launch([str(tmp_path / "no-such-program")])

    with pytest.raises(StackError, match="could not be started"):
        Missing(tmp_path, "").start()
