"""The books: everything that a batch of messages about money mentions, in memory.

Filled by the store, changed by the handlers, saved by the store. Look-ups see what earlier messages of the same batch
have done.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from billing.domain.chains import Chains
from billing.domain.charges import Charge
from billing.domain.ledger import Ledger
from billing.domain.payers import Payer
from billing.domain.payments import Payment
from billing.domain.spending import Place, Spending
from billing.domain.staff import Staff
from billing.domain.terms import Terms
from contracts.billing import PayerKind


@dataclass(frozen=True, slots=True)
class Cause:
    """Why something is booked, and when."""

    id: UUID
    """Of the message, or of the payment: what the ledger keeps."""
    ce_id: str
    """What facts that follow from it name as their cause."""
    correlation_id: str
    now: datetime
    traceparent: str | None = None
    """Where it stands in a trace, if there is one."""


class Books:
    """A batch's working set."""

    def __init__(self, terms: Terms, new_id: Callable[[], UUID]) -> None:
        """`new_id` makes the ids (UUIDv7) of payments."""
        self.terms = terms
        self.new_id = new_id
        self.chains = Chains()
        self.payers: dict[UUID, Payer] = {}
        self.charges: dict[tuple[UUID, int], Charge] = {}
        """By usage and part: those that wait, those that may have to be reversed, and new ones."""
        self.known_usages: set[UUID] = set()
        """Those of the usages that the messages mention that were charged before."""
        self.spending = Spending()
        self.staff = Staff()
        self.granted: dict[str, UUID] = {}
        """Who has had the trial credit for an address, by its digest; of those that the messages mention."""
        self.new_grants: dict[str, UUID] = {}
        self.payments: list[Payment] = []
        """To be asked of the payment provider."""
        self.ledger = Ledger()
        self.is_complete = False
        """Whether everybody is here whose money may be touched: a payer that is not here is no new one, then."""

    def payer(self, payer_id: UUID, kind: PayerKind) -> Payer:
        """The payer; one who has nothing, if this is the first that is heard of it. Raises LookupError for one that
        was not loaded."""
        payer = self.payers.get(payer_id)
        if payer is None:
            if self.is_complete:
                raise LookupError(f"The {kind} {payer_id} was not loaded.")
            payer = self.payers[payer_id] = Payer(payer_id, kind)
        return payer

    def payers_of(self, account_id: UUID, organization_id: UUID | None) -> list[Payer]:
        """Who pays for the account while it is in the organization, in the order of their turn."""
        own = self.payer(account_id, "account")
        return [own] if organization_id is None else [self.payer(organization_id, "organization"), own]

    def add(self, charge: Charge) -> None:
        """Takes a charge in, loaded or new."""
        self.charges[(charge.usage_id, charge.part)] = charge

    @property
    def places(self) -> set[Place]:
        """Where the accounts were whose charges are here."""
        charges = self.charges.values()
        return {(each.organization_id, each.account_id) for each in charges if each.organization_id is not None}

    def charges_of(self, account_id: UUID) -> list[Charge]:
        """The account's charges that are here, in the order of their time."""
        mine = (each for each in self.charges.values() if each.account_id == account_id and not each.is_gone)
        return sorted(mine, key=lambda each: each.order)

    def ask(self, payment: Payment) -> None:
        """Has a payment made, once the batch is committed."""
        self.payments.append(payment)
