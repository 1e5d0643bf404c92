"""billing, as console's tests play it: payers with credit and cards, and what comes of commands about them. Cards are
never declined, unless a test says so; nobody's rights are looked at."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from contracts import (
    AttachCard,
    CardAttached,
    CardDeclined,
    CardDetached,
    CardRetried,
    CreditGranted,
    CreditToppedUp,
    DetachCard,
    Fact,
    Reason,
    Refused,
    RetryCard,
    SetSpendCap,
    SourceShare,
    SpendCapSet,
    TopUpCredit,
    UsageCharged,
)
from contracts.billing import PayerCommand, PayerKind, SourceKind
from postroom.ids import uuid7

DOLLAR = 1_000_000
LEAST, MOST = 5 * DOLLAR, 10_000 * DOLLAR
"""What may be bought at once."""


@dataclass
class PlayedPayer:
    """What billing knows of an organization, or an account."""

    kind: PayerKind
    payer_id: UUID
    version: int = 0
    credit: int = 0
    block: int = 0
    card_id: str | None = None
    is_declined: bool = False

    def about(self) -> dict[str, Any]:
        """What every fact about it says."""
        self.version += 1
        return {"payer_kind": self.kind, "payer_id": self.payer_id, "version": self.version}


@dataclass
class PlayedBilling:
    """Decides commands, and tells what a test wants to have happened."""

    payers: dict[UUID, PlayedPayer] = field(default_factory=dict)

    def payer(self, payer_id: UUID, kind: PayerKind = "organization") -> PlayedPayer:
        return self.payers.setdefault(payer_id, PlayedPayer(kind, payer_id))

    def decide(self, command: PayerCommand, now: datetime) -> Fact:
        """What comes of a command. Raises Refused."""
        payer = self.payer(command.payer_id, command.payer_kind)
        match command:
            case AttachCard():
                payer.card_id, payer.is_declined = command.card_id, False
                return self._attached(payer, command.actor_id, now)
            case SetSpendCap():
                return SpendCapSet(
                    **payer.about(),
                    account_id=command.account_id,
                    cap=command.cap,
                    set_by=command.actor_id,
                    set_at=now,
                )
        if payer.card_id is None:
            raise Refused(Reason.NO_CARD, "No card is on file.")
        match command:
            case TopUpCredit():
                if not LEAST <= command.amount <= MOST:
                    raise Refused(Reason.AMOUNT_OUT_OF_RANGE, "That is less, or more, than may be bought at once.")
                payer.credit += command.amount
                return CreditToppedUp(
                    **payer.about(),
                    payment_id=uuid7(),
                    amount=command.amount,
                    balance=payer.credit,
                    topped_up_by=command.actor_id,
                    topped_up_at=now,
                )
            case DetachCard():
                card_id, payer.card_id = payer.card_id, None
                return CardDetached(**payer.about(), card_id=card_id, detached_at=now)
            case RetryCard():
                if not payer.is_declined:
                    raise Refused(Reason.CARD_NOT_DECLINED, "The card is counted on already.")
                payer.is_declined = False
                return CardRetried(**payer.about(), card_id=payer.card_id, retried_at=now)
            case _:
                raise AssertionError(f"nobody plays {type(command).__name__}")

    def attached(self, payer_id: UUID, now: datetime, kind: PayerKind = "organization") -> CardAttached:
        """Another card is on file."""
        payer = self.payer(payer_id, kind)
        payer.card_id, payer.is_declined = f"pm_{uuid7().hex}", False
        return self._attached(payer, UUID(int=0), now)

    def declined(self, payer_id: UUID, now: datetime) -> CardDeclined:
        """The card's bank has said no."""
        payer = self.payers[payer_id]
        assert payer.card_id is not None
        payer.is_declined = True
        return CardDeclined(
            **payer.about(),
            card_id=payer.card_id,
            amount=10 * DOLLAR,
            reason="insufficient_funds",
            attached_by=UUID(int=0),
            declined_at=now,
        )

    def granted(self, account_id: UUID, amount: int, now: datetime) -> CreditGranted:
        """The account has its trial credit."""
        payer = self.payer(account_id, "account")
        payer.credit += amount
        return CreditGranted(**payer.about(), amount=amount, balance=payer.credit, granted_at=now)

    def charged(
        self,
        account_id: UUID,
        shares: Sequence[tuple[SourceKind, UUID, int]],
        now: datetime,
        *,
        organization_id: UUID | None = None,
        burn_rate: int = 0,
        written_off: int = 0,
        used_from: datetime | None = None,
    ) -> UsageCharged:
        """Usage was paid for by these sources (kind, payer, amount), of which each holds what it did, less that."""
        account, told = self.payer(account_id, "account").about(), []
        for kind, payer_id, amount in shares:
            payer = self.payer(payer_id, "organization" if kind.startswith("organization") else "account")
            if payer_id != account_id:
                payer.version += 1
            if kind.endswith("credit"):
                payer.credit -= amount
            else:
                payer.block -= amount
            told.append(
                SourceShare(
                    kind=kind,
                    payer_id=payer_id,
                    amount=amount,
                    left=payer.credit if kind.endswith("credit") else payer.block,
                    payer_version=payer.version,
                    burn_rate=burn_rate,
                )
            )
        begun = used_from or now - timedelta(minutes=1)
        return UsageCharged(
            account_id=account_id,
            version=account["version"],
            usage_id=uuid7(),
            part=1,
            organization_id=organization_id,
            resource="gpu-a100",
            instance_id="instance-1",
            used_from=begun,
            used_until=begun + timedelta(minutes=1),
            amount=sum(amount for _, _, amount in shares) + written_off,
            shares=tuple(told),
            written_off=written_off,
            burn_rate=burn_rate,
            charged_at=now,
        )

    def _attached(self, payer: PlayedPayer, attached_by: UUID, now: datetime) -> CardAttached:
        assert payer.card_id is not None
        return CardAttached(
            **payer.about(),
            card_id=payer.card_id,
            brand="visa",
            last4="4242",
            expiry_month=12,
            expiry_year=2030,
            attached_by=attached_by,
            attached_at=now,
        )
