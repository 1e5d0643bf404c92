"""How fast money is used: an estimate that remembers the last half hour, as a moving average with exponential decay.

An estimate, and so the only floating point in billing: no money is counted with it.
"""

import math
from dataclasses import dataclass
from datetime import datetime

_MEMORY = 1800.0
"""Seconds after which a usage counts for a third."""
_FORGOTTEN = 3 * _MEMORY
_SHORTEST = 1.0
"""Seconds: shorter intervals are taken for as long."""


@dataclass(slots=True)
class Burning:
    """What somebody uses, as meters tell it: by intervals, late and out of order."""

    weight: float = 0.0
    """Micro-dollars, each counted by its age at `until`."""
    since: datetime | None = None
    """From when on the usage is known."""
    until: datetime | None = None
    """Until when."""

    def add(self, amount: int, used_from: datetime, used_until: datetime, now: datetime) -> None:
        """Takes in that so many micro-dollars are used, evenly, in the interval; what of it lies in the future is not
        used yet, and one that does altogether says nothing."""
        if used_until > now:
            if used_from >= now:
                return
            amount, used_until = amount * (now - used_from) // (used_until - used_from), now
        seconds = max((used_until - used_from).total_seconds(), _SHORTEST)
        weight = amount / seconds * _weighed(seconds)
        if self.since is None or self.until is None or (used_from - self.until).total_seconds() > _FORGOTTEN:
            self.weight, self.since, self.until = weight, used_from, used_until
            return
        ahead = (used_until - self.until).total_seconds()
        if ahead < -_FORGOTTEN:
            return
        if ahead >= 0:
            self.weight = self.weight * math.exp(-ahead / _MEMORY) + weight
            self.until = used_until
        else:
            self.weight += weight * math.exp(ahead / _MEMORY)
        self.since = min(self.since, used_from)

    def per_hour(self, now: datetime) -> int:
        """Micro-dollars an hour. It fades when nothing more is heard."""
        if self.since is None or self.until is None:
            return 0
        known = max((self.until - self.since).total_seconds(), _SHORTEST)
        silent = max((now - self.until).total_seconds(), 0.0)
        return round(self.weight / _weighed(known) * math.exp(-silent / _MEMORY) * 3600)


def _weighed(seconds: float) -> float:
    """What so many seconds of one micro-dollar each weigh at their end."""
    return _MEMORY * -math.expm1(-seconds / _MEMORY)
