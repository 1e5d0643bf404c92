"""The link of an invitation, as people and programs follow it. Each test is named as the sentence of the rule."""

import asyncio
import re
from collections.abc import Awaitable, Callable

import httpx
import pytest
from opened_letter import click_in_letter
from passing_time import a_week_passes
from people import PASSWORD, People, Person
from playwright.async_api import Browser, Page, Request, Route, expect
from tabs import Tabs
from team import ARMED, PAGE, Team, a_team, button, failure, row, success

from stack.platform import Platform

pytestmark = [
    pytest.mark.browser,
    pytest.mark.platform,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(120),
]

# What a browser says of a page that somebody has gone to. Programs can say it, too.
_CLICK = {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "sec-fetch-user": "?1", "sec-fetch-site": "none"}


def path_of(code: str) -> str:
    return f"/org-invite/{code}/"


async def is_member(team: Team, person: Person) -> bool:
    members = await team.owner.browser.members(team.organization_id)
    return person.address in [member["address"] for member in members]


async def sign_up(page: Page, name: str) -> None:
    """Fills the form in, but for the address."""
    await page.get_by_label("Your name").fill(name)
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()


async def prove(page: Page, people: People, address: str) -> None:
    """Types the code of the letter, as it is written there."""
    await expect(page.get_by_role("heading", name="Confirm your address")).to_be_visible()
    code = await people.letters.mailbox_code(address)
    await page.get_by_label("Six-digit code").fill(f"{code[:3]} {code[3:]}")
    await page.get_by_role("button", name="Confirm address").click()


async def sign_in(page: Page) -> None:
    """With the address that is in the form already."""
    await page.get_by_label("Password", exact=True).fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()


async def expect_pending(tabs: Tabs, team: Team, address: str) -> None:
    """Whatever happened: for the owner, the invitation is as it was."""
    page = await tabs.open(PAGE, person=team.owner)
    await expect(row(page, address)).to_contain_text("Pending · 7d")


async def sent_on(page: Page, path: str) -> None:
    """Goes to a page that sends on to `path` by itself: that, no person has clicked."""

    async def send_on(route: Route) -> None:
        body = f'<!doctype html><meta http-equiv="refresh" content="0; url={path}">'
        await route.fulfill(content_type="text/html", body=body)

    await page.route("**/sends-on", send_on)
    await page.goto("/sends-on")
    await page.wait_for_url(f"**{path}")


# --- signed out


async def test_who_is_signed_out_signs_up_by_the_link_and_has_joined_with_the_proof_of_the_mailbox(
    people: People, tabs: Tabs
) -> None:
    team, address = await a_team(people), people.address("invitee")
    code = await team.link_to(address)
    page = await tabs.open("about:blank")
    await click_in_letter(page, people, address)
    await expect(page.get_by_text(f"Owner invites you to join {team.name}")).to_be_visible()
    await expect(page.get_by_text(f"For {address}")).to_be_visible()
    await expect(page.get_by_label("E-mail address")).to_have_value(address)

    await sign_up(page, "The Invitee")
    await expect(page).to_have_url(re.compile("/confirm-address$"))
    assert len(await team.owner.browser.members(team.organization_id)) == 1, "an unproven mailbox joins nothing"
    await prove(page, people, address)
    await expect(success(page)).to_have_count(1)
    await expect(success(page)).to_contain_text(f"You joined {team.name}.")
    await expect(page.get_by_role("heading", name="Hello, The Invitee")).to_be_visible()
    await expect(page.get_by_role("heading", name=team.name)).to_be_visible()
    assert code not in page.url


async def test_without_javascript_one_signs_up_by_the_link_and_joins_as_well(people: People, tabs: Tabs) -> None:
    team, address = await a_team(people), people.address("invitee")
    code = await team.link_to(address)
    page = await tabs.open(path_of(code), java_script_enabled=False)
    await sign_up(page, "The Invitee")
    await prove(page, people, address)

    await expect(success(page)).to_contain_text(f"You joined {team.name}.")


async def test_who_has_an_account_signs_in_instead_comes_back_and_joins(people: People, tabs: Tabs) -> None:
    team, invitee = await a_team(people), await people.sign_up("invitee")
    code = await team.link_to(invitee.address)
    page = await tabs.open("about:blank")
    await click_in_letter(page, people, invitee.address)
    await page.get_by_role("link", name="Sign in instead").click()
    await expect(page.get_by_text(f"Owner invites you to join {team.name}")).to_be_visible()
    await expect(page.get_by_label("E-mail address")).to_have_value(invitee.address)

    await page.get_by_label("Password", exact=True).fill("not the password")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_role("alert")).to_contain_text("You could not be signed in")
    await expect(page.get_by_text(f"Owner invites you to join {team.name}")).to_be_visible()
    await sign_in(page)
    await expect(success(page)).to_contain_text(f"You joined {team.name}.")
    await expect(page).to_have_url(re.compile("/dashboard$"))
    assert code not in page.url


async def test_who_signs_up_by_a_link_with_another_address_is_told_so_before_it_is_in_vain(
    people: People, tabs: Tabs
) -> None:
    team, address = await a_team(people), people.address("invitee")
    page = await tabs.open(path_of(await team.link_to(address)))
    await page.get_by_label("E-mail address").fill(people.address("private"))
    await sign_up(page, "The Invitee")

    await expect(page.get_by_label("E-mail address")).to_have_accessible_description(
        re.compile(f"The invitation is for {re.escape(address)}")
    )
    await expect(page.get_by_text(f"Owner invites you to join {team.name}")).to_be_visible()


async def test_an_invitation_that_is_revoked_during_the_sign_up_joins_nobody_and_the_first_page_says_so(
    people: People, tabs: Tabs
) -> None:
    team, address = await a_team(people), people.address("invitee")
    ((invitation_id, code),) = await people.invited(team.owner, team.organization_id, [address])
    page = await tabs.open(path_of(code))
    await sign_up(page, "The Invitee")
    await expect(page.get_by_label("Six-digit code")).to_be_visible()
    await team.revoke(invitation_id)
    await prove(page, people, address)

    await expect(failure(page)).to_contain_text("revoked")
    await expect(page.get_by_text("You are in no organization")).to_be_visible()


async def test_who_has_still_to_prove_their_mailbox_does_so_at_the_link_and_joins(people: People, tabs: Tabs) -> None:
    team, address = await a_team(people), people.address("invitee")
    page = await tabs.open("/sign-up")  # before anybody has invited them
    await page.get_by_label("E-mail address").fill(address)
    await sign_up(page, "The Invitee")
    await expect(page.get_by_role("heading", name="Confirm your address")).to_be_visible()
    await team.link_to(address)
    await click_in_letter(page, people, address)
    await prove(page, people, address)

    await expect(success(page).filter(has_text="You joined")).to_contain_text(f"You joined {team.name}.")


# --- signed in


async def test_who_is_signed_in_with_that_address_joins_with_the_click(people: People, tabs: Tabs) -> None:
    team, invitee = await a_team(people), await people.sign_up("invitee")
    await team.link_to(invitee.address)
    page = await tabs.open("/dashboard", person=invitee)
    await expect(page.get_by_text("You are in no organization")).to_be_visible()
    await click_in_letter(page, people, invitee.address)

    await expect(success(page)).to_contain_text(f"You joined {team.name}.")
    await expect(page).to_have_url(re.compile("/dashboard$"))
    await expect(page.get_by_role("heading", name=team.name)).to_be_visible()
    assert await is_member(team, invitee)


async def test_what_no_person_has_clicked_asks_first_with_one_button(people: People, tabs: Tabs) -> None:
    team, invitee = await a_team(people), await people.sign_up("invitee")
    code = await team.link_to(invitee.address)
    page = await tabs.open("/dashboard", person=invitee)
    await sent_on(page, path_of(code))
    await expect(page.get_by_role("heading", name=f"Join {team.name}?")).to_be_visible()
    await expect(page.get_by_text(f"You are signed in as {invitee.address}")).to_be_visible()
    await expect(page.get_by_role("main").get_by_role("button")).to_have_text([f"Join {team.name}"])
    assert not await is_member(team, invitee)

    await page.get_by_role("button", name=f"Join {team.name}").click()
    await expect(success(page)).to_contain_text(f"You joined {team.name}.")
    assert await is_member(team, invitee)


async def test_a_member_who_follows_the_link_again_succeeds_again(people: People, tabs: Tabs) -> None:
    team, invitee = await a_team(people), await people.sign_up("invitee")
    code = await team.link_to(invitee.address)
    page, second = await tabs.open("/dashboard", person=invitee), await tabs.open("/dashboard", person=invitee)
    await click_in_letter(page, people, invitee.address)
    await expect(success(page)).to_contain_text(f"You joined {team.name}.")

    await click_in_letter(second, people, invitee.address)
    await expect(success(second)).to_contain_text(f"You are a member of {team.name}.")
    await page.get_by_role("link", name="My Organization").click()
    await page.goto(path_of(code))
    await expect(success(page)).to_contain_text(f"You are a member of {team.name}.")
    assert len(await team.owner.browser.members(team.organization_id)) == 2


async def test_a_member_of_another_organization_is_told_which_and_what_to_do_and_is_not_moved(
    people: People, tabs: Tabs
) -> None:
    team, elsewhere = await a_team(people), await people.sign_up("elsewhere")
    other = Team(people, await people.organization(elsewhere, "Other Org"), elsewhere)
    mover = await other.member("mover")
    await team.link_to(mover.address)
    page = await tabs.open("about:blank", person=mover)
    await click_in_letter(page, people, mover.address)  # the newest of the two
    await expect(page.get_by_role("alert")).to_contain_text(f"You did not join {team.name}")
    await expect(page.get_by_role("alert")).to_contain_text(f"You are a member of Other Org {people.tag}")
    await expect(page.get_by_text(f"leave Other Org {people.tag} first")).to_be_visible()
    await expect_pending(tabs, team, mover.address)
    assert await is_member(other, mover)
    assert not await is_member(team, mover)

    await page.get_by_role("link", name="Go to My Organization").click()
    await button(row(page, mover.address), "Leave").click()
    await button(row(page, mover.address), ARMED).click()
    await expect(success(page)).to_contain_text(f"You left Other Org {people.tag}.")
    await click_in_letter(page, people, mover.address)
    await expect(success(page)).to_contain_text(f"You joined {team.name}.")


async def test_the_owner_of_another_organization_who_cannot_leave_is_told_to_use_another_address(
    people: People, tabs: Tabs
) -> None:
    team, elsewhere = await a_team(people), await people.sign_up("elsewhere")
    await people.organization(elsewhere, "Other Org")
    code = await team.link_to(elsewhere.address)
    page = await tabs.open(path_of(code), person=elsewhere)

    await expect(page.get_by_role("alert")).to_contain_text(f"You are the owner of Other Org {people.tag}")
    await expect(page.get_by_text("ask Owner to invite another address of yours")).to_be_visible()
    await expect_pending(tabs, team, elsewhere.address)


async def test_who_is_signed_in_with_another_address_sees_both_and_can_sign_out_and_continue(
    people: People, tabs: Tabs
) -> None:
    team = await a_team(people)
    invitee, other = await people.sign_up("invitee"), await people.sign_up("other")
    code = await team.link_to(invitee.address)
    page = await tabs.open("about:blank", person=other)
    await click_in_letter(page, people, invitee.address)  # which was forwarded to them
    await expect(page.get_by_role("heading", name="This invitation is for another address")).to_be_visible()
    await expect(page.get_by_role("definition")).to_have_text([invitee.address, other.address])
    await expect_pending(tabs, team, invitee.address)
    assert not await is_member(team, other)

    await page.get_by_role("button", name="Sign out and continue").click()
    await expect(page.get_by_text(f"Owner invites you to join {team.name}")).to_be_visible()
    assert page.url == f"{tabs.address}{path_of(code)}"
    await page.get_by_role("link", name="Sign in instead").click()
    await sign_in(page)
    await expect(success(page).filter(has_text="joined")).to_contain_text(f"You joined {team.name}.")
    assert await is_member(team, invitee)
    assert not await is_member(team, other)


# --- links that work no more


async def superseded(team: Team, address: str, _: Platform) -> str:
    code = await team.link_to(address)
    await team.owner.browser.invite(team.organization_id, address)
    return code


async def revoked(team: Team, address: str, _: Platform) -> str:
    ((invitation_id, code),) = await team.people.invited(team.owner, team.organization_id, [address])
    await team.revoke(invitation_id)
    return code


async def declined(team: Team, address: str, _: Platform) -> str:
    code = await team.link_to(address)
    await (await team.people.browser()).decline(code)
    return code


async def expired(team: Team, address: str, platform: Platform) -> str:
    code = await team.link_to(address)
    await a_week_passes(platform, team.organization_id, address)
    return code


async def unknown(_: Team, __: str, ___: Platform) -> str:
    return "x" * 43


End = Callable[[Team, str, Platform], Awaitable[str]]
_DAY = r"\d{1,2} [A-Z][a-z]{2} \d{4}"


@pytest.mark.parametrize(
    ("end", "heading", "what_happened", "what_to_do"),
    [
        (superseded, "A newer invitation was sent", f"was sent on {_DAY}", "Use the link in the latest letter"),
        (revoked, "This invitation was revoked", f"taken it back on {_DAY}", "ask Owner, or another admin, for a new"),
        (declined, "This invitation was declined", "Nobody joins", "ask Owner, or another admin, for a new one"),
        (expired, "This invitation has expired", f"It worked until {_DAY}", "Ask Owner, or another admin, to invite"),
        (unknown, "There is no such invitation", "may not be complete", "Copy the whole link from the letter"),
    ],
    ids=["superseded", "revoked", "declined", "expired", "unknown"],
)
async def test_a_link_that_works_no_more_says_what_happened_and_what_to_do_and_to_everybody_the_same(
    people: People, tabs: Tabs, platform: Platform, end: End, heading: str, what_happened: str, what_to_do: str
) -> None:
    team, invitee = await a_team(people), await people.sign_up("invitee")
    code = await end(team, invitee.address, platform)
    for reader in (invitee, team.owner, None):
        page = await tabs.open(path_of(code), person=reader)
        await expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        await expect(page.get_by_role("main")).to_contain_text(re.compile(what_happened.replace(" ", r"\s+")))
        await expect(page.get_by_role("main")).to_contain_text(what_to_do)
        await expect(page.get_by_role("main")).not_to_contain_text(invitee.address)
    assert not await is_member(team, invitee)


async def test_a_link_that_was_used_says_so_to_everybody_but_who_has_joined_by_it(people: People, tabs: Tabs) -> None:
    team, invitee = await a_team(people), await people.sign_up("invitee")
    other, code = await people.sign_up("other"), await team.link_to(invitee.address)
    await invitee.browser.accept(code)
    for reader in (other, None):
        page = await tabs.open(path_of(code), person=reader)
        await expect(page.get_by_role("heading", name="This invitation has been used")).to_be_visible()
        await expect(page.get_by_text("ask Owner, or another admin, for a new one")).to_be_visible()
        await expect(page.get_by_role("main")).not_to_contain_text(invitee.address)
    page = await tabs.open(path_of(code))
    await page.get_by_role("link", name="Sign in").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


async def test_what_strangers_see_is_the_same_whether_or_not_the_address_has_an_account(
    people: People, tabs: Tabs
) -> None:
    team, known, unknown = await a_team(people), await people.sign_up("known"), people.address("nobody")
    addresses = [known.address, unknown]
    invited = await people.invited(team.owner, team.organization_id, addresses)
    page = await tabs.open("about:blank")

    async def what_is_seen() -> list[str]:
        seen = []
        for address, (_, code) in zip(addresses, invited, strict=True):
            await page.goto(path_of(code))
            html = await page.locator("main").inner_html()
            html = re.sub('name="csrf_token" value="[^"]*"|<time [^>]*>', "", html)
            seen.append(html.replace(address, "the address").replace(code, "the code"))
        return seen

    living = await what_is_seen()
    assert "Create your account" in living[0]
    assert living[0] == living[1]
    await asyncio.gather(*(team.revoke(invitation_id) for invitation_id, _ in invited))
    dead = await what_is_seen()
    assert "was revoked" in dead[0]
    assert dead[0] == dead[1]


async def test_saying_no_needs_no_account_and_the_link_is_dead_afterwards(people: People, tabs: Tabs) -> None:
    team, address = await a_team(people), people.address("invitee")
    code = await team.link_to(address)
    table = await tabs.open(PAGE, person=team.owner)
    await expect(row(table, address)).to_contain_text("Pending · 7d")
    page = await tabs.open("about:blank")
    await click_in_letter(page, people, address)
    await page.get_by_role("link", name="No, thanks").click()
    await expect(page.get_by_role("heading", name="Decline the invitation?")).to_be_visible()
    await page.get_by_role("link", name="Keep it").click()
    await expect(page.get_by_text(f"Owner invites you to join {team.name}")).to_be_visible()

    await page.get_by_role("link", name="No, thanks").click()
    await page.get_by_role("button", name="Decline the invitation").click()
    await expect(page.get_by_role("heading", name="This invitation was declined")).to_be_visible()
    await expect(row(table, address)).to_have_count(0)
    await page.goto(path_of(code))
    await expect(page.get_by_role("heading", name="This invitation was declined")).to_be_visible()


# --- programs that follow links


async def test_head_and_what_is_fetched_in_advance_join_nobody(people: People, tabs: Tabs) -> None:
    team, invitee = await a_team(people), await people.sign_up("invitee")
    path = path_of(await team.link_to(invitee.address))
    async with httpx.AsyncClient(
        base_url=tabs.address, cookies=invitee.browser.cookies, headers=_CLICK, trust_env=False
    ) as program:
        head = await program.head(path)
        assert (head.status_code, head.content) == (200, b"")
        for purpose in ("prefetch", "prefetch;prerender", "prefetch;anonymous-client-ip"):
            answer = await program.get(path, headers={"sec-purpose": purpose})
            assert answer.status_code == 200
            assert f"Join {team.name}?" in answer.text
        scanner = await program.get(path, headers={"sec-fetch-user": ""})
        assert f"Join {team.name}?" in scanner.text
        assert not await is_member(team, invitee)
        await expect_pending(tabs, team, invitee.address)

        assert (await program.get(path)).headers["location"] == "/dashboard"  # with the very same session, a person
        assert await is_member(team, invitee)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_what_a_page_loads_or_sends_joins_nobody_be_it_of_our_own_origin_or_of_another_site(
    people: People, tabs: Tabs, browser: Browser, host: str
) -> None:
    team, invitee = await a_team(people), await people.sign_up("invitee")
    link = f"{tabs.address}{path_of(await team.link_to(invitee.address))}"
    # Not one of `tabs`: what is refused to such a page, the browser complains of.
    context = await browser.new_context()
    await tabs.sign_in(context, invitee)
    asked: list[str] = []

    def note(request: Request) -> None:
        if request.url == link:
            asked.append(f"{request.method} {request.resource_type}")

    async def answer(route: Route) -> None:
        await route.fulfill(
            content_type="text/html",
            body=f'<!doctype html><img src="{link}" alt=""><iframe src="{link}"></iframe>'
            f'<link rel="prefetch" href="{link}"><form method="post" action="{link}"><button>Send</button></form>',
        )

    try:
        page = await context.new_page()
        page.on("request", note)
        page_of_theirs = tabs.address.replace("127.0.0.1", host) + "/a-page-of-theirs"
        await page.route(page_of_theirs, answer)
        await page.goto(page_of_theirs)
        await page.evaluate("link => fetch(link, { mode: 'no-cors', credentials: 'include' }).catch(() => {})", link)
        async with page.expect_navigation():
            await page.get_by_role("button", name="Send").click()
        await expect(page.get_by_role("heading", name=re.compile("form|page", re.IGNORECASE))).to_be_visible()
    finally:
        await context.close()

    assert {"GET image", "GET fetch", "GET document", "POST document"} <= set(asked)
    assert not await is_member(team, invitee)
    await expect_pending(tabs, team, invitee.address)


async def test_the_code_is_told_to_no_other_page_and_is_in_no_log(
    people: People, tabs: Tabs, platform: Platform
) -> None:
    team, address = await a_team(people), people.address("invitee")
    code = await team.link_to(address)
    page = await tabs.open("about:blank")
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    response = await page.goto(path_of(code))
    assert response is not None
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"

    await page.get_by_role("link", name="No, thanks").click()
    await page.get_by_role("link", name="Keep it").click()
    await page.get_by_role("link", name="Sign in instead").click()
    await page.get_by_role("link", name="Latchkey").click()
    await page.goto(path_of(code))
    await sign_up(page, "The Invitee")
    await prove(page, people, address)
    await expect(success(page)).to_contain_text(f"You joined {team.name}.")
    referrers = [(await request.all_headers()).get("referer", "") for request in requests]
    assert len(referrers) > 8
    assert not [referrer for referrer in referrers if code in referrer]

    log = platform.service("console").log_path.read_text()
    assert "/org-invite/{code}/" in log
    assert code not in log
    assert address not in log
