"""What is shown of money follows billing, in whatever order its facts come."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from console_world import NOON, ConsoleWorld, console_world
from played_billing import DOLLAR, PlayedBilling
from sqlalchemy import event

from console.changes import Usage, money_of
from console.view.money import SOURCES, DaySpend, MemberSpend
from console.view.money_handlers import note_charge
from console.view.store import NewsStore
from console.view.working_set import News
from contracts import (
    ChargeReversed,
    CreditToppedUp,
    FundsExhausted,
    FundsLow,
    FundsRestored,
    SpendCapSet,
    UsageCharged,
)
from contracts.billing import SourceKind
from postroom import Context
from postroom.ids import uuid7

ORGANIZATION, OWNER, MEMBER = UUID(int=1), UUID(int=2), UUID(int=3)
MARCH = date(2026, 3, 1)
CONTEXT = Context(uuid7(), "a charge", UsageCharged.ce_type, "a usage", NOON)
NO_MONEY: dict[SourceKind, int] = dict.fromkeys(SOURCES, 0)


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    """With an organization of an owner and a member."""
    async with console_world(database_url) as (console,):
        player = console.player
        await console.hear(player.joined(ORGANIZATION, OWNER, role="owner"), player.joined(ORGANIZATION, MEMBER))
        yield console


def topped_up(console: ConsoleWorld, amount: int, **changed: Any) -> CreditToppedUp:
    payer = console.player.billing.payer(ORGANIZATION)
    payer.credit += amount
    fields: dict[str, Any] = {
        "payment_id": uuid7(),
        "amount": amount,
        "balance": payer.credit,
        "topped_up_by": OWNER,
        "topped_up_at": NOON,
    }
    return CreditToppedUp(**payer.about() | fields | changed)


def reversal(charged: UsageCharged, billing: PlayedBilling) -> ChargeReversed:
    """Everything that it drew is given back."""
    payer = billing.payer(ORGANIZATION)
    payer.version += 1
    (share,) = charged.shares
    payer.credit += share.amount
    given_back = share.model_copy(update={"left": payer.credit, "payer_version": payer.version})
    about = charged.model_dump(exclude={"shares", "version", "burn_rate", "charged_at"})
    return ChargeReversed(**about, shares=(given_back,), version=charged.version + 1, reversed_at=NOON)


async def organization_credit(console: ConsoleWorld) -> int:
    return (await console.edge.money.organization_money(ORGANIZATION)).credit


async def test_before_anything_is_told_there_is_no_money(console: ConsoleWorld) -> None:
    chain = await console.edge.money.chain(MEMBER)
    assert (chain.organization_id, chain.paying, chain.funds, chain.spent) == (ORGANIZATION, None, "ok", 0)
    assert [each.left for each in chain.sources] == [0, 0, 0, 0]
    assert await console.edge.money.card(ORGANIZATION) is None
    assert (await console.edge.money.receipts(ORGANIZATION)).items == []
    assert len((await console.edge.money.chain(uuid7())).sources) == 2


async def test_what_is_left_in_each_source_is_what_the_newest_version_of_its_payer_says(console: ConsoleWorld) -> None:
    billing = console.player.billing
    facts = [
        topped_up(console, 100 * DOLLAR),
        billing.charged(OWNER, [("organization_credit", ORGANIZATION, DOLLAR)], NOON, organization_id=ORGANIZATION),
        billing.charged(MEMBER, [("organization_credit", ORGANIZATION, 2 * DOLLAR)], NOON),
    ]
    for order in itertools.permutations(facts):
        for fact in order:
            await console.hear(fact)
        assert await organization_credit(console) == 97 * DOLLAR
    await console.hear(*reversed(facts))
    assert await organization_credit(console) == 97 * DOLLAR


async def test_a_charge_split_over_sources_shows_in_each_of_them(console: ConsoleWorld) -> None:
    billing = console.player.billing
    billing.payer(ORGANIZATION).credit = 3 * DOLLAR
    billing.payer(ORGANIZATION).block = 10 * DOLLAR
    billing.payer(MEMBER, "account").credit = 5 * DOLLAR
    shares: list[Any] = [
        ("organization_credit", ORGANIZATION, 3 * DOLLAR),
        ("organization_card", ORGANIZATION, 9 * DOLLAR),
        ("member_credit", MEMBER, DOLLAR),
    ]
    charged = billing.charged(MEMBER, shares, NOON, organization_id=ORGANIZATION, burn_rate=6 * DOLLAR, written_off=7)
    await console.hear(charged)

    chain = await console.edge.money.chain(MEMBER)
    assert [each.left for each in chain.sources] == [0, DOLLAR, 4 * DOLLAR, 0]
    assert (chain.paying, chain.until) == ("organization_card", NOON + timedelta(minutes=10))
    assert (chain.spent, chain.burn_rate) == (12 * DOLLAR, 6 * DOLLAR)
    (day,) = await console.edge.money.daily_spend(MARCH, account_id=MEMBER)
    by_source: dict[SourceKind, int] = NO_MONEY | {
        "organization_credit": 3 * DOLLAR,
        "organization_card": 9 * DOLLAR,
        "member_credit": DOLLAR,
    }
    assert day == DaySpend(date(2026, 3, 2), by_source, 7)
    assert day.total == 13 * DOLLAR


async def test_a_charge_that_is_reversed_and_made_anew_is_counted_once(console: ConsoleWorld) -> None:
    billing = console.player.billing
    billing.payer(ORGANIZATION).credit = 10 * DOLLAR
    billing.payer(MEMBER, "account").credit = 5 * DOLLAR
    wrong = billing.charged(MEMBER, [("organization_credit", ORGANIZATION, DOLLAR)], NOON, organization_id=ORGANIZATION)
    taken_back = reversal(wrong, billing)
    right = billing.charged(MEMBER, [("member_credit", MEMBER, DOLLAR)], NOON)
    for batch in ([wrong, taken_back], [right]):
        await console.hear(*batch)

    assert await organization_credit(console) == 10 * DOLLAR
    (day,) = await console.edge.money.daily_spend(MARCH, account_id=MEMBER)
    assert day.by_source == NO_MONEY | {"member_credit": DOLLAR}
    (found,) = await console.edge.money.member_spend(ORGANIZATION, MARCH, account_id=MEMBER)
    assert found.total == 0


async def test_what_was_used_on_each_day_is_summed_up_by_organization_and_by_account(console: ConsoleWorld) -> None:
    billing = console.player.billing
    billing.payer(ORGANIZATION).credit = 100 * DOLLAR
    organization = [("organization_credit", ORGANIZATION, DOLLAR)]
    places: list[tuple[UUID, datetime, UUID | None, Any]] = [
        (OWNER, NOON, ORGANIZATION, organization),
        (OWNER, NOON, ORGANIZATION, organization),
        (MEMBER, NOON, ORGANIZATION, organization),
        (MEMBER, NOON + timedelta(days=1), ORGANIZATION, organization),
        (MEMBER, NOON, None, [("member_credit", MEMBER, DOLLAR)]),
        (MEMBER, NOON - timedelta(days=2), ORGANIZATION, organization),  # February
    ]
    await console.hear(
        *(
            billing.charged(account_id, shares, at, organization_id=organization_id, used_from=at)
            for account_id, at, organization_id, shares in places
        )
    )
    money = console.edge.money

    def days(found: Any) -> list[tuple[int, int]]:
        return [(each.day.day, each.total // DOLLAR) for each in found]

    assert days(await money.daily_spend(MARCH, organization_id=ORGANIZATION)) == [(2, 3), (3, 1)]
    assert days(await money.daily_spend(MARCH, account_id=MEMBER)) == [(2, 2), (3, 1)]
    assert days(await money.daily_spend(MARCH, organization_id=ORGANIZATION, account_id=MEMBER)) == [(2, 1), (3, 1)]
    assert days(await money.daily_spend(date(2026, 2, 1), organization_id=ORGANIZATION)) == [(28, 1)]
    assert (await money.chain(MEMBER)).spent == 2 * DOLLAR
    assert (await money.organization_money(ORGANIZATION)).spent == 4 * DOLLAR


async def test_members_are_listed_by_what_they_have_spent_with_those_who_have_gone(console: ConsoleWorld) -> None:
    billing, gone = console.player.billing, uuid7()
    account = await console.person("idle@example.com", "The Idle")
    await console.hear(console.player.joined(ORGANIZATION, account.account_id))
    billing.payer(ORGANIZATION).credit = 100 * DOLLAR
    for account_id, amount in ((OWNER, 1), (MEMBER, 3), (gone, 2)):
        await console.hear(
            billing.charged(
                account_id,
                [("organization_credit", ORGANIZATION, amount * DOLLAR)],
                NOON,
                organization_id=ORGANIZATION,
            )
        )
    cap = SpendCapSet(
        **billing.payer(ORGANIZATION).about(), account_id=MEMBER, cap=5 * DOLLAR, set_by=OWNER, set_at=NOON
    )
    await console.hear(cap)

    found = await console.edge.money.member_spend(ORGANIZATION, MARCH)
    assert [each.account_id for each in found] == [MEMBER, gone, OWNER, account.account_id]
    assert [(each.name, each.total, each.cap) for each in found][3] == ("The Idle", 0, None)
    assert (found[0].cap, found[0].from_organization) == (5 * DOLLAR, 3 * DOLLAR)
    assert isinstance(found[0], MemberSpend)
    assert [
        each.account_id for each in await console.edge.money.member_spend(ORGANIZATION, date(2026, 4, 1))
    ] == sorted([OWNER, MEMBER, account.account_id])


async def test_a_cap_holds_until_a_newer_one_and_can_be_taken_away(console: ConsoleWorld) -> None:
    payer = console.player.billing.payer(ORGANIZATION)
    first, second = (
        SpendCapSet(**payer.about(), account_id=MEMBER, cap=cap, set_by=OWNER, set_at=NOON) for cap in (DOLLAR, None)
    )
    await console.hear(first)
    assert (await console.edge.money.chain(MEMBER)).cap == DOLLAR
    await console.hear(second)
    await console.hear(first.model_copy(update={"set_by": MEMBER}))
    assert (await console.edge.money.chain(MEMBER)).cap is None


async def test_the_card_is_the_newest_and_whether_it_is_counted_on_is_told(console: ConsoleWorld) -> None:
    billing, money = console.player.billing, console.edge.money

    async def declined() -> str | None:
        found = await money.card(ORGANIZATION)
        assert found is not None
        return found.declined

    attached = billing.attached(ORGANIZATION, NOON)
    await console.hear(attached)
    card = await money.card(ORGANIZATION)
    assert card is not None
    assert (card.card_id, card.name, card.declined) == (attached.card_id, "Visa ending in 4242", None)

    await console.hear(billing.declined(ORGANIZATION, NOON))
    assert await declined() == "insufficient_funds"
    # A batch that replaces the card, of which the new one is declined as well.
    await console.hear(billing.attached(ORGANIZATION, NOON), billing.declined(ORGANIZATION, NOON))
    assert await declined() == "insufficient_funds"
    await console.hear(billing.attached(ORGANIZATION, NOON))
    assert await declined() is None
    await console.hear(attached.model_copy(update={"last4": "0000"}))  # An old one, told late.
    card = await money.card(ORGANIZATION)
    assert card is not None
    assert card.last4 == "4242"


async def test_receipts_are_listed_the_newest_first_with_the_card_that_was_charged(console: ConsoleWorld) -> None:
    first = topped_up(console, 5 * DOLLAR)
    attached = console.player.billing.attached(ORGANIZATION, NOON)
    others = [topped_up(console, each * DOLLAR, topped_up_at=NOON + timedelta(hours=each)) for each in (6, 7)]
    await console.hear(first)  # Nothing is known of its card.
    await console.hear(attached, others[0])
    await console.hear(others[1], console.player.billing.attached(ORGANIZATION, NOON))
    await console.hear(others[1].model_copy(update={"version": 99}))

    found = (await console.edge.money.receipts(ORGANIZATION)).items
    assert [(each.amount // DOLLAR, each.card) for each in found] == [
        (7, "Visa ending in 4242"),
        (6, "Visa ending in 4242"),
        (5, ""),
    ]
    assert {each.kind for each in found} == {"top_up"}
    assert found[0].by == OWNER

    page = await console.edge.money.receipts(ORGANIZATION, limit=2)
    rest = await console.edge.money.receipts(ORGANIZATION, limit=2, after=page.next)
    assert page.items + rest.items == found
    assert rest.next is None
    with pytest.raises(ValueError, match="no cursor"):
        await console.edge.money.receipts(ORGANIZATION, after="nonsense")


async def test_trial_credit_comes_with_a_receipt_and_no_card(console: ConsoleWorld) -> None:
    billing = console.player.billing
    await console.hear(billing.attached(MEMBER, NOON, "account"), billing.granted(MEMBER, 5 * DOLLAR, NOON))
    (receipt,) = (await console.edge.money.receipts(MEMBER)).items
    assert (receipt.kind, receipt.amount, receipt.card, receipt.by) == ("trial_credit", 5 * DOLLAR, "", None)
    chain = await console.edge.money.chain(MEMBER)
    assert (chain.paying, chain.sources[2].left) == ("member_credit", 5 * DOLLAR)


async def test_the_organization_s_card_is_shown_to_its_admins_alone(console: ConsoleWorld) -> None:
    await console.hear(console.player.billing.attached(ORGANIZATION, NOON))
    of_owner, of_member = [(await console.edge.money.chain(each)).sources[1] for each in (OWNER, MEMBER)]
    assert of_owner.card is not None
    assert of_member.card is None
    assert of_owner.can_pay
    assert of_member.can_pay


async def test_funds_follow_what_is_told_of_them(console: ConsoleWorld) -> None:
    about: dict[str, Any] = {"account_id": MEMBER, "organization_id": ORGANIZATION}
    billing = console.player.billing
    await console.hear(billing.granted(MEMBER, 5 * DOLLAR, NOON))
    await console.hear(billing.charged(MEMBER, [("member_credit", MEMBER, DOLLAR)], NOON, burn_rate=8 * DOLLAR))
    low = FundsLow(**about, version=5, left=1, burn_rate=8, exhausted_by=NOON + timedelta(minutes=30), noticed_at=NOON)
    exhausted = FundsExhausted(**about, version=6, exhausted_at=NOON)
    restored = FundsRestored(account_id=MEMBER, version=7, restored_at=NOON)
    states = []
    for fact in (low, exhausted, low, restored, exhausted):
        await console.hear(fact)
        states.append((await console.edge.money.chain(MEMBER)).funds)
    assert states == ["low", "exhausted", "exhausted", "ok", "ok"]


async def test_a_change_wakes_who_watches_the_money_and_not_who_watches_the_members(console: ConsoleWorld) -> None:
    changes = console.edge.changes
    with changes.watch(money_of(MEMBER)) as money:  # When this is heard of, so is all that was told before.
        await console.hear(console.player.billing.granted(MEMBER, DOLLAR, NOON))
        assert await money.changed(20)
    with changes.watch(money_of(ORGANIZATION)) as money, changes.watch(ORGANIZATION) as members:
        await console.hear(topped_up(console, DOLLAR))
        assert await money.changed(20)
        assert not await members.changed(0.01)


async def test_usage_wakes_nobody_by_itself_but_is_told_of_together(console: ConsoleWorld) -> None:
    billing, changes, usage = console.player.billing, console.edge.changes, Usage()
    store = NewsStore(console.clock, usage)
    with changes.watch(money_of(ORGANIZATION)) as organization, changes.watch(money_of(OWNER)) as owner:
        news = News()
        note_charge(billing.charged(MEMBER, [], NOON, organization_id=ORGANIZATION), news, CONTEXT)
        async with console.room.transaction() as transaction:
            await store.save(transaction.connection, news)
        await console.hear(billing.granted(OWNER, DOLLAR, NOON))
        assert await owner.changed(20)  # Whatever the usage has told is heard by now.
        assert not await organization.changed(0.01)

        telling = asyncio.create_task(usage.tell(console.room))
        assert await organization.changed(20)
        assert not await owner.changed(0.01)
        console.stopping.set()
        await telling


async def test_much_usage_costs_few_statements(console: ConsoleWorld) -> None:
    billing = console.player.billing
    billing.payer(ORGANIZATION).credit = 10_000 * DOLLAR
    charges = [
        billing.charged(
            UUID(int=number % 20), [("organization_credit", ORGANIZATION, 1)], NOON, organization_id=ORGANIZATION
        )
        for number in range(200)
    ]
    statements = 0

    def count(*_: object) -> None:
        nonlocal statements
        statements += 1

    event.listen(console.engine.sync_engine, "before_cursor_execute", count)
    await console.hear(charges[0])
    of_one, statements = statements, 0
    await console.hear(*charges[1:])
    event.remove(console.engine.sync_engine, "before_cursor_execute", count)
    assert statements == of_one
    (day,) = await console.edge.money.daily_spend(MARCH, organization_id=ORGANIZATION)
    assert day.total == 200
