"""What billing's owner has settled: how much, how long, how often."""

from dataclasses import dataclass
from datetime import timedelta

DOLLAR = 1_000_000
"""In micro-dollars, the unit of all money."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Money in micro-dollars."""

    card_block: int = 10 * DOLLAR
    """What a card is charged at a time; what is left of it is used up before the next."""
    trial_credit: int = 5 * DOLLAR
    """What every proven address is given once; 0 is nothing."""
    top_up_least: int = 5 * DOLLAR
    top_up_most: int = 10_000 * DOLLAR
    low_within: timedelta = timedelta(hours=1)
    """Funds are low when, at the present rate, they are exhausted within this."""
