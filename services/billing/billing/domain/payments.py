"""Payments: what the payment provider is asked for, once. What comes of it is told later, and to whom it matters."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from billing.domain.payers import Card
from contracts.billing import PayerKind

NOT_ON_FILE = "card_not_on_file"
"""Why a payment is not made: its card was taken off file, or replaced, or declined, before it was charged."""

Purpose = Literal["block", "top_up", "card"]
"""A block for usage; prepaid credit; no money, but whether a card is good, to keep it on file."""


@dataclass(frozen=True, slots=True)
class Payment:
    """It is asked for by this id, however often, and made once."""

    payment_id: UUID
    purpose: Purpose
    payer_kind: PayerKind
    payer_id: UUID
    card_id: str
    amount: int
    """Micro-dollars; a whole number of cents. 0 where a card is only put on file."""
    asked_by: UUID | None
    """Of a command, its actor."""
    cause_id: str
    """The CloudEvents id of the message that it answers, or that it follows from."""
    correlation_id: str
    asked_at: datetime
    traceparent: str | None = None
    """What making it goes on from, in a trace."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The provider has done it."""

    payment: Payment
    card: Card | None = None
    """Of a card that is put on file, what it is."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider has not done it, and will not."""

    payment: Payment
    reason: str
    """Its code."""
    needs_cardholder: bool = False
    """Whether the card's bank asks for the cardholder, who is not there."""
    is_unknown: bool = False
    """Whether the provider knows no such card."""


Settled = Succeeded | Failed
