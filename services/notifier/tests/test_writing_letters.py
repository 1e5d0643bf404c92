"""Which letters follow from which facts: the handlers, without a database."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from notifier_facts import (
    ABOUT_ACCOUNTS,
    ACME,
    CHALLENGE,
    CODE_EXPIRY,
    ENDS,
    EXPIRY,
    INVITATION,
    MEMBER,
    NOW,
    OWNER,
    accepted,
    context,
    created,
    erased,
    expiring,
    issued,
    joined,
    password_changed,
    profile,
    proof_requested,
    reset_requested,
    signed_up_again,
)

from contracts import LetterFailed, Message
from notifier.domain import Kind, Letter, Patience, Profile, State
from notifier.handlers import REACTIONS, end_overtime
from notifier.working_set import Post
from postroom import AnswerTo
from postroom.ids import uuid7

PATIENCE = Patience()


def handle(post: Post, *messages: Message) -> list[Letter]:
    """Hands in the messages; answers the letters as they would be stored."""
    for message in messages:
        assert list(REACTIONS[type(message)](message, post, context())) == [], (
            "what is told of a letter, delivery tells"
        )
    return list(post.settle())


def new_post() -> Post:
    """Nothing is known yet."""
    return Post(PATIENCE)


def knowing(*accounts: UUID) -> Post:
    """Acme is known, and these people are."""
    post = new_post()
    post.organizations[ACME] = "Acme"
    post.profiles |= {account: Profile(account, 1, "a@example.com", "Somebody") for account in accounts}
    return post


def test_an_invitation_is_written_to_the_invited_address() -> None:
    (letter,) = handle(new_post(), issued(address="new.member@example.com"))
    assert (letter.kind, letter.state) == (Kind.INVITATION, State.QUEUED)
    assert (letter.address, letter.recipient_id, letter.invitation_id) == ("new.member@example.com", None, INVITATION)
    assert (letter.person_id, letter.person_name, letter.expires_at) == (OWNER, "Ada Owner", EXPIRY)


def test_a_reminder_is_written_to_the_invited_address() -> None:
    (letter,) = handle(new_post(), expiring(address="new.member@example.com"))
    assert (letter.kind, letter.state, letter.address) == (Kind.REMINDER, State.QUEUED, "new.member@example.com")


def test_a_new_member_is_welcomed_and_who_invited_them_is_told() -> None:
    welcome, has_joined = handle(knowing(MEMBER, OWNER), joined())
    assert (welcome.kind, welcome.recipient_id, welcome.person_id) == (Kind.WELCOME, MEMBER, OWNER)
    assert (has_joined.kind, has_joined.recipient_id, has_joined.person_id) == (Kind.HAS_JOINED, OWNER, MEMBER)
    assert {welcome.state, has_joined.state} == {State.QUEUED}


def test_an_owner_who_creates_an_organization_gets_no_letter() -> None:
    assert handle(knowing(OWNER), created(), joined(OWNER, role="owner", invitation_id=None, inviter_id=None)) == []


def test_where_nobody_is_known_to_have_invited_only_the_new_member_is_written_to() -> None:
    (letter,) = handle(knowing(MEMBER), joined(inviter_id=None))
    assert letter.kind is Kind.WELCOME


def test_no_address_of_an_account_is_kept_in_a_letter() -> None:
    letters = handle(knowing(MEMBER, OWNER), joined())
    assert {letter.address for letter in letters} == {None}


def test_the_same_fact_and_kind_make_the_same_letter() -> None:
    once, again, another = new_post(), new_post(), new_post()
    for post, ce_id in ((once, "one"), (again, "one"), (another, "two")):
        REACTIONS[type(issued())](issued(), post, context(ce_id=ce_id))
    assert once.letters.keys() == again.letters.keys() != another.letters.keys()
    welcome, has_joined = handle(knowing(MEMBER, OWNER), joined())
    assert welcome.letter_id != has_joined.letter_id


@pytest.mark.parametrize(
    ("known", "states"),
    [
        ((), [State.WAITING, State.WAITING]),
        ((MEMBER,), [State.QUEUED, State.WAITING]),
        ((OWNER,), [State.WAITING, State.WAITING]),  # it would name somebody who is not known
        ((MEMBER, OWNER), [State.QUEUED, State.QUEUED]),
    ],
)
def test_letters_wait_for_the_people_that_they_need(known: tuple[UUID, ...], states: list[State]) -> None:
    assert [letter.state for letter in handle(knowing(*known), joined())] == states


def test_letters_wait_for_the_name_of_the_organization() -> None:
    post = knowing(MEMBER, OWNER)
    post.organizations.clear()
    assert {letter.state for letter in handle(post, joined())} == {State.WAITING}


def test_what_comes_later_in_the_same_batch_is_not_waited_for() -> None:
    letters = handle(new_post(), joined(), profile(OWNER), profile(MEMBER), created())
    assert {letter.state for letter in letters} == {State.QUEUED}


def test_an_invitation_also_tells_what_the_organization_is_called() -> None:
    post = knowing(MEMBER, OWNER)
    post.organizations.clear()
    handle(post, issued(organization_name="Acme"), joined())
    assert post.organizations == {ACME: "Acme"}
    assert {letter.state for letter in post.letters.values()} == {State.QUEUED}


@pytest.mark.parametrize("end", ENDS)
def test_a_letter_is_withdrawn_when_its_link_dies(end: Callable[..., Message]) -> None:
    (letter,) = handle(new_post(), issued(), end())
    assert letter.state is State.WITHDRAWN


@pytest.mark.parametrize("end", ENDS)
def test_no_letter_is_written_about_a_link_that_is_dead(end: Callable[..., Message]) -> None:
    """Facts of one invitation are in order, unless one was a dead letter and is handed in again."""
    assert handle(new_post(), end(), issued(), expiring()) == []


def test_a_letter_of_another_invitation_is_not_withdrawn() -> None:
    older, newer = uuid7(), uuid7()
    letters = handle(new_post(), issued(older), ENDS[0](older), issued(newer))
    assert [letter.state for letter in letters] == [State.WITHDRAWN, State.QUEUED]


def test_who_has_accepted_is_not_reminded_but_is_still_invited() -> None:
    invitation, reminder = handle(new_post(), issued(), expiring(), accepted())
    assert (invitation.state, reminder.state) == (State.QUEUED, State.WITHDRAWN)


def test_a_letter_is_not_written_when_its_link_has_expired_by_then() -> None:
    assert handle(new_post(), issued(expires_at=NOW)) == []


def test_old_news_is_no_news() -> None:
    """A new database, or a long outage, must not write to everybody who ever joined."""
    a_week = timedelta(days=7)
    assert handle(knowing(MEMBER, OWNER), joined(joined_at=NOW - a_week - timedelta(seconds=1))) == []
    assert len(handle(knowing(MEMBER, OWNER), joined(joined_at=NOW - a_week))) == 2


def test_an_older_profile_does_not_replace_a_newer_one() -> None:
    post = new_post()
    handle(post, profile(MEMBER, "Newer", version=2), profile(MEMBER, "Older", version=1))
    assert post.profiles[MEMBER].name == "Newer"


def test_nobody_is_written_to_who_is_gone() -> None:
    letters = handle(knowing(MEMBER, OWNER), erased(MEMBER), joined())
    assert [letter.recipient_id for letter in letters] == [OWNER], "delivery finds out whom it would speak of"


def test_who_is_gone_does_not_come_back() -> None:
    post = new_post()
    handle(post, profile(MEMBER), erased(MEMBER), profile(MEMBER, version=9))
    assert post.profiles[MEMBER].is_erased


def test_every_fact_about_the_end_of_an_invitation_is_reacted_to() -> None:
    assert {type(end()) for end in ENDS} <= REACTIONS.keys()


@pytest.mark.parametrize(
    ("fact", "kind"),
    [
        (proof_requested(), Kind.MAILBOX_CODE),
        (reset_requested(), Kind.PASSWORD_RESET),
        (signed_up_again(), Kind.ACCOUNT_EXISTS),
        (password_changed(), Kind.PASSWORD_CHANGED),
    ],
)
def test_an_account_is_written_to_about_itself(fact: Message, kind: Kind) -> None:
    (letter,) = handle(knowing(MEMBER), fact)
    assert (letter.kind, letter.state) == (kind, State.QUEUED)
    assert (letter.recipient_id, letter.address, letter.person_id) == (MEMBER, None, None)
    assert (letter.organization_id, letter.invitation_id) == (None, None)


@pytest.mark.parametrize("fact", [proof_requested(), reset_requested()])
def test_a_code_is_kept_as_the_challenge_that_it_is_derived_from(fact: Message) -> None:
    (letter,) = handle(knowing(MEMBER), fact)
    assert (letter.challenge_id, letter.expires_at) == (CHALLENGE, CODE_EXPIRY)


@pytest.mark.parametrize("fact", [signed_up_again(), password_changed()])
def test_news_about_an_account_have_no_code_and_no_time_limit_but_that_of_news(fact: Message) -> None:
    (letter,) = handle(knowing(MEMBER), fact)
    assert (letter.challenge_id, letter.expires_at) == (None, None)


@pytest.mark.parametrize("about", ABOUT_ACCOUNTS)
def test_letters_about_an_account_wait_for_its_address(about: Callable[[], Message]) -> None:
    """Sign-up writes the profile and the request to two topics, and either may come first."""
    assert [letter.state for letter in handle(new_post(), about())] == [State.WAITING]
    assert [letter.state for letter in handle(new_post(), about(), profile(MEMBER))] == [State.QUEUED]


@pytest.mark.parametrize("about", ABOUT_ACCOUNTS)
def test_an_account_that_is_erased_gets_no_letter(about: Callable[[], Message]) -> None:
    assert handle(knowing(MEMBER), erased(MEMBER), about()) == []


@pytest.mark.parametrize("about", [proof_requested, reset_requested])
def test_a_letter_is_not_written_when_its_code_has_expired_by_then(about: Callable[..., Message]) -> None:
    assert handle(knowing(MEMBER), about(expires_at=NOW)) == []


def test_a_newer_code_does_not_withdraw_the_letter_with_an_older_one() -> None:
    """Console decides which one is good, and a letter that somebody waits for must not get lost between two."""
    letters = handle(knowing(MEMBER), proof_requested(), proof_requested(challenge_id=uuid7()))
    assert [letter.state for letter in letters] == [State.QUEUED, State.QUEUED]


@pytest.mark.parametrize("about", [signed_up_again, password_changed])
def test_old_news_about_an_account_is_no_news(about: Callable[..., Message]) -> None:
    a_week = timedelta(days=7)
    assert handle(knowing(MEMBER), about(MEMBER, NOW - a_week - timedelta(seconds=1))) == []
    assert len(handle(knowing(MEMBER), about(MEMBER, NOW - a_week))) == 1


def test_a_letter_whose_code_has_expired_ends_without_a_fact() -> None:
    (letter,) = handle(new_post(), proof_requested())
    assert letter.overtime(PATIENCE) == CODE_EXPIRY
    assert list(end_overtime(Post(PATIENCE, overtime=[letter]), context(CODE_EXPIRY))) == []
    assert letter.state is State.WITHDRAWN


def test_what_becomes_of_a_letter_about_an_account_is_told_under_the_account() -> None:
    (letter,) = handle(new_post(), password_changed())
    (told,) = end_overtime(Post(PATIENCE, overtime=[letter]), context(NOW + PATIENCE.wait_for))
    assert isinstance(told, AnswerTo)
    assert isinstance(told.fact, LetterFailed)
    assert (told.fact.cause_key, told.fact.recipient_id) == (MEMBER, MEMBER)
    assert (told.fact.organization_id, told.fact.invitation_id) == (None, None)


def test_a_letter_that_waited_for_too_long_has_failed() -> None:
    letter = _letter(State.WAITING)
    assert letter.overtime(PATIENCE) == NOW + PATIENCE.wait_for
    (told,) = end_overtime(Post(PATIENCE, overtime=[letter]), context())
    assert isinstance(told, AnswerTo)
    assert isinstance(told.fact, LetterFailed)
    assert (told.command_id, told.correlation_id) == ("cause", "correlation")
    assert "profile" in told.fact.reason


def test_a_letter_that_no_server_took_has_failed() -> None:
    letter = _letter(State.QUEUED)
    assert letter.overtime(PATIENCE) == NOW + PATIENCE.try_for
    (told,) = end_overtime(Post(PATIENCE, overtime=[letter]), context())
    assert isinstance(told, AnswerTo)
    assert isinstance(told.fact, LetterFailed)
    assert "mail server" in told.fact.reason


def test_a_letter_whose_link_has_expired_ends_without_a_fact() -> None:
    letter = _letter(State.QUEUED)
    letter.expires_at = NOW
    assert letter.overtime(PATIENCE) == NOW
    assert list(end_overtime(Post(PATIENCE, overtime=[letter]), context())) == []
    assert letter.state is State.WITHDRAWN


def test_pauses_double_up_to_the_longest_and_are_spread() -> None:
    pauses = [PATIENCE.pause(attempts, 0.0).total_seconds() for attempts in (1, 2, 3, 11, 12, 1000)]
    assert pauses == [2, 4, 8, 2048, 3600, 3600]
    assert PATIENCE.pause(1, 1.0) == timedelta(seconds=1)


def _letter(state: State) -> Letter:
    return Letter(
        letter_id=uuid7(),
        kind=Kind.WELCOME,
        cause_id="cause",
        correlation_id="correlation",
        organization_id=ACME,
        invitation_id=INVITATION,
        created_at=NOW,
        recipient_id=MEMBER,
        state=state,
    )
