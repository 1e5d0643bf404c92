"""What notifier knows while it handles a batch: people, organizations, ended invitations, and the letters it writes."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from contracts import (
    AccountProfile,
    CardDeclined,
    CreditToppedUp,
    FundsExhausted,
    FundsLow,
    InvitationExpiring,
    InvitationIssued,
    MailboxProofRequested,
    MemberJoined,
    PasswordResetRequested,
)
from notifier.domain import Card, Kind, Letter, Patience, Profile, State, letter_id

LINKS = frozenset({Kind.INVITATION, Kind.REMINDER})
"""Letters that carry an invitation's link."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The fact that a letter is about, as its envelope tells it."""

    ce_id: str
    correlation_id: str
    now: datetime
    traceparent: str | None = None
    """Where its handling stands in its trace, if there is one."""


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """Letters of these kinds are not needed any more."""

    kinds: frozenset[Kind]
    at: datetime


@dataclass(frozen=True, slots=True)
class Overtaking:
    """There is a newer fact about an account's funds."""

    version: int
    """Letters about older ones are not needed any more."""
    at: datetime


@dataclass(slots=True)
class Post:
    """The working set. What is loaded is in the first fields; what changes is kept apart, to be saved."""

    patience: Patience
    profiles: dict[UUID, Profile] = field(default_factory=dict)
    organizations: dict[UUID, str] = field(default_factory=dict)
    """Names."""
    ended: set[UUID] = field(default_factory=set)
    """Invitations whose link is dead."""
    overtime: list[Letter] = field(default_factory=list)
    """Letters whose time is over; a timer loads them."""

    letters: dict[UUID, Letter] = field(default_factory=dict)
    """New ones."""
    changed_profiles: set[UUID] = field(default_factory=set)
    new_organizations: set[UUID] = field(default_factory=set)
    new_ends: dict[UUID, datetime] = field(default_factory=dict)
    withdrawals: dict[UUID, Withdrawal] = field(default_factory=dict)
    """By invitation."""
    new_cards: dict[UUID, Card] = field(default_factory=dict)
    """By payer; the database knows older and newer ones."""
    overtakings: dict[UUID, Overtaking] = field(default_factory=dict)
    """By account."""
    _with_link: dict[UUID, list[Letter]] = field(default_factory=dict)
    """The new letters with the link of an invitation."""
    _about_funds: dict[UUID, list[tuple[int, Letter]]] = field(default_factory=dict)
    """The new letters about an account's funds, each with the version of its fact."""

    # --- what is known

    def keep_profile(self, profile: AccountProfile) -> None:
        """The newest version counts; an erased account is never known again."""
        known = self.profiles.get(profile.account_id)
        if known is None or (not known.is_erased and known.version < profile.version):
            self._set(Profile(profile.account_id, profile.version, profile.address, profile.name))

    def forget_person(self, account_id: UUID) -> None:
        """Address and name go; letters to and about the person are withdrawn when it is their turn."""
        self._set(Profile.erased(account_id))

    def note_organization(self, organization_id: UUID, name: str) -> None:
        """An organization keeps its name."""
        if organization_id not in self.organizations:
            self.organizations[organization_id] = name
            self.new_organizations.add(organization_id)

    def keep_card(self, card: Card) -> None:
        """The newest version counts."""
        known = self.new_cards.get(card.payer_id)
        if known is None or known.version < card.version:
            self.new_cards[card.payer_id] = card

    # --- letters

    def write_link(self, kind: Kind, fact: InvitationIssued | InvitationExpiring, cause: Cause) -> None:
        """A letter with the invitation's link, unless that is dead."""
        self.note_organization(fact.organization_id, fact.organization_name)
        if fact.invitation_id in self.ended or fact.expires_at <= cause.now:
            return
        letter = self._new_letter(kind, cause, fact.organization_id, fact.invitation_id)
        letter.address = fact.address
        letter.person_id, letter.person_name = fact.inviter_id, fact.inviter_name or None
        letter.expires_at = fact.expires_at
        self._with_link.setdefault(fact.invitation_id, []).append(letter)

    def write_news(self, kind: Kind, fact: MemberJoined, to: UUID, about: UUID | None, cause: Cause) -> None:
        """A letter to an account about a joining, which names another account; none to the erased, none without an
        invitation (an owner has invited themselves), and none about what is no news any more."""
        is_old = self._is_old(fact.joined_at, cause)
        if fact.invitation_id is None or is_old or self._is_erased(to):
            return
        letter = self._new_letter(kind, cause, fact.organization_id, fact.invitation_id)
        letter.recipient_id, letter.person_id = to, about

    def write_code(self, kind: Kind, fact: MailboxProofRequested | PasswordResetRequested, cause: Cause) -> None:
        """A letter to an account with the challenge's code, unless that is dead; none to the erased."""
        if fact.expires_at <= cause.now or self._is_erased(fact.account_id):
            return
        letter = self._new_letter(kind, cause)
        letter.recipient_id, letter.challenge_id = fact.account_id, fact.challenge_id
        letter.expires_at = fact.expires_at

    def write_account_news(self, kind: Kind, account_id: UUID, happened_at: datetime, cause: Cause) -> None:
        """A letter to an account about itself; none to the erased, and none about what is no news any more."""
        if self._is_old(happened_at, cause) or self._is_erased(account_id):
            return
        self._new_letter(kind, cause).recipient_id = account_id

    def write_about_funds(
        self,
        kind: Kind,
        fact: FundsLow | FundsExhausted,
        happened_at: datetime,
        cause: Cause,
        *,
        expires_at: datetime | None = None,
    ) -> None:
        """A letter to an account about what can pay for it, which overtakes older ones; none to the erased, none about
        what is no news any more, and none that warns of what has come by now."""
        self.overtake_funds(fact.account_id, fact.version, cause.now)
        has_come = expires_at is not None and expires_at <= cause.now
        if has_come or self._is_old(happened_at, cause) or self._is_erased(fact.account_id):
            return
        letter = self._new_letter(kind, cause, fact.organization_id)
        letter.recipient_id, letter.fact, letter.expires_at = fact.account_id, fact, expires_at
        self._about_funds.setdefault(fact.account_id, []).append((fact.version, letter))

    def write_about_payment(
        self, kind: Kind, fact: CardDeclined | CreditToppedUp, to: UUID, happened_at: datetime, cause: Cause
    ) -> None:
        """A letter about a payment by card to who brought it about; none to the erased, and none about what is no news
        any more."""
        if self._is_old(happened_at, cause) or self._is_erased(to):
            return
        letter = self._new_letter(kind, cause, fact.payer_id if fact.payer_kind == "organization" else None)
        letter.recipient_id, letter.fact = to, fact

    def overtake_funds(self, account_id: UUID, version: int, now: datetime) -> None:
        """Letters about the account's funds that have not left are not sent, where this version is newer than theirs.
        An older one comes late, from a dead-letter topic, and overtakes nothing."""
        earlier = self.overtakings.get(account_id)
        if earlier is None or earlier.version < version:
            self.overtakings[account_id] = Overtaking(version, now)
        for older, letter in self._about_funds.get(account_id, ()):
            if older < version:
                letter.state = State.WITHDRAWN

    def end_invitation(self, invitation_id: UUID, now: datetime) -> None:
        """The link is dead: letters with it are withdrawn, and none is written any more."""
        if invitation_id not in self.ended:
            self.ended.add(invitation_id)
            self.new_ends[invitation_id] = now
        self.withdraw(invitation_id, LINKS, now)

    def withdraw(self, invitation_id: UUID, kinds: frozenset[Kind], now: datetime) -> None:
        """Letters of these kinds that have not left are not sent."""
        earlier = self.withdrawals.get(invitation_id)
        self.withdrawals[invitation_id] = Withdrawal(kinds | earlier.kinds if earlier else kinds, now)
        for letter in self._with_link.get(invitation_id, ()):
            if letter.kind in kinds:
                letter.state = State.WITHDRAWN

    # --- for the store

    def settle(self) -> Iterable[Letter]:
        """The new letters, each in the state in which it is to be stored: one that lacks nothing is queued."""
        for letter in self.letters.values():
            if letter.state is State.WAITING and self._is_complete(letter):
                letter.state = State.QUEUED
            yield letter

    def _is_complete(self, letter: Letter) -> bool:
        needed = {letter.recipient_id, letter.person_id if letter.kind is Kind.HAS_JOINED else None} - {None}
        is_named = letter.organization_id is None or letter.organization_id in self.organizations
        return is_named and needed <= self.profiles.keys()

    def _is_old(self, happened_at: datetime, cause: Cause) -> bool:
        return happened_at < cause.now - self.patience.news_for

    def _is_erased(self, account_id: UUID) -> bool:
        profile = self.profiles.get(account_id)
        return profile is not None and profile.is_erased

    def _set(self, profile: Profile) -> None:
        self.profiles[profile.account_id] = profile
        self.changed_profiles.add(profile.account_id)

    def _new_letter(
        self, kind: Kind, cause: Cause, organization_id: UUID | None = None, invitation_id: UUID | None = None
    ) -> Letter:
        letter = Letter(
            letter_id=letter_id(cause.ce_id, kind),
            kind=kind,
            cause_id=cause.ce_id,
            correlation_id=cause.correlation_id,
            traceparent=cause.traceparent,
            created_at=cause.now,
            organization_id=organization_id,
            invitation_id=invitation_id,
        )
        return self.letters.setdefault(letter.letter_id, letter)
