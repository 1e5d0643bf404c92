"""Who pays for what an account uses, and until when."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from console.view.money import BillingChain, Card
from console.view.who_pays import Purse, Standing, billing_chain

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TURN = datetime(2026, 4, 1, tzinfo=UTC)
ACCOUNT, ORGANIZATION = UUID(int=1), UUID(int=2)
DOLLAR = 1_000_000
VISA = Card("pm_1", "visa", "4242", 12, 2030, None)
DECLINED = Card("pm_1", "visa", "4242", 12, 2030, "insufficient_funds")
HOUR = timedelta(hours=1)


def own(**changed: Any) -> Purse:
    return replace(Purse(ACCOUNT, burn_rate=2 * DOLLAR, burning_at=NOW), **changed)


def organization(**changed: Any) -> Purse:
    return replace(Purse(ORGANIZATION, burn_rate=10 * DOLLAR, burning_at=NOW), **changed)


def chain(mine: Purse, theirs: Purse | None = None, *, now: datetime = NOW, **standing: Any) -> BillingChain:
    return billing_chain(mine, theirs, Standing(**standing), now)


def test_without_an_organization_there_are_two_sources_and_the_trial_credit_pays_first() -> None:
    found = chain(own(credit=5 * DOLLAR, card=VISA))
    assert [each.kind for each in found.sources] == ["member_credit", "member_card"]
    assert (found.organization_id, found.paying) == (None, "member_credit")
    assert found.until == NOW + 2.5 * HOUR
    assert found.exhausted_at is None  # The card has no end.
    assert found.burn_rate == 2 * DOLLAR


def test_the_organization_s_credit_is_used_up_at_the_rate_of_all_its_members_and_then_one_s_own_at_one_s_own() -> None:
    found = chain(own(credit=6 * DOLLAR), organization(credit=40 * DOLLAR))
    assert [each.kind for each in found.sources] == [
        "organization_credit",
        "organization_card",
        "member_credit",
        "member_card",
    ]
    assert (found.paying, found.until) == ("organization_credit", NOW + 4 * HOUR)
    assert found.exhausted_at == NOW + 7 * HOUR
    assert [each.can_pay for each in found.sources] == [True, False, True, False]


def test_a_card_that_is_counted_on_has_no_end() -> None:
    found = chain(own(), organization(card=VISA))
    assert (found.paying, found.until, found.exhausted_at) == ("organization_card", None, None)


def test_of_a_card_that_was_declined_what_it_was_charged_is_used_up() -> None:
    found = chain(own(), organization(card=DECLINED, card_left=5 * DOLLAR))
    assert (found.paying, found.until) == ("organization_card", NOW + HOUR / 2)
    assert found.exhausted_at == NOW + HOUR / 2
    assert [each.can_pay for each in found.sources] == [False, True, False, False]


def test_who_has_just_joined_draws_at_their_own_rate_from_an_organization_that_used_nothing_so_far() -> None:
    found = chain(own(), organization(credit=4 * DOLLAR, burn_rate=0, burning_at=None))
    assert found.until == NOW + 2 * HOUR


def test_where_nothing_is_used_nothing_ends() -> None:
    found = chain(own(credit=DOLLAR, burn_rate=0), organization(credit=DOLLAR, burn_rate=0))
    assert (found.paying, found.until, found.exhausted_at) == ("organization_credit", None, None)


def test_a_rate_that_was_told_long_ago_is_over() -> None:
    later = NOW + 2 * HOUR
    found = chain(own(credit=20 * DOLLAR), now=later)
    assert (found.until, found.burn_rate) == (None, 0)
    assert [each.burn_rate for each in found.sources] == [0, 0]


def test_the_end_does_not_move_away_while_nothing_is_told() -> None:
    mine = own(credit=5 * DOLLAR)
    assert chain(mine, now=NOW + HOUR).until == chain(mine).until == NOW + 2.5 * HOUR


def test_what_should_be_over_by_now_is() -> None:
    later = NOW + HOUR
    assert chain(own(credit=DOLLAR), now=later).until == later


def test_what_lasts_longer_than_anybody_has_no_end() -> None:
    assert chain(own(credit=10**15, burn_rate=1)).until is None


def test_a_spend_cap_takes_the_organization_away_when_it_is_reached() -> None:
    found = chain(own(credit=2 * DOLLAR), organization(card=VISA), cap=10 * DOLLAR, spent=4 * DOLLAR)
    assert (found.paying, found.until) == ("organization_card", NOW + 3 * HOUR)
    assert found.exhausted_at == NOW + 4 * HOUR
    assert (found.cap, found.spent) == (10 * DOLLAR, 4 * DOLLAR)


def test_a_spend_cap_that_is_reached_leaves_one_s_own_sources_until_the_month_turns() -> None:
    found = chain(own(card=VISA), organization(card=VISA), cap=10 * DOLLAR, spent=10 * DOLLAR)
    assert [each.can_pay for each in found.sources] == [False, False, False, True]
    assert (found.paying, found.until, found.exhausted_at) == ("member_card", TURN, None)


def test_who_has_nothing_of_their_own_is_exhausted_by_the_cap() -> None:
    found = chain(own(), organization(card=VISA), cap=DOLLAR, spent=0)
    assert (found.until, found.exhausted_at) == (NOW + HOUR / 2, NOW + HOUR / 2)
    reached = chain(own(), organization(card=VISA), cap=0, spent=0, funds="exhausted", funds_at=NOW - HOUR)
    assert (reached.paying, reached.until, reached.exhausted_at) == (None, None, NOW - HOUR)


def test_a_spend_cap_that_this_month_does_not_reach_limits_nothing() -> None:
    found = chain(own(burn_rate=1), organization(card=VISA), cap=DOLLAR, spent=0)
    assert (found.paying, found.until) == ("organization_card", None)


def test_credit_that_ends_before_the_cap_is_reached_is_followed_by_one_s_own_for_good() -> None:
    found = chain(own(card=VISA), organization(credit=DOLLAR), cap=100 * DOLLAR, spent=0)
    assert (found.paying, found.until) == ("organization_credit", NOW + HOUR / 10)
    assert found.exhausted_at is None


def test_a_cap_says_nothing_where_the_organization_could_not_pay_anyhow() -> None:
    found = chain(own(card=VISA), organization(), cap=DOLLAR, spent=DOLLAR)
    assert (found.paying, found.until) == ("member_card", None)


def test_funds_are_what_was_told_of_them() -> None:
    assert chain(own(card=VISA)).funds == "ok"
    exhausted = chain(own(), funds="exhausted", funds_at=NOW - HOUR)
    assert (exhausted.funds, exhausted.exhausted_at) == ("exhausted", NOW - HOUR)
    assert chain(own(credit=DOLLAR), funds="low", funds_at=NOW + HOUR / 2).funds == "low"


def test_funds_are_not_low_any_more_when_there_is_more() -> None:
    assert chain(own(credit=10 * DOLLAR), funds="low", funds_at=NOW + HOUR / 2).funds == "ok"
    assert chain(own(card=VISA), funds="low", funds_at=NOW + HOUR / 2).funds == "ok"


def test_nothing_left_is_the_end_though_nobody_has_told_yet() -> None:
    assert chain(own()).exhausted_at == NOW
    assert chain(own(burn_rate=0)).exhausted_at is None


def test_the_organization_s_card_can_be_kept_from_those_who_are_no_admins() -> None:
    found = chain(own(card=VISA), organization(card=VISA))
    kept = found.without_organization_s_card()
    assert [each.card for each in found.sources] == [None, VISA, None, VISA]
    assert [each.card for each in kept.sources] == [None, None, None, VISA]
    assert [each.can_pay for each in kept.sources] == [each.can_pay for each in found.sources]
