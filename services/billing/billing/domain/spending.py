"""Spend caps: what a member may draw from an organization's sources in a calendar month."""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from uuid import UUID

Place = tuple[UUID, UUID]
"""An organization, and an account in it."""


def month_of(instant: datetime) -> date:
    """The first day of the month (UTC) that it lies in."""
    return instant.astimezone(UTC).date().replace(day=1)


@dataclass(slots=True)
class Spending:
    """The caps and the spending of the members that a batch mentions."""

    caps: dict[Place, int | None] = field(default_factory=dict)
    spent: dict[tuple[UUID, UUID, date], int] = field(default_factory=dict)
    """Micro-dollars, by organization, account and month."""
    changed_caps: set[Place] = field(default_factory=set)
    added: dict[tuple[UUID, UUID, date], int] = field(default_factory=dict)
    """What this batch has added to it. What was spent before is known where there is, or may be, a cap."""

    def set_cap(self, organization_id: UUID, account_id: UUID, cap: int | None) -> None:
        """None takes it away."""
        self.caps[(organization_id, account_id)] = cap
        self.changed_caps.add((organization_id, account_id))

    def allowance(self, organization_id: UUID, account_id: UUID, instant: datetime) -> int | None:
        """What the organization's sources may still pay in the month of the instant; none where there is no cap."""
        cap = self.caps.get((organization_id, account_id))
        if cap is None:
            return None
        return max(0, cap - self.spent.get((organization_id, account_id, month_of(instant)), 0))

    def add(self, organization_id: UUID, account_id: UUID, instant: datetime, amount: int) -> None:
        """Counts what the organization's sources have paid, or (below zero) were given back."""
        key = organization_id, account_id, month_of(instant)
        self.spent[key] = self.spent.get(key, 0) + amount
        self.added[key] = self.added.get(key, 0) + amount
