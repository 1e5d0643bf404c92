"""A tour of money in a real browser: a card, credit, usage, sources that pay one after the other, an end, and a new
beginning. Open pages follow by themselves."""

import re

import pytest
from page_flaws import flaws
from paying import (
    DECLINED,
    GOOD,
    ORGANIZATION_PAYMENT,
    PAYMENT,
    TOP_UP,
    USAGE,
    Instance,
    type_card,
)
from people import People
from playwright.async_api import Locator, Page, Request, expect
from tabs import Tabs
from team import ARMED, a_team, success

from contracts import FundsExhausted
from stack.client import Client
from stack.platform import Platform

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(180),
]


def paying(page: Page) -> Locator:
    """The step of the chain that pays."""
    return page.locator('.chain > [aria-current="step"]')


async def test_a_card_s_number_goes_from_the_browser_to_stripe_and_never_to_us(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("cardholder")
    page = await tabs.open(PAYMENT, person=person)
    sent: list[tuple[str, str]] = []

    def note(request: Request) -> None:
        sent.append((request.url, request.post_data or ""))

    page.on("request", note)
    await type_card(page, GOOD)

    await expect(success(page)).to_contain_text("Visa ending in 4242 is on file.")
    await expect(page.locator(".plastic")).to_contain_text(
        re.compile("You.*Ends in 4242.*Expires 12/40.*Visa", re.DOTALL)
    )
    ours = [content for url, content in sent if url.startswith(tabs.address)]
    assert any("card_id=pm_" in content for content in ours)
    assert GOOD not in "".join(ours)
    assert any(GOOD in content for _, content in sent)


async def test_a_card_that_is_declined_or_not_complete_is_told_beside_the_form(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("cardholder")
    page = await tabs.open(PAYMENT, person=person)
    await type_card(page, GOOD, rest="")
    await expect(page.locator("#card-error")).to_contain_text("incomplete")

    await page.reload()
    await type_card(page, DECLINED)
    await expect(page.locator("#card-error")).to_contain_text(re.compile("bank|declined"))
    assert page.url.endswith(f"{PAYMENT}/card")
    await expect(page.get_by_label("Card number")).to_be_visible()


async def test_the_card_form_is_for_everybody(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("cardholder")
    page = await tabs.open(PAYMENT, person=person, viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    await page.locator(".add-card > summary").click()
    await expect(page.get_by_label("Card number")).to_be_focused()

    assert await flaws(page) == []


async def test_where_the_card_form_cannot_be_loaded_the_page_says_so(people: People, tabs: Tabs) -> None:
    tabs.expected.append("net::ERR_FAILED")
    person = await people.sign_up("cardholder")
    page = await tabs.open("/dashboard", person=person)
    await page.route(re.compile("/v3/"), lambda route: route.abort())
    await page.goto(PAYMENT)
    await page.locator(".add-card > summary").click()

    await expect(page.locator("#card-error")).to_contain_text("The card form could not be loaded.")
    await expect(page.get_by_role("button", name="Save card")).to_be_disabled()


async def test_without_javascript_the_page_says_that_it_is_needed(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("cardholder")
    page = await tabs.open(PAYMENT, person=person, java_script_enabled=False)
    await page.locator(".add-card > summary").click()

    await expect(page.get_by_text("A card can only be added with JavaScript")).to_be_visible()
    await expect(page.get_by_role("button", name="Save card")).to_be_hidden()


async def test_a_tour_from_the_first_card_to_the_last_cent_and_back(
    platform: Platform, people: People, tabs: Tabs
) -> None:
    team = await a_team(people)
    member = await team.member()
    admins = await tabs.open(ORGANIZATION_PAYMENT, person=team.owner)
    await type_card(admins, GOOD)
    await expect(success(admins)).to_contain_text("Visa ending in 4242 is on file.")

    await admins.goto(TOP_UP)
    await admins.get_by_role("link", name="$25").click()
    await expect(admins.get_by_label("Amount in dollars")).to_have_value("25")
    await admins.get_by_label("Amount in dollars").fill("20")
    await admins.get_by_role("button", name="Top up").click()
    await expect(success(admins)).to_contain_text(f"$20.00 bought. {team.name} has $20.00 of credit now.")

    members = await tabs.open(USAGE, person=member)
    await expect(paying(members)).to_contain_text("$20.00")
    for page in (admins, members):
        await page.evaluate("window.marker = 1")
    async with Client(platform.bootstrap_servers) as client:
        instance = Instance(client, member)
        await instance.runs(15)
        await expect(paying(members)).to_contain_text(re.compile(r"Prepaid credit.*\$5\.00.*Pays now", re.DOTALL))
        row = admins.get_by_role("row").filter(has_text=member.address)
        await expect(row).to_contain_text("$15.00")

        await row.get_by_label("Monthly limit").fill("18")
        await instance.runs(1)
        await expect(row).to_contain_text("$16.00")
        await expect(row.get_by_label("Monthly limit")).to_have_value("18")
        assert await admins.evaluate("window.marker") == 1, "what is typed stays, since the page is not loaded again"
        await row.get_by_role("button", name="Set").click()
        await expect(success(admins)).to_contain_text("has a limit of $18.00 a month.")
        await expect(members.get_by_text("pays up to $18.00 a month for you")).to_be_visible()

        await instance.runs(4)
        await expect(paying(members)).to_contain_text(re.compile(r"You.*Trial credit.*\$3\.00", re.DOTALL))
        await instance.runs(5)
        await client.fact(FundsExhausted, account_id=member.account_id)
        await expect(members.get_by_role("alert")).to_contain_text("your instances are to stop")
        await expect(paying(members)).to_have_count(0)
        assert await members.evaluate("window.marker") == 1

    await members.get_by_role("link", name="Your card").click()
    await type_card(members, GOOD)
    await expect(success(members)).to_contain_text("is on file")
    await members.goto(USAGE)
    await expect(paying(members)).to_contain_text(re.compile("You.*Card.*Visa ending in 4242", re.DOTALL))
    await expect(members.get_by_role("alert")).to_have_count(0)

    await members.goto(PAYMENT)
    remove = members.get_by_role("button", name="Remove card")
    await remove.click()
    await members.get_by_role("button", name=ARMED).click()
    await expect(success(members)).to_contain_text("The card is removed.")
