"""Payers: organizations and accounts, each with a credit, and with a card that is charged in blocks."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from billing.domain.burning import Burning
from billing.domain.ledger import LedgerAccount
from contracts import SourceShare
from contracts.billing import PayerKind, SourceKind

Funds = Literal["ok", "low", "exhausted"]

CREDIT: dict[PayerKind, SourceKind] = {"organization": "organization_credit", "account": "member_credit"}
CARD: dict[PayerKind, SourceKind] = {"organization": "organization_card", "account": "member_card"}


@dataclass(slots=True)
class Card:
    """A card on file, at the payment provider."""

    card_id: str
    brand: str
    last4: str
    expiry_month: int
    expiry_year: int
    attached_by: UUID
    """Who put it there, and is told when it is declined."""
    declined: str | None = None
    """Why its bank said no; none while it is counted on."""


@dataclass(slots=True)
class Payer:
    """What an organization, or an account, pays by."""

    payer_id: UUID
    kind: PayerKind
    version: int = 0
    """Of the last fact that told of it."""
    credit: int = 0
    """Prepaid by an organization; the trial credit of an account."""
    block: int = 0
    """What its cards were charged, and what is not used up of that."""
    card: Card | None = None
    customer_id: str | None = None
    """Who it is to the payment provider."""
    charging_id: UUID | None = None
    """The payment by which its card is being charged a block."""
    attaching_id: UUID | None = None
    """The newest wish to put a card on file that is not decided yet; an older one has lost its purpose."""
    burning: Burning = field(default_factory=Burning)
    """Of an organization, what its members use; of an account, what it uses."""
    funds: Funds = "ok"
    """Of an account: what was told last of all that can pay for it."""
    is_changed: bool = False
    """Otherwise in the database, where the row is locked."""

    @property
    def card_can_pay(self) -> bool:
        """Whether there is a card that is counted on."""
        return self.card is not None and self.card.declined is None

    @property
    def card_pays(self) -> bool:
        """Whether its card can pay, or is just being charged: the money of that is as good as there."""
        return self.card_can_pay or self.charging_id is not None

    @property
    def held(self) -> int:
        """What it can pay without its card being charged."""
        return self.credit + self.block

    def account(self, kind: SourceKind) -> LedgerAccount:
        """Where its money is in the ledger."""
        return LedgerAccount(kind, self.payer_id)

    def holds(self, kind: SourceKind) -> int:
        """What is left in one of its two sources."""
        return self.credit if kind == CREDIT[self.kind] else self.block

    def put(self, kind: SourceKind, amount: int) -> None:
        """Adds to a source, or takes from it. Raises ValueError for more than it holds."""
        left = self.holds(kind) + amount
        if left < 0:
            raise ValueError(f"The {kind} of {self.payer_id} would be {left}.")
        if kind == CREDIT[self.kind]:
            self.credit = left
        else:
            self.block = left
        self.is_changed = True

    def next_version(self) -> int:
        """For the next fact that tells of it."""
        self.version += 1
        self.is_changed = True
        return self.version

    def next_fact(self) -> dict[str, Any]:
        """What every fact about a payer says; the next one."""
        return {"payer_kind": self.kind, "payer_id": self.payer_id, "version": self.next_version()}

    def share(self, kind: SourceKind, amount: int, now: datetime) -> SourceShare:
        """What a source has paid of a charge, or was given back."""
        return SourceShare(
            kind=kind,
            payer_id=self.payer_id,
            amount=amount,
            left=self.holds(kind),
            payer_version=self.version,
            burn_rate=self.burning.per_hour(now),
        )
