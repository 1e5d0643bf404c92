"""Every page of the console, in every state, is for everybody: axe-core finds nothing against it, light and dark; it
fits a small screen; it has one heading, a title, a language and labels; and the keyboard reaches all of it."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from page_flaws import HEIGHT, WIDE, flaws
from page_states import STATES, World, a_world
from people import people_of
from playwright.async_api import Browser
from tabs import Tabs, tabs_of

from stack.platform import Platform

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(400),  # the first test has all pages looked at
]

Found = dict[str, list[str]]
"""The flaws of pages, by the names of their states."""
_BROKEN = """<!doctype html><title>Broken</title><h1>One</h1><h1>Two</h1><input name="nameless">
<div style="width: 500px; color: #888; background: #777">Too wide and too pale</div>
<a href="#a" style="outline: none">One</a>"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def found(browser: Browser, platform: Platform) -> AsyncIterator[Found]:
    """What is wrong with each page. All are looked at in one go, each person's in a browser of their own."""
    tabs = tabs_of(browser, platform)
    async with people_of(platform) as people:
        world = await a_world(platform, people)
        everybody = dict.fromkeys(state.who for state in STATES)
        found = await asyncio.gather(*(_look_around(tabs, world, who) for who in everybody))
    yield {name: flaws for some in found for name, flaws in some.items()} | {"on any": tabs.offences}
    await tabs.close()


async def _look_around(tabs: Tabs, world: World, who: str) -> Found:
    """What is wrong with the pages that this person sees."""
    screen = {"width": WIDE, "height": HEIGHT}
    page = await tabs.open("/", person=world.people.get(who), viewport=screen, reduced_motion="reduce")
    found: Found = {}
    for state in STATES:
        if state.who == who:
            await page.goto(state.path.format_map(world.places))
            if state.act is not None:
                await state.act(page, world.places)
            found[state.name] = await flaws(page)
    return found


@pytest.mark.parametrize("name", [state.name for state in STATES])
async def test_there_is_nothing_wrong_with(name: str, found: Found) -> None:
    assert found[name] == []


async def test_no_page_has_an_error_breaks_the_policy_or_asks_another_host(found: Found) -> None:
    assert found["on any"] == []


async def test_what_is_wrong_with_a_page_is_found(browser: Browser) -> None:
    page = await browser.new_page()
    await page.set_content(_BROKEN)
    said = "\n".join(await flaws(page))

    for words in ("2 h1", "its title", "language", "no label", "Tab goes first", "not see the focus", "px wide"):
        assert words in said
    assert said.count("color-contrast:") == 2, "in the light and in the dark"
    await page.close()
