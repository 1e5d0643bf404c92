"""Who is told how a start or a stop goes on."""

from typing import Protocol


class Progress(Protocol):
    """Told from several threads at once. A part is `kafka`, `postgres`, `mailbox`, `topics` or a service's name."""

    def update(self, part: str, doing: str, *, done: bool = False) -> None:
        """`part` is `doing` something now, or has `done` with it."""


class Silent:
    """Tells nobody."""

    def update(self, part: str, doing: str, *, done: bool = False) -> None:
        pass


SILENT = Silent()
