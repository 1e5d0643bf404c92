"""Facts as other services tell them, and a claim as delivery has it in its hands."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts import (
    AccountErased,
    AccountProfile,
    CardAttached,
    CardDeclined,
    CardDetached,
    CreditToppedUp,
    FundsExhausted,
    FundsLow,
    FundsRestored,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationExpiring,
    InvitationIssued,
    InvitationRevoked,
    InvitationSuperseded,
    MailboxProofRequested,
    MemberJoined,
    OrganizationCreated,
    PasswordChanged,
    PasswordResetRequested,
    SignUpRepeated,
    SourceShare,
    UsageCharged,
)
from notifier.domain import Card, Claim, Kind, Letter, MoneyFact, State
from postroom import Context
from postroom.ids import uuid7

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
EXPIRY = NOW + timedelta(days=7)
CODE_EXPIRY = NOW + timedelta(minutes=15)
LINK_KEY = b"the link key of notifier's tests"
ACCOUNTS_KEY = b"accounts' key of notifier's tests"
ACME = UUID("019be4ee-9680-78ac-b3ad-87c148a0a20a")
OWNER = UUID("019bdfc8-3a80-71a5-b6e5-b5410415bde9")
MEMBER = UUID("019cade2-11c0-7c6a-b643-c44f7a0ec824")
INVITATION = UUID("019cadc6-9a80-7264-a173-a4b54c5f7908")
CHALLENGE = UUID("019cadc6-9a94-7618-8ec4-1a60550caef9")
PAYMENT = UUID("019cadc6-9a9a-7a10-9c31-5b1a2f0e7d41")
CARD = "pm_example_1"
_OF_ACME: dict[str, Any] = {"payer_kind": "organization", "payer_id": ACME}


def context(now: datetime = NOW, ce_id: str | None = None) -> Context:
    """What postroom tells a handler."""
    message_id = uuid7()
    return Context(message_id, ce_id or str(message_id), "type", f"command of {message_id}", now)


def created(organization_id: UUID = ACME, name: str = "Acme") -> OrganizationCreated:
    return OrganizationCreated(organization_id=organization_id, version=1, name=name, owner_id=OWNER, created_at=NOW)


def profile(account_id: UUID, name: str = "Somebody", version: int = 1, address: str | None = None) -> AccountProfile:
    address = address or f"{account_id.hex[-8:]}@example.com"
    return AccountProfile(account_id=account_id, version=version, address=address, name=name, verified=True)


def erased(account_id: UUID) -> AccountErased:
    return AccountErased(account_id=account_id)


def issued(
    invitation_id: UUID = INVITATION, address: str = "new.member@example.com", **fields: Any
) -> InvitationIssued:
    about: dict[str, Any] = {
        "organization_id": ACME,
        "version": 1,
        "code_digest": "0" * 64,
        "organization_name": "Acme",
        "inviter_id": OWNER,
        "inviter_name": "Ada Owner",
        "issued_at": NOW,
        "expires_at": EXPIRY,
        "supersedes": None,
    }
    return InvitationIssued(invitation_id=invitation_id, address=address, **(about | fields))


def expiring(invitation_id: UUID = INVITATION, address: str = "new.member@example.com") -> InvitationExpiring:
    return InvitationExpiring(
        organization_id=ACME,
        invitation_id=invitation_id,
        version=2,
        address=address,
        organization_name="Acme",
        inviter_id=OWNER,
        inviter_name="Ada Owner",
        expires_at=EXPIRY,
    )


def accepted(invitation_id: UUID = INVITATION) -> InvitationAccepted:
    return InvitationAccepted(
        **_about(invitation_id), account_id=MEMBER, inviter_id=OWNER, accepted_at=NOW + timedelta(minutes=1)
    )


def superseded(invitation_id: UUID = INVITATION) -> InvitationSuperseded:
    return InvitationSuperseded(**_about(invitation_id), superseded_by=uuid7(), superseded_at=NOW)


def revoked(invitation_id: UUID = INVITATION) -> InvitationRevoked:
    return InvitationRevoked(**_about(invitation_id), reason="revoked", revoked_by=OWNER, revoked_at=NOW)


def declined(invitation_id: UUID = INVITATION) -> InvitationDeclined:
    return InvitationDeclined(**_about(invitation_id), declined_by=None, declined_at=NOW)


def expired(invitation_id: UUID = INVITATION) -> InvitationExpired:
    return InvitationExpired(**_about(invitation_id), expired_at=NOW)


ENDS = (superseded, revoked, declined, expired)
"""What makes a link dead."""


def joined(account_id: UUID = MEMBER, **fields: Any) -> MemberJoined:
    about: dict[str, Any] = {
        "organization_id": ACME,
        "version": 3,
        "membership_id": uuid7(),
        "role": "member",
        "invitation_id": INVITATION,
        "inviter_id": OWNER,
        "joined_at": NOW,
    }
    return MemberJoined(account_id=account_id, **(about | fields))


def proof_requested(account_id: UUID = MEMBER, **fields: Any) -> MailboxProofRequested:
    return MailboxProofRequested(account_id=account_id, **(_challenge() | fields))


def reset_requested(account_id: UUID = MEMBER, **fields: Any) -> PasswordResetRequested:
    return PasswordResetRequested(account_id=account_id, **(_challenge() | fields))


def signed_up_again(account_id: UUID = MEMBER, repeated_at: datetime = NOW) -> SignUpRepeated:
    return SignUpRepeated(account_id=account_id, repeated_at=repeated_at)


def password_changed(account_id: UUID = MEMBER, changed_at: datetime = NOW) -> PasswordChanged:
    return PasswordChanged(account_id=account_id, changed_at=changed_at)


ABOUT_ACCOUNTS = (proof_requested, reset_requested, signed_up_again, password_changed)
"""What an account is written to about."""


def low(account_id: UUID = MEMBER, **fields: Any) -> FundsLow:
    about: dict[str, Any] = {
        "version": 7,
        "organization_id": ACME,
        "left": 3_200_000,
        "burn_rate": 6_400_000,
        "exhausted_by": NOW + timedelta(minutes=30),
        "noticed_at": NOW,
    }
    return FundsLow(account_id=account_id, **(about | fields))


def exhausted(account_id: UUID = MEMBER, **fields: Any) -> FundsExhausted:
    about: dict[str, Any] = {"version": 8, "organization_id": ACME, "exhausted_at": NOW}
    return FundsExhausted(account_id=account_id, **(about | fields))


def restored(account_id: UUID = MEMBER, version: int = 9) -> FundsRestored:
    return FundsRestored(account_id=account_id, version=version, restored_at=NOW)


def card_attached(card_id: str = CARD, version: int = 3, last4: str = "4242", **fields: Any) -> CardAttached:
    about: dict[str, Any] = {
        "brand": "visa",
        "expiry_month": 4,
        "expiry_year": 2030,
        "attached_by": OWNER,
        "attached_at": NOW,
    }
    return CardAttached(card_id=card_id, version=version, last4=last4, **(_OF_ACME | about | fields))


def card_detached(version: int = 5) -> CardDetached:
    return CardDetached(**_OF_ACME, version=version, card_id=CARD, detached_at=NOW)


def card_declined(**fields: Any) -> CardDeclined:
    about: dict[str, Any] = {
        "version": 4,
        "card_id": CARD,
        "amount": 10_000_000,
        "reason": "insufficient_funds",
        "attached_by": OWNER,
        "declined_at": NOW,
    }
    return CardDeclined(**(_OF_ACME | about | fields))


def topped_up(**fields: Any) -> CreditToppedUp:
    about: dict[str, Any] = {
        "version": 6,
        "payment_id": PAYMENT,
        "amount": 50_000_000,
        "balance": 62_345_678,
        "topped_up_by": OWNER,
        "topped_up_at": NOW,
    }
    return CreditToppedUp(**(_OF_ACME | about | fields))


def usage_charged(account_id: UUID = MEMBER) -> UsageCharged:
    share = SourceShare(
        kind="organization_credit", payer_id=ACME, amount=1, left=2, payer_version=2, burn_rate=3_600_000_000
    )
    return UsageCharged(
        account_id=account_id,
        version=7,
        usage_id=uuid7(),
        part=1,
        organization_id=ACME,
        resource="gpu-a100",
        instance_id="instance-1",
        used_from=NOW - timedelta(minutes=1),
        used_until=NOW,
        amount=1,
        shares=(share,),
        written_off=0,
        burn_rate=3_600_000_000,
        charged_at=NOW,
    )


MONEY: dict[Kind, MoneyFact] = {
    Kind.FUNDS_LOW: low(),
    Kind.FUNDS_EXHAUSTED: exhausted(),
    Kind.CARD_DECLINED: card_declined(),
    Kind.TOP_UP_RECEIPT: topped_up(),
}
"""What is written about money, by kind of letter."""

WITH_LINK = (Kind.INVITATION, Kind.REMINDER)
WITH_CHALLENGE = (Kind.MAILBOX_CODE, Kind.PASSWORD_RESET)
OF_ACCOUNTS = (*WITH_CHALLENGE, Kind.ACCOUNT_EXISTS, Kind.PASSWORD_CHANGED)


def claim(kind: Kind = Kind.INVITATION, **fields: Any) -> Claim:
    """A letter of this kind, claimed; `fields` are a Claim's."""
    is_of_account = kind in OF_ACCOUNTS
    names_nobody = is_of_account or kind in MONEY
    letter = Letter(
        letter_id=UUID("00000000-0000-5000-8000-000000000001"),
        kind=kind,
        cause_id="cause",
        correlation_id="correlation",
        created_at=NOW,
        organization_id=None if is_of_account else ACME,
        invitation_id=None if names_nobody else INVITATION,
        challenge_id=CHALLENGE if kind in WITH_CHALLENGE else None,
        recipient_id=None if kind in WITH_LINK else MEMBER,
        person_id=None if names_nobody else OWNER,
        expires_at=EXPIRY if kind in WITH_LINK else CODE_EXPIRY if kind in WITH_CHALLENGE else None,
        fact=MONEY.get(kind),
        state=State.SENDING,
        attempts=1,
        due_at=NOW + timedelta(seconds=15),
    )
    about: dict[str, Any] = {
        "attempt": 1,
        "lease_until": NOW + timedelta(seconds=15),
        "organization_name": "" if is_of_account else "Acme",
        "address": "new.member@example.com",
        "recipient_name": "New Member",
        "person_name": None if names_nobody else "Ada Owner",
        "person_address": None if names_nobody else "ada@example.com",
        "card": Card(ACME, 3, CARD, "visa", "4242") if kind is Kind.CARD_DECLINED else None,
    }
    return Claim(letter=letter, **(about | fields))


def claim_about_money(fact: MoneyFact, **fields: Any) -> Claim:
    """A letter about this fact, claimed."""
    kind = next(kind for kind, example in MONEY.items() if type(example) is type(fact))
    about_money = claim(kind, **fields)
    about_money.letter.fact = fact
    organization_id = fact.organization_id if isinstance(fact, FundsLow | FundsExhausted) else fact.payer_id
    about_money.letter.organization_id = ACME if organization_id == ACME else None
    return about_money


def _challenge() -> dict[str, Any]:
    return {"challenge_id": CHALLENGE, "requested_at": NOW, "expires_at": CODE_EXPIRY}


def _about(invitation_id: UUID) -> dict[str, Any]:
    return {"organization_id": ACME, "invitation_id": invitation_id, "version": 2}
