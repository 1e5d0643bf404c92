"""Accounts in the browser: signing up, in and out, passwords, sessions, tokens. Each test is named as its sentence."""

import re
from collections.abc import Awaitable, Callable

import pytest
from opened_letter import RESET, click_in_letter
from people import PASSWORD, People, Person
from playwright.async_api import Locator, Page, expect
from tabs import Tabs
from team import ARMED, PAGE, a_team, row, success, toasts

from stack.console_client import Refused
from stack.platform import Platform

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

NEW_PASSWORD = "another long passphrase"


def heading(page: Page, text: str) -> Locator:
    return page.get_by_role("heading", name=text, exact=True)


def field(page: Page, label: str) -> Locator:
    return page.get_by_label(label, exact=True)


async def press(page: Page, label: str) -> None:
    """Clicks a button of this very name."""
    await page.get_by_role("button", name=label, exact=True).click()


async def sign_up(page: Page, address: str, name: str = "Newcomer") -> None:
    await field(page, "E-mail address").fill(address)
    await field(page, "Your name").fill(name)
    await field(page, "Password").fill(PASSWORD)
    await press(page, "Create account")


async def give_code(page: Page, code: str) -> None:
    await field(page, "Six-digit code").fill(code)
    await press(page, "Confirm address")


async def sign_in(page: Page, address: str, password: str = PASSWORD) -> None:
    await field(page, "E-mail address").fill(address)
    await field(page, "Password").fill(password)
    await press(page, "Sign in")


async def signed_in(tabs: Tabs, person: Person) -> Page:
    """Another browser in which they have signed in."""
    page = await tabs.open("/sign-in")
    await sign_in(page, person.address)
    await expect(heading(page, f"Hello, {person.name}")).to_be_visible()
    return page


async def expect_signed_out(page: Page) -> None:
    """With the next step that somebody takes there."""
    await page.goto("/account")
    await expect(heading(page, "Sign in")).to_be_visible()


def other(code: str) -> str:
    """Six digits that are not these."""
    return f"{(int(code) + 1) % 1_000_000:06}"


# --- signing up


async def test_one_signs_up_proves_the_mailbox_by_the_code_of_the_letter_and_is_in(people: People, tabs: Tabs) -> None:
    address = people.address("newcomer")
    page = await tabs.open("/sign-in")
    await page.get_by_role("link", name="Sign up").click()
    await sign_up(page, address)
    await expect(heading(page, "Confirm your address")).to_be_visible()
    await expect(page.get_by_role("main")).to_contain_text(address)
    await expect(field(page, "Six-digit code")).to_be_focused()
    code = await people.letters.mailbox_code(address)
    await give_code(page, f"{code[:3]} {code[3:]}")

    await expect(heading(page, "Hello, Newcomer")).to_be_visible()
    await expect(success(page)).to_contain_text("Your address is confirmed. Welcome!")


async def test_an_account_may_not_act_before_its_mailbox_is_proven(people: People, tabs: Tabs) -> None:
    page = await tabs.open("/sign-up")
    await sign_up(page, people.address("newcomer"))
    await expect(heading(page, "Confirm your address")).to_be_visible()
    for path in ("/dashboard", PAGE, "/organization/new", "/account"):
        await page.goto(path)
        await expect(heading(page, "Confirm your address")).to_be_visible()


async def test_what_is_wrong_with_a_sign_up_is_said_beside_it_and_what_was_typed_stays_but_the_password(
    people: People, tabs: Tabs
) -> None:
    page = await tabs.open("/sign-up")
    await field(page, "E-mail address").fill("nobody@localhost")
    await field(page, "Your name").fill("Newcomer")
    await field(page, "Password").fill(PASSWORD)
    await press(page, "Create account")

    await expect(page.get_by_role("alert")).to_contain_text("Please check the form")
    await expect(field(page, "E-mail address")).to_have_attribute("aria-invalid", "true")
    await expect(field(page, "E-mail address")).to_have_value("nobody@localhost")
    await expect(field(page, "Your name")).to_have_value("Newcomer")
    await expect(field(page, "Password")).to_have_value("")
    await expect(page).to_have_title(re.compile("^Error: "))


async def test_a_wrong_code_says_how_often_one_may_try_and_the_right_one_still_holds(
    people: People, tabs: Tabs
) -> None:
    address = people.address("newcomer")
    page = await tabs.open("/sign-up")
    await sign_up(page, address)
    code = await people.letters.mailbox_code(address)
    for left in ("4 more times", "3 more times"):
        await give_code(page, other(code))
        await expect(field(page, "Six-digit code")).to_have_accessible_description(re.compile(f"You can try {left}"))

    await give_code(page, code)
    await expect(heading(page, "Hello, Newcomer")).to_be_visible()


async def test_after_five_wrong_codes_another_one_is_needed_and_the_earlier_holds_no_more(
    people: People, tabs: Tabs
) -> None:
    address = people.address("newcomer")
    page = await tabs.open("/sign-up")
    await sign_up(page, address)
    code = await people.letters.mailbox_code(address)
    description = field(page, "Six-digit code")
    for said in ("4 more times", "3 more times", "2 more times", "try once more", "Ask for another one"):
        await give_code(page, other(code))
        await expect(description).to_have_accessible_description(re.compile(said))
    await give_code(page, code)
    await expect(description).to_have_accessible_description(re.compile("Ask for another one"))

    await press(page, "Send another code")
    await expect(toasts(page)).to_contain_text("Another code is on its way.")
    newer = await people.letters.mailbox_code(address, after=1)
    await give_code(page, code)
    await expect(description).to_have_accessible_description(re.compile("not right"))
    await give_code(page, newer)
    await expect(heading(page, "Hello, Newcomer")).to_be_visible()


async def test_who_asks_for_too_many_codes_is_told_when_to_try_again(people: People, tabs: Tabs) -> None:
    page = await tabs.open("/sign-up")
    await sign_up(page, people.address("newcomer"))
    for _ in range(5):
        await press(page, "Send another code")
        await expect(toasts(page)).to_contain_text("Another code is on its way.")
        await press_dismiss(page)
    await press(page, "Send another code")

    await expect(page.get_by_role("alert")).to_contain_text("Too many attempts")
    await expect(page.get_by_role("alert")).to_contain_text(re.compile(r"Please try again in (a minute|\d+ minutes)"))


async def press_dismiss(page: Page) -> None:
    """So that the same words later are new ones."""
    await toasts(page).get_by_role("button", name="Dismiss").click()
    await expect(toasts(page)).to_have_text("")


async def test_who_has_mistyped_their_address_uses_another_one(people: People, tabs: Tabs) -> None:
    page = await tabs.open("/sign-up")
    await sign_up(page, people.address("mistyped"))
    await press(page, "Use another address")
    await expect(heading(page, "Create your account")).to_be_visible()
    await sign_up(page, people.address("newcomer"))
    await give_code(page, await people.letters.mailbox_code(people.address("newcomer")))

    await expect(page.get_by_text(f"Signed in as {people.address('newcomer')}.")).to_be_visible()


async def test_whether_an_address_has_an_account_its_mailbox_is_told_and_no_page(people: People, tabs: Tabs) -> None:
    known, unknown = await people.sign_up("known"), people.address("nobody")

    async def seen_by(address: str) -> list[str]:
        """What somebody sees who tries the address everywhere."""
        page, seen = await tabs.open("/sign-in"), []
        attempts: dict[str, Callable[[], Awaitable[None]]] = {
            "/sign-in": lambda: sign_in(page, address, "not the password"),
            "/forgot-password": lambda: ask_for_reset(page, address),
            "/sign-up": lambda: sign_up(page, address, "Somebody"),
        }
        for path, attempt in attempts.items():
            await page.goto(path)
            async with page.expect_navigation():
                await attempt()
            html = re.sub('name="csrf_token" value="[^"]*"', "", await page.locator("main").inner_html())
            seen.append(html.replace(address, "the address"))
        return seen

    answers = await seen_by(known.address)
    assert "Confirm your address" in answers[2]
    assert answers == await seen_by(unknown)
    await people.letters.reset_code(known.address)
    assert not [letter for letter in people.mailbox.letters(unknown) if "password" in letter["subject"].lower()]


# --- signing in and out


async def test_one_signs_in_and_out_and_going_back_shows_nothing(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("person")
    page = await signed_in(tabs, person)
    await page.get_by_text(person.name).first.click()
    await press(page, "Sign out")
    await expect(success(page)).to_contain_text("You are signed out.")
    await expect(heading(page, "Sign in")).to_be_visible()

    await page.go_back()
    await expect(heading(page, "Sign in")).to_be_visible()
    await expect(page.get_by_text(person.address)).to_have_count(0)


async def test_a_wrong_password_is_refused_without_a_word_on_which_of_both_is_wrong(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("person")
    page = await tabs.open("/sign-in")
    await sign_in(page, person.address, "not the password")
    await expect(page.get_by_role("alert")).to_contain_text("The address and the password do not belong together")
    await expect(field(page, "E-mail address")).to_have_value(person.address)
    await expect(field(page, "Password")).to_have_value("")

    await sign_in(page, person.address.upper())
    await expect(heading(page, "Hello, Person")).to_be_visible()


async def test_signing_in_brings_back_to_the_page_that_was_asked_for(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    page = await tabs.open(PAGE)
    await expect(heading(page, "Sign in")).to_be_visible()
    await sign_in(page, team.owner.address, "not the password")
    await expect(page.get_by_role("alert")).to_be_visible()
    await sign_in(page, team.owner.address)

    await expect(heading(page, "My Organization")).to_be_visible()
    await page.goto(f"/sign-in?next={PAGE}")  # who is signed in already need not do it again
    await expect(heading(page, "My Organization")).to_be_visible()


async def test_signing_up_brings_to_the_page_that_was_asked_for_too(people: People, tabs: Tabs) -> None:
    page = await tabs.open("/organization/new")
    await page.get_by_role("link", name="Sign up").click()
    await sign_up(page, people.address("founder"))
    await give_code(page, await people.letters.mailbox_code(people.address("founder")))

    await expect(heading(page, "Create an organization")).to_be_visible()


@pytest.mark.parametrize("where", ["//elsewhere.example/", "https://elsewhere.example/", "/\\elsewhere.example/"])
async def test_signing_in_leads_to_no_other_site(people: People, tabs: Tabs, where: str) -> None:
    person = await people.sign_up("person")
    page = await tabs.open(f"/sign-in?next={where}")
    await sign_in(page, person.address)

    await expect(heading(page, "Hello, Person")).to_be_visible()
    await expect(page).to_have_url(f"{tabs.address}/dashboard")


async def test_without_javascript_one_signs_in_ends_a_session_and_signs_out_as_well(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("person")
    page = await tabs.open("/account", java_script_enabled=False)
    await sign_in(page, person.address)
    await expect(heading(page, "Account")).to_be_visible()
    await press(page, "Sign out elsewhere")
    await expect(heading(page, "Sign out elsewhere?")).to_be_visible()
    await press(page, "Sign out elsewhere")
    await expect(success(page)).to_contain_text("1 other session is signed out.")

    await page.get_by_text(person.name).first.click()
    await press(page, "Sign out")
    await expect(success(page)).to_contain_text("You are signed out.")


# --- forgotten passwords


async def ask_for_reset(page: Page, address: str) -> None:
    await field(page, "E-mail address").fill(address)
    await press(page, "Send the link")


async def test_a_forgotten_password_is_replaced_by_the_link_which_looking_does_not_use_up(
    people: People, tabs: Tabs, platform: Platform
) -> None:
    person = await people.sign_up("forgetful")
    program = await people.browser(token=await person.browser.create_token("program", ["read"]))
    elsewhere = await tabs.open("/dashboard", person=person)
    page = await tabs.open("/sign-in")
    await page.get_by_role("link", name="Forgot your password?").click()
    await ask_for_reset(page, person.address)
    await expect(heading(page, "Look into your mailbox")).to_be_visible()
    code = await people.letters.reset_code(person.address)
    for _ in range(2):
        looking = await page.goto(f"/password-reset/{code}/")
        assert looking is not None
        assert looking.headers["referrer-policy"] == "no-referrer"
    await click_in_letter(page, people, person.address, RESET)
    await field(page, "New password").fill(NEW_PASSWORD)
    await press(page, "Set password")

    await expect(success(page)).to_contain_text("Your password is changed. Sign in with the new one.")
    await expect_signed_out(elsewhere)
    with pytest.raises(Refused):
        await program.me()
    await sign_in(page, person.address)
    await expect(page.get_by_role("alert")).to_contain_text("You could not be signed in")
    await sign_in(page, person.address, NEW_PASSWORD)
    await expect(heading(page, "Hello, Forgetful")).to_be_visible()
    assert code not in platform.service("console").log_path.read_text()


async def test_the_link_for_a_new_password_works_once_and_a_password_that_is_refused_does_not_use_it_up(
    people: People, tabs: Tabs
) -> None:
    person = await people.sign_up("forgetful")
    page = await tabs.open("/forgot-password")
    await ask_for_reset(page, person.address)
    path = f"/password-reset/{await people.letters.reset_code(person.address)}/"
    await page.goto(path)
    await field(page, "New password").fill("aaaaaaaaaaaa")
    await press(page, "Set password")
    await expect(field(page, "New password")).to_have_accessible_description(re.compile("first that anybody tries"))
    await field(page, "New password").fill(NEW_PASSWORD)
    await press(page, "Set password")
    await expect(heading(page, "Sign in")).to_be_visible()

    await page.goto(path)
    await expect(heading(page, "This link does not work any more")).to_be_visible()
    await page.get_by_role("link", name="Ask for a new link").click()
    await expect(heading(page, "Forgot your password?")).to_be_visible()


# --- the account page


async def test_a_new_name_shows_everywhere(people: People, tabs: Tabs) -> None:
    team = await a_team(people)
    member = await team.member()
    table = await tabs.open(PAGE, person=team.owner)
    await expect(row(table, member.address)).to_contain_text("Member")
    page = await tabs.open("/account", person=member)
    await field(page, "Your name").fill("  ")
    await press(page, "Save name")
    await expect(field(page, "Your name")).to_have_attribute("aria-invalid", "true")
    await field(page, "Your name").fill("Renamed Person")
    await press(page, "Save name")

    await expect(success(page)).to_contain_text("Your name is changed.")
    await expect(page.get_by_role("banner")).to_contain_text("Renamed Person")
    await expect(row(table, member.address)).to_contain_text("Renamed Person")  # without a reload
    await page.get_by_role("link", name="Dashboard").click()
    await expect(heading(page, "Hello, Renamed Person")).to_be_visible()


async def test_changing_the_password_asks_for_the_present_one_and_signs_out_everywhere_else(
    people: People, tabs: Tabs
) -> None:
    person = await people.sign_up("person")
    page, elsewhere = await tabs.open("/account", person=person), await signed_in(tabs, person)
    await field(page, "Present password").fill("not the password")
    await field(page, "New password").fill(NEW_PASSWORD)
    await press(page, "Change password")
    await expect(field(page, "Present password")).to_have_accessible_description("That is not your present password.")
    await expect(field(page, "Present password")).to_have_value("")
    await elsewhere.goto("/account")
    await expect(heading(elsewhere, "Account")).to_be_visible()

    await field(page, "Present password").fill(PASSWORD)
    await field(page, "New password").fill(NEW_PASSWORD)
    await press(page, "Change password")
    await expect(success(page)).to_contain_text("Your password is changed. You are signed out everywhere else.")
    await page.reload()
    await expect(heading(page, "Account")).to_be_visible()
    await expect_signed_out(elsewhere)
    await sign_in(elsewhere, person.address)
    await expect(elsewhere.get_by_role("alert")).to_contain_text("You could not be signed in")
    await sign_in(elsewhere, person.address, NEW_PASSWORD)
    await expect(heading(elsewhere, "Account")).to_be_visible()


async def test_signing_out_elsewhere_ends_every_session_but_this_one(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("person")
    others = [await signed_in(tabs, person), await signed_in(tabs, person)]
    page = await tabs.open("/account", person=person)
    await expect(session(page, "Chrome on Linux")).to_have_count(2)
    await press(page, "Sign out elsewhere")
    await others[0].goto("/account")
    await expect(heading(others[0], "Account")).to_be_visible()  # one click ends nothing
    await press(page, "Sign out elsewhere")
    await press(page, ARMED)

    await expect(success(page)).to_contain_text("2 other sessions are signed out.")
    await expect(session(page, "Chrome on Linux")).to_have_count(0)
    await expect(page.get_by_role("button", name="Sign out elsewhere")).to_have_count(0)
    for elsewhere in others:
        await expect_signed_out(elsewhere)
    await page.reload()
    await expect(heading(page, "Account")).to_be_visible()


async def test_one_session_among_several_is_ended_alone(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("person")
    page, ended = await signed_in(tabs, person), await tabs.open("/dashboard", person=person)
    await page.goto("/account")
    await expect(session(page, "This one").get_by_role("button")).to_have_count(0)
    end = page.get_by_role("listitem").get_by_role("button")  # of the other one, which is neither Chrome nor this one
    await expect(end).to_have_count(1)
    await end.press("Enter")
    await expect(end).to_have_text(ARMED)
    await end.press("Enter")

    await expect(success(page)).to_contain_text("The session is signed out.")
    await expect(session(page, "This one")).to_be_visible()
    await expect_signed_out(ended)


def session(page: Page, text: str) -> Locator:
    """The sessions of the account page whose row says this."""
    return page.get_by_role("listitem").filter(has_text=text)


async def test_a_token_is_shown_once_works_and_stops_working_when_it_is_revoked(people: People, tabs: Tabs) -> None:
    person = await people.sign_up("person")
    page = await tabs.open("/account", person=person)
    await expect(page.get_by_text("No tokens yet")).to_be_visible()
    await field(page, "What is it for?").fill("Nightly report")
    await field(page, "How long does it work?").select_option("7 days")
    await press(page, "Create token")
    await expect(heading(page, "Your new token")).to_be_visible()
    secret = (await page.get_by_role("textbox", name="The token").text_content() or "").strip()
    program = await people.browser(token=secret)
    assert (await program.me())["address"] == person.address
    with pytest.raises(Refused) as refused:
        await program.create_organization(f"Example Org {people.tag}")
    assert refused.value.reason == "insufficient_scope"

    await page.get_by_role("link", name="I have copied it").click()
    token = page.get_by_role("listitem").filter(has_text="Nightly report")
    await expect(token).to_contain_text("last used just now")
    assert secret not in await page.content()
    await token.get_by_role("button", name="Revoke Nightly report").click()
    assert (await program.me())["address"] == person.address, "one click revokes nothing"
    await token.get_by_role("button", name=ARMED).click()
    await expect(success(page)).to_contain_text("The token is revoked.")
    await expect(token).to_have_count(0)
    with pytest.raises(Refused) as refused:
        await program.me()
    assert refused.value.status == 401


async def test_a_token_without_a_name_or_a_scope_is_refused_and_the_choices_stay(people: People, tabs: Tabs) -> None:
    page = await tabs.open("/account", person=await people.sign_up("person"))
    await field(page, "What is it for?").fill("Nightly report")
    await page.get_by_role("checkbox", name="Read").uncheck()
    await field(page, "How long does it work?").select_option("1 year")
    await press(page, "Create token")

    await expect(page.get_by_role("alert")).to_contain_text("Please check the form")
    await expect(field(page, "What is it for?")).to_have_value("Nightly report")
    await expect(field(page, "How long does it work?")).to_have_value("365")
    await expect(page.get_by_role("checkbox", checked=True)).to_have_count(0)


# --- toasts


async def test_a_toast_survives_the_redirect_is_announced_once_and_dismissed_by_the_keyboard(
    people: People, tabs: Tabs
) -> None:
    page = await tabs.open("/account", person=await people.sign_up("person"))
    await field(page, "Your name").fill("Renamed Person")
    await field(page, "Your name").press("Enter")
    await expect(page).to_have_url(f"{tabs.address}/account")
    await expect(toasts(page)).to_contain_text("Your name is changed.")
    await expect(toasts(page)).to_have_attribute("aria-live", "polite")

    await page.keyboard.press("Tab")  # to the link past the menus
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(toasts(page).get_by_role("button", name="Dismiss")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(toasts(page)).to_have_text("")
    await page.reload()
    await expect(heading(page, "Account")).to_be_visible()
    await expect(toasts(page)).to_have_text("")
