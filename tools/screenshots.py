"""Pictures of the console for the README: `make screenshots`. Plays people on a platform of its own, and photographs
what they see in a Chromium or Chrome of this machine."""

import asyncio
import shutil
import sys
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
from playwright.async_api import Browser, async_playwright, expect

from contracts import UsageCharged
from stack.client import Client
from stack.console_client import ConsoleClient
from stack.mailbox.reader import Reader
from stack.meters import Meter
from stack.platform import Platform

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "screenshots"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
_PASSWORD = "a long enough passphrase"  # noqa: S105  of people who live for a minute
_ORGANIZATION = "/billing/organization"
_LONG_AGO = "UPDATE chains SET effective_at = effective_at - interval '30 days'"


@dataclass(frozen=True)
class Picture:
    """A page, as somebody sees it."""

    file: str
    who: str | None
    path: str
    width: int = 1280
    height: int = 900
    scheme: str = "light"


PICTURES = (
    Picture("organization", "owner", _ORGANIZATION),
    Picture("organization-dark", "owner", f"{_ORGANIZATION}?add=1", scheme="dark"),
    Picture("organization-phone", "owner", _ORGANIZATION, width=375, height=750),
    Picture("dashboard", "member", "/dashboard", height=560),
    Picture("invitation", None, "/org-invite/{link}/", width=600, height=800),
    Picture("other-address", "member", "/org-invite/{link}/", width=600, height=800),
    Picture("usage", "member", "/billing/usage", height=1000),
    Picture("usage-dark", "owner", "/billing/usage", height=1000, scheme="dark"),
    Picture("usage-phone", "member", "/billing/usage", width=375, height=750),
    Picture("payment", "owner", "/billing/organization/payment", height=700),
    Picture("top-up", "owner", "/billing/organization/top-up", width=900, height=700),
    Picture("api", None, "/api/v1/docs", width=1000, height=600),
)


async def main() -> None:
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        sys.exit("There is no Chromium or Chrome on this machine: `apt-get install chromium` brings one.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="latchkey-") as folder, Platform(Path(folder)) as platform:
        async with AsyncExitStack() as open_browsers, async_playwright() as playwright:
            people, link = await play(platform, open_browsers)
            browser = await playwright.chromium.launch(executable_path=program, args=list(_OPTIONS))
            for picture in PICTURES:
                await take(browser, platform, picture, people, link)
                print(f"docs/screenshots/{picture.file}.png")
            await browser.close()


async def play(platform: Platform, open_browsers: AsyncExitStack) -> tuple[dict[str, ConsoleClient], str]:
    """An organization with members and invitations; everybody's browser, and the code of a link."""
    letters = Reader(platform.mailbox)

    async def sign_up(role: str, name: str) -> ConsoleClient:
        browser = await open_browsers.enter_async_context(ConsoleClient(platform.console_url))
        address = f"{role}@example.com"
        await browser.sign_up(address, name, _PASSWORD)
        await browser.prove(await letters.mailbox_code(address))
        return browser

    people = {
        role: await sign_up(role, name)
        for role, name in (("owner", "The Owner"), ("admin", "An Admin"), ("member", "A Member"))
    }
    owner = people["owner"]
    organization_id = await owner.create_organization("Example Org")
    for role in ("admin", "member"):
        await owner.invite(organization_id, f"{role}@example.com")
        await people[role].accept(await letters.link_code(f"{role}@example.com"))
    admin_id = next(each["account_id"] for each in await owner.members(organization_id) if "admin" in each["address"])
    await owner.change_role(organization_id, admin_id, "admin")
    await people["admin"].invite_many(organization_id, ["invitee@example.com", "bounce@example.com"])
    await spend(platform, owner, people, organization_id)
    await owner.invite(organization_id, "guest@example.com")
    link = await letters.link_code("guest@example.com")
    async with asyncio.timeout(20):
        while any(each["delivery"] == "queued" for each in await owner.invitations(organization_id)):
            await asyncio.sleep(0.1)
    return people, link


async def spend(
    platform: Platform, owner: ConsoleClient, people: dict[str, ConsoleClient], organization_id: UUID
) -> None:
    """A card and credit, and instances that have run on every day of three weeks, as if everybody had been there."""
    connection = await asyncpg.connect(platform.postgres.url("billing"))
    try:
        await connection.execute(_LONG_AGO)
    finally:
        await connection.close()
    await owner.set_card(await asyncio.to_thread(platform.stripe.payment_method), organization_id)
    await owner.top_up(organization_id, 250_000_000)
    now = datetime.now(UTC)
    async with Client(platform.bootstrap_servers) as client:
        for number, browser in enumerate(people.values(), start=1):
            account_id = UUID((await browser.me())["account_id"])
            meter = Meter(account_id, hourly=1_250_000)
            for day in range(20, -1, -1):
                until = now - timedelta(days=day)
                hours = 1 + (day * 5 + number * 3) % 4
                await client.send(meter.usage(until - timedelta(hours=hours), until))
            await client.fact(UsageCharged, account_id=account_id, used_until=now)


async def take(
    browser: Browser, platform: Platform, picture: Picture, people: dict[str, ConsoleClient], link: str
) -> None:
    context = await browser.new_context(
        base_url=platform.console_url,
        viewport={"width": picture.width, "height": picture.height},
        color_scheme="dark" if picture.scheme == "dark" else "light",
        reduced_motion="reduce",
    )
    if picture.who is not None:
        cookies = people[picture.who].cookies.items()
        await context.add_cookies([{"name": n, "value": v, "url": platform.console_url} for n, v in cookies])
    page = await context.new_page()
    await page.goto(picture.path.format(link=link))
    await expect(page.locator("h1")).to_be_visible()
    await page.screenshot(path=FOLDER / f"{picture.file}.png")
    await context.close()


if __name__ == "__main__":
    asyncio.run(main())
