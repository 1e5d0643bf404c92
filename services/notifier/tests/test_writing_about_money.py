"""Which letters follow from what billing tells: the handlers, without a database."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from notifier_facts import (
    ACME,
    MEMBER,
    MONEY,
    NOW,
    OWNER,
    card_attached,
    card_declined,
    card_detached,
    context,
    erased,
    exhausted,
    low,
    profile,
    restored,
    topped_up,
)

from contracts import LetterFailed, Message
from notifier.domain import Kind, Letter, MoneyFact, Patience, Profile, State
from notifier.handlers import REACTIONS, end_overtime
from notifier.working_set import Post
from postroom import AnswerTo
from postroom.ids import uuid7

PATIENCE = Patience()
A_WEEK = timedelta(days=7)


def handle(post: Post, *messages: Message) -> list[Letter]:
    """Hands in the messages; answers the letters as they would be stored."""
    for message in messages:
        assert list(REACTIONS[type(message)](message, post, context())) == []
    return list(post.settle())


def knowing_all() -> Post:
    """Acme and its people are known."""
    post = Post(PATIENCE)
    post.organizations[ACME] = "Acme"
    post.profiles |= {account: Profile(account, 1, "a@example.com", "Somebody") for account in (MEMBER, OWNER)}
    return post


@pytest.mark.parametrize(
    ("kind", "recipient"),
    [
        (Kind.FUNDS_LOW, MEMBER),
        (Kind.FUNDS_EXHAUSTED, MEMBER),
        (Kind.CARD_DECLINED, OWNER),
        (Kind.TOP_UP_RECEIPT, OWNER),
    ],
)
def test_each_fact_about_money_makes_one_letter_to_whom_it_concerns(kind: Kind, recipient: object) -> None:
    (letter,) = handle(knowing_all(), MONEY[kind])
    assert (letter.kind, letter.state, letter.recipient_id) == (kind, State.QUEUED, recipient)
    assert (letter.organization_id, letter.fact) == (ACME, MONEY[kind])
    assert (letter.address, letter.person_id, letter.invitation_id) == (None, None, None)


def test_a_letter_about_one_s_own_money_speaks_of_no_organization() -> None:
    own = card_declined(payer_kind="account", payer_id=MEMBER, attached_by=MEMBER)
    letters = handle(knowing_all(), low(organization_id=None), own)
    assert [letter.organization_id for letter in letters] == [None, None]
    assert [letter.cause_key for letter in letters] == [MEMBER, MEMBER]


@pytest.mark.parametrize("fact", MONEY.values())
def test_what_becomes_of_a_letter_is_told_with_the_key_of_its_fact(fact: MoneyFact) -> None:
    """Funds are the account's, even where the letter speaks of an organization."""
    (letter,) = handle(knowing_all(), fact)
    (told,) = end_overtime(Post(PATIENCE, overtime=[letter]), context(NOW))
    assert isinstance(told, AnswerTo)
    assert isinstance(told.fact, LetterFailed)
    assert told.fact.cause_key == fact.partition_key


@pytest.mark.parametrize("fact", MONEY.values())
def test_letters_about_money_wait_for_the_address_and_the_name(fact: MoneyFact) -> None:
    post = Post(PATIENCE)
    assert [letter.state for letter in handle(post, fact)] == [State.WAITING]
    assert [letter.state for letter in handle(post, profile(MEMBER), profile(OWNER))] == [State.WAITING]
    post.note_organization(ACME, "Acme")
    assert [letter.state for letter in post.settle()] == [State.QUEUED]


@pytest.mark.parametrize("fact", MONEY.values())
def test_who_is_erased_gets_no_letter_about_money(fact: MoneyFact) -> None:
    assert handle(knowing_all(), erased(MEMBER), erased(OWNER), fact) == []


@pytest.mark.parametrize(
    ("fact", "happened"),
    [
        (low, "noticed_at"),
        (exhausted, "exhausted_at"),
        (card_declined, "declined_at"),
        (topped_up, "topped_up_at"),
    ],
)
def test_old_news_about_money_are_no_news(fact: Callable[..., MoneyFact], happened: str) -> None:
    """A new database must not write to everybody about everything that the topic still holds."""
    assert handle(knowing_all(), fact(**{happened: NOW - A_WEEK - timedelta(seconds=1)})) == []
    assert len(handle(knowing_all(), fact(**{happened: NOW - A_WEEK}))) == 1


def test_nobody_is_warned_of_what_has_come() -> None:
    assert handle(knowing_all(), low(exhausted_by=NOW)) == []


def test_a_warning_that_comes_too_late_to_be_sent_ends_without_a_fact() -> None:
    (letter,) = handle(knowing_all(), low(exhausted_by=NOW + timedelta(minutes=1)))
    assert letter.overtime(PATIENCE) == NOW + timedelta(minutes=1)
    assert list(end_overtime(Post(PATIENCE, overtime=[letter]), context(NOW + timedelta(minutes=1)))) == []
    assert letter.state is State.WITHDRAWN


def test_funds_that_are_exhausted_overtake_the_warning() -> None:
    warning, news = handle(knowing_all(), low(version=7), exhausted(version=8))
    assert (warning.kind, warning.state) == (Kind.FUNDS_LOW, State.WITHDRAWN)
    assert (news.kind, news.state) == (Kind.FUNDS_EXHAUSTED, State.QUEUED)


def test_funds_that_are_restored_overtake_both() -> None:
    letters = handle(knowing_all(), low(version=7), exhausted(version=8), restored(version=9))
    assert [letter.state for letter in letters] == [State.WITHDRAWN, State.WITHDRAWN]


def test_what_comes_after_funds_were_restored_is_told_again() -> None:
    letters = handle(
        knowing_all(), exhausted(version=8), restored(version=9), low(version=10), exhausted(uuid7(), version=3)
    )
    assert [letter.state for letter in letters] == [State.WITHDRAWN, State.QUEUED, State.WAITING]


def test_funds_restored_that_come_late_overtake_nothing_newer() -> None:
    (letter,) = handle(knowing_all(), exhausted(version=8), restored(version=6))
    assert letter.state is State.QUEUED


def test_money_that_comes_withdraws_neither_a_receipt_nor_news_of_a_card() -> None:
    letters = handle(knowing_all(), topped_up(), card_declined(), restored(OWNER), restored(MEMBER))
    assert {letter.state for letter in letters} == {State.QUEUED}


def test_the_newest_card_of_a_payer_is_kept() -> None:
    post = knowing_all()
    handle(post, card_attached("pm_new", 5, "1881"), card_attached("pm_old", 3))
    assert post.new_cards[ACME].card_id == "pm_new"
    handle(post, card_detached(version=6))
    assert post.new_cards[ACME].card_id is None
