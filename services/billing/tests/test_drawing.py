"""Who pays for a usage, from which source, and what is told of it."""

from datetime import datetime, timedelta
from itertools import permutations
from typing import Any

import pytest
from billing_desk import HOUR, NOON, Desk, of_type, refusals, shares_of, usage

from billing.domain.payments import NOT_ON_FILE, Failed
from billing.domain.terms import DOLLAR, Terms
from contracts import (
    AttachCard,
    CardAttached,
    CardCharged,
    CardDeclined,
    CardDetached,
    CardRetried,
    ChargeReversed,
    CreditGranted,
    CreditToppedUp,
    DetachCard,
    FundsExhausted,
    FundsLow,
    FundsRestored,
    RetryCard,
    SpendCapSet,
    TopUpCredit,
    UsageCharged,
)
from postroom import Message
from postroom.ids import uuid7

BLOCK = 10 * DOLLAR


class Acme:
    """An organization with a member."""

    def __init__(self, terms: Terms | None = None) -> None:
        self.desk = Desk(terms or Terms())
        self.id, self.owner = self.desk.organization()
        self.member = self.desk.joins(self.id)


@pytest.fixture
def acme() -> Acme:
    return Acme()


def charged(told: list[Message]) -> UsageCharged:
    (fact,) = of_type(told, UsageCharged)
    return fact


# --- the order


def test_the_organizations_credit_pays_first_and_the_members_own_is_untouched(acme: Acme) -> None:
    acme.desk.has_credit(acme.id, 50 * DOLLAR)
    acme.desk.has_trial_credit(acme.member)
    fact = charged(acme.desk.uses(acme.member, 3 * DOLLAR))
    assert shares_of(fact) == {"organization_credit": 3 * DOLLAR}
    (share,) = fact.shares
    assert (share.payer_id, share.left) == (acme.id, 47 * DOLLAR)
    assert (fact.organization_id, fact.part, fact.written_off) == (acme.id, 1, 0)
    assert acme.desk.payer(acme.member).credit == 5 * DOLLAR


def test_a_credit_is_drained_to_its_last_micro_dollar_and_the_next_source_pays_the_rest(acme: Acme) -> None:
    acme.desk.has_credit(acme.id, 1 * DOLLAR)
    acme.desk.has_trial_credit(acme.member)
    fact = charged(acme.desk.uses(acme.member, 3 * DOLLAR + 1))
    assert shares_of(fact) == {"organization_credit": 1 * DOLLAR, "member_credit": 2 * DOLLAR + 1}
    assert [share.left for share in fact.shares] == [0, 3 * DOLLAR - 1]


def test_one_usage_drains_all_four_sources_in_their_order(acme: Acme) -> None:
    desk = acme.desk
    desk.has_trial_credit(acme.member)
    desk.has_card(acme.member, acme.member, "pm_own")
    desk.has_card(acme.id, acme.owner, "pm_acme")
    desk.uses(acme.member, 6 * DOLLAR)
    desk.bank_agrees()
    desk.removes_card(acme.id, acme.owner)
    desk.has_credit(acme.id, 1 * DOLLAR)
    assert desk.uses(acme.member, 12 * DOLLAR) == [], "it waits for the member's card"
    assert list(shares_of(charged(desk.bank_agrees())).items()) == [
        ("organization_credit", 1 * DOLLAR),
        ("organization_card", 4 * DOLLAR),
        ("member_credit", 5 * DOLLAR),
        ("member_card", 2 * DOLLAR),
    ]


def test_who_is_in_no_organization_pays_by_their_own_sources() -> None:
    desk, account_id = Desk(), uuid7()
    desk.has_trial_credit(account_id)
    fact = charged(desk.uses(account_id, 2 * DOLLAR))
    assert (fact.organization_id, shares_of(fact)) == (None, {"member_credit": 2 * DOLLAR})


def test_a_usage_that_costs_nothing_is_told_and_books_nothing(acme: Acme) -> None:
    entries = len(acme.desk.books.ledger.entries)
    fact = charged(acme.desk.uses(acme.member, 0))
    assert (fact.amount, fact.shares, fact.written_off) == (0, (), 0)
    assert len(acme.desk.books.ledger.entries) == entries


def test_a_usage_is_charged_once_however_often_and_whatever_it_is_told(acme: Acme) -> None:
    acme.desk.has_credit(acme.id, 50 * DOLLAR)
    once = usage(acme.member, 1 * DOLLAR, NOON - HOUR, NOON)
    dearer = usage(acme.member, 2 * DOLLAR, NOON - HOUR, NOON)
    told = [fact for message in (once, once, dearer) for fact in acme.desk.handle(message)]
    assert charged(told).amount == 1 * DOLLAR
    assert acme.desk.payer(acme.id).credit == 49 * DOLLAR


def test_two_meters_may_count_the_same_hour(acme: Acme) -> None:
    acme.desk.has_credit(acme.id, 50 * DOLLAR)
    for meter_id in ("one", "other"):
        charged(acme.desk.handle(usage(acme.member, 1 * DOLLAR, NOON - HOUR, NOON, meter_id=meter_id)))
    assert acme.desk.payer(acme.id).credit == 48 * DOLLAR


@pytest.mark.parametrize(
    ("quantity", "unit_price", "amount"),
    [("0.5", 1, 0), ("1.5", 1, 2), ("2.5", 1, 2), ("-3", 1, 0), ("0.333333", 3, 1), ("1000000000", 10**9, 10**18)],
)
def test_a_price_is_rounded_to_the_even_micro_dollar(acme: Acme, quantity: str, unit_price: int, amount: int) -> None:
    recorded = usage(acme.member, 0, NOON - HOUR, NOON).model_copy(
        update={"quantity": type(usage(acme.member, 0, NOON, NOON).quantity)(quantity), "unit_price": unit_price}
    )
    assert charged(acme.desk.handle(recorded)).amount == amount


# --- cards


def test_a_card_is_charged_a_block_and_the_rest_of_it_is_used_first(acme: Acme) -> None:
    acme.desk.has_card(acme.id, acme.owner)
    assert acme.desk.uses(acme.member, 3 * DOLLAR) == [], "it waits for the card"
    (payment,) = acme.desk.pending
    assert (payment.purpose, payment.card_id, payment.amount) == ("block", "pm_1", BLOCK)
    told = acme.desk.bank_agrees()
    assert [type(fact) for fact in told] == [CardCharged, UsageCharged]
    (card_charged,) = of_type(told, CardCharged)
    assert (card_charged.amount, card_charged.left) == (BLOCK, BLOCK)
    assert shares_of(charged(told)) == {"organization_card": 3 * DOLLAR}
    assert charged(acme.desk.uses(acme.member, 7 * DOLLAR)).shares[0].left == 0
    assert not acme.desk.pending, "the block was enough"
    acme.desk.uses(acme.member, 1)
    assert [payment.amount for payment in acme.desk.pending] == [BLOCK]


def test_a_card_is_charged_as_many_blocks_as_a_usage_needs(acme: Acme) -> None:
    acme.desk.has_card(acme.id, acme.owner)
    acme.desk.uses(acme.member, 2 * BLOCK + 1)
    assert [payment.amount for payment in acme.desk.pending] == [3 * BLOCK]
    told = acme.desk.bank_agrees()
    assert charged(told).shares[0].left == BLOCK - 1


def test_a_card_is_charged_one_payment_at_a_time_however_much_waits(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    for _ in range(5):
        assert desk.uses(acme.member, 4 * DOLLAR) == []
    assert len(desk.pending) == 1
    assert len(of_type(desk.bank_agrees(), UsageCharged)) == 2, "ten dollars are enough for two of them"
    assert len(desk.pending) == 1
    told = desk.bank_agrees()
    assert len(of_type(told, UsageCharged)) == 3
    assert desk.payer(acme.id).block == 0


def test_while_a_card_is_charged_the_members_own_sources_stay_untouched(acme: Acme) -> None:
    desk = acme.desk
    desk.has_trial_credit(acme.member)
    desk.has_card(acme.member, acme.member, "pm_own")
    desk.has_card(acme.id, acme.owner)
    assert [desk.uses(acme.member, 1 * DOLLAR) for _ in range(3)] == [[], [], []]
    assert desk.payer(acme.member).credit == 5 * DOLLAR
    assert [payment.payer_id for payment in desk.pending] == [acme.id]


def test_when_a_card_is_declined_what_waits_is_paid_by_the_next_source(acme: Acme) -> None:
    desk = acme.desk
    desk.has_trial_credit(acme.member)
    desk.has_card(acme.id, acme.owner)
    desk.uses(acme.member, 1 * DOLLAR)
    told = desk.bank_declines("insufficient_funds")
    assert [type(fact) for fact in told] == [CardDeclined, UsageCharged]
    (declined,) = of_type(told, CardDeclined)
    assert (declined.reason, declined.amount, declined.attached_by) == ("insufficient_funds", BLOCK, acme.owner)
    assert shares_of(charged(told)) == {"member_credit": 1 * DOLLAR}
    assert shares_of(charged(desk.uses(acme.member, 1 * DOLLAR))) == {"member_credit": 1 * DOLLAR}
    assert not desk.pending, "a declined card is not asked again by itself"


def test_a_declined_card_counts_again_when_its_owner_tries_it_again(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    desk.uses(acme.member, 1 * DOLLAR)
    desk.bank_declines()
    told = desk.retries_card(acme.id, acme.owner)
    assert [type(fact) for fact in told] == [CardRetried, FundsRestored]
    desk.uses(acme.member, 1 * DOLLAR)
    assert shares_of(charged(desk.bank_agrees())) == {"organization_card": 1 * DOLLAR}


def test_a_declined_card_is_replaced_by_another(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner, "pm_bad")
    desk.uses(acme.member, 1 * DOLLAR)
    desk.bank_declines()
    told = desk.has_card(acme.id, acme.owner, "pm_good")
    assert [type(fact) for fact in told] == [CardAttached, FundsRestored]
    desk.uses(acme.member, 1 * DOLLAR)
    assert [payment.card_id for payment in desk.pending] == ["pm_good"]


def test_what_waits_goes_on_to_the_next_source_when_the_card_was_removed_before_it_was_charged(acme: Acme) -> None:
    desk = acme.desk
    desk.has_trial_credit(acme.member)
    desk.has_card(acme.id, acme.owner)
    desk.uses(acme.member, 1 * DOLLAR)
    assert [type(fact) for fact in desk.removes_card(acme.id, acme.owner)] == [CardDetached]
    (fact,) = desk.bank_declines(NOT_ON_FILE)
    assert isinstance(fact, UsageCharged)
    assert shares_of(fact) == {"member_credit": 1 * DOLLAR}


def test_a_card_that_was_charged_before_it_was_removed_pays_what_waits_for_it_and_what_comes(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    desk.uses(acme.member, 1 * DOLLAR)
    assert [type(fact) for fact in desk.removes_card(acme.id, acme.owner)] == [CardDetached]
    told = desk.bank_agrees()
    assert [type(fact) for fact in told] == [CardCharged, UsageCharged]
    assert shares_of(charged(told)) == {"organization_card": 1 * DOLLAR}
    assert shares_of(charged(desk.uses(acme.member, 1 * DOLLAR))) == {"organization_card": 1 * DOLLAR}


def test_a_new_card_is_not_blamed_for_the_old_ones_refusal(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner, "pm_old")
    desk.uses(acme.member, 1 * DOLLAR)
    (of_old,) = desk.pending
    desk.has_card(acme.id, acme.owner, "pm_new")
    told = desk.bank_says(Failed(of_old, "expired_card"))
    assert of_type(told, CardDeclined) == []
    assert [payment.card_id for payment in desk.pending] == ["pm_new"], "now it is charged"
    assert shares_of(charged(desk.bank_agrees())) == {"organization_card": 1 * DOLLAR}


def test_the_rest_of_a_block_is_used_though_the_card_is_gone(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    desk.uses(acme.member, 1 * DOLLAR)
    desk.bank_agrees()
    desk.removes_card(acme.id, acme.owner)
    assert shares_of(charged(desk.uses(acme.member, 2 * DOLLAR))) == {"organization_card": 2 * DOLLAR}


def test_credit_that_is_bought_while_a_card_is_charged_is_drawn_first(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    desk.uses(acme.member, 3 * DOLLAR)
    told = desk.has_credit(acme.id, 5 * DOLLAR)
    assert shares_of(charged(told)) == {"organization_credit": 3 * DOLLAR}
    assert of_type(desk.bank_agrees(), UsageCharged) == []
    assert (desk.payer(acme.id).credit, desk.payer(acme.id).block) == (2 * DOLLAR, BLOCK)


def test_members_share_what_their_organization_has(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 3 * DOLLAR)
    others = [desk.joins(acme.id) for _ in range(2)]
    for account_id in (acme.member, *others):
        desk.uses(account_id, 2 * DOLLAR)
    paid = [shares_of(fact).get("organization_credit", 0) for fact in of_type(desk.told, UsageCharged)]
    assert paid == [2 * DOLLAR, 1 * DOLLAR, 0]


# --- nothing left


def test_when_nothing_can_pay_the_rest_is_written_off_and_told_once(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 1 * DOLLAR)
    told = desk.uses(acme.member, 3 * DOLLAR)
    assert charged(told).written_off == 2 * DOLLAR
    assert [fact.organization_id for fact in of_type(told, FundsExhausted)] == [acme.id]
    again = desk.uses(acme.member, 1 * DOLLAR)
    assert (charged(again).written_off, of_type(again, FundsExhausted)) == (1 * DOLLAR, [])
    assert of_type(desk.told, FundsLow) == []


def test_what_was_written_off_is_charged_to_nobody_later(acme: Acme) -> None:
    desk = acme.desk
    desk.uses(acme.member, 3 * DOLLAR)
    told = desk.has_credit(acme.id, 20 * DOLLAR)
    assert [type(fact) for fact in told] == [CreditToppedUp, FundsRestored]
    assert desk.payer(acme.id).credit == 20 * DOLLAR


def test_the_last_micro_dollar_exhausts(acme: Acme) -> None:
    acme.desk.has_credit(acme.id, 1 * DOLLAR)
    told = acme.desk.uses(acme.member, 1 * DOLLAR)
    assert charged(told).written_off == 0
    assert len(of_type(told, FundsExhausted)) == 1


def test_money_of_ones_own_restores_as_well(acme: Acme) -> None:
    desk = acme.desk
    desk.uses(acme.member, 1 * DOLLAR)
    told = desk.verified(acme.member, "member@example.com")
    assert [type(fact) for fact in told] == [CreditGranted, FundsRestored]


def test_a_top_up_restores_every_member_that_has_stopped(acme: Acme) -> None:
    desk = acme.desk
    stopped = {acme.member, desk.joins(acme.id)}
    idle = desk.joins(acme.id)
    for account_id in stopped:
        desk.uses(account_id, 1 * DOLLAR)
    told = desk.has_credit(acme.id, 20 * DOLLAR)
    assert {fact.account_id for fact in of_type(told, FundsRestored)} == stopped
    assert idle not in stopped


def test_a_declined_card_stops_who_has_nothing_else(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    desk.uses(acme.member, 1 * DOLLAR)
    told = desk.bank_declines()
    assert [type(fact) for fact in told] == [CardDeclined, UsageCharged, FundsExhausted]
    assert charged(told).written_off == 1 * DOLLAR


# --- little left


def test_funds_are_low_once_ahead_of_their_end(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 10 * DOLLAR)
    told = []
    for hour in range(1, 10):
        desk.now = NOON + hour * HOUR
        told += desk.uses(acme.member, 1 * DOLLAR + 1000)
    (low,) = of_type(told, FundsLow)
    assert low.left < low.burn_rate
    assert low.noticed_at < low.exhausted_by < low.noticed_at + HOUR
    assert low.burn_rate == pytest.approx(1 * DOLLAR + 1000, rel=0.01)
    assert of_type(told, FundsExhausted) == []


def test_funds_are_not_low_while_a_card_goes_on(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 1 * DOLLAR + 1)
    desk.has_card(acme.member, acme.member)
    assert of_type(desk.uses(acme.member, 1 * DOLLAR), FundsLow) == []


def test_funds_are_low_again_after_there_was_more(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 3 * DOLLAR)
    assert len(of_type(desk.uses(acme.member, 2 * DOLLAR), FundsLow)) == 1
    desk.has_credit(acme.id, 7 * DOLLAR)
    assert len(of_type(desk.uses(acme.member, 7 * DOLLAR), FundsLow)) == 1


def test_others_of_the_organization_shorten_how_long_it_lasts(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 15 * DOLLAR)
    other = desk.joins(acme.id)
    desk.uses(other, 6 * DOLLAR)
    assert len(of_type(desk.uses(acme.member, 3 * DOLLAR), FundsLow)) == 1, "6 are left, 9 an hour are used"


def test_a_usage_that_comes_days_late_does_not_slow_the_rate_down(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 100 * DOLLAR)
    desk.uses(acme.member, 1 * DOLLAR, period=timedelta(minutes=1))
    before = charged(desk.uses(acme.member, 0, period=timedelta(minutes=1))).burn_rate
    desk.uses(acme.member, 0, until=NOON - timedelta(days=3))
    assert charged(desk.uses(acme.member, 0, period=timedelta(minutes=1))).burn_rate == before == 60 * DOLLAR


# --- spend caps


def test_a_cap_takes_the_organizations_sources_out_of_the_chain(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.has_trial_credit(acme.member)
    (fact,) = desk.caps(acme.id, acme.owner, acme.member, 2 * DOLLAR)
    assert isinstance(fact, SpendCapSet)
    assert (fact.account_id, fact.cap, fact.set_by) == (acme.member, 2 * DOLLAR, acme.owner)
    paid = charged(desk.uses(acme.member, 3 * DOLLAR))
    assert shares_of(paid) == {"organization_credit": 2 * DOLLAR, "member_credit": 1 * DOLLAR}
    assert shares_of(charged(desk.uses(acme.member, 1 * DOLLAR))) == {"member_credit": 1 * DOLLAR}


def test_a_cap_counts_what_was_spent_before_it_was_set(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.uses(acme.member, 3 * DOLLAR)
    desk.caps(acme.id, acme.owner, acme.member, 2 * DOLLAR)
    assert charged(desk.uses(acme.member, 1 * DOLLAR)).written_off == 1 * DOLLAR


def test_a_cap_limits_the_card_too(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    desk.has_trial_credit(acme.member)
    desk.caps(acme.id, acme.owner, acme.member, 12 * DOLLAR)
    desk.uses(acme.member, 15 * DOLLAR)
    assert [payment.amount for payment in desk.pending] == [2 * BLOCK], "twelve dollars, in blocks"
    assert shares_of(charged(desk.bank_agrees())) == {"organization_card": 12 * DOLLAR, "member_credit": 3 * DOLLAR}


def test_a_cap_is_for_a_calendar_month(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.has_trial_credit(acme.member)
    desk.caps(acme.id, acme.owner, acme.member, 2 * DOLLAR)
    turn = datetime(2026, 4, 1, tzinfo=NOON.tzinfo)
    desk.now = turn + HOUR
    in_march = charged(desk.uses(acme.member, 3 * DOLLAR, until=turn))
    in_april = charged(desk.uses(acme.member, 3 * DOLLAR, until=turn + HOUR))
    late = charged(desk.uses(acme.member, 1 * DOLLAR, until=turn - HOUR))
    assert shares_of(in_march) == {"organization_credit": 2 * DOLLAR, "member_credit": 1 * DOLLAR}
    assert shares_of(in_april) == {"organization_credit": 2 * DOLLAR, "member_credit": 1 * DOLLAR}
    assert shares_of(late) == {"member_credit": 1 * DOLLAR}, "March has no more, though it comes in April"


def test_months_turn_at_midnight_in_utc(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.caps(acme.id, acme.owner, acme.member, 2 * DOLLAR)
    desk.now = datetime.fromisoformat("2026-04-01T03:00:00+02:00")
    desk.uses(acme.member, 2 * DOLLAR, until=datetime.fromisoformat("2026-04-01T02:00:00+02:00"))
    next_month = desk.uses(acme.member, 1 * DOLLAR, until=datetime.fromisoformat("2026-04-01T03:00:00+02:00"))
    assert charged(next_month).written_off == 0


def test_a_cap_that_is_raised_or_taken_away_lets_the_organization_pay_again(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.caps(acme.id, acme.owner, acme.member, 2 * DOLLAR)
    assert len(of_type(desk.uses(acme.member, 3 * DOLLAR), FundsExhausted)) == 1
    told = desk.caps(acme.id, acme.owner, acme.member, 3 * DOLLAR)
    assert [type(fact) for fact in told][:2] == [SpendCapSet, FundsRestored]
    assert shares_of(charged(desk.uses(acme.member, 3 * DOLLAR))) == {"organization_credit": 1 * DOLLAR}
    desk.caps(acme.id, acme.owner, acme.member, None)
    assert shares_of(charged(desk.uses(acme.member, 3 * DOLLAR))) == {"organization_credit": 3 * DOLLAR}


def test_a_cap_of_nothing_stops_who_has_nothing_of_their_own(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.uses(acme.member, 1 * DOLLAR)
    told = desk.caps(acme.id, acme.owner, acme.member, 0)
    assert [type(fact) for fact in told] == [SpendCapSet, FundsExhausted]


def test_the_turn_of_the_month_restores_with_the_first_usage(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.caps(acme.id, acme.owner, acme.member, 2 * DOLLAR)
    desk.uses(acme.member, 3 * DOLLAR)
    desk.now = datetime(2026, 4, 1, 2, tzinfo=NOON.tzinfo)
    assert len(of_type(desk.uses(acme.member, 1 * DOLLAR), FundsRestored)) == 1


def test_what_is_given_back_is_not_counted_as_spent(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.caps(acme.id, acme.owner, acme.member, 2 * DOLLAR)
    desk.uses(acme.member, 2 * DOLLAR, until=NOON)
    desk.leaves(acme.id, acme.member, at=NOON - HOUR)
    assert set(desk.books.spending.spent.values()) == {0}


# --- joining and leaving, and what was used before and after


JOINED, LEFT = NOON - timedelta(hours=10), NOON - timedelta(hours=4)


def test_usage_before_joining_and_after_leaving_is_ones_own_in_any_order_of_arrival() -> None:
    organization_id, member, stay = uuid7(), uuid7(), uuid7()
    desk, terms = Desk(), Terms(trial_credit=7 * DOLLAR)
    before = usage(member, 1 * DOLLAR, JOINED - HOUR, JOINED)
    between = usage(member, 2 * DOLLAR, JOINED, LEFT)
    after = usage(member, 4 * DOLLAR, LEFT, LEFT + HOUR)
    joined, left = desk.joined(organization_id, member, JOINED, stay), desk.left(organization_id, member, LEFT, stay)
    for order in permutations([before, between, after, joined, left]):
        desk = Desk(terms)
        desk.has_credit(organization_id, 50 * DOLLAR)
        desk.has_trial_credit(member)
        for message in order:
            desk.handle(message)
        assert desk.paid_by(between) == [(organization_id, JOINED, LEFT)]
        assert desk.paid_by(before) == [(None, JOINED - HOUR, JOINED)]
        assert desk.paid_by(after) == [(None, LEFT, LEFT + HOUR)]
        assert desk.payer(organization_id).credit == 48 * DOLLAR
        assert desk.payer(member).credit == 2 * DOLLAR


def test_a_usage_that_straddles_is_charged_in_parts_that_sum_up_exactly(acme: Acme) -> None:
    desk, newcomer = acme.desk, uuid7()
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.has_trial_credit(newcomer)
    desk.joins(acme.id, newcomer, at=NOON - HOUR)
    told = desk.uses(newcomer, 1 * DOLLAR, until=NOON, period=3 * HOUR)
    parts = of_type(told, UsageCharged)
    assert [(fact.part, fact.amount, fact.organization_id) for fact in parts] == [
        (1, 666_666, None),
        (2, 333_334, acme.id),
    ]
    assert [(fact.used_from, fact.used_until) for fact in parts] == [
        (NOON - 3 * HOUR, NOON - HOUR),
        (NOON - HOUR, NOON),
    ]
    assert len({fact.usage_id for fact in parts}) == 1


def test_a_month_of_a_dear_resource_straddles_as_exactly(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 10**15)
    told = desk.leaves(acme.id, acme.member, at=NOON - timedelta(days=10))
    told += desk.uses(acme.member, 10**14, until=NOON, period=timedelta(days=30))
    assert [fact.amount for fact in of_type(told, UsageCharged)] == [66_666_666_666_666, 33_333_333_333_334]


def test_a_late_leaving_gives_the_organization_its_money_back(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.has_trial_credit(acme.member)
    once = charged(desk.uses(acme.member, 2 * DOLLAR, until=NOON))
    told = desk.leaves(acme.id, acme.member, at=NOON - HOUR)
    (reversed_,), again = of_type(told, ChargeReversed), charged(told)
    assert shares_of(reversed_) == shares_of(once) == {"organization_credit": 2 * DOLLAR}
    assert reversed_.shares[0].left == 50 * DOLLAR
    assert (again.usage_id, again.organization_id) == (once.usage_id, None)
    assert shares_of(again) == {"member_credit": 2 * DOLLAR}
    assert reversed_.version < again.version


def test_a_late_joining_gives_the_account_its_money_back(acme: Acme) -> None:
    desk, newcomer = acme.desk, uuid7()
    desk.has_credit(acme.id, 50 * DOLLAR)
    desk.has_trial_credit(newcomer)
    desk.uses(newcomer, 2 * DOLLAR, until=NOON)
    desk.joins(acme.id, newcomer, at=NOON - HOUR)
    assert (desk.payer(acme.id).credit, desk.payer(newcomer).credit) == (48 * DOLLAR, 5 * DOLLAR)


def test_a_usage_in_one_piece_becomes_two_and_three_and_one_again() -> None:
    desk = Desk()
    organization_id, _ = desk.organization()
    member, first = uuid7(), uuid7()
    desk.has_credit(organization_id, 50 * DOLLAR)
    desk.has_trial_credit(member)
    day = usage(member, 3 * DOLLAR, NOON - 6 * HOUR, NOON)
    desk.handle(day)
    desk.handle(desk.joined(organization_id, member, NOON - 4 * HOUR, first))
    assert [piece[0] for piece in desk.paid_by(day)] == [None, organization_id]
    desk.handle(desk.left(organization_id, member, NOON - 2 * HOUR, first))
    assert [piece[0] for piece in desk.paid_by(day)] == [None, organization_id, None]
    assert (desk.payer(organization_id).credit, desk.payer(member).credit) == (49 * DOLLAR, 3 * DOLLAR)
    desk.handle(desk.joined(organization_id, member, NOON - 6 * HOUR, uuid7()))
    assert desk.paid_by(day) == [(organization_id, NOON - 6 * HOUR, NOON)]
    assert (desk.payer(organization_id).credit, desk.payer(member).credit) == (47 * DOLLAR, 5 * DOLLAR)


def test_a_charge_that_waits_is_not_told_when_it_is_charged_anew(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    desk.has_trial_credit(acme.member)
    desk.uses(acme.member, 2 * DOLLAR, until=NOON)
    told = desk.leaves(acme.id, acme.member, at=NOON - HOUR)
    assert of_type(told, ChargeReversed) == []
    assert shares_of(charged(told)) == {"member_credit": 2 * DOLLAR}
    assert of_type(desk.bank_agrees(), UsageCharged) == []
    assert desk.payer(acme.id).block == BLOCK


def test_what_was_written_off_is_the_organizations_when_it_was_to_pay_after_all(acme: Acme) -> None:
    desk, newcomer = acme.desk, uuid7()
    desk.has_credit(acme.id, 50 * DOLLAR)
    told = desk.uses(newcomer, 2 * DOLLAR, until=NOON)
    assert len(of_type(told, FundsExhausted)) == 1
    told = desk.handle(desk.joined(acme.id, newcomer, NOON - HOUR, uuid7()))
    assert of_type(told, ChargeReversed)[0].written_off == 2 * DOLLAR
    assert shares_of(charged(told)) == {"organization_credit": 2 * DOLLAR}
    assert len(of_type(told, FundsRestored)) == 1
    assert desk.account("write_off") == 0


def test_what_was_written_off_once_its_account_never_pays(acme: Acme) -> None:
    desk, newcomer, stay = acme.desk, uuid7(), uuid7()
    desk.uses(newcomer, 2 * DOLLAR, until=NOON)
    desk.has_trial_credit(newcomer)
    desk.handle(desk.joined(acme.id, newcomer, NOON - HOUR, stay))
    desk.has_credit(acme.id, 50 * DOLLAR)
    told = desk.handle(desk.left(acme.id, newcomer, NOON - HOUR, stay))
    assert charged(told).written_off == 2 * DOLLAR
    assert desk.payer(newcomer).credit == 5 * DOLLAR


def test_an_instant_at_which_somebody_joins_is_the_organizations(acme: Acme) -> None:
    desk, newcomer = acme.desk, uuid7()
    desk.has_credit(acme.id, 50 * DOLLAR)
    moment = usage(newcomer, 1 * DOLLAR, NOON, NOON)
    desk.handle(moment)
    desk.joins(acme.id, newcomer, at=NOON)
    assert desk.paid_by(moment) == [(acme.id, NOON, NOON)]


def test_money_that_a_leaving_gives_back_restores_the_others(acme: Acme) -> None:
    desk = acme.desk
    desk.has_credit(acme.id, 2 * DOLLAR)
    other = desk.joins(acme.id)
    desk.uses(acme.member, 2 * DOLLAR, until=NOON)
    assert len(of_type(desk.uses(other, 1 * DOLLAR), FundsExhausted)) == 1
    told = desk.leaves(acme.id, acme.member, at=NOON - HOUR)
    assert [fact.account_id for fact in of_type(told, FundsRestored)] == [other]


def test_trial_credit_survives_joining(acme: Acme) -> None:
    newcomer = uuid7()
    acme.desk.has_trial_credit(newcomer)
    acme.desk.joins(acme.id, newcomer, at=NOON)
    assert acme.desk.payer(newcomer).credit == 5 * DOLLAR


# --- trial credit


def test_a_proven_mailbox_has_its_trial_credit_once(acme: Acme) -> None:
    (granted,) = acme.desk.verified(acme.member, "someone@example.com")
    assert isinstance(granted, CreditGranted)
    assert (granted.payer_id, granted.amount, granted.balance) == (acme.member, 5 * DOLLAR, 5 * DOLLAR)
    assert acme.desk.verified(acme.member, "someone@example.com") == []
    assert acme.desk.verified(acme.member, "someone.else@example.com") == [], "nor has an account two"
    assert -acme.desk.account("promotion") == 5 * DOLLAR


@pytest.mark.parametrize(
    ("one", "same"),
    [
        ("someone@example.com", "SomeOne@Example.COM"),
        ("someone@example.com", "someone+again@example.com"),
        ("some.one@gmail.com", "someone@googlemail.com"),
        ("someone@gmail.com", "so.me.one+x@gmail.com"),
    ],
)
def test_the_aliases_of_a_mailbox_are_one_mailbox(one: str, same: str) -> None:
    desk = Desk()
    assert len(desk.verified(uuid7(), one)) == 1
    assert desk.verified(uuid7(), same) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("some.one@example.com", "someone@example.com"), ("someone@example.com", "someone@example.org")],
)
def test_other_mailboxes_are_others(one: str, other: str) -> None:
    desk = Desk()
    assert [len(desk.verified(uuid7(), address)) for address in (one, other)] == [1, 1]


def test_a_mailbox_that_is_not_proven_is_given_nothing(acme: Acme) -> None:
    assert acme.desk.verified(acme.member, "someone@example.com", is_proven=False) == []


def test_no_trial_credit_where_the_setting_says_none() -> None:
    assert Desk(Terms(trial_credit=0)).verified(uuid7(), "someone@example.com") == []


# --- top-ups, and what is refused


def test_credit_is_there_when_the_card_was_charged(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    assert desk.asks_top_up(acme.id, acme.owner, 50 * DOLLAR) == []
    (payment,) = desk.pending
    assert (payment.purpose, payment.amount, payment.asked_by) == ("top_up", 50 * DOLLAR, acme.owner)
    (fact,) = desk.bank_agrees()
    assert isinstance(fact, CreditToppedUp)
    assert (fact.payment_id, fact.amount, fact.balance) == (payment.payment_id, 50 * DOLLAR, 50 * DOLLAR)
    assert fact.topped_up_by == acme.owner


@pytest.mark.parametrize("amount", [5 * DOLLAR - 10_000, 10_000 * DOLLAR + 10_000, 5 * DOLLAR + 1, 0, -5 * DOLLAR])
def test_only_so_much_can_be_bought_in_whole_cents(acme: Acme, amount: int) -> None:
    acme.desk.has_card(acme.id, acme.owner)
    assert refusals(acme.desk.asks_top_up(acme.id, acme.owner, amount)) == ["amount_out_of_range"]
    assert not acme.desk.pending


def test_a_top_up_needs_a_card_that_is_counted_on(acme: Acme) -> None:
    desk = acme.desk
    assert refusals(desk.asks_top_up(acme.id, acme.owner, 50 * DOLLAR)) == ["no_card"]
    desk.has_card(acme.id, acme.owner)
    desk.uses(acme.member, 1 * DOLLAR)
    desk.bank_declines()
    assert refusals(desk.asks_top_up(acme.id, acme.owner, 50 * DOLLAR)) == ["card_declined"]


@pytest.mark.parametrize(
    ("failed", "reason"),
    [
        ({"reason": "insufficient_funds"}, "card_declined"),
        ({"reason": "authentication_required", "needs_cardholder": True}, "card_needs_cardholder"),
    ],
)
def test_a_top_up_that_the_bank_declines_is_refused(acme: Acme, failed: dict[str, object], reason: str) -> None:
    desk = acme.desk
    desk.has_card(acme.id, acme.owner)
    desk.asks_top_up(acme.id, acme.owner, 50 * DOLLAR)
    told = desk.bank_says(Failed(desk.pending[0], **failed))  # type: ignore[arg-type]
    assert refusals(told) == [reason]
    assert desk.payer(acme.id).credit == 0


def test_a_card_that_the_provider_does_not_know_is_refused(acme: Acme) -> None:
    desk = acme.desk
    desk.asks_card(acme.id, acme.owner, "pm_unknown")
    assert refusals(desk.bank_says(Failed(desk.pending[0], "resource_missing", is_unknown=True))) == ["unknown_card"]
    assert desk.payer(acme.id).card is None


def test_only_the_owner_and_admins_decide_about_an_organizations_money(acme: Acme) -> None:
    desk, stranger = acme.desk, uuid7()
    for actor_id in (acme.member, stranger):
        told = [
            *desk.asks_top_up(acme.id, actor_id, 50 * DOLLAR),
            *desk.asks_card(acme.id, actor_id),
            *desk.removes_card(acme.id, actor_id),
            *desk.retries_card(acme.id, actor_id),
            *desk.caps(acme.id, actor_id, acme.member, 0),
        ]
        assert refusals(told) == ["not_an_admin"] * 5
    assert not desk.pending


def test_a_card_of_ones_own_is_changed_by_oneself_alone(acme: Acme) -> None:
    desk = acme.desk
    desk.has_card(acme.member, acme.member)
    said: dict[str, Any] = {
        "payer_kind": "account",
        "payer_id": acme.member,
        "actor_id": acme.owner,
        "seen_organization_version": None,
    }
    told = [
        *desk.handle(AttachCard(**said, card_id="pm_2")),
        *desk.handle(DetachCard(**said)),
        *desk.handle(RetryCard(**said)),
        *desk.handle(TopUpCredit(**said, amount=50 * DOLLAR)),
    ]
    assert refusals(told) == ["not_the_payer"] * 4
    own = said | {"actor_id": acme.member}
    assert refusals(desk.handle(TopUpCredit(**own, amount=50 * DOLLAR))) == ["not_the_payer"]


def test_an_organization_that_there_is_not_has_no_money(acme: Acme) -> None:
    assert refusals(acme.desk.asks_top_up(uuid7(), acme.owner, 50 * DOLLAR)) == ["unknown_organization"]


def test_there_has_to_be_a_card_to_remove_or_to_try_again(acme: Acme) -> None:
    desk = acme.desk
    assert refusals(desk.removes_card(acme.id, acme.owner)) == ["no_card"]
    assert refusals(desk.retries_card(acme.id, acme.owner)) == ["no_card"]
    desk.has_card(acme.id, acme.owner)
    assert refusals(desk.retries_card(acme.id, acme.owner)) == ["card_not_declined"]


def test_caps_are_for_members_and_not_below_nothing(acme: Acme) -> None:
    desk = acme.desk
    assert refusals(desk.caps(acme.id, acme.owner, uuid7(), 1)) == ["not_a_member"]
    assert refusals(desk.caps(acme.id, acme.owner, acme.member, -1)) == ["amount_out_of_range"]
    desk.leaves(acme.id, acme.member, at=NOON)
    assert refusals(desk.caps(acme.id, acme.owner, acme.member, 1)) == ["not_a_member"]
