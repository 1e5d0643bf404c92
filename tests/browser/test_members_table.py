"""Inviting and revoking in the members table, as a person does it. Each test is named as the sentence of the rule."""

import asyncio
import re
import time

import pytest
from passing_time import a_week_passes
from people import People
from playwright.async_api import expect
from tabs import Tabs
from team import ARMED, PAGE, a_team, button, failure, open_field, row, success

from stack.console_client import Refused
from stack.platform import Platform

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]


# --- the table


async def test_the_table_shows_members_and_then_pending_invitations_in_muted_italics(
    people: People, tabs: Tabs
) -> None:
    team = await a_team(people)
    await team.invite("invitee")
    member = await team.member()  # later than the invitation, and still above it
    page = await tabs.open(PAGE, person=team.owner)

    rows = page.get_by_role("table").locator("tbody tr")
    await expect(rows).to_contain_text([team.owner.address, member.address, people.address("invitee")])
    today = time.strftime("%-d %b %Y", time.gmtime())
    await expect(rows.nth(0).get_by_role("cell")).to_contain_text(["Owner", team.owner.address, "Owner", today, ""])
    await expect(rows.nth(1).get_by_role("cell")).to_contain_text(["Member", member.address, "Member", today, "Remove"])
    pending = row(page, people.address("invitee"))
    await expect(pending).to_contain_text("Pending · 7d")
    muted, plain = (each.get_by_role("cell").nth(1) for each in (pending, rows.nth(1)))
    await expect(muted).to_have_css("font-style", "italic")
    await expect(plain).to_have_css("font-style", "normal")
    colors = [await each.evaluate("cell => getComputedStyle(cell).color") for each in (muted, plain)]
    assert colors[0] != colors[1]


async def test_a_row_says_when_its_letter_was_sent_without_being_asked(
    people: People, tabs: Tabs, platform: Platform
) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    pending = row(page, people.address("invitee"))
    await asyncio.to_thread(platform.mailbox.stop)
    try:
        await team.invite("invitee")
        await expect(pending).to_contain_text("Letter queued")
    finally:
        await asyncio.to_thread(platform.mailbox.start)

    await expect(pending).to_contain_text("Letter sent")


async def test_a_row_says_that_its_letter_bounced_and_offers_to_invite_again(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    await team.invite("bounce")
    page = await tabs.open(PAGE, person=team.owner)
    pending = row(page, people.address("bounce"))

    await expect(pending).to_contain_text("Letter bounced")
    await expect(button(pending, "Invite again")).to_be_visible()
    await expect(button(pending, "✕ Revoke")).to_be_visible()


async def test_an_expired_row_stays_and_can_be_invited_again_with_a_fresh_7_days(
    people: People, tabs: Tabs, platform: Platform
) -> None:
    team = await a_team(people)
    member, address = await team.member(), people.address("invitee")
    page = await tabs.open(PAGE, person=team.owner)
    code = await team.link_to(address)
    await expect(row(page, address)).to_contain_text("Pending · 7d")
    await a_week_passes(platform, team.organization_id, address)
    await expect(row(page, address)).to_contain_text("Expired")
    await expect(button(row(page, address), "✕ Revoke")).to_have_count(0)
    of_a_member = await tabs.open(PAGE, person=member)
    await expect(row(of_a_member, address)).to_contain_text("Expired")
    await expect(row(of_a_member, address).get_by_role("button")).to_have_count(0)

    await button(row(page, address), "Invite again").click()
    await expect(success(page)).to_contain_text(f"Invitation sent to {address}.")
    await expect(row(page, address)).to_have_count(1)
    await expect(row(page, address)).to_contain_text("Pending · 7d")
    assert await people.letters.link_code(address, after=1) != code


# --- inviting


async def test_add_member_opens_a_field_enter_sends_and_a_green_toast_confirms(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    await expect(page.get_by_label("E-mail address")).to_be_hidden()
    field = await open_field(page)
    await expect(field).to_be_focused()
    await field.fill(people.address("invitee"))
    await field.press("Enter")

    await expect(success(page)).to_contain_text(f"Invitation sent to {people.address('invitee')}.")
    await expect(row(page, people.address("invitee"))).to_contain_text("Pending · 7d")
    await expect(field).to_be_focused()  # for the next one
    await expect(field).to_have_value("")


async def test_the_button_invite_sends_as_well(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    await (await open_field(page)).fill(people.address("invitee"))
    await page.get_by_role("button", name="Invite", exact=True).click()

    await expect(success(page)).to_contain_text("Invitation sent")
    await expect(row(page, people.address("invitee"))).to_be_visible()


async def test_a_toast_goes_when_it_is_dismissed(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.fill(people.address("invitee"))
    await field.press("Enter")
    await success(page).get_by_role("button", name="Dismiss").click()

    await expect(success(page)).to_have_count(0)
    await page.reload()
    await expect(row(page, people.address("invitee"))).to_be_visible()
    await expect(success(page)).to_have_count(0)


@pytest.mark.parametrize("typed", ["no address", "The Invitee <invitee@>", "the invitee@example.com"])
async def test_a_malformed_address_is_refused_beside_the_field_and_stays(
    people: People, tabs: Tabs, typed: str
) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.fill(typed)
    await field.press("Enter")

    await expect(page.get_by_role("alert")).to_contain_text("That is not a valid e-mail address.")
    await expect(field).to_have_accessible_description(re.compile("not a valid e-mail address"))
    await expect(field).to_have_value(typed)
    await expect(field).to_be_focused()
    await expect(page.get_by_role("table").locator("tbody tr")).to_have_count(1)


async def test_an_owner_who_is_alone_is_asked_to_add_the_team_until_somebody_is_invited(
    people: People, tabs: Tabs
) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    await expect(page.get_by_text("It is just you so far")).to_be_visible()

    await team.invite("invitee")
    await expect(page.get_by_text("It is just you so far")).to_be_hidden()  # without a reload


async def test_who_is_a_member_already_is_refused_beside_the_field(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    member = await team.member()
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.fill(member.address.upper())
    await field.press("Enter")

    await expect(page.get_by_role("alert")).to_contain_text("a member of your organization already")
    await expect(field).to_have_value(member.address.upper())


async def test_nothing_is_sent_where_nothing_was_typed(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.press("Enter")
    assert await field.evaluate("field => field.validity.valueMissing")

    await field.fill(" , ")
    await field.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("Enter an e-mail address.")


async def test_several_addresses_that_are_pasted_get_a_result_each(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    one, two, three, four = (people.address(name) for name in ("one", "two", "three", "four"))
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.fill(f'{one}, The Two <{two}>\n"Three, The" <{three}>; {team.owner.address}\nno address\n{four} ')
    await field.press("Enter")

    results = page.get_by_role("region", name="What became of your invitations").get_by_role("listitem")
    await expect(results).to_have_count(6)
    for address in (one, two, three, four):
        await expect(results.filter(has_text=address)).to_contain_text("Invited")
        await expect(row(page, address)).to_contain_text("Pending · 7d")
    await expect(results.filter(has_text=team.owner.address)).to_contain_text("a member of your organization already")
    await expect(results.filter(has_text="no address")).to_contain_text("not a valid e-mail address")
    await expect(success(page)).to_contain_text("4 invitations sent.")
    await expect(field).to_have_value(f"{team.owner.address}\nno address")  # to be mended


async def test_shift_and_enter_begin_another_line(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.press_sequentially(people.address("one"))
    await field.press("Shift+Enter")
    await field.press_sequentially(people.address("two"))
    await field.press("Enter")

    await expect(success(page)).to_contain_text("2 invitations sent.")


async def test_a_member_of_another_organization_is_invited_normally(people: People, tabs: Tabs) -> None:
    team, elsewhere = await a_team(people), await people.sign_up("elsewhere")
    await people.organization(elsewhere, "Other Org")
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.fill(elsewhere.address)
    await field.press("Enter")

    await expect(row(page, elsewhere.address)).to_contain_text("Pending · 7d")
    await expect(page.get_by_text("Other Org")).to_have_count(0)


async def test_inviting_again_while_one_is_pending_replaces_its_row(people: People, tabs: Tabs) -> None:
    team, address = await a_team(people), people.address("invitee")
    older = await team.link_to(address)
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.fill(address.upper())
    await field.press("Enter")

    await expect(success(page)).to_contain_text("Invitation sent")
    await expect(page.get_by_role("row").filter(has_text=re.compile(re.escape(address), re.IGNORECASE))).to_have_count(
        1
    )
    assert (await team.owner.browser.preview(older))["state"] == "superseded"


async def test_the_page_of_an_answer_can_be_loaded_again(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.fill("no address")
    await field.press("Enter")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.goto(page.url)

    await expect(page.get_by_role("heading", name="My Organization")).to_be_visible()
    await expect(page.get_by_role("alert")).to_have_count(0)


# --- revoking


async def test_revoke_arms_first_and_then_says_that_nobody_joined(people: People, tabs: Tabs) -> None:
    team, address = await a_team(people), people.address("invitee")
    code = await team.link_to(address)
    page = await tabs.open(PAGE, person=team.owner)
    await button(row(page, address), "✕ Revoke").click()
    await expect(button(row(page, address), ARMED)).to_be_visible()
    await expect(page.locator("[aria-live=assertive]")).to_have_text(ARMED)  # screen readers say it
    await expect(row(page, address)).to_contain_text("Pending · 7d")
    await button(row(page, address), ARMED).click()

    await expect(success(page)).to_contain_text(f"Revoked. Nobody joined by the invitation of {address}.")
    await expect(row(page, address)).to_have_count(0)
    assert (await team.owner.browser.preview(code))["state"] == "revoked"


async def test_an_armed_button_is_as_before_after_three_seconds(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    await team.invite("invitee")
    page = await tabs.open(PAGE, person=team.owner)
    pending = row(page, people.address("invitee"))
    await expect(pending).to_contain_text("Letter sent")
    await button(pending, "✕ Revoke").click()
    begun = time.monotonic()
    await expect(button(pending, "✕ Revoke")).to_be_visible()

    assert 2.5 < time.monotonic() - begun < 6
    await button(pending, "✕ Revoke").click()
    await expect(button(pending, ARMED)).to_be_visible()


async def test_escape_disarms(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    await team.invite("invitee")
    page = await tabs.open(PAGE, person=team.owner)
    pending = row(page, people.address("invitee"))
    await expect(pending).to_contain_text("Letter sent")
    await button(pending, "✕ Revoke").click()
    await button(pending, ARMED).press("Escape")

    await expect(button(pending, "✕ Revoke")).to_be_visible(timeout=1000)
    await expect(button(pending, "✕ Revoke")).to_be_focused()


async def test_revoking_works_by_keyboard_alone(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    await team.invite("invitee")
    page = await tabs.open(PAGE, person=team.owner)
    await expect(row(page, people.address("invitee"))).to_contain_text("Letter sent")
    await button(row(page, people.address("invitee")), "✕ Revoke").focus()
    await page.keyboard.press("Enter")
    await expect(button(row(page, people.address("invitee")), ARMED)).to_be_focused()
    await page.keyboard.press("Enter")

    await expect(success(page)).to_contain_text("Nobody joined")


async def test_neither_a_double_click_nor_a_key_that_is_held_confirms(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    await team.invite("invitee")
    page = await tabs.open(PAGE, person=team.owner)
    pending = row(page, people.address("invitee"))
    await expect(pending).to_contain_text("Letter sent")
    await button(pending, "✕ Revoke").dblclick()
    await expect(button(pending, ARMED)).to_be_visible()
    await page.keyboard.press("Escape")
    await button(pending, "✕ Revoke").focus()
    await page.keyboard.down("Enter")
    await page.keyboard.down("Enter")
    await page.keyboard.up("Enter")

    await expect(button(pending, ARMED)).to_be_visible()
    assert len(await team.owner.browser.invitations(team.organization_id)) == 1


async def test_where_somebody_was_faster_revoking_says_so(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    invitee = await people.sign_up("invitee")
    code = await team.link_to(invitee.address)
    page = await tabs.open(PAGE, person=team.owner, java_script_enabled=False)  # it does not follow
    await invitee.browser.accept(code)
    await button(row(page, invitee.address), "✕ Revoke").click()
    await page.get_by_role("button", name="Revoke").click()

    await expect(failure(page)).to_contain_text("The invitation has been accepted already.")
    await expect(row(page, invitee.address)).to_contain_text("Member")


async def test_a_revoked_address_can_be_invited_again(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    await team.revoke(await team.invite("invitee"))
    page = await tabs.open(PAGE, person=team.owner)
    field = await open_field(page)
    await field.fill(people.address("invitee"))
    await field.press("Enter")

    await expect(row(page, people.address("invitee"))).to_contain_text("Pending · 7d")


# --- without JavaScript


async def test_without_javascript_add_member_and_invite_work_as_well(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner, java_script_enabled=False)
    await (await open_field(page)).fill(people.address("invitee"))
    await page.get_by_role("button", name="Invite", exact=True).click()

    await expect(success(page)).to_contain_text("Invitation sent")
    await expect(row(page, people.address("invitee"))).to_contain_text("Pending · 7d")


async def test_without_javascript_a_page_asks_before_anything_is_destroyed(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    member, address = await team.member(), people.address("invitee")
    await team.invite("invitee")
    page = await tabs.open(PAGE, person=team.owner, java_script_enabled=False)
    await button(row(page, address), "✕ Revoke").click()
    await expect(page.get_by_role("heading", name=f"Revoke the invitation of {address}?")).to_be_visible()
    await page.get_by_role("link", name="Cancel").click()
    await expect(row(page, address)).to_contain_text("Pending · 7d")
    await button(row(page, address), "✕ Revoke").click()
    await page.get_by_role("button", name="Revoke").click()
    await expect(success(page)).to_contain_text("Nobody joined")
    await expect(row(page, address)).to_have_count(0)

    await button(row(page, member.address), "Remove").click()
    await expect(page.get_by_role("heading", name="Remove Member?")).to_be_visible()
    await page.get_by_role("button", name="Remove").click()
    await expect(success(page)).to_contain_text("Member was removed")
    await expect(row(page, member.address)).to_have_count(0)


async def test_without_javascript_a_page_asks_before_one_leaves(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    member = await team.member()
    page = await tabs.open(PAGE, person=member, java_script_enabled=False)
    await button(row(page, member.address), "Leave").click()
    await expect(page.get_by_role("heading", name=f"Leave {team.name}?")).to_be_visible()
    assert (await member.browser.me())["membership"] is not None
    await page.get_by_role("button", name="Leave").click()

    await expect(page.get_by_text("You are in no organization")).to_be_visible()


# --- who is not signed in any more


async def test_who_was_signed_out_meanwhile_signs_in_first(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE, person=team.owner, java_script_enabled=False)
    await (await open_field(page)).fill(people.address("invitee"))
    await team.owner.browser.sign_out()
    await page.get_by_role("button", name="Invite", exact=True).click()

    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    with pytest.raises(Refused):
        await team.owner.browser.me()
