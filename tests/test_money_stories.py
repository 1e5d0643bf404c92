"""Who pays, as stories on the real platform: people, meters and commands go in; what was really charged, Stripe's
stand-in says, and at the end the books have to balance."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from people import People, Person, people_of
from sqlalchemy.ext.asyncio import create_async_engine

from billing.store.ledger import balances, differences
from contracts import (
    AttachCard,
    BillingChainClosed,
    BillingChainEstablished,
    CardAttached,
    CardCharged,
    CardDeclined,
    CreditGranted,
    CreditToppedUp,
    FundsExhausted,
    FundsRestored,
    LeaveOrganization,
    LetterSent,
    MemberLeft,
    TopUpCredit,
    UsageCharged,
)
from contracts.billing import PayerKind, SourceKind
from postroom.database import async_url
from stack.client import Client
from stack.meters import Meter, amount_of
from stack.platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]

DOLLAR = 1_000_000
DECLINED_LATER = "4000000000000341"
"""A card that is good until it is charged."""


@dataclass
class House:
    """An organization with its owner and a member, on the platform."""

    platform: Platform
    client: Client
    people: People
    owner: Person
    member: Person
    organization_id: UUID
    meter: Meter
    used_until: datetime

    async def card(self, number: str = "4242424242424242", *, of: Person | None = None) -> str:
        """Puts a card on file: the organization's, or somebody's own. Answers its id."""
        card_id = await asyncio.to_thread(self.platform.stripe.payment_method, number)
        kind: PayerKind = "account" if of else "organization"
        command = AttachCard(
            payer_kind=kind,
            payer_id=of.account_id if of else self.organization_id,
            actor_id=(of or self.owner).account_id,
            seen_organization_version=None,
            card_id=card_id,
        )
        await self.client.ask(command, CardAttached)
        return card_id

    def top_up(self, amount: int) -> TopUpCredit:
        return TopUpCredit(
            payer_kind="organization",
            payer_id=self.organization_id,
            actor_id=self.owner.account_id,
            seen_organization_version=None,
            amount=amount,
        )

    async def uses(self, minutes: int) -> UsageCharged:
        """The member's instance runs for so many minutes, at a dollar a minute; who paid for it."""
        begun, self.used_until = self.used_until, self.used_until + timedelta(minutes=minutes)
        await self.client.send(self.meter.usage(begun, self.used_until))
        return await self.client.fact(UsageCharged, account_id=self.member.account_id, used_from=begun)

    def charged(self) -> list[int]:
        """What Stripe has really charged the organization and the member, in cents."""
        payments = {
            fact.payment_id
            for fact in self.client.facts(CardCharged) + self.client.facts(CreditToppedUp)
            if fact.payer_id in (self.organization_id, self.member.account_id)
        }
        return [each.amount for each in self.platform.stripe.charges() if UUID(each.metadata["payment_id"]) in payments]


@asynccontextmanager
async def a_house(platform: Platform, client: Client) -> AsyncIterator[House]:
    async with people_of(platform) as people:
        owner, member = await people.sign_up("owner"), await people.sign_up("member")
        organization_id = await people.organization(owner)
        ((_, code),) = await people.invited(owner, organization_id, [member.address])
        await member.browser.accept(code)
        await client.fact(BillingChainEstablished, account_id=member.account_id)
        now = datetime.now(UTC)
        meter = Meter(member.account_id, hourly=60 * DOLLAR)
        yield House(platform, client, people, owner, member, organization_id, meter, now)
        await check_books(platform)


async def check_books(platform: Platform) -> None:
    engine = create_async_engine(async_url(platform.postgres.url("billing")))
    try:
        async with engine.connect() as connection:
            assert await differences(connection) == []
            assert sum((await balances(connection)).values()) == 0
    finally:
        await engine.dispose()


@pytest.fixture
async def house(platform: Platform, client: Client) -> AsyncIterator[House]:
    async with a_house(platform, client) as house:
        yield house


def sources(charged: UsageCharged) -> list[tuple[SourceKind, int]]:
    """Who paid how many dollars, rounded: meters round, too."""
    return [(share.kind, round(share.amount / DOLLAR)) for share in charged.shares]


async def test_the_four_sources_pay_in_their_order_until_nothing_is_left_and_a_top_up_restores(house: House) -> None:
    client, member = house.client, house.member
    granted = await client.fact(CreditGranted, payer_id=member.account_id)
    assert granted.balance == 5 * DOLLAR
    card = await house.card(DECLINED_LATER)
    await asyncio.to_thread(house.platform.stripe.decline, {card: "insufficient_funds"})
    refused = await client.refusal(house.top_up(20 * DOLLAR))
    assert refused.reason == "card_declined"

    await house.card()
    topped_up = await client.ask(house.top_up(20 * DOLLAR), CreditToppedUp)
    assert topped_up.balance == 20 * DOLLAR
    assert sources(await house.uses(15)) == [("organization_credit", 15)]
    assert sources(await house.uses(10)) == [("organization_credit", 5), ("organization_card", 5)]
    assert sources(await house.uses(4)) == [("organization_card", 4)]
    worn = await house.card(DECLINED_LATER)
    assert sources(await house.uses(3)) == [("organization_card", 1), ("member_credit", 2)]
    declined = await client.fact(CardDeclined, card_id=worn)
    assert declined.attached_by == house.owner.account_id
    await house.card(of=member)
    assert sources(await house.uses(8)) == [("member_credit", 3), ("member_card", 5)]
    last = await house.card(DECLINED_LATER, of=member)
    stopped = await house.uses(9)
    assert sources(stopped) == [("member_card", 5)]
    assert stopped.written_off == 4 * DOLLAR
    await client.fact(CardDeclined, card_id=last)
    await client.fact(FundsExhausted, account_id=member.account_id)

    await house.card()
    await client.ask(house.top_up(50 * DOLLAR), CreditToppedUp)
    await client.fact(FundsRestored, account_id=member.account_id)
    assert sources(await house.uses(1)) == [("organization_credit", 1)]
    assert house.charged() == [2000, 1000, 1000, 5000]
    for kind in ("card_declined", "funds_exhausted", "top_up_receipt"):
        await client.fact(LetterSent, kind=kind)


async def test_the_organization_pays_from_joining_to_leaving_and_not_a_moment_more(house: House) -> None:
    client, member = house.client, house.member
    await house.card()
    await client.ask(house.top_up(50 * DOLLAR), CreditToppedUp)
    opened = await client.fact(BillingChainEstablished, account_id=member.account_id)
    await client.ask(LeaveOrganization(organization_id=house.organization_id, actor_id=member.account_id), MemberLeft)
    closed = await client.fact(BillingChainClosed, account_id=member.account_id)
    minute = timedelta(minutes=1)
    usage = house.meter.usage(opened.effective_at - minute, closed.effective_at + minute)
    await client.send(usage)
    before, meanwhile, after = [
        await client.fact(UsageCharged, account_id=member.account_id, part=part) for part in (1, 2, 3)
    ]

    assert sources(before) == sources(after) == [("member_credit", 1)]
    assert (meanwhile.used_from, meanwhile.used_until) == (opened.effective_at, closed.effective_at)
    (share,) = meanwhile.shares
    assert (share.kind, share.amount) == ("organization_credit", meanwhile.amount)
    assert before.amount + meanwhile.amount + after.amount == amount_of(usage)


async def test_a_card_is_charged_once_though_answers_are_lost_and_billing_is_killed(house: House) -> None:
    client, billing = house.client, house.platform.service("billing")
    await house.card()
    balance = 0
    try:
        for amount in (10 * DOLLAR, 20 * DOLLAR, 30 * DOLLAR):
            await asyncio.to_thread(house.platform.stripe.lose_answers, 2)
            command_id = await client.send(house.top_up(amount))
            await asyncio.to_thread(billing.kill)
            await asyncio.to_thread(billing.start)
            topped_up = await client.outcome(command_id, CreditToppedUp)
            balance += amount
            assert (topped_up.amount, topped_up.balance) == (amount, balance)
    finally:
        await asyncio.to_thread(house.platform.stripe.back)

    assert house.charged() == [1000, 2000, 3000]


async def test_every_usage_is_charged_once_though_each_is_told_twice_and_billing_is_killed_in_between(
    house: House,
) -> None:
    client, billing = house.client, house.platform.service("billing")
    await house.card()
    await client.ask(house.top_up(20 * DOLLAR), CreditToppedUp)
    second = timedelta(seconds=6)  # of a meter that counts a dollar a minute: ten cents
    usages = [house.meter.usage(house.used_until + n * second, house.used_until + (n + 1) * second) for n in range(300)]
    for third in (usages[:100], usages[50:200], usages[150:]):
        await client.send_all([*third, *reversed(third)])
        await asyncio.to_thread(billing.kill)
        await asyncio.to_thread(billing.start)
    await client.wait_for(lambda _: len(charges_of(client, house)) >= len(usages), "every charge")

    charges = charges_of(client, house)
    assert len(charges) == len({charge.usage_id for charge in charges}) == len(usages)
    drawn = Counter[str]()
    for charge in charges:
        assert charge.written_off == 0
        drawn.update({share.kind: share.amount for share in charge.shares})
    assert drawn == {"organization_credit": 20 * DOLLAR, "organization_card": 10 * DOLLAR}
    assert house.charged() == [2000, 1000]


def charges_of(client: Client, house: House) -> list[UsageCharged]:
    return [fact for fact in client.facts(UsageCharged) if fact.account_id == house.member.account_id]
