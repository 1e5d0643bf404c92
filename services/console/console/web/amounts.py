"""Money in words, and words as money: dollars for people, whole micro-dollars for the books. No float is involved."""

import re
from decimal import ROUND_HALF_EVEN, Decimal

from console.accounts.domain import Malformed

MICRO = 1_000_000
"""Micro-dollars of a dollar."""
_CENT = Decimal("0.01")
_DIME = Decimal("0.1")
_FIGURES = 3
"""That count of an amount below a dime."""
_TYPED = re.compile(
    r"\$? ?(?P<dollars>[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)?(?:\.(?P<parts>[0-9]*))?(?: ?USD)?", re.IGNORECASE
)
_MINUS = "\N{MINUS SIGN}"
_MOST_DIGITS = 9
"""Of whole dollars, so that sums of amounts fit what the books count with."""


def dollars(amount: int) -> str:
    """An amount in micro-dollars, as in `$1,234.50`. One below a dime keeps the figures that matter, as in
    `$0.000125`: what is not nothing never reads as nothing."""
    exact = Decimal(abs(amount)).scaleb(-6)
    sign = _MINUS if amount < 0 else ""
    places = _CENT if exact >= _DIME or not exact else min(_CENT, Decimal(1).scaleb(exact.adjusted() - _FIGURES + 1))
    return f"{sign}${_trimmed(exact.quantize(places, ROUND_HALF_EVEN))}"


def exact_dollars(amount: int) -> str:
    """All of an amount in micro-dollars, as in `1234.500001`: for programs, and for who wants to know."""
    return _trimmed(Decimal(amount).scaleb(-6), thousands="")


def is_rounded(amount: int) -> bool:
    """Whether `dollars` tells less than all of it."""
    return dollars(amount).replace(",", "").replace(_MINUS, "-").replace("$", "") != exact_dollars(amount)


def micro_dollars(typed: str, field: str = "amount", *, cents_only: bool = False) -> int:
    """What somebody has typed, such as `25`, `$1,250.50` or `0.000125`, exactly. `cents_only` is for what a card is
    charged. Raises Malformed of the field, also for amounts below zero and for more than a micro-dollar can tell."""
    found = _TYPED.fullmatch(typed.strip())
    if found is None or not (found["dollars"] or found["parts"]):
        raise Malformed(field, "Enter an amount in dollars, such as 25 or 25.50.")
    whole, parts = (found["dollars"] or "0").replace(",", "").lstrip("0") or "0", (found["parts"] or "").rstrip("0")
    if len(whole) > _MOST_DIGITS:
        raise Malformed(field, "That is more than we can take.")
    if len(parts) > (2 if cents_only else 6):
        raise Malformed(field, "Cards are charged in whole cents." if cents_only else "Enter at most six decimals.")
    return int(whole) * MICRO + int(parts.ljust(6, "0"))


def _trimmed(value: Decimal, *, thousands: str = ",") -> str:
    """At least the cents, and no zeros behind them."""
    whole, _, parts = f"{value:{thousands}f}".partition(".")
    return f"{whole}.{parts.rstrip('0').ljust(2, '0')}"
