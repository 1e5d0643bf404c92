"""The ledger: double-entry and append-only. An entry moves an amount from one account to another, so that each entry
is balanced by its shape and all accounts together always hold zero.

Whose account it is, its owner says: a payer's id, or HOUSE for the accounts of the provider. A payer's account is what
it has paid, or was given, and not used up; it never falls below zero. Those of the house may.
"""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from contracts.billing import SourceKind

HouseKind = Literal["revenue", "write_off", "card_clearing", "promotion"]
"""Earned by usage; used and paid by nobody; taken from cards; given away."""
AccountKind = SourceKind | HouseKind
EntryKind = Literal["top_up", "card_charge", "trial_credit", "usage", "write_off", "reversal"]
HOUSE = UUID(int=0)


@dataclass(frozen=True, slots=True)
class LedgerAccount:
    """Where money is."""

    kind: AccountKind
    owner_id: UUID


REVENUE = LedgerAccount("revenue", HOUSE)
WRITE_OFF = LedgerAccount("write_off", HOUSE)
CARD_CLEARING = LedgerAccount("card_clearing", HOUSE)
PROMOTION = LedgerAccount("promotion", HOUSE)


@dataclass(frozen=True, slots=True)
class Entry:
    """`amount` micro-dollars, more than zero, went from one account to another."""

    cause_id: UUID
    """The message, or the payment, that caused it."""
    turn: int
    """Which of its entries it is, from 1 on. A cause has each turn once, so that nothing is booked twice."""
    kind: EntryKind
    source: LedgerAccount
    target: LedgerAccount
    amount: int
    subject_id: UUID
    """What it is for: a usage, a payment, or an account that was given something."""
    booked_at: datetime


class Ledger:
    """The entries that a batch of messages causes."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._turns: Counter[UUID] = Counter()

    def move(
        self,
        amount: int,
        source: LedgerAccount,
        target: LedgerAccount,
        *,
        kind: EntryKind,
        cause_id: UUID,
        subject_id: UUID,
        now: datetime,
    ) -> None:
        """Books it. Nothing is booked where the amount is zero."""
        if amount < 0:
            raise ValueError(f"An entry of {amount} would go the other way.")
        if amount:
            self._turns[cause_id] += 1
            turn = self._turns[cause_id]
            self.entries.append(Entry(cause_id, turn, kind, source, target, amount, subject_id, now))
