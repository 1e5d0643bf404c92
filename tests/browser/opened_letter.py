"""A letter as it is opened in the browser: what is clicked in it, a person has clicked, on another site than ours."""

import asyncio

from people import People
from playwright.async_api import Page

_SECONDS = 30
ACCEPT = "Accept the invitation"
RESET = "Set a new password"


async def click_in_letter(page: Page, people: People, address: str, label: str = ACCEPT) -> None:
    """Opens the newest letter to the address that has this link, and clicks it. Waits for the letter."""
    async with asyncio.timeout(_SECONDS):
        while not (letters := await _with_link(people, address, label)):
            await asyncio.sleep(0.05)
    await page.goto("about:blank")  # a site of its own, as far as the browser knows
    await page.set_content(letters[-1])
    await page.get_by_role("link", name=label, exact=True).click()


async def _with_link(people: People, address: str, label: str) -> list[str]:
    letters = await asyncio.to_thread(people.mailbox.letters, address)
    return [letter["html"] for letter in letters if f">{label}</a>" in letter["html"]]
