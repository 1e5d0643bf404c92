"""notifier's SQL for a batch of messages, and for time. A batch costs the same few statements, whatever its size.

Rows are locked in the order of the letters' ids, so that nobody waits for anybody in a circle.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import (
    AccountErased,
    AccountProfile,
    CardDeclined,
    CreditToppedUp,
    FundsExhausted,
    FundsLow,
    InvitationExpiring,
    InvitationIssued,
    MailboxProofRequested,
    MemberJoined,
    OrganizationCreated,
    PasswordChanged,
    PasswordResetRequested,
    SignUpRepeated,
)
from notifier.domain import ABOUT_MONEY, Kind, Letter, Patience, Profile, State
from notifier.working_set import LINKS, Post
from postroom import Message

_OVERTIME_AT_A_TIME = 500

_PROFILES = text("""
    SELECT account_id, version, address, name FROM profiles WHERE account_id = ANY(CAST(:ids AS uuid[]))
""")

_ORGANIZATIONS = text("""
    SELECT organization_id, name FROM organizations WHERE organization_id = ANY(CAST(:ids AS uuid[]))
""")

_ENDED_INVITATIONS = text("""
    SELECT invitation_id FROM ended_invitations WHERE invitation_id = ANY(CAST(:ids AS uuid[]))
""")

_SAVE_PROFILES = text("""
    INSERT INTO profiles (account_id, version, address, name)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:addresses AS text[]),
                         CAST(:names AS text[]))
    ON CONFLICT (account_id) DO UPDATE
    SET version = excluded.version, address = excluded.address, name = excluded.name
    WHERE profiles.address IS NOT NULL AND (profiles.version < excluded.version OR excluded.address IS NULL)
""")

_SAVE_ORGANIZATIONS = text("""
    INSERT INTO organizations (organization_id, name)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]))
    ON CONFLICT (organization_id) DO NOTHING
""")

_SAVE_ENDS = text("""
    INSERT INTO ended_invitations (invitation_id, ended_at)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:ended_at AS timestamptz[]))
    ON CONFLICT (invitation_id) DO NOTHING
""")

_SAVE_CARDS = text("""
    INSERT INTO cards (payer_id, version, card_id, brand, last4)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:card_ids AS text[]),
                         CAST(:brands AS text[]), CAST(:last4s AS text[]))
    ON CONFLICT (payer_id) DO UPDATE
    SET version = excluded.version, card_id = excluded.card_id, brand = excluded.brand, last4 = excluded.last4
    WHERE cards.version < excluded.version
""")

_FORGET_CARDS = text("DELETE FROM cards WHERE payer_id = ANY(CAST(:ids AS uuid[]))")

# One that is being sent just now may leave all the same: then its state says so in the end (see claims.py).
_WITHDRAW = text("""
    WITH pointless AS (
        SELECT letter_id
        FROM letters
        WHERE state IN ('waiting', 'queued', 'sending') AND letter_id IN (
            SELECT letter_id
            FROM unnest(CAST(:invitation_ids AS uuid[]), CAST(:only_reminders AS boolean[]))
                 AS ended (invitation_id, only_reminder)
            JOIN letters USING (invitation_id)
            WHERE state IN ('waiting', 'queued', 'sending') AND recipient_id IS NULL
              AND (kind = 'reminder' OR NOT only_reminder)
            UNION ALL
            SELECT letter_id
            FROM unnest(CAST(:account_ids AS uuid[]), CAST(:versions AS bigint[])) AS newer (account_id, version)
            JOIN letters ON recipient_id = account_id
            WHERE state IN ('waiting', 'queued', 'sending') AND kind IN ('funds_low', 'funds_exhausted')
              AND CAST(fact ->> 'version' AS bigint) < version
        )
        ORDER BY letter_id
        FOR UPDATE OF letters
    )
    UPDATE letters SET state = 'withdrawn', ended_at = CAST(:now AS timestamptz), address = NULL, person_name = NULL
    FROM pointless WHERE letters.letter_id = pointless.letter_id
""")

# Letters that wait for what has come. Two instances that bring the letter and the profile at the same moment do not see
# each other's; whoever asks later (a chore does, every second) sees both.
_COMPLETE = """
    WITH complete AS (
        SELECT letter_id
        FROM letters
        JOIN profiles AS recipient ON recipient.account_id = recipient_id
        LEFT JOIN profiles AS person ON person.account_id = person_id
        LEFT JOIN organizations USING (organization_id)
        WHERE state = 'waiting' AND (organization_id IS NULL OR organizations.name IS NOT NULL)
          AND (kind <> 'has_joined' OR person.account_id IS NOT NULL) AND {which}
        ORDER BY letter_id
        LIMIT 1000
        FOR UPDATE OF letters SKIP LOCKED
    )
    UPDATE letters SET state = 'queued', overtime_at = least(expires_at, created_at + CAST(:try_for AS interval))
    FROM complete WHERE letters.letter_id = complete.letter_id
"""
_QUEUE_COMPLETE = text(_COMPLETE.format(which="true"))
_QUEUE_COMPLETE_OF = text(
    _COMPLETE.format(
        which="""(recipient_id = ANY(CAST(:account_ids AS uuid[])) OR person_id = ANY(CAST(:account_ids AS uuid[]))
                  OR organization_id = ANY(CAST(:organization_ids AS uuid[])))"""
    )
)

_INSERT_LETTERS = text("""
    INSERT INTO letters (letter_id, kind, state, cause_id, correlation_id, organization_id, invitation_id, challenge_id,
                         recipient_id, address, person_id, person_name, expires_at, fact, created_at, attempts,
                         due_at, overtime_at, traceparent, ended_at)
    SELECT letter_id, kind, state, cause_id, correlation_id, organization_id, invitation_id, challenge_id,
           recipient_id, address, person_id, person_name, expires_at, CAST(fact AS jsonb), created_at, 0,
           created_at, overtime_at, traceparent, CASE WHEN state = 'withdrawn' THEN created_at END
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:kinds AS text[]), CAST(:states AS text[]), CAST(:cause_ids AS text[]),
        CAST(:correlation_ids AS text[]), CAST(:organization_ids AS uuid[]), CAST(:invitation_ids AS uuid[]),
        CAST(:challenge_ids AS uuid[]), CAST(:recipient_ids AS uuid[]), CAST(:addresses AS text[]),
        CAST(:person_ids AS uuid[]), CAST(:person_names AS text[]), CAST(:expires_at AS timestamptz[]),
        CAST(:facts AS text[]), CAST(:created_at AS timestamptz[]), CAST(:overtime_at AS timestamptz[]),
        CAST(:traceparents AS text[]))
        AS written (letter_id, kind, state, cause_id, correlation_id, organization_id, invitation_id, challenge_id,
                    recipient_id, address, person_id, person_name, expires_at, fact, created_at, overtime_at,
                    traceparent)
    ON CONFLICT (letter_id) DO NOTHING
""")

LETTER_COLUMNS = """
    letter_id, kind, state, cause_id, correlation_id, organization_id, invitation_id, challenge_id, recipient_id,
    letters.address, person_id, person_name, expires_at, CAST(fact AS text) AS fact, created_at, attempts, due_at,
    traceparent
"""

_OVERTIME = text(f"""
    SELECT {LETTER_COLUMNS}
    FROM letters
    WHERE state IN ('waiting', 'queued', 'sending') AND overtime_at <= :now AND (state <> 'sending' OR due_at <= :now)
    ORDER BY overtime_at
    LIMIT :limit
    FOR UPDATE SKIP LOCKED
""")  # noqa: S608

_END_OVERTIME = text("""
    UPDATE letters SET state = ended.state, ended_at = ended.at, address = NULL, person_name = NULL
    FROM unnest(CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:ended_at AS timestamptz[]))
         AS ended (letter_id, state, at)
    WHERE letters.letter_id = ended.letter_id
""")


class LetterStore:
    """Loads and saves the working set of a batch; nothing is locked between the two, since letters are only added, and
    what is known only grows newer."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience

    async def load(self, connection: AsyncConnection, messages: Sequence[Message]) -> Post:
        """What the messages mention: at most three statements."""
        post = Post(self._patience)
        accounts, organizations, invitations = _mentions(messages)
        if accounts:
            for row in await connection.execute(_PROFILES, {"ids": list(accounts)}):
                post.profiles[row.account_id] = Profile(row.account_id, row.version, row.address, row.name)
        if organizations:
            for row in await connection.execute(_ORGANIZATIONS, {"ids": list(organizations)}):
                post.organizations[row.organization_id] = row.name
        if invitations:
            post.ended.update((await connection.execute(_ENDED_INVITATIONS, {"ids": list(invitations)})).scalars())
        return post

    async def load_overtime(self, connection: AsyncConnection, now: datetime) -> Post | None:
        """Letters whose time is over, locked."""
        rows = (await connection.execute(_OVERTIME, {"now": now, "limit": _OVERTIME_AT_A_TIME})).all()
        return Post(self._patience, overtime=[letter_of(row) for row in rows]) if rows else None

    async def save(self, connection: AsyncConnection, post: Post) -> None:
        """What has changed: a statement for each kind of change."""
        await _save_profiles(connection, [post.profiles[each] for each in sorted(post.changed_profiles)])
        await _save_organizations(connection, {each: post.organizations[each] for each in post.new_organizations})
        await _save_cards(connection, post)
        await _end_invitations(connection, post)
        await _withdraw(connection, post)
        await _insert_letters(connection, list(post.settle()), self._patience)
        if post.changed_profiles or post.new_organizations:
            known = {"account_ids": list(post.changed_profiles), "organization_ids": list(post.new_organizations)}
            await connection.execute(_QUEUE_COMPLETE_OF, known | {"try_for": self._patience.try_for})
        await _end_overtime(connection, post.overtime)

    async def queue_complete(self, connection: AsyncConnection, _now: datetime) -> int:
        """Queues letters that wait for nothing any more, a bounded number, and answers how many."""
        return (await connection.execute(_QUEUE_COMPLETE, {"try_for": self._patience.try_for})).rowcount


def letter_of(row: Row[Any]) -> Letter:
    """The letter of a row of LETTER_COLUMNS."""
    kind = Kind(row.kind)
    return Letter(
        letter_id=row.letter_id,
        kind=kind,
        cause_id=row.cause_id,
        correlation_id=row.correlation_id,
        created_at=row.created_at,
        organization_id=row.organization_id,
        invitation_id=row.invitation_id,
        challenge_id=row.challenge_id,
        recipient_id=row.recipient_id,
        address=row.address,
        person_id=row.person_id,
        person_name=row.person_name,
        expires_at=row.expires_at,
        fact=ABOUT_MONEY[kind].model_validate_json(row.fact) if row.fact else None,
        state=State(row.state),
        attempts=row.attempts,
        due_at=row.due_at,
        traceparent=row.traceparent,
    )


def _mentions(messages: Sequence[Message]) -> tuple[set[UUID], set[UUID], set[UUID]]:
    """The accounts, organizations and invitations that decide something about these messages."""
    accounts: set[UUID] = set()
    organizations: set[UUID] = set()
    invitations: set[UUID] = set()
    for message in messages:
        match message:
            case MemberJoined():
                accounts.update(each for each in (message.account_id, message.inviter_id) if each is not None)
                organizations.add(message.organization_id)
            case InvitationIssued() | InvitationExpiring():
                organizations.add(message.organization_id)
                invitations.add(message.invitation_id)
            case (
                AccountProfile()
                | AccountErased()
                | MailboxProofRequested()
                | PasswordResetRequested()
                | SignUpRepeated()
                | PasswordChanged()
            ):
                accounts.add(message.account_id)
            case FundsLow() | FundsExhausted():
                accounts.add(message.account_id)
                organizations.update(each for each in (message.organization_id,) if each is not None)
            case CardDeclined(attached_by=recipient_id) | CreditToppedUp(topped_up_by=recipient_id):
                accounts.add(recipient_id)
                organizations.add(message.payer_id)  # The id of an account finds none.
            case OrganizationCreated():
                organizations.add(message.organization_id)
    return accounts, organizations, invitations


async def _save_profiles(connection: AsyncConnection, profiles: Sequence[Profile]) -> None:
    if not profiles:
        return
    await connection.execute(
        _SAVE_PROFILES,
        {
            "ids": [profile.account_id for profile in profiles],
            "versions": [profile.version for profile in profiles],
            "addresses": [profile.address for profile in profiles],
            "names": [profile.name for profile in profiles],
        },
    )


async def _save_organizations(connection: AsyncConnection, names: Mapping[UUID, str]) -> None:
    if not names:
        return
    ids = sorted(names)
    await connection.execute(_SAVE_ORGANIZATIONS, {"ids": ids, "names": [names[each] for each in ids]})


async def _save_cards(connection: AsyncConnection, post: Post) -> None:
    if post.new_cards:
        cards = [post.new_cards[each] for each in sorted(post.new_cards)]
        await connection.execute(
            _SAVE_CARDS,
            {
                "ids": [card.payer_id for card in cards],
                "versions": [card.version for card in cards],
                "card_ids": [card.card_id for card in cards],
                "brands": [card.brand for card in cards],
                "last4s": [card.last4 for card in cards],
            },
        )
    erased = [each for each in post.changed_profiles if post.profiles[each].is_erased]
    if erased:
        await connection.execute(_FORGET_CARDS, {"ids": erased})


async def _end_invitations(connection: AsyncConnection, post: Post) -> None:
    if post.new_ends:
        ids = sorted(post.new_ends)
        await connection.execute(_SAVE_ENDS, {"ids": ids, "ended_at": [post.new_ends[each] for each in ids]})


async def _withdraw(connection: AsyncConnection, post: Post) -> None:
    """In one statement, since a second one would lock letters out of order."""
    if not post.withdrawals and not post.overtakings:
        return
    moments = [each.at for each in post.withdrawals.values()] + [each.at for each in post.overtakings.values()]
    await connection.execute(
        _WITHDRAW,
        {
            "invitation_ids": list(post.withdrawals),
            "only_reminders": [not withdrawn.kinds >= LINKS for withdrawn in post.withdrawals.values()],
            "account_ids": list(post.overtakings),
            "versions": [overtaking.version for overtaking in post.overtakings.values()],
            "now": max(moments),
        },
    )


async def _insert_letters(connection: AsyncConnection, letters: list[Letter], patience: Patience) -> None:
    if not letters:
        return
    letters.sort(key=attrgetter("letter_id"))
    withdrawn = State.WITHDRAWN
    await connection.execute(
        _INSERT_LETTERS,
        {
            "ids": [letter.letter_id for letter in letters],
            "kinds": [letter.kind.value for letter in letters],
            "states": [letter.state.value for letter in letters],
            "cause_ids": [letter.cause_id for letter in letters],
            "correlation_ids": [letter.correlation_id for letter in letters],
            "organization_ids": [letter.organization_id for letter in letters],
            "invitation_ids": [letter.invitation_id for letter in letters],
            "challenge_ids": [letter.challenge_id for letter in letters],
            "recipient_ids": [letter.recipient_id for letter in letters],
            "addresses": [None if letter.state is withdrawn else letter.address for letter in letters],
            "person_ids": [letter.person_id for letter in letters],
            "person_names": [None if letter.state is withdrawn else letter.person_name for letter in letters],
            "expires_at": [letter.expires_at for letter in letters],
            "facts": [letter.fact.model_dump_json() if letter.fact else None for letter in letters],
            "created_at": [letter.created_at for letter in letters],
            "overtime_at": [letter.overtime(patience) for letter in letters],
            "traceparents": [letter.traceparent for letter in letters],
        },
    )


async def _end_overtime(connection: AsyncConnection, letters: Sequence[Letter]) -> None:
    if not letters:
        return
    await connection.execute(
        _END_OVERTIME,
        {
            "ids": [letter.letter_id for letter in letters],
            "states": [letter.state.value for letter in letters],
            "ended_at": [letter.ended_at for letter in letters],
        },
    )
