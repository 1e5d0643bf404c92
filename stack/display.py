"""What a person sees of the platform in a terminal."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from stack.errors import StackError
from stack.platform import Platform
from stack.process import ManagedProcess


@dataclass
class _Part:
    doing: str
    begun: float = field(default_factory=time.monotonic)
    ended: float | None = None
    spinner: Spinner = field(default_factory=lambda: Spinner("dots", style="cyan"))

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.begun


class LiveProgress:
    """A line for each part, with what it does at the moment; plain lines where the output is no terminal."""

    def __init__(self, console: Console, title: str) -> None:
        self._console = console
        self._title = title
        self._parts: dict[str, _Part] = {}
        self._lock = threading.Lock()
        self._begun = time.monotonic()
        self._live = Live(console=console, get_renderable=self._picture, refresh_per_second=12, transient=True)

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._live.start()
        else:
            self._console.print(self._title)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._console.is_terminal:
            self._live.stop()

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.monotonic() - self._begun

    def update(self, part: str, doing: str, *, done: bool = False) -> None:
        with self._lock:
            state = self._parts.setdefault(part, _Part(doing))
            state.doing = doing
            state.ended = time.monotonic() if done else None
            if not self._console.is_terminal:
                self._console.print(f"{self.seconds:6.1f} s  {part}: {doing}", highlight=False)

    def _picture(self) -> RenderableType:
        lines = Table.grid(padding=(0, 2))
        with self._lock:
            for name, part in self._parts.items():
                mark: RenderableType = Text("✓", style="green") if part.ended else part.spinner
                lines.add_row(mark, name, Text(part.doing, style="dim"), Text(f"{part.seconds:.1f} s", style="dim"))
        return Group(Text(self._title, style="bold"), lines)


def overview(platform: Platform) -> Table:
    """Where everything is, and how it is."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for heading in ("part", "state", "address"):
        table.add_column(heading, overflow="fold")
    for heading in ("process", "memory"):
        table.add_column(heading, justify="right", overflow="fold")
    for process in platform.processes:
        state, style = state_of(process)
        table.add_row(
            process.name,
            Text(state, style=style),
            process.address,
            str(process.pid or ""),
            _memory(process),
        )
    return table


def state_of(process: ManagedProcess) -> tuple[str, str]:
    """In a word, and its colour."""
    if process.is_ready:
        return "ready", "green"
    if process.is_running:
        return "not ready", "yellow"
    return ("died", "bold red") if process.is_missed else ("stopped", "dim")


def show_error(console: Console, error: StackError) -> None:
    """What happened in red, and what to do below it."""
    console.print(Text(error.what, style="bold red"), soft_wrap=True)
    if error.advice:
        console.print(Text(error.advice), soft_wrap=True)


def tail(path: Path, lines: int) -> list[str]:
    """The last lines of a file; none where it is not there."""
    try:
        return path.read_text(errors="replace").splitlines()[-lines:] if lines else []
    except OSError:
        return []


def follow(paths: Iterable[Path], console: Console, interval: float = 0.2) -> None:
    """Prints what is added to the files, for ever."""
    places = {path: _size(path) for path in paths}
    while True:
        for path, place in places.items():
            size = _size(path)
            if size != place:
                with path.open(errors="replace") as file:
                    file.seek(place if size > place else 0)
                    print_lines(console, path, file.read().splitlines())
                    places[path] = file.tell()
        time.sleep(interval)


def print_lines(console: Console, path: Path, lines: Iterable[str]) -> None:
    """Each with the part it is from."""
    for line in lines:
        console.print(Text.assemble((f"{path.stem:<12} ", "cyan"), line), soft_wrap=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _memory(process: ManagedProcess) -> str:
    """Resident, without its children."""
    try:
        return f"{psutil.Process(process.pid).memory_info().rss >> 20} MiB" if process.pid else ""
    except psutil.Error:
        return ""
