"""Facts as other services tell them, and a claim as delivery has it in its hands."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from contracts import (
    AccountErased,
    AccountProfile,
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
)
from notifier.domain import Claim, Kind, Letter, State
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


WITH_LINK = (Kind.INVITATION, Kind.REMINDER)
WITH_CHALLENGE = (Kind.MAILBOX_CODE, Kind.PASSWORD_RESET)
OF_ACCOUNTS = (*WITH_CHALLENGE, Kind.ACCOUNT_EXISTS, Kind.PASSWORD_CHANGED)


def claim(kind: Kind = Kind.INVITATION, **fields: Any) -> Claim:
    """A letter of this kind, claimed; `fields` are a Claim's."""
    is_of_account = kind in OF_ACCOUNTS
    letter = Letter(
        letter_id=UUID("00000000-0000-5000-8000-000000000001"),
        kind=kind,
        cause_id="cause",
        correlation_id="correlation",
        created_at=NOW,
        organization_id=None if is_of_account else ACME,
        invitation_id=None if is_of_account else INVITATION,
        challenge_id=CHALLENGE if kind in WITH_CHALLENGE else None,
        recipient_id=None if kind in WITH_LINK else MEMBER,
        person_id=None if is_of_account else OWNER,
        expires_at=EXPIRY if kind in WITH_LINK else CODE_EXPIRY if kind in WITH_CHALLENGE else None,
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
        "person_name": None if is_of_account else "Ada Owner",
        "person_address": None if is_of_account else "ada@example.com",
    }
    return Claim(letter=letter, **(about | fields))


def _challenge() -> dict[str, Any]:
    return {"challenge_id": CHALLENGE, "requested_at": NOW, "expires_at": CODE_EXPIRY}


def _about(invitation_id: UUID) -> dict[str, Any]:
    return {"organization_id": ACME, "invitation_id": invitation_id, "version": 2}
