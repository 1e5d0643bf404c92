"""What became of letters: told by notifier."""

from datetime import timedelta
from typing import ClassVar
from uuid import UUID

from contracts.message import Fact, Instant
from contracts.topic import Cleanup, PersonalData, Topic


class LetterFact(Fact):
    """What every fact about a letter says. It names nobody's address."""

    key_field: ClassVar[str] = "cause_key"

    letter_id: UUID
    """The letter's id; the same event and kind of letter give the same id."""
    kind: str
    """Which letter: `invitation`, `reminder`, `welcome`, `has_joined`; about an account: `mailbox_code`,
    `password_reset`, `account_exists`, `password_changed`; about money: `funds_low`, `funds_exhausted`,
    `card_declined`, `top_up_receipt`. New kinds may appear."""
    cause_id: str
    """The CloudEvents id of the fact that the letter is about."""
    cause_key: UUID
    """The Kafka key of that fact, and so of this one."""
    organization_id: UUID | None
    """The organization that the letter is about; none where it is about an account."""
    invitation_id: UUID | None
    """The invitation that the letter is about, where there is one."""
    recipient_id: UUID | None
    """The account that is written to; none where the recipient is an invited address."""
    attempts: int
    """How often delivery was tried."""


class LetterSent(LetterFact):
    """The mail server has taken the letter."""

    ce_type: ClassVar[str] = "io.carolinacloud.letter.sent.v1"

    sent_at: Instant


class LetterBounced(LetterFact):
    """The mail server refused the letter for good; it is not tried again."""

    ce_type: ClassVar[str] = "io.carolinacloud.letter.bounced.v1"

    smtp_code: int
    """The server's reply code, 500 to 599."""
    bounced_at: Instant


class LetterFailed(LetterFact):
    """The letter could not be delivered within the limit of tries."""

    ce_type: ClassVar[str] = "io.carolinacloud.letter.failed.v1"

    reason: str
    """What the last try met, without addresses."""
    failed_at: Instant


NOTIFIER_EVENTS = Topic(
    name="notifier.events",
    key="as the cause",
    owner="notifier",
    writers=("notifier",),
    readers=("console",),
    messages=(LetterSent, LetterBounced, LetterFailed),
    partitions=6,
    retention=timedelta(days=30),
    cleanup=Cleanup.DELETE,
    personal_data=PersonalData.IDENTIFIERS,
)
