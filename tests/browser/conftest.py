"""A real Chromium against the real platform. Each tab is watched: no error, no breach of our policy, no other host."""

import shutil
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from people import People, people_of
from playwright.async_api import Browser, async_playwright, expect
from tabs import Tabs, tabs_of

from stack.platform import Platform

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_OPTIONS = (
    "--no-sandbox",  # Chromium has none for root; it sees nothing but our own pages.
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_DEADLINE = 15_000
"""Milliseconds after which what is expected of a page has not come."""


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where the browser is. Skips, with a word on how to get one, where there is none."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("There is no Chromium or Chrome on this machine: `apt-get install chromium` brings one.")
    return found


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    """One browser for the whole run; each person has a profile of their own in it."""
    expect.set_options(timeout=_DEADLINE)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(_OPTIONS))
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def people(platform: Platform) -> AsyncIterator[People]:
    """Nobody yet."""
    async with people_of(platform) as people:
        yield people


@pytest_asyncio.fixture(loop_scope="session")
async def tabs(browser: Browser, platform: Platform) -> AsyncIterator[Tabs]:
    """Opens tabs, and looks at the end whether all of them behaved."""
    tabs = tabs_of(browser, platform)
    yield tabs
    await tabs.close()
    assert tabs.offences == []
