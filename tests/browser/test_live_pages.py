"""Open pages follow what others do: at once, without being loaded again, and without taking anything from anybody."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence

import pytest
from people import PASSWORD, People
from playwright.async_api import BrowserContext, Page, Request, Route, expect
from tabs import Tabs
from team import ARMED, PAGE, Team, a_team, button, failure, open_field, row

from stack.platform import Platform

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

_AT_ONCE = 1.0
"""Seconds within which an open page shows a change."""
_POLLED = 15_000
"""Milliseconds within which it does where it has to ask: every 5 s."""
_SESSION_ENDED = 30_000
"""Milliseconds within which it notices that its session has: every 15 s, where nothing else happens."""

# The table is looked at whenever it changes. Both clocks are this machine's.
_WATCH = """
    (text) => {
        const table = document.querySelector("[data-live-table]");
        window.changed = new Promise((resolve) => {
            const look = () => !table.textContent.includes(text) && resolve(Date.now() / 1000);
            new MutationObserver(look).observe(table, { childList: true, subtree: true });
        });
    }
"""
_NO_STREAMS = "delete window.EventSource"
_NO_TABS = "delete window.BroadcastChannel; Object.defineProperty(navigator, 'locks', { value: undefined })"


async def mark(*pages: Page) -> None:
    """Leaves something on pages that is gone when they are loaded again."""
    for page in pages:
        await page.evaluate("window.marker = 1")


async def is_marked(page: Page) -> bool:
    return bool(await page.evaluate("window.marker === 1"))


async def watch(pages: Sequence[Page], text: str) -> None:
    """From now on the pages note when the table stops saying this."""
    for page in pages:
        await page.evaluate(_WATCH, text)


async def latencies(pages: Sequence[Page], begun: float) -> list[float]:
    """Seconds from then until each of them had changed."""
    async with asyncio.timeout(15):
        return [await page.evaluate("window.changed") - begun for page in pages]


async def second_tab(page: Page) -> Page:
    """Another tab of the same browser, on the same page."""
    tab = await page.context.new_page()
    await tab.goto(PAGE)
    return tab


async def three_tabs(team: Team, tabs: Tabs) -> tuple[Page, Page, Page]:
    """Two of the owner's, in one browser, and one of an admin's."""
    page = await tabs.open(PAGE, person=team.owner)
    return page, await second_tab(page), await tabs.open(PAGE, person=await team.admin())


async def come_back_to(page: Page) -> None:
    """What a browser tells a tab that is shown again. Chromium without a screen hides none."""
    await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def forgive_lost_connections(tabs: Tabs) -> None:
    """Chromium notes each on its own; here they are what the test is about."""
    tabs.expected.append("net::ERR_")
    tabs.offences[:] = [offence for offence in tabs.offences if "net::ERR_" not in offence]


# --- at once, in every tab


async def test_a_revoked_invitation_goes_from_every_open_tab_within_a_second(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    pages = await three_tabs(team, tabs)
    await mark(*pages)
    took: list[float] = []
    for number in range(3):
        invitation_id, address = await team.invite(f"invitee-{number}"), people.address(f"invitee-{number}")
        for page in pages:
            await expect(row(page, address)).to_contain_text("Letter sent")
        await watch(pages, address)
        begun = time.time()
        await team.revoke(invitation_id)
        took += await latencies(pages, begun)

    print(f"\na revoked invitation: {statistics.median(took) * 1000:.0f} ms, at most {max(took) * 1000:.0f} ms")
    assert statistics.median(took) < _AT_ONCE
    assert all([await is_marked(page) for page in pages])


async def test_an_accepted_invitation_becomes_a_member_in_every_open_tab_within_a_second(
    people: People, tabs: Tabs
) -> None:
    team = await a_team(people)
    pages = await three_tabs(team, tabs)
    await mark(*pages)
    took: list[float] = []
    for invitee in await people.crowd("invitee", 3):
        code = await team.link_to(invitee.address)
        for page in pages:
            await expect(row(page, invitee.address)).to_contain_text("Letter sent")
        await watch(pages, "Pending")
        begun = time.time()
        await invitee.browser.accept(code)
        took += await latencies(pages, begun)
        for page in pages:
            await expect(row(page, invitee.address)).to_contain_text(invitee.name)
            await expect(page.get_by_role("table").locator(".invited")).to_have_count(0)

    print(f"\nan accepted invitation: {statistics.median(took) * 1000:.0f} ms, at most {max(took) * 1000:.0f} ms")
    assert statistics.median(took) < _AT_ONCE
    assert all([await is_marked(page) for page in pages])


async def test_a_new_invitation_appears_in_the_page_of_a_member(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=await team.member())
    await mark(page)
    await team.invite("invitee")

    await expect(row(page, people.address("invitee"))).to_contain_text("Pending · 7d")
    assert await is_marked(page)


# --- nothing is taken from anybody


async def test_the_news_does_not_take_away_the_answer_to_a_form_that_is_under_way(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    admin = await team.admin()
    await team.invite("invitee")
    page, address = await tabs.open(PAGE, person=admin), people.address("invitee")
    await expect(row(page, address)).to_contain_text("Letter sent")
    sent, told = asyncio.Event(), asyncio.Event()

    async def delay(route: Route) -> None:
        sent.set()
        await told.wait()
        await route.continue_()

    await page.route(f"**{PAGE}/revoke", delay)
    await button(row(page, address), "✕ Revoke").click()
    await button(row(page, address), ARMED).click(no_wait_after=True)
    await sent.wait()
    async with page.expect_response(f"**{PAGE}/table") as news:
        await team.owner.browser.change_role(team.organization_id, admin.account_id, "member")
    await (await news.value).finished()
    told.set()

    await expect(failure(page)).to_contain_text("admin")
    await expect(row(page, address)).to_be_visible()


async def test_what_is_being_typed_stays_and_so_does_the_focus(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    invitation_id = await team.invite("invitee")
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.press_sequentially("half an addr")
    await team.revoke(invitation_id)
    await expect(row(page, people.address("invitee"))).to_have_count(0)
    await page.keyboard.type("ess")

    await expect(field).to_be_focused()
    await expect(field).to_have_value("half an address")


async def test_an_armed_button_of_another_row_stays_armed_and_focused(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    above = await team.invite("above")
    await team.invite("meant")
    below = await team.invite("below")
    page = await tabs.open(PAGE, person=team.owner)
    meant = row(page, people.address("meant"))
    for name in ("above", "meant", "below"):
        await expect(row(page, people.address(name))).to_contain_text("Letter sent")
    await page.evaluate("window.setTimeout = () => 0")  # so that it stays armed for as long as this takes
    await button(meant, "✕ Revoke").click()
    await asyncio.gather(team.revoke(above), team.revoke(below))
    for name in ("above", "below"):
        await expect(row(page, people.address(name))).to_have_count(0)

    await expect(button(meant, ARMED)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("status")).to_contain_text("Nobody joined")


async def test_a_button_whose_own_row_changes_keeps_the_focus_and_stays_armed(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    member = await team.member()
    page = await tabs.open(PAGE, person=team.owner)
    await page.evaluate("window.setTimeout = () => 0")
    await button(row(page, member.address), "Remove").click()
    await team.owner.browser.change_role(team.organization_id, member.account_id, "admin")
    await expect(row(page, member.address)).to_contain_text("Make member")

    await expect(button(row(page, member.address), ARMED)).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(button(row(page, member.address), "Remove")).to_be_focused()


async def test_the_focus_of_a_row_that_goes_falls_on_the_heading_of_the_table(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    invitation_id = await team.invite("invitee")
    page = await tabs.open(PAGE, person=team.owner)
    await button(row(page, people.address("invitee")), "✕ Revoke").focus()
    await team.revoke(invitation_id)

    await expect(page.get_by_role("heading", name="Members")).to_be_focused()


# --- whatever happens to the connection


async def test_open_pages_survive_a_restart_of_the_console(people: People, tabs: Tabs, platform: Platform) -> None:
    team = await a_team(people)
    invitation_id = await team.invite("invitee")
    page = await tabs.open(PAGE, person=team.owner)
    other = await second_tab(page)
    await mark(page, other)
    await expect(row(other, people.address("invitee"))).to_contain_text("Letter sent")
    console = platform.service("console")
    await asyncio.to_thread(console.stop)
    try:
        await expect(page.get_by_text("Not live just now")).to_be_visible()
    finally:
        await asyncio.to_thread(console.start)
    await expect(page.get_by_text("Not live just now")).to_be_hidden()
    await team.revoke(invitation_id)

    for each in (page, other):
        await expect(row(each, people.address("invitee"))).to_have_count(0)
        assert await is_marked(each)
    forgive_lost_connections(tabs)


@pytest.mark.parametrize("missing", [_NO_STREAMS, _NO_TABS, f"{_NO_STREAMS}; {_NO_TABS}"])
async def test_in_browsers_that_lack_something_the_table_follows_as_well(
    people: People, tabs: Tabs, missing: str
) -> None:
    team = await a_team(people)
    invitation_id = await team.invite("invitee")
    page = await tabs.open("/dashboard", person=team.owner)
    await page.context.add_init_script(missing)
    pages = await second_tab(page), await second_tab(page)
    await mark(*pages)
    for each in pages:
        await expect(row(each, people.address("invitee"))).to_contain_text("Letter sent", timeout=_POLLED)
    await team.revoke(invitation_id)

    for each in pages:
        await expect(row(each, people.address("invitee"))).to_have_count(0, timeout=_POLLED)
        assert await is_marked(each)


async def refuse(route: Route) -> None:
    await route.fulfill(status=503)


async def hold_back(route: Route) -> None:
    """As a proxy does that waits for the end of an answer before it passes it on."""


@pytest.mark.parametrize("proxy", [refuse, hold_back])
async def test_where_a_proxy_lets_no_stream_through_the_table_follows_as_well(
    people: People, tabs: Tabs, proxy: Callable[[Route], Awaitable[None]]
) -> None:
    team = await a_team(people)
    invitation_id = await team.invite("invitee")
    tabs.expected.append("status of 503")
    page = await tabs.open("/dashboard", person=team.owner)
    await page.context.route(f"**{PAGE}/live", proxy)
    await page.goto(PAGE)
    await expect(row(page, people.address("invitee"))).to_contain_text("Letter sent", timeout=_POLLED)
    await team.revoke(invitation_id)

    await expect(row(page, people.address("invitee"))).to_have_count(0, timeout=_POLLED)


async def test_a_stream_that_was_refused_is_asked_for_again(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    tabs.expected.append("status of 503")
    page = await tabs.open("/dashboard", person=team.owner)
    await page.context.route(f"**{PAGE}/live", refuse, times=1)
    await page.goto(PAGE)
    async with page.expect_response(lambda answer: answer.url.endswith("/live") and answer.ok):
        pass
    await mark(page)
    await team.invite("invitee")

    await expect(row(page, people.address("invitee"))).to_be_visible()


async def test_a_page_says_that_it_is_not_live_while_the_network_is_away(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    await mark(page)
    await page.context.set_offline(True)
    await come_back_to(page)
    await expect(page.get_by_text("Not live just now")).to_be_visible()
    await team.invite("invitee")
    await page.context.set_offline(False)

    await expect(row(page, people.address("invitee"))).to_be_visible(timeout=_POLLED)
    await expect(page.get_by_text("Not live just now")).to_be_hidden()
    assert await is_marked(page)
    forgive_lost_connections(tabs)


async def streams_of(context: BrowserContext) -> list[str]:
    """Grows with each stream that is opened in a browser from now on."""
    opened: list[str] = []

    def note(request: Request) -> None:
        if request.url.endswith("/live"):
            opened.append(request.url)

    context.on("request", note)
    return opened


async def test_one_tab_of_a_browser_listens_for_all_and_another_takes_over(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    first = await tabs.open("/dashboard", person=team.owner)
    streams = await streams_of(first.context)
    await first.goto(PAGE)
    others = [await second_tab(first) for _ in range(6)]
    await mark(*others)
    await team.invite("one")
    for page in (first, *others):
        await expect(row(page, people.address("one"))).to_be_visible()
    assert len(streams) == 1
    await first.close()
    await team.invite("two")

    for page in others:
        await expect(row(page, people.address("two"))).to_be_visible()
        assert await is_marked(page)
    assert len(streams) == 2


# --- whose page it is


async def test_the_open_page_of_somebody_who_is_removed_is_left(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    member = await team.member()
    page = await tabs.open(PAGE, person=member)
    other = await second_tab(page)
    await team.owner.browser.remove(team.organization_id, member.account_id)

    for each in (page, other):
        await expect(each.get_by_text("You are in no organization")).to_be_visible()


async def test_the_answer_to_a_form_is_left_without_being_sent_again(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    admin = await team.admin()
    page = await tabs.open(PAGE, person=admin)
    field = await open_field(page)
    await field.fill("no address")
    await field.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    await team.owner.browser.remove(team.organization_id, admin.account_id)

    await expect(page.get_by_text("You are in no organization")).to_be_visible()
    assert "POST" not in sent


async def test_who_becomes_an_admin_has_the_controls_at_once_and_loses_them_as_soon(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    member = await team.member()
    await team.invite("invitee")
    page = await tabs.open(PAGE, person=member)
    await expect(row(page, people.address("invitee"))).to_be_visible()
    await team.owner.browser.change_role(team.organization_id, member.account_id, "admin")
    await expect(page.get_by_text("Add member", exact=True)).to_be_visible()
    await expect(button(row(page, people.address("invitee")), "✕ Revoke")).to_be_visible()
    await team.owner.browser.change_role(team.organization_id, member.account_id, "member")

    await expect(page.get_by_text("Add member", exact=True)).to_have_count(0)
    await expect(button(row(page, people.address("invitee")), "✕ Revoke")).to_have_count(0)


async def test_the_open_page_of_a_session_that_was_ended_elsewhere_goes_to_sign_in(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    await team.owner.browser.sign_out()

    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=_SESSION_ENDED)


async def test_who_comes_back_to_a_tab_after_signing_out_in_another_signs_in_and_is_there_again(
    people: People, tabs: Tabs
) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    other = await second_tab(page)
    await page.get_by_role("banner").locator("summary").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await come_back_to(other)
    await expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    await other.get_by_label("E-mail address").fill(team.owner.address)
    await other.get_by_label("Password", exact=True).fill(PASSWORD)
    await other.get_by_label("Password", exact=True).press("Enter")

    await expect(other.get_by_role("heading", name="My Organization")).to_be_visible()


async def test_where_somebody_else_signs_in_no_open_page_shows_one_s_rows_under_the_other_s_name(
    people: People, tabs: Tabs
) -> None:
    team, stranger = await a_team(people), await people.sign_up("stranger")
    await people.organization(stranger, "Other Org")
    page = await tabs.open(PAGE, person=team.owner)
    await expect(page.get_by_role("banner")).to_contain_text(team.name)
    await tabs.sign_in(page.context, stranger)
    await team.invite("invitee")

    await expect(page.get_by_role("banner")).to_contain_text(f"Other Org {people.tag}")
    await expect(row(page, stranger.address)).to_contain_text("You")
