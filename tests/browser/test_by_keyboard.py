"""Signing in, inviting, revoking and signing out without a mouse: only Tab, Enter, Escape and what is typed."""

import pytest
from people import PASSWORD, People
from playwright.async_api import Locator, Page, expect
from tabs import Tabs
from team import ARMED, PAGE, a_team, button, row, success

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

_MOST_STOPS = 40


async def tab_to(page: Page, control: Locator) -> None:
    """Presses Tab until the focus is there."""
    for _ in range(_MOST_STOPS):
        await page.keyboard.press("Tab")
        if await control.evaluate("control => control === document.activeElement"):
            return
    pytest.fail(f"Tab does not come to {control}")


async def test_one_signs_in_invites_revokes_and_signs_out(people: People, tabs: Tabs) -> None:
    team, invitee = await a_team(people), people.address("invitee")
    page = await tabs.open(f"/sign-in?next={PAGE}")
    await tab_to(page, page.get_by_label("E-mail address"))
    await page.keyboard.type(team.owner.address)
    await tab_to(page, page.get_by_label("Password", exact=True))
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", name="My Organization")).to_be_visible()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")  # on the link past the menus
    await tab_to(page, page.locator("summary", has_text="Add member"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("E-mail address")).to_be_focused()
    await page.keyboard.type(invitee)
    await page.keyboard.press("Enter")

    await expect(success(page)).to_contain_text(f"Invitation sent to {invitee}.")
    await expect(page.get_by_label("E-mail address")).to_be_focused()
    await expect(row(page, invitee)).to_contain_text("Letter sent")
    await page.keyboard.press("Shift+Tab")  # to the button of the field
    await page.keyboard.press("Shift+Tab")
    await expect(button(row(page, invitee), "✕ Revoke")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(button(row(page, invitee), ARMED)).to_be_focused()
    await page.keyboard.press("Enter")

    await expect(success(page)).to_contain_text("Nobody joined")
    await expect(row(page, invitee)).to_have_count(0)
    menu = page.locator("summary", has_text="Account menu")
    await tab_to(page, menu)
    await page.keyboard.press("Enter")
    await page.keyboard.press("Escape")
    await expect(menu).to_be_focused()
    await page.keyboard.press("Enter")
    await tab_to(page, page.get_by_role("button", name="Sign out"))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
