"""My Organization, where a browser cannot bring it: limits, services that do not answer, and others' ids."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest
from console_world import ConsoleWorld, console_world
from page_browser import PageBrowser

from console.accounts.domain import Account
from contracts import InviteMember

PAGE = "/billing/organization"
ADMIN, INVITEE = "admin@example.com", "invitee@example.com"


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, invitations_per_network_per_hour=3) as (console,):
        yield console


@pytest.fixture
async def admin(console: ConsoleWorld) -> Account:
    """The owner of an organization."""
    admin = await console.person(ADMIN, "The Admin")
    await console.edge.commands.create_organization(admin, "Example Org")
    return admin


@pytest.fixture
async def browser(console: ConsoleWorld, admin: Account) -> AsyncIterator[PageBrowser]:
    """The admin's, on the page."""
    async with PageBrowser(console) as browser:
        await browser.sign_in(ADMIN)
        yield await browser.go(PAGE)


# --- inviting


async def test_too_many_invitations_from_one_network_are_refused_beside_the_field_and_stay(
    browser: PageBrowser,
) -> None:
    typed = "\n".join(f"invitee-{number}@example.com" for number in range(4))
    await browser.send(f"{PAGE}/invite", addresses=typed)

    assert browser.answer.status_code == 429
    assert int(browser.answer.headers["retry-after"]) > 0
    assert "That is too much for now. Try again in" in browser.page.text
    assert "invitee-0@example.com invitee-1@example.com" in browser.page.text


async def test_more_than_a_hundred_at_once_are_refused_and_none_is_sent(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await browser.send(f"{PAGE}/invite", addresses=",".join(f"invitee-{number}@example.com" for number in range(101)))

    assert browser.answer.status_code == 422
    assert "Invite up to 100 at a time." in browser.page.text
    assert console.sent_of(InviteMember) == []


async def test_what_is_not_decided_in_time_is_told_as_such(database_url: str) -> None:
    async with console_world(database_url, outcome_timeout=timedelta(milliseconds=50)) as (console,):
        admin = await console.person(ADMIN)
        await console.edge.commands.create_organization(admin, "Example Org")
        async with asyncio.timeout(10):
            while await console.edge.view.membership(admin.account_id) is None:
                await asyncio.sleep(0.01)
        console.player.silent = True
        async with PageBrowser(console) as browser:
            await browser.sign_in(ADMIN)
            await browser.go(PAGE)
            await browser.send(f"{PAGE}/invite", addresses=INVITEE)
            (toast,) = browser.page.toasts
            await browser.send(f"{PAGE}/invite", addresses=f"{INVITEE}, other@example.com")

    assert toast[0] == "info"
    assert f"The invitation to {INVITEE} is still being sent." in toast[1]
    assert "Still being decided; the table will show it." in browser.page.text
    assert browser.page.toasts == []


# --- others' ids


async def test_the_question_names_nobody_of_another_organization(console: ConsoleWorld, browser: PageBrowser) -> None:
    stranger = await console.person("stranger@example.com", "The Stranger")
    theirs = console.player.issued(uuid4(), INVITEE, stranger.account_id)
    await console.hear(theirs)
    await browser.send(f"{PAGE}/invite", addresses="some.body@example.com")
    await browser.send(f"{PAGE}/revoke", invitation_id=str(theirs.invitation_id))
    assert browser.page.heading == "Revoke the invitation of somebody?"

    headers = {"sec-fetch-site": "same-origin"}
    token = browser.page.forms[f"{PAGE}/revoke"]["csrf_token"]
    form = {"csrf_token": token, "account_id": str(stranger.account_id)}
    answer = await browser.http.post(f"{PAGE}/remove", data=form, headers=headers)
    assert "Remove Somebody?" in answer.text
    assert (await browser.http.post(f"{PAGE}/remove", data={"csrf_token": token}, headers=headers)).status_code == 400


# --- the table that open pages fetch


async def test_the_table_is_sent_again_only_when_it_has_changed(console: ConsoleWorld, browser: PageBrowser) -> None:
    first = await browser.http.get(f"{PAGE}/table")
    known = {"if-none-match": first.headers["etag"]}
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-store")
    assert (await browser.http.get(f"{PAGE}/table", headers=known)).status_code == 304

    await browser.send(f"{PAGE}/invite", addresses=INVITEE)
    changed = await browser.http.get(f"{PAGE}/table", headers=known)
    assert changed.status_code == 200
    assert INVITEE in changed.text

    known = {"if-none-match": changed.headers["etag"]}
    console.clock.advance(timedelta(hours=1))  # a day that is left may be over
    assert (await browser.http.get(f"{PAGE}/table", headers=known)).status_code == 200


async def test_a_new_name_is_news_of_the_table(console: ConsoleWorld, browser: PageBrowser) -> None:
    known = {"if-none-match": (await browser.http.get(f"{PAGE}/table")).headers["etag"]}
    async with PageBrowser(console) as admin:
        await admin.sign_in(ADMIN)
        await admin.go("/account")
        await admin.send("/account/name", name="Another Name")
    changed = await browser.http.get(f"{PAGE}/table", headers=known)

    assert changed.status_code == 200
    assert "Another Name" in changed.text


async def test_a_table_is_for_the_session_whose_forms_are_in_it(console: ConsoleWorld, browser: PageBrowser) -> None:
    first = await browser.http.get(f"{PAGE}/table")
    async with PageBrowser(console) as another:
        await another.sign_in(ADMIN)
        known = {"if-none-match": first.headers["etag"]}
        answer = await another.http.get(f"{PAGE}/table", headers=known)

    assert answer.status_code == 200


async def test_a_table_tells_who_may_not_see_it_that_the_page_is_to_be_left(console: ConsoleWorld) -> None:
    async with PageBrowser(console) as visitor:
        assert (await visitor.go(f"{PAGE}/table")).answer.status_code == 401
        assert (await visitor.go(f"{PAGE}/live")).answer.status_code == 401
    async with PageBrowser(console) as stranger:
        await console.person("stranger@example.com")
        await stranger.sign_in("stranger@example.com")
        assert (await stranger.go(f"{PAGE}/table")).answer.status_code == 404
        assert (await stranger.go(f"{PAGE}/live")).answer.status_code == 404


@pytest.mark.parametrize("form", ["invite", "revoke", "remove", "leave"])
async def test_the_address_that_a_form_was_sent_to_leads_back_to_the_page(browser: PageBrowser, form: str) -> None:
    await browser.go(f"{PAGE}/{form}")

    assert (browser.path, browser.page.heading) == (PAGE, "My Organization")


@pytest.mark.parametrize("cursor", ["after", "invited_after"])
async def test_a_place_in_the_table_that_is_none_is_not_found(browser: PageBrowser, cursor: str) -> None:
    assert (await browser.go(f"{PAGE}?{cursor}=nonsense")).answer.status_code == 404
    assert (await browser.go(f"{PAGE}/table?{cursor}=nonsense")).answer.status_code == 404
