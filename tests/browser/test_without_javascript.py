"""The main story in browsers without JavaScript: every step is a page."""

import pytest
from people import PASSWORD, People
from playwright.async_api import Page, expect
from tabs import Tabs
from team import PAGE, button, open_field, row, success

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]


async def sign_up(page: Page, people: People, address: str, name: str) -> None:
    """From the form to the proof of the mailbox."""
    await page.get_by_label("E-mail address").fill(address)
    await page.get_by_label("Your name").fill(name)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await page.get_by_label("Six-digit code").fill(await people.letters.mailbox_code(address))
    await page.get_by_role("button", name="Confirm address").click()


async def test_from_a_sign_up_to_a_member_who_was_invited_and_one_who_was_not_after_all(
    people: People, tabs: Tabs
) -> None:
    invitee, outsider = people.address("invitee"), people.address("outsider")
    page = await tabs.open("/sign-up", java_script_enabled=False)
    await sign_up(page, people, people.address("owner"), "The Owner")
    await page.get_by_role("link", name="Create an organization").click()
    await page.get_by_label("Name").fill(f"Example Org {people.tag}")
    await page.get_by_role("button", name="Create organization").click()
    field = await open_field(page)
    for address in (invitee, outsider):
        await field.fill(address)
        await page.get_by_role("button", name="Invite", exact=True).click()
        await expect(success(page)).to_contain_text(f"Invitation sent to {address}.")
    await button(row(page, outsider), "✕ Revoke").click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text(outsider)
    await page.get_by_role("button", name="Revoke").click()
    await expect(success(page)).to_contain_text("Nobody joined")

    theirs = await tabs.open(f"/org-invite/{await people.letters.link_code(invitee)}/", java_script_enabled=False)
    await sign_up(theirs, people, invitee, "The Invitee")
    await expect(success(theirs)).to_contain_text(f"You joined Example Org {people.tag}.")
    dead = await tabs.open(f"/org-invite/{await people.letters.link_code(outsider)}/", java_script_enabled=False)
    await expect(dead.get_by_role("heading", name="This invitation was revoked")).to_be_visible()

    await page.goto(PAGE)
    await expect(row(page, invitee)).to_contain_text("Member")
    await expect(row(page, outsider)).to_have_count(0)
    await page.locator("summary", has_text="Account menu").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
