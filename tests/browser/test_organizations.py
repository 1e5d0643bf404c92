"""Organizations and roles in the browser. Each test is named as the sentence of the rule that it plays."""

import re

import pytest
from people import People, Person
from playwright.async_api import Page, expect
from tabs import Tabs
from team import ARMED, PAGE, a_team, button, row, success, toasts

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]


async def click_twice(page: Page, who: Person, label: str) -> None:
    """Clicks a destructive button in somebody's row, and confirms."""
    await button(row(page, who.address), label).click()
    await button(row(page, who.address), ARMED).click()


# --- creating one


async def test_who_is_in_no_organization_creates_one_and_becomes_its_owner(people: People, tabs: Tabs) -> None:
    founder = await people.sign_up("founder")
    page = await tabs.open("/dashboard", person=founder)
    await expect(page.get_by_text("You are in no organization")).to_be_visible()
    await page.get_by_role("link", name="Create an organization").click()
    await page.get_by_label("Name").fill(f" New Org {people.tag} ")
    await page.get_by_role("button", name="Create organization").click()

    await expect(page.get_by_role("heading", name="My Organization")).to_be_visible()
    await expect(success(page)).to_contain_text(f"New Org {people.tag} is ready.")
    await expect(row(page, founder.address)).to_contain_text("Owner")
    await page.get_by_role("link", name="Dashboard").click()
    await expect(page.get_by_role("heading", name=f"New Org {people.tag}")).to_be_visible()
    await expect(page.get_by_role("link", name="Invite people")).to_be_visible()


async def test_my_organization_of_who_is_in_none_offers_to_create_one(people: People, tabs: Tabs) -> None:
    founder = await people.sign_up("founder")
    page = await tabs.open(PAGE, person=founder)
    await expect(page.get_by_text(f"an invitation that was sent to {founder.address}")).to_be_visible()
    await page.get_by_role("link", name="Create an organization").click()

    await expect(page.get_by_label("Name")).to_be_focused()


async def test_without_javascript_an_organization_is_created_as_well(people: People, tabs: Tabs) -> None:
    founder = await people.sign_up("founder")
    page = await tabs.open("/organization/new", person=founder, java_script_enabled=False)
    await page.get_by_label("Name").fill(f"New Org {people.tag}")
    await page.get_by_role("button", name="Create organization").click()

    await expect(success(page)).to_contain_text("is ready")
    await expect(row(page, founder.address)).to_contain_text("Owner")


async def test_a_name_that_is_taken_whatever_its_case_is_refused_beside_it_and_stays(
    people: People, tabs: Tabs
) -> None:
    owner, founder = await people.sign_up("owner"), await people.sign_up("founder")
    await owner.browser.create_organization(f"Straße {people.tag}")
    page = await tabs.open("/organization/new", person=founder)
    name = page.get_by_label("Name")
    await name.fill(f"STRASSE {people.tag}")
    await name.press("Enter")

    await expect(name).to_have_accessible_description(re.compile("There is an organization called .* already"))
    await expect(name).to_have_value(f"STRASSE {people.tag}")
    await expect(name).to_have_attribute("aria-invalid", "true")
    await name.fill(f"Strasse 2 {people.tag}")
    await name.press("Enter")
    await expect(success(page)).to_contain_text(f"Strasse 2 {people.tag} is ready.")


async def test_a_name_has_at_least_two_characters_and_255_at_most(people: People, tabs: Tabs) -> None:
    founder = await people.sign_up("founder")
    page = await tabs.open("/organization/new", person=founder)
    name = page.get_by_label("Name")
    await name.press_sequentially("x")
    await name.press("Enter")
    assert await name.evaluate("name => name.validity.tooShort")

    await name.fill("   ")
    await name.press("Enter")
    await expect(name).to_have_accessible_description(re.compile("has 2 to 255 characters"))
    await expect(name).to_have_attribute("maxlength", "255")
    await expect(page).to_have_title("Error: Create an organization · Latchkey")


async def test_an_account_is_in_at_most_one_organization(people: People, tabs: Tabs) -> None:
    founder = await people.sign_up("founder")
    page = await tabs.open("/organization/new", person=founder)
    await people.organization(founder)  # elsewhere, while this page is open
    name = page.get_by_label("Name")
    await name.fill(f"Second Org {people.tag}")
    await name.press("Enter")
    await expect(name).to_have_accessible_description(re.compile("You are in an organization already"))

    await page.goto("/organization/new")
    await expect(page.get_by_role("heading", name="My Organization")).to_be_visible()


# --- roles


async def test_admins_and_the_owner_may_promote_and_demote(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    admin, member = await team.admin(), await team.member()
    for reader in (admin, team.owner):
        page = await tabs.open(PAGE, person=reader)
        await button(row(page, member.address), "Make admin").click()
        await expect(success(page)).to_contain_text("Member is an admin now.")
        await expect(row(page, member.address)).to_contain_text("Admin")
        await button(row(page, member.address), "Make member").click()
        await expect(success(page)).to_contain_text("Member is a member now, and no admin.")
        await expect(button(row(page, member.address), "Make admin")).to_be_visible()


async def test_admins_and_the_owner_may_remove(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    admin, one, other = await team.admin(), await team.member("one"), await team.member("other")
    for reader, removed in ((admin, one), (team.owner, other)):
        page = await tabs.open(PAGE, person=reader)
        await click_twice(page, removed, "Remove")
        await expect(success(page)).to_contain_text(f"{removed.name} was removed from the organization.")
        await expect(row(page, removed.address)).to_have_count(0)


async def test_the_owner_can_be_neither_demoted_nor_removed_and_cannot_leave(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    admin = await team.admin()
    for reader in (admin, team.owner):
        page = await tabs.open(PAGE, person=reader)
        await expect(row(page, team.owner.address)).to_contain_text("Owner")
        await expect(row(page, team.owner.address).get_by_role("button")).to_have_count(0)


async def test_members_see_the_table_and_no_controls_but_leave(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    member, other = await team.member(), await team.member("other")
    await team.invite("invitee")
    page = await tabs.open(PAGE, person=member)

    for address in (team.owner.address, member.address, other.address, people.address("invitee")):
        await expect(row(page, address)).to_be_visible()
    await expect(page.get_by_role("main").get_by_role("button")).to_have_text([re.compile("^Leave")])
    await expect(page.get_by_text("Add member")).to_have_count(0)
    await expect(page.get_by_text("You are a member.")).to_be_visible()


async def test_members_may_leave(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    member = await team.member()
    page = await tabs.open(PAGE, person=member)
    await click_twice(page, member, "Leave")

    await expect(success(page)).to_contain_text(f"You left {team.name}.")
    await expect(page.get_by_text("You are in no organization")).to_be_visible()


async def test_an_admin_may_leave_and_give_up_their_own_role(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    admin = await team.admin()
    page = await tabs.open(PAGE, person=admin)
    await expect(button(row(page, admin.address), "Remove")).to_have_count(0)
    await button(row(page, admin.address), "Make member").click()
    await expect(success(page)).to_contain_text("Admin is a member now, and no admin.")
    await expect(page.get_by_text("Add member")).to_have_count(0)

    await click_twice(page, admin, "Leave")
    await expect(page.get_by_text("You are in no organization")).to_be_visible()


async def test_removing_somebody_revokes_what_they_have_sent(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    admin = await team.admin()
    await team.invite("by-the-admin", by=admin)
    await team.invite("by-the-owner")
    page = await tabs.open(PAGE, person=team.owner)
    await expect(row(page, people.address("by-the-admin"))).to_contain_text("Invited by Admin")
    await click_twice(page, admin, "Remove")

    await expect(row(page, people.address("by-the-admin"))).to_have_count(0)
    await expect(row(page, people.address("by-the-owner"))).to_be_visible()


async def test_an_invitation_outlives_its_sender_s_demotion_and_departure_and_any_admin_may_revoke_it(
    people: People, tabs: Tabs
) -> None:
    team = await a_team(people)
    admin, other = await team.admin(), await team.admin("other")
    await team.invite("invitee", by=admin)
    await team.owner.browser.change_role(team.organization_id, admin.account_id, "member")
    page = await tabs.open(PAGE, person=other)
    pending = row(page, people.address("invitee"))
    await expect(pending).to_contain_text("Pending · 7d")
    await admin.browser.leave(team.organization_id)
    await expect(row(page, admin.address)).to_have_count(0)
    await expect(pending).to_contain_text("Pending · 7d")

    await button(pending, "✕ Revoke").click()
    await button(pending, ARMED).click()
    await expect(success(page)).to_contain_text("Nobody joined")
    await expect(pending).to_have_count(0)


async def test_what_a_former_admin_s_open_page_still_offers_is_refused(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    admin = await team.admin()
    await team.invite("invitee")
    page = await tabs.open(PAGE, person=admin, java_script_enabled=False)
    await team.owner.browser.change_role(team.organization_id, admin.account_id, "member")
    await button(row(page, people.address("invitee")), "✕ Revoke").click()
    await page.get_by_role("button", name="Revoke").click()

    await expect(toasts(page).get_by_role("alert")).to_contain_text("Only the owner and admins")
    await expect(row(page, people.address("invitee"))).to_contain_text("Pending · 7d")
