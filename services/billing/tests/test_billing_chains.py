"""A member's billing chain: what pays, in which order, from when until when."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import permutations

import pytest
from billing_world import ACME, GLOBEX, GONE_AT, JOINED_AT, MEMBER, NOW, Stay, context, new_books
from hypothesis import given
from hypothesis import strategies as st

from billing.domain.books import Books
from billing.handlers import REACTIONS
from contracts import BillingChainClosed, BillingChainEstablished
from postroom import AnswerTo, Message

Gone = Callable[[Stay], Message]
LEFT_OR_REMOVED = pytest.mark.parametrize("gone", [Stay.left, Stay.removed], ids=["left", "removed"])


def react(books: Books, *messages: Message) -> list[Message | AnswerTo]:
    return [fact for message in messages for fact in REACTIONS[type(message)](message, books, context())]


def established(facts: Sequence[Message | AnswerTo]) -> BillingChainEstablished:
    (fact,) = facts
    assert isinstance(fact, BillingChainEstablished)
    return fact


def closed(facts: Sequence[Message | AnswerTo]) -> BillingChainClosed:
    (fact,) = facts
    assert isinstance(fact, BillingChainClosed)
    return fact


def test_a_new_member_has_a_chain_of_four_sources_the_organizations_first() -> None:
    fact = established(react(new_books(), Stay().joined()))
    assert [(source.position, source.kind) for source in fact.sources] == [
        (1, "organization_credit"),
        (2, "organization_card"),
        (3, "member_credit"),
        (4, "member_card"),
    ]


def test_the_organization_pays_the_first_two_and_the_member_the_last_two() -> None:
    fact = established(react(new_books(), Stay(MEMBER, ACME).joined()))
    assert [(source.payer_kind, source.payer_id) for source in fact.sources] == [
        ("organization", ACME),
        ("organization", ACME),
        ("account", MEMBER),
        ("account", MEMBER),
    ]


def test_a_chain_pays_from_the_moment_of_joining() -> None:
    stay = Stay()
    fact = established(react(new_books(), stay.joined()))
    assert (fact.effective_at, fact.established_at) == (JOINED_AT, NOW)
    assert (fact.organization_id, fact.account_id, fact.membership_id) == (ACME, MEMBER, stay.membership_id)
    assert fact.version == 1


def test_a_member_has_one_chain_however_often_its_joining_is_told() -> None:
    books, stay = new_books(), Stay()
    established(react(books, stay.joined()))
    assert react(books, stay.joined(), stay.joined()) == []


@LEFT_OR_REMOVED
def test_who_has_gone_costs_the_organization_nothing_from_that_moment(gone: Gone) -> None:
    books, stay = new_books(), Stay()
    chain_id = established(react(books, stay.joined())).chain_id
    fact = closed(react(books, gone(stay)))
    assert (fact.chain_id, fact.version) == (chain_id, 2)
    assert (fact.effective_at, fact.closed_at) == (GONE_AT, NOW)


def test_a_closed_chain_says_whether_the_member_left_or_was_removed() -> None:
    books, one, other = new_books(), Stay(), Stay()
    react(books, one.joined(), other.joined())
    assert [closed(react(books, one.left())).reason, closed(react(books, other.removed())).reason] == [
        "left",
        "removed",
    ]


@LEFT_OR_REMOVED
def test_a_chain_is_closed_once(gone: Gone) -> None:
    books, stay = new_books(), Stay()
    react(books, stay.joined(), gone(stay))
    assert react(books, stay.left(), stay.removed(), stay.joined()) == []


@LEFT_OR_REMOVED
def test_an_end_that_comes_before_the_beginning_is_kept_for_it(gone: Gone) -> None:
    books, stay = new_books(), Stay()
    assert react(books, gone(stay)) == [], "there is no chain yet that could be closed"
    opening, closing = react(books, stay.joined())
    assert isinstance(opening, BillingChainEstablished)
    assert isinstance(closing, BillingChainClosed)
    assert opening.chain_id == closing.chain_id
    assert (opening.version, closing.version) == (1, 2)
    assert (opening.effective_at, closing.effective_at) == (JOINED_AT, GONE_AT)


def test_joining_again_makes_a_new_chain() -> None:
    books, first, second = new_books(), Stay(), Stay()
    react(books, first.joined(), first.left())
    assert (
        established(react(books, second.joined())).chain_id != books.chains.by_membership[first.membership_id].chain_id
    )


def test_a_move_is_understood_in_any_order_of_the_two_organizations() -> None:
    here, there = Stay(MEMBER, ACME), Stay(MEMBER, GLOBEX)
    for order in permutations([here.joined(), here.left(), there.joined()]):
        books = new_books()
        facts = react(books, *order)
        assert sum(isinstance(fact, BillingChainEstablished) for fact in facts) == 2
        assert closed([fact for fact in facts if isinstance(fact, BillingChainClosed)]).organization_id == ACME
        assert books.chains.by_membership[there.membership_id].end is None


def test_a_stay_has_no_negative_length_though_clocks_differ() -> None:
    books, stay = new_books(), Stay()
    react(books, stay.joined())
    fact = closed(react(books, stay.left(at=JOINED_AT - timedelta(milliseconds=3))))
    assert fact.effective_at == JOINED_AT


@given(st.data())
def test_each_stay_has_one_chain_whatever_order_and_however_often_its_facts_come(data: st.DataObject) -> None:
    stays = [Stay() for _ in range(3)]
    gone = [data.draw(st.sampled_from([None, Stay.left, Stay.removed])) for _ in stays]
    told = [stay.joined() for stay in stays] + [end(stay) for stay, end in zip(stays, gone, strict=True) if end]
    again = data.draw(st.lists(st.sampled_from(told), max_size=6))
    facts = react(new_books(), *data.draw(st.permutations([*told, *again])))
    for stay, end in zip(stays, gone, strict=True):
        of_stay = [
            (type(fact), fact.version)
            for fact in facts
            if isinstance(fact, BillingChainEstablished | BillingChainClosed)
            and fact.membership_id == stay.membership_id
        ]
        opening, closing = (BillingChainEstablished, 1), (BillingChainClosed, 2)
        assert of_stay == ([opening, closing] if end else [opening])
