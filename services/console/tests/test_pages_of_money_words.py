"""What pages say of money: who pays until when, how each source is called, and the picture of a month."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from console.view.money import SOURCES, BillingChain, Card, DaySpend, Source
from console.view.nouns import Membership, Role
from console.web.pages.chain_steps import about, chain_steps, has_expired, who_pays, who_pays_then, why_declined
from console.web.pages.spend_chart import HEIGHT, months_back, read_month, spend_chart, totals
from contracts.billing import SourceKind

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORGANIZATION, ACCOUNT = UUID(int=1), UUID(int=2)
MEMBERSHIP = Membership(ORGANIZATION, "Example Org", 1, 1, "member", NOON)
DOLLAR = 1_000_000
CARD = Card("pm_card", "visa", "4242", 4, 2030, None)
DECLINED = Card("pm_card", "visa", "4242", 4, 2030, "insufficient_funds")


def source(kind: SourceKind, *, left: int = 0, card: Card | None = None, can_pay: bool = False) -> Source:
    payer_id = ORGANIZATION if kind.startswith("organization") else ACCOUNT
    return Source(kind, payer_id, left, 0, card, can_pay)


def a_chain(*sources: Source, **changed: Any) -> BillingChain:
    """Nobody pays, and nothing is used, unless a test says so."""
    fields: dict[str, Any] = {
        "account_id": ACCOUNT,
        "organization_id": ORGANIZATION,
        "paying": None,
        "until": None,
        "exhausted_at": None,
        "funds": "ok",
        "burn_rate": 0,
        "cap": None,
        "spent": 0,
    }
    return BillingChain(sources=sources, **fields | changed)


def spent(day: int, *amounts: int, written_off: int = 0) -> DaySpend:
    """On a day of March, by source."""
    return DaySpend(date(2026, 3, day), dict(zip(SOURCES, (*amounts, 0, 0, 0, 0), strict=False)), written_off)


# --- the chain


def test_a_source_pays_now_while_something_is_used_and_next_while_nothing_is() -> None:
    credit = source("organization_credit", left=DOLLAR, can_pay=True)
    idle = a_chain(credit, paying="organization_credit")
    busy = a_chain(credit, paying="organization_credit", burn_rate=DOLLAR)

    assert [step.tag for step in chain_steps(idle, MEMBERSHIP)] == ["Pays next"]
    assert [step.tag for step in chain_steps(busy, MEMBERSHIP)] == ["Pays now"]
    assert who_pays(idle, MEMBERSHIP) == "The prepaid credit of Example Org pays next"
    assert who_pays(busy, MEMBERSHIP) == "The prepaid credit of Example Org pays now"


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("organization_card", "The card of Example Org pays next"),
        ("member_credit", "Your trial credit pays next"),
        ("member_card", "Your card pays next"),
        (None, "Nothing can pay"),
    ],
)
def test_whoever_pays_is_named(kind: SourceKind | None, said: str) -> None:
    assert who_pays(a_chain(paying=kind), MEMBERSHIP) == said


def test_after_the_one_that_pays_comes_the_next_that_can() -> None:
    chain = a_chain(
        source("organization_credit", left=DOLLAR, can_pay=True),
        source("organization_card"),
        source("member_credit", left=DOLLAR, can_pay=True),
        source("member_card"),
        paying="organization_credit",
    )

    assert who_pays_then(chain, MEMBERSHIP) == "your trial credit"
    assert who_pays_then(a_chain(source("member_card"), paying="member_card"), None) is None
    assert who_pays_then(a_chain(), MEMBERSHIP) is None


@pytest.mark.parametrize(
    ("source", "changed", "tag"),
    [
        (source("member_card", card=CARD, can_pay=True), {}, "Ready"),
        (source("member_card", card=DECLINED), {}, "Declined"),
        (source("member_card"), {}, "No card"),
        (source("member_credit"), {}, "Used up"),
        (source("organization_credit", left=DOLLAR), {"cap": DOLLAR, "spent": DOLLAR}, "Limit reached"),
        (source("organization_credit"), {"cap": DOLLAR, "spent": 0}, "Used up"),
        (source("member_credit"), {"cap": DOLLAR, "spent": DOLLAR}, "Used up"),
    ],
)
def test_a_source_says_why_it_does_not_pay(source: Source, changed: dict[str, Any], tag: str) -> None:
    (step,) = chain_steps(a_chain(source, **changed), MEMBERSHIP)

    assert step.tag == tag


@pytest.mark.parametrize(
    ("role", "said"), [("admin", ("No card", "None on file")), ("member", ("Cannot pay", "Not in use"))]
)
def test_members_are_not_told_why_the_organization_s_card_does_not_pay(role: Role, said: tuple[str, str]) -> None:
    chain = a_chain(source("organization_card"))
    (step,) = chain_steps(chain, replace(MEMBERSHIP, role=role))

    assert (step.tag, step.rest) == said


def test_each_source_says_whose_it_is() -> None:
    steps = chain_steps(a_chain(*(source(kind) for kind in SOURCES)), MEMBERSHIP)

    assert [(step.owner, step.name) for step in steps] == [
        ("Example Org", "Prepaid credit"),
        ("Example Org", "Card"),
        ("You", "Trial credit"),
        ("You", "Card"),
    ]


@pytest.mark.parametrize(
    ("at", "said"),
    [
        (NOON.replace(hour=16, minute=40), "16:40 UTC"),
        (NOON + timedelta(days=1), "3 Mar, 12:00 UTC"),
        (NOON + timedelta(days=8), "10 Mar"),
        (NOON + timedelta(days=400), "6 Apr 2027"),
    ],
)
def test_instants_to_come_are_told_as_exactly_as_they_are_of_use(at: datetime, said: str) -> None:
    assert about(at, NOON) == said


def test_a_card_is_good_until_the_end_of_its_month() -> None:
    assert not has_expired(CARD, datetime(2030, 4, 30, 23, tzinfo=UTC))
    assert has_expired(CARD, datetime(2030, 5, 1, tzinfo=UTC))


def test_why_a_card_was_declined_is_told_as_far_as_it_is_for_others_to_know() -> None:
    assert why_declined(DECLINED) == "There is not enough money on it."
    assert why_declined(Card("pm_card", "visa", "4242", 4, 2030, "stolen_card")) == "Its bank did not say why."


# --- the month


def test_a_month_has_a_bar_for_each_day_as_high_as_what_was_used() -> None:
    chart = spend_chart(
        date(2026, 3, 1), [spent(2, 3 * DOLLAR, DOLLAR), spent(31, 0, 0, 2 * DOLLAR, written_off=DOLLAR)]
    )

    assert (len(chart.bars), chart.top) == (31, 4 * DOLLAR)
    assert [bar.day.day for bar in chart.bars if bar.pieces] == [2, 31]
    assert [(each.kind, each.y, each.height) for each in chart.bars[1].pieces] == [
        ("organization_credit", HEIGHT // 4, HEIGHT * 3 // 4),
        ("organization_card", 0, HEIGHT // 4),
    ]
    assert [each.kind for each in chart.bars[30].pieces] == ["member_credit", "written_off"]
    assert chart.bars[30].total == 3 * DOLLAR


@pytest.mark.parametrize(("most", "top"), [(1, 1), (7, 8), (9, 10), (11, 20), (4_200_001, 5_000_000)])
def test_the_scale_ends_with_a_round_amount(most: int, top: int) -> None:
    assert spend_chart(date(2026, 2, 1), [DaySpend(date(2026, 2, 1), {"member_credit": most}, 0)]).top == top


def test_sums_have_every_source_and_what_was_written_off_apart() -> None:
    sums = totals([spent(1, DOLLAR, 2), spent(2, 1, written_off=5)])

    assert list(sums.by_source.items()) == list(zip(SOURCES, (DOLLAR + 1, 2, 0, 0), strict=True))
    assert (sums.paid, sums.written_off, sums.is_nothing) == (DOLLAR + 3, 5, False)
    assert totals([]).is_nothing


def test_months_are_named_as_in_addresses() -> None:
    assert months_back(date(2026, 2, 1), 3) == [date(2026, 2, 1), date(2026, 1, 1), date(2025, 12, 1)]
    assert read_month("2026-02") == date(2026, 2, 1)
    for nonsense in ("", "2026", "2026-13", "2026-02-01", "soon"):
        with pytest.raises(ValueError, match=r"Invalid isoformat|month must be"):
            read_month(nonsense)
