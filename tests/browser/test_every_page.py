"""Every page of the console, in every state, is for everybody: axe-core finds nothing against it, light and dark; it
fits a small screen; it has one heading, a title, a language and labels; and the keyboard reaches all of it."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from page_flaws import HEIGHT, WIDE, flaws
from page_states import STATES, State, World, a_world
from people import people_of
from playwright.async_api import Browser
from tabs import Tabs

from stack.platform import Platform

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),  # the first test has all pages looked at
]

_AT_ONCE = 3
_BROKEN = """<!doctype html><title>Broken</title><h1>One</h1><h1>Two</h1><input name="nameless">
<div style="width: 500px; color: #ccc; background: #fff">Too wide and too pale</div>
<a href="#a" style="outline: none">One</a>"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def found(browser: Browser, platform: Platform) -> AsyncIterator[dict[str, list[str]]]:
    """The flaws of every page. All are looked at in one go, since it takes long to get to some."""
    address = platform.service("console").web_address
    tabs = Tabs(browser, address, urlsplit(address).netloc)
    turn = asyncio.Semaphore(_AT_ONCE)
    async with people_of(platform) as people:
        world = await a_world(platform, people)
        flaws_of: dict[str, list[str]] = {state.name: [] for state in STATES}

        async def look_at(who: str) -> None:
            async with turn:
                for state in STATES:
                    if state.who == who:
                        flaws_of[state.name] = await _look_at(tabs, world, state)

        await asyncio.gather(*(look_at(who) for who in dict.fromkeys(state.who for state in STATES)))
        flaws_of["all"] = tabs.offences
        yield flaws_of
        await tabs.close()


async def _look_at(tabs: Tabs, world: World, state: State) -> list[str]:
    page = await tabs.open(
        state.path.format_map(world.places),
        person=world.people.get(state.who),
        viewport={"width": WIDE, "height": HEIGHT},
    )
    if state.act is not None:
        await state.act(page, world.places)
    found = await flaws(page)
    await page.context.close()
    return found


@pytest.mark.parametrize("name", [state.name for state in STATES])
async def test_there_is_nothing_wrong_with(name: str, found: dict[str, list[str]]) -> None:
    assert found[name] == []


async def test_no_page_has_an_error_breaks_the_policy_or_asks_another_host(found: dict[str, list[str]]) -> None:
    assert found["all"] == []


async def test_what_is_wrong_with_a_page_is_found(tabs: Tabs) -> None:
    page = await tabs.open("/sign-in")
    await page.goto("about:blank")  # where our policy does not keep the worst out
    await page.set_content(_BROKEN)
    said = "\n".join(await flaws(page))

    for words in ("2 h1", "its title", "language", "no label", "Tab goes first", "px wide", "color-contrast"):
        assert words in said
