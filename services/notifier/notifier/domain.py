"""What a letter is, when it may be written, and what becomes of it. Pure: facts and times in, states and facts out.

waiting -> queued <-> sending -> sent | bounced | failed | withdrawn
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid5

from contracts import (
    CardDeclined,
    CreditToppedUp,
    FundsExhausted,
    FundsLow,
    LetterBounced,
    LetterFailed,
    LetterSent,
)

MoneyFact = FundsLow | FundsExhausted | CardDeclined | CreditToppedUp
"""What billing tells that people are written to about."""

LETTERS: Final = UUID("0b7c1c4e-6a53-5d0b-9a39-6c6574746572")
"""Namespace of the letters' ids (UUIDv5)."""


class Kind(StrEnum):
    """Which letter it is; its texts are in the folder of that name."""

    INVITATION = "invitation"
    """To the invited address: the link."""
    REMINDER = "reminder"
    """To the invited address: the link once more, before its time is over."""
    WELCOME = "welcome"
    """To the new member."""
    HAS_JOINED = "has_joined"
    """To who invited the new member."""
    MAILBOX_CODE = "mailbox_code"
    """To an account: the code that proves its mailbox."""
    PASSWORD_RESET = "password_reset"  # noqa: S105  a letter
    """To an account: the link that sets a new password."""
    ACCOUNT_EXISTS = "account_exists"
    """To an account: somebody signed up with its address."""
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  a letter
    """To an account: it has another password."""
    FUNDS_LOW = "funds_low"
    """To an account: what pays for it will be used up before long."""
    FUNDS_EXHAUSTED = "funds_exhausted"
    """To an account: nothing can pay for it any more."""
    CARD_DECLINED = "card_declined"
    """To who put the card on file: its bank said no."""
    TOP_UP_RECEIPT = "top_up_receipt"
    """To who topped up: the organization's card was charged."""


ABOUT_MONEY: Final[Mapping[Kind, type[MoneyFact]]] = {
    Kind.FUNDS_LOW: FundsLow,
    Kind.FUNDS_EXHAUSTED: FundsExhausted,
    Kind.CARD_DECLINED: CardDeclined,
    Kind.TOP_UP_RECEIPT: CreditToppedUp,
}
"""Letters that are kept with the fact that they are about, since they tell more of it than ids."""


class State(StrEnum):
    """Where a letter stands. It ends in one of the last four."""

    WAITING = "waiting"
    """For somebody's profile or the organization's name, which another topic brings."""
    QUEUED = "queued"
    SENDING = "sending"
    """In the hands of a process, until its lease is over."""
    SENT = "sent"
    BOUNCED = "bounced"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    """Nobody needs it any more: its link or code is dead, what it says is overtaken, or the person is gone."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a letter is worth an effort."""

    wait_for: timedelta = timedelta(hours=24)
    """For what other topics are to bring."""
    try_for: timedelta = timedelta(days=3)
    """To bring it to the mail server, whatever that one says or does not say."""
    attempts: int = 20
    """Deliveries that the server answered, or broke off."""
    first_pause: timedelta = timedelta(seconds=2)
    """Before the second attempt; it doubles from one to the next."""
    longest_pause: timedelta = timedelta(hours=1)
    news_for: timedelta = timedelta(days=7)
    """How old a fact may be that is news to somebody."""

    def pause(self, attempts: int, spread: float) -> timedelta:
        """Before the next attempt, after so many; `spread` from 0 to 1 takes up to half of it off, so that letters
        which failed together do not come back together."""
        doubled = self.first_pause * 2.0 ** min(max(attempts, 1) - 1, 30)
        return min(doubled, self.longest_pause) * (1 - spread / 2)


# --- what one attempt came to


@dataclass(frozen=True, slots=True)
class Taken:
    """The mail server has taken the letter upon itself."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """The mail server refuses this recipient, or this letter, for good."""

    smtp_code: int


@dataclass(frozen=True, slots=True)
class PutOff:
    """Not now."""

    reason: str


@dataclass(frozen=True, slots=True)
class Impossible:
    """No server can be asked to do this."""

    reason: str


@dataclass(frozen=True, slots=True)
class Pointless:
    """The person that it is for, or the person or card that it is about, is gone."""


@dataclass(frozen=True, slots=True)
class NotTried:
    """It is given back: no server has heard of it in this attempt."""


Outcome = Taken | Rejected | PutOff | Impossible | Pointless | NotTried


# --- people and letters


@dataclass(frozen=True, slots=True)
class Profile:
    """notifier's copy of an account's profile."""

    account_id: UUID
    version: int
    address: str | None
    """None where the account is erased; then it stays so."""
    name: str | None

    @property
    def is_erased(self) -> bool:
        return self.address is None

    @classmethod
    def erased(cls, account_id: UUID) -> "Profile":
        """What is left of a person who is gone."""
        return cls(account_id, 0, None, None)


@dataclass(frozen=True, slots=True)
class Card:
    """notifier's copy of what is said of the card that a payer has on file."""

    payer_id: UUID
    version: int
    """Of the payer."""
    card_id: str | None
    """None where there is none on file any more; then the others are, too."""
    brand: str | None
    last4: str | None


@dataclass(slots=True)
class Letter:
    """One letter to one person about one fact. Times are aware, in UTC."""

    letter_id: UUID
    kind: Kind
    cause_id: str
    """The CloudEvents id of the fact."""
    correlation_id: str
    created_at: datetime
    organization_id: UUID | None = None
    """The organization that it speaks of, if it does."""
    invitation_id: UUID | None = None
    challenge_id: UUID | None = None
    """What the code of an account's letter is derived from."""
    recipient_id: UUID | None = None
    """The account that is written to; none where it is `address`."""
    address: str | None = None
    """The invited address; gone when the letter has ended."""
    person_id: UUID | None = None
    """Whom it speaks of: the inviter, or in `has_joined` the new member."""
    person_name: str | None = None
    """What the fact called the inviter, for as long as there is no profile; gone when the letter has ended."""
    expires_at: datetime | None = None
    """When its link or code dies, or what it warns of has come."""
    fact: MoneyFact | None = None
    """Of a letter about money, what it tells."""
    state: State = State.WAITING
    attempts: int = 0
    due_at: datetime | None = None
    """When it is to be sent; while it is being sent, when the lease is over."""
    ended_at: datetime | None = None
    traceparent: str | None = None
    """What its delivery goes on from, in a trace."""

    @property
    def cause_key(self) -> UUID | None:
        """The Kafka key of the fact."""
        return self.fact.partition_key if self.fact else self.organization_id or self.recipient_id

    def overtime(self, patience: Patience) -> datetime:
        """When it ends although nothing has become of it."""
        limit = patience.wait_for if self.state is State.WAITING else patience.try_for
        latest = self.created_at + limit
        return min(latest, self.expires_at) if self.expires_at else latest

    def end_in_overtime(self, now: datetime) -> LetterFailed | None:
        """Ends a letter whose time is over; without a fact where its link or code has died, or what it warns of has
        come, which ends the matter itself."""
        reason = _NEVER_COMPLETE if self.state is State.WAITING else _NEVER_TAKEN
        if self.expires_at is not None and self.expires_at <= now:
            self._end(State.WITHDRAWN, now)
            return None
        self._end(State.FAILED, now)
        return self._failed(reason, now)

    def conclude(
        self, outcome: Outcome, now: datetime, patience: Patience, spread: float
    ) -> LetterSent | LetterBounced | LetterFailed | None:
        """Ends an attempt: the state changes, and the fact that is to be told is returned, if there is one."""
        match outcome:
            case Taken():
                self._end(State.SENT, now)
                return LetterSent(**self._about(), sent_at=now)
            case Rejected(smtp_code):
                self._end(State.BOUNCED, now)
                return LetterBounced(**self._about(), smtp_code=smtp_code, bounced_at=now)
            case PutOff() if self.attempts < patience.attempts:
                self.state = State.QUEUED
                self.due_at = now + patience.pause(self.attempts, spread)
            case PutOff(reason) | Impossible(reason):
                self._end(State.FAILED, now)
                return self._failed(reason, now)
            case Pointless():
                self._end(State.WITHDRAWN, now)
            case NotTried():
                self.state = State.QUEUED
                self.attempts -= 1
                self.due_at = now
        return None

    def _end(self, state: State, now: datetime) -> None:
        self.state, self.ended_at = state, now

    def _failed(self, reason: str, now: datetime) -> LetterFailed:
        return LetterFailed(**self._about(), reason=reason, failed_at=now)

    def _about(self) -> dict[str, Any]:
        return {
            "letter_id": self.letter_id,
            "kind": self.kind.value,
            "cause_id": self.cause_id,
            "cause_key": self.cause_key,
            "organization_id": self.organization_id,
            "invitation_id": self.invitation_id,
            "recipient_id": self.recipient_id,
            "attempts": self.attempts,
        }


@dataclass(slots=True)
class Claim:
    """A letter in the hands of a process, with all that it names."""

    letter: Letter
    attempt: int
    """The number of this attempt, which tells this claim from an earlier one of the same letter."""
    lease_until: datetime
    """From then on anybody may claim it; renewed while the letter is on the wire."""
    organization_name: str
    address: str | None
    """Where it goes; none where the recipient is erased."""
    recipient_name: str | None
    person_name: str | None
    person_address: str | None
    card: Card | None
    """Of whom it tells that a card was declined, what is on file by now; none where that is not known."""

    @property
    def is_pointless(self) -> bool:
        """Whether the recipient is gone, or the new member of whom it tells, or the card was replaced since."""
        match self.letter:
            case Letter(kind=Kind.HAS_JOINED) if self.person_address is None:
                return True
            case Letter(fact=CardDeclined(card_id=card_id)) if self.card is not None and self.card.card_id != card_id:
                return True
        return self.address is None


_NEVER_COMPLETE: Final = "What the letter needs (a profile, the organization's name) has not come."
_NEVER_TAKEN: Final = "The mail server could not be reached, or did not take the letter, for as long as it was tried."


def letter_id(cause_id: str, kind: Kind) -> UUID:
    """The one id of the one letter of this kind about this fact: made again, it is the same."""
    return uuid5(LETTERS, f"{cause_id}/{kind.value}")
