"""Charges: what a usage costs, and who has paid how much of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import pairwise
from uuid import UUID, uuid5

from contracts import UsageRecorded
from contracts.billing import SourceKind

_USAGES = UUID("4b5cf2a0-6a56-5f0e-9d3c-5f2f0c1b7a44")
"""The namespace of usage ids; any will do, if it stays the same."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def usage_id_of(usage: UsageRecorded) -> UUID:
    """One meter tells an interval once: told again, it is the same usage."""
    start, end = (usage.used_from - _EPOCH) // _MICROSECOND, (usage.used_until - _EPOCH) // _MICROSECOND
    return uuid5(_USAGES, f"{len(usage.meter_id)} {usage.meter_id} {start} {end}")


def amount_of(usage: UsageRecorded) -> int:
    """Its price in micro-dollars; nothing for what would be less than nothing."""
    exact = usage.quantity * Decimal(usage.unit_price)
    return max(0, int(exact.quantize(Decimal(1), rounding=ROUND_HALF_EVEN)))


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a usage's time, in which the account was in one organization, or in none."""

    organization_id: UUID | None
    used_from: datetime
    used_until: datetime


@dataclass(slots=True)
class Charge:
    """A usage, or the piece of it that lies within a stay, or between two."""

    usage_id: UUID
    part: int
    account_id: UUID
    organization_id: UUID | None
    resource: str
    instance_id: str
    used_from: datetime
    used_until: datetime
    amount: int
    waiting: int
    """What is not paid and not written off yet, since a card is being charged for it."""
    paid: dict[SourceKind, int] = field(default_factory=dict)
    written_off: int = 0
    forgiven: int = 0
    """What had been written off of it before it was charged anew: its account is never charged for that."""
    is_told: bool = False
    """Whether UsageCharged has told of it."""
    is_new: bool = True
    """Not in the database yet."""
    is_changed: bool = True
    """Otherwise in the database."""
    is_gone: bool = False
    """To be deleted: its usage is charged in fewer pieces by now."""

    @property
    def order(self) -> tuple[datetime, int, int]:
        """Charges are settled in the order of their time."""
        return self.used_from, self.usage_id.int, self.part

    @property
    def piece(self) -> Piece:
        return Piece(self.organization_id, self.used_from, self.used_until)


def parts_of(charge: Charge, pieces: Sequence[Piece]) -> list[Charge]:
    """What `charge`, of a whole usage, costs piece by piece; together exactly as much."""
    if len(pieces) == 1:
        charge.organization_id = pieces[0].organization_id
        return [charge]
    amounts, forgiven = _divide(charge, charge.amount, pieces), _divide(charge, charge.forgiven, pieces)
    parts = []
    for number, (piece, amount, forgiven_of_it) in enumerate(zip(pieces, amounts, forgiven, strict=True), start=1):
        parts.append(
            Charge(
                usage_id=charge.usage_id,
                part=number,
                account_id=charge.account_id,
                organization_id=piece.organization_id,
                resource=charge.resource,
                instance_id=charge.instance_id,
                used_from=piece.used_from,
                used_until=piece.used_until,
                amount=amount,
                waiting=amount,
                forgiven=forgiven_of_it,
            )
        )
    return parts


def _divide(charge: Charge, amount: int, pieces: Sequence[Piece]) -> list[int]:
    """By the time of the pieces; together exactly as much."""
    # In microseconds, since a duration times an amount is soon longer than a timedelta can be.
    whole = (charge.used_until - charge.used_from) // _MICROSECOND
    ends = [(piece.used_until - charge.used_from) // _MICROSECOND for piece in pieces]
    return [later - earlier for earlier, later in pairwise([0, *(amount * end // whole for end in ends)])]
