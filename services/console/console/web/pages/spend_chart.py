"""What was spent in a month, day by day, as a picture: bars of what each source has paid, one on the other. Pure."""

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from console.view.money import SOURCES, DaySpend
from contracts.billing import SourceKind

HEIGHT = 1000
"""Of the picture, in units of its own: a bar as high as its scale."""
_STEPS = (1, 2, 3, 4, 5, 6, 8, 10)
"""The scale ends with one of them, times a power of ten."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one source paid on a day."""

    kind: str
    """The kind of the source; `written_off` for what none could pay."""
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class Bar:
    """A day."""

    day: date
    total: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """A month."""

    bars: tuple[Bar, ...]
    """One for each of its days."""
    top: int
    """What the scale ends with, in micro-dollars."""


@dataclass(frozen=True, slots=True)
class Totals:
    """What was spent in a month."""

    by_source: Mapping[SourceKind, int]
    """Of all four, in their order."""
    written_off: int

    @property
    def paid(self) -> int:
        return sum(self.by_source.values())

    @property
    def is_nothing(self) -> bool:
        return not self.paid and not self.written_off


def totals(days: Sequence[DaySpend]) -> Totals:
    """The sums of days."""
    by_source = {kind: sum(day.by_source.get(kind, 0) for day in days) for kind in SOURCES}
    return Totals(by_source, sum(day.written_off for day in days))


def spend_chart(month: date, days: Sequence[DaySpend]) -> Chart:
    """`month` is its first day. Days that are missing are those on which nothing was spent."""
    spent = {each.day: each for each in days}
    all_days = [month + timedelta(days=n) for n in range(calendar.monthrange(month.year, month.month)[1])]
    top = _scale(max((each.total + each.written_off for each in days), default=0))
    return Chart(tuple(_bar(day, spent.get(day), top) for day in all_days), top)


def months_back(newest: date, how_many: int = 12) -> list[date]:
    """The first days of so many months, the newest first."""
    months = [newest]
    while len(months) < how_many:
        months.append((months[-1] - timedelta(days=1)).replace(day=1))
    return months


def read_month(typed: str) -> date:
    """A month as addresses name it, such as `2026-11`. Raises ValueError."""
    return date.fromisoformat(f"{typed}-01")


def _bar(day: date, spent: DaySpend | None, top: int) -> Bar:
    if spent is None:
        return Bar(day, 0, ())
    amounts: dict[str, int] = {kind: spent.by_source.get(kind, 0) for kind in SOURCES} | {
        "written_off": spent.written_off
    }
    pieces, drawn = [], 0
    for kind, amount in amounts.items():
        if amount > 0:
            begin, drawn = drawn, drawn + amount
            low, high = begin * HEIGHT // top, drawn * HEIGHT // top
            pieces.append(Piece(kind, HEIGHT - high, high - low))
    return Bar(day, spent.total + spent.written_off, tuple(pieces))


def _scale(most: int) -> int:
    """The first round amount that is not below."""
    power = 1
    while most > max(_STEPS) * power:
        power *= 10
    return next(step * power for step in _STEPS if step * power >= most)
