"""Who is told how a start or a stop goes on."""

from typing import Protocol


class Progress(Protocol):
    """Told from several threads at once. A part is `topics`, or a process by its name, such as `kafka` or `billing`."""

    def update(self, part: str, doing: str, *, done: bool = False) -> None:
        """`part` is `doing` something now, or has `done` with it."""


class Silent:
    """Tells nobody."""

    def update(self, part: str, doing: str, *, done: bool = False) -> None:
        pass


SILENT = Silent()
