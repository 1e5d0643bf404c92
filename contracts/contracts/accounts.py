"""Accounts: who people are, and what happens to their accounts. Written by console."""

from datetime import timedelta
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import AwareDatetime, Field

from contracts.message import PERSONAL, AccountId, Address, Fact, Instant, Version
from contracts.topic import Cleanup, PersonalData, Topic

ChallengeId = Annotated[
    UUID,
    Field(
        description="The challenge's id (UUIDv7). Who has the accounts key derives the code from it; the code itself, "
        "which is usable, is in no message."
    ),
]
ChallengeExpiry = Annotated[
    AwareDatetime, Field(description="When the code's time is over, with its time zone (written in UTC).")
]


class AccountProfile(Fact):
    """The whole present state of an account. Keep the newest version; it is all there is to know."""

    ce_type: ClassVar[str] = "io.carolinacloud.account.profile.v1"
    key_field: ClassVar[str] = "account_id"

    account_id: AccountId
    version: Version
    address: Address
    name: str = Field(max_length=255, json_schema_extra=PERSONAL)
    """What the person calls themselves. Personal data, and not to be trusted in letters or pages."""
    verified: bool
    """Whether the account has proven that it receives letters at the address."""


class AccountErased(Fact):
    """The person is gone: forget address and name. On the wire it is a record without a value (a tombstone), whose
    key says whose it is, so that compaction removes every earlier profile."""

    ce_type: ClassVar[str] = "io.carolinacloud.account.erased.v1"
    key_field: ClassVar[str] = "account_id"

    account_id: AccountId


class AccountFact(Fact):
    """What every fact about an account says. It names nobody's address: that is in the AccountProfile."""

    key_field: ClassVar[str] = "account_id"

    account_id: AccountId


class MailboxProofRequested(AccountFact):
    """The account has to prove that it receives letters at its address: the moment for a letter with a code."""

    ce_type: ClassVar[str] = "io.carolinacloud.mailbox-proof.requested.v1"

    challenge_id: ChallengeId
    requested_at: Instant
    expires_at: ChallengeExpiry


class PasswordResetRequested(AccountFact):
    """Somebody, perhaps its owner, said that the account's password is forgotten: the moment for a letter with a
    link."""

    ce_type: ClassVar[str] = "io.carolinacloud.password-reset.requested.v1"

    challenge_id: ChallengeId
    requested_at: Instant
    expires_at: ChallengeExpiry


class SignUpRepeated(AccountFact):
    """Somebody signed up with the address of this account, which is proven. The page told them nothing; the account's
    owner is told by a letter."""

    ce_type: ClassVar[str] = "io.carolinacloud.sign-up.repeated.v1"

    repeated_at: Instant


class PasswordChanged(AccountFact):
    """The account has another password, by its owner's wish or by a reset."""

    ce_type: ClassVar[str] = "io.carolinacloud.password.changed.v1"

    changed_at: Instant


ACCOUNTS_PROFILES = Topic(
    name="accounts.profiles",
    key="account id",
    owner="console",
    writers=("console",),
    readers=("invites", "billing", "notifier"),
    messages=(AccountProfile,),
    tombstone=AccountErased,
    partitions=6,
    retention=None,
    cleanup=Cleanup.COMPACT,
    personal_data=PersonalData.ADDRESSES,
)

ACCOUNTS_EVENTS = Topic(
    name="accounts.events",
    key="account id",
    owner="console",
    writers=("console",),
    readers=("notifier",),
    messages=(MailboxProofRequested, PasswordResetRequested, SignUpRepeated, PasswordChanged),
    partitions=6,
    retention=timedelta(days=7),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.IDENTIFIERS,
)
