"""Money that people have and spend, and the pages that show it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID

from people import Person
from playwright.async_api import Page

from contracts import FundsExhausted, UsageCharged
from stack.client import Client
from stack.console_client import Json
from stack.meters import Meter
from stack.platform import Platform

USAGE, PAYMENT = "/billing/usage", "/billing/payment"
ORGANIZATION_PAYMENT, TOP_UP = "/billing/organization/payment", "/billing/organization/top-up"
DOLLAR = 1_000_000
GOOD, DECLINED, DECLINED_LATER = "4242424242424242", "4000000000000002", "4000000000000341"
"""Numbers of test cards; the last is good until it is charged."""
_SECONDS = 15


@dataclass
class Instance:
    """Something of a person's that costs a dollar a minute."""

    client: Client
    person: Person
    used_until: datetime = field(default_factory=lambda: datetime.now(UTC))
    """From when on its owner was where they are: what was used before they joined is paid by themselves."""

    async def runs(self, minutes: int) -> UsageCharged:
        """For so many minutes more, which lie ahead; what came of that."""
        begun, self.used_until = self.used_until, self.used_until + timedelta(minutes=minutes)
        await self.client.send(Meter(self.person.account_id, 60 * DOLLAR).usage(begun, self.used_until))
        return await self.client.fact(UsageCharged, account_id=self.person.account_id, used_from=begun)


async def money_is_spent(
    platform: Platform, organization_id: UUID, owner: Person, member: Person, *, broke: Person
) -> None:
    """An organization has a card and credit, of which its members have used something; somebody else has used up all
    that they had, and their card is declined."""
    good, worn = [await asyncio.to_thread(platform.stripe.payment_method, number) for number in (GOOD, DECLINED_LATER)]
    await owner.browser.set_card(good, organization_id)
    await owner.browser.top_up(organization_id, 20 * DOLLAR)
    await broke.browser.set_card(worn)
    async with Client(platform.bootstrap_servers) as client:
        for person, minutes in ((owner, 3), (member, 2), (broke, 7)):
            await Instance(client, person).runs(minutes)
        await client.fact(FundsExhausted, account_id=broke.account_id)
    await shown(broke, lambda chain: chain["funds"] == "exhausted")
    await shown(owner, lambda chain: chain["sources"][0]["left"] == 15 * DOLLAR)


async def shown(person: Person, is_so: Callable[[Json], bool]) -> None:
    """Waits until the console says so of the person's billing chain."""
    async with asyncio.timeout(_SECONDS):
        while not is_so(await person.browser.billing_chain()):
            await asyncio.sleep(0.1)


async def type_card(page: Page, number: str, *, rest: str = "1240123") -> None:
    """Opens the card form of the page, types a card into it as a person does, and saves it. `rest` is what comes after
    the number: until when it is good, and its security code."""
    await page.locator(".add-card > summary").click()
    await page.get_by_label("Card number").click()
    await page.keyboard.type(number + rest)
    await page.get_by_role("button", name="Save card").click()
