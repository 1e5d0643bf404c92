"""Signing up, in and out, forgotten passwords and the account page, as a browser without JavaScript sees them."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TypeVar

import pytest
from console_world import PASSWORD, ConsoleWorld, console_world
from page_browser import PageBrowser

from console.accounts.domain import Account, Scope
from contracts import MailboxProofRequested, Message, PasswordResetRequested, SignUpRepeated, reset_code

M = TypeVar("M", bound=Message)

ANOTHER_PASSWORD = "another long passphrase"
ADDRESS = "person@example.com"


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


@pytest.fixture
async def browser(console: ConsoleWorld) -> AsyncIterator[PageBrowser]:
    async with PageBrowser(console) as browser:
        yield browser


async def account_of(console: ConsoleWorld, browser: PageBrowser) -> Account:
    """Whose session the browser has."""
    session = await console.edge.accounts.session(browser.http.cookies["session"])
    assert session is not None
    return session.account


async def code_for(console: ConsoleWorld, browser: PageBrowser) -> str:
    return await console.code_of(await account_of(console, browser))


async def sent(console: ConsoleWorld, kind: type[M], at_least: int = 1) -> list[M]:
    """The messages of this type that console has sent, as soon as there are so many."""
    async with asyncio.timeout(10):
        while len(console.sent_of(kind)) < at_least:
            await asyncio.sleep(0.01)
    return console.sent_of(kind)


def wrong(code: str) -> str:
    return f"{(int(code) + 1) % 1_000_000:06d}"


# --- signing up


async def test_one_signs_up_proves_the_mailbox_and_goes_where_one_was_going(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await browser.go("/account")
    assert browser.page.heading == "Sign in"
    await browser.click("Sign up")
    await browser.send("/sign-up", address=ADDRESS, name="A Person", password=PASSWORD)
    assert browser.page.heading == "Confirm your address"
    await browser.go("/account")
    assert browser.page.heading == "Confirm your address"

    await browser.go("/confirm-address?next=/account")
    code = await code_for(console, browser)
    before = browser.http.cookies["session"]
    await browser.send("/confirm-address", code=f" {code[:3]}-{code[3:]}")
    assert (browser.path, browser.page.heading) == ("/account", "Account")
    assert browser.page.toasts == [("success", "Your address is confirmed. Welcome!")]
    assert browser.http.cookies["session"] != before


async def test_what_was_typed_stays_but_never_the_password(console: ConsoleWorld, browser: PageBrowser) -> None:
    await browser.go("/sign-up")
    await browser.send("/sign-up", address="not an address", name="A Person", password=PASSWORD)
    assert browser.answer.status_code == 422
    form = browser.page.forms["/sign-up"]
    assert (form["address"], form["name"], form["password"]) == ("not an address", "A Person", "")
    assert PASSWORD not in browser.answer.text
    assert browser.page.described == {"address": "error-address"}
    assert browser.page.links["That is not a valid e-mail address. Check it for typing errors and try again."] == (
        "#field-address"
    )

    await browser.send("/sign-up", address=ADDRESS, password="short")
    assert browser.page.described == {"password": "hint-password error-password"}


async def test_whether_an_address_has_an_account_is_told_by_no_page(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person("known@example.com")
    pages = []
    for address in ("known@example.com", "unknown@example.com"):
        async with PageBrowser(console) as stranger:
            seen = []
            await stranger.go("/sign-up")
            await stranger.send("/sign-up", address=address, name="A Person", password=ANOTHER_PASSWORD)
            seen.append((stranger.path, stranger.answer.status_code, stranger.answer.text))
            await stranger.send("/confirm-address", code="000000")
            seen.append((stranger.path, stranger.answer.status_code, stranger.answer.text))
            await stranger.go("/sign-in")
            await stranger.send("/sign-in", address=address, password="not the right one")
            seen.append((stranger.path, stranger.answer.status_code, stranger.answer.text))
            await stranger.go("/forgot-password")
            await stranger.send("/forgot-password", address=address)
            seen.append((stranger.path, stranger.answer.status_code, stranger.answer.text))
        token = re.compile(r'name="csrf_token" value="[^"]+"')
        pages.append([(path, status, token.sub("", text.replace(address, ""))) for path, status, text in seen])
    assert pages[0] == pages[1]
    assert len(await sent(console, SignUpRepeated)) == 1
    assert len(await sent(console, PasswordResetRequested)) == 1


async def test_a_wrong_code_says_how_often_one_may_try(console: ConsoleWorld, browser: PageBrowser) -> None:
    await browser.go("/sign-up")
    await browser.send("/sign-up", address=ADDRESS, name="A Person", password=PASSWORD)
    code = await code_for(console, browser)
    said = []
    for _ in range(5):
        await browser.send("/confirm-address", code=wrong(code))
        assert (browser.answer.status_code, browser.page.described) == (422, {"code": "hint-code error-code"})
        said.append(re.search(r"You can try [^.]+\.|Ask for another one\.", browser.page.text))
    assert [each and each[0] for each in said] == [
        "You can try 4 more times.",
        "You can try 3 more times.",
        "You can try 2 more times.",
        "You can try once more.",
        "Ask for another one.",
    ]
    await browser.send("/confirm-address", code=code)
    assert browser.answer.status_code == 422

    await browser.send("/confirm-address/again")
    assert browser.page.toasts == [("info", "Another code is on its way.")]
    assert len(await sent(console, MailboxProofRequested, 2)) == 2
    await browser.send("/confirm-address", code=await code_for(console, browser))
    assert browser.path == "/dashboard"


@pytest.mark.parametrize("between", ["", " ", "-", " - ", "\u00a0", "\u2013", "\u2011", "."])
async def test_a_code_is_taken_however_it_was_copied(console: ConsoleWorld, browser: PageBrowser, between: str) -> None:
    await browser.go("/sign-up")
    await browser.send("/sign-up", address=ADDRESS, name="A Person", password=PASSWORD)
    code = await code_for(console, browser)
    await browser.send("/confirm-address", code=f" {code[:3]}{between}{code[3:]}\n")
    assert browser.path == "/dashboard"


async def test_who_mistyped_their_address_uses_another_one(console: ConsoleWorld, browser: PageBrowser) -> None:
    await browser.go("/sign-up")
    await browser.send("/sign-up", address="mistyped@example.com", name="A Person", password=PASSWORD)
    await browser.send("/confirm-address/leave")
    assert (browser.path, browser.page.heading) == ("/sign-up", "Create your account")
    await browser.go("/confirm-address")
    assert browser.page.heading == "Sign in"


async def test_too_many_letters_are_refused_with_the_time_to_wait(database_url: str) -> None:
    async with console_world(database_url, codes_per_address_per_hour=2) as (console,), PageBrowser(console) as browser:
        await browser.go("/sign-up")
        await browser.send("/sign-up", address=ADDRESS, name="A Person", password=PASSWORD)
        await browser.send("/confirm-address/again")
        await browser.send("/confirm-address/again")
        assert (browser.answer.status_code, browser.answer.headers["retry-after"]) == (429, "1800")
        assert "Please try again in 30 minutes." in browser.page.text
        assert browser.page.heading == "Confirm your address"

        await browser.go("/sign-up")
        await browser.send("/sign-up", address=ADDRESS, name="A Person", password=PASSWORD)
        assert browser.answer.status_code == 429
        assert browser.page.forms["/sign-up"]["name"] == "A Person"


# --- signing in and out


async def test_one_signs_in_and_out(console: ConsoleWorld, browser: PageBrowser) -> None:
    await console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    assert browser.path == "/dashboard"
    await browser.send("/sign-out")
    assert (browser.path, browser.page.toasts) == ("/sign-in", [("success", "You are signed out.")])
    await browser.go("/account")
    assert browser.page.heading == "Sign in"


async def test_who_has_to_sign_in_first_comes_to_the_page_that_was_asked_for(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(ADDRESS)
    await browser.go("/billing/organization?add=1&after=a%2Bb")
    await browser.send("/sign-in", address=ADDRESS, password=PASSWORD)

    assert browser.answer.url.raw_path == b"/billing/organization?add=1&after=a%2Bb"


async def test_a_wrong_password_keeps_the_address(console: ConsoleWorld, browser: PageBrowser) -> None:
    await console.person(ADDRESS)
    await browser.go("/sign-in?next=/account")
    await browser.send("/sign-in", address=ADDRESS, password=ANOTHER_PASSWORD)
    assert browser.answer.status_code == 422
    assert browser.page.forms["/sign-in"]["address"] == ADDRESS
    assert ANOTHER_PASSWORD not in browser.answer.text
    await browser.send("/sign-in", password=PASSWORD)
    assert browser.path == "/account"


@pytest.mark.parametrize("where", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example", "x"])
async def test_signing_in_leads_to_no_other_site(console: ConsoleWorld, browser: PageBrowser, where: str) -> None:
    await console.person(ADDRESS)
    await browser.go("/sign-in")
    await browser.send("/sign-in", address=ADDRESS, password=PASSWORD, next=where)
    assert (str(browser.answer.url.host), browser.path) == ("console.example", "/dashboard")


async def test_who_has_not_proven_their_mailbox_is_asked_to_at_sign_in(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    async with PageBrowser(console) as first:
        await first.go("/sign-up")
        await first.send("/sign-up", address=ADDRESS, name="A Person", password=PASSWORD)
    await browser.go("/sign-in?next=/account")
    await browser.send("/sign-in", address=ADDRESS, password=PASSWORD)
    assert browser.page.heading == "Confirm your address"
    await browser.send("/confirm-address", code=await code_for(console, browser))
    assert browser.path == "/account"


async def test_too_many_wrong_passwords_are_refused_with_the_time_to_wait(database_url: str) -> None:
    limited = console_world(database_url, sign_ins_per_address_per_hour=1)
    async with limited as (console,), PageBrowser(console) as browser:
        await browser.go("/sign-in")
        await browser.send("/sign-in", address=ADDRESS, password=PASSWORD)
        await browser.send("/sign-in", address=ADDRESS, password=PASSWORD)
        assert (browser.answer.status_code, browser.answer.headers["retry-after"]) == (429, "3600")
        assert browser.page.forms["/sign-in"]["address"] == ADDRESS


async def test_who_is_signed_in_need_not_sign_in_or_up(console: ConsoleWorld, browser: PageBrowser) -> None:
    await console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    for path in ("/sign-in?next=/account", "/sign-up?next=/account", "/confirm-address?next=/account"):
        await browser.go(path)
        assert browser.path == "/account"


# --- forgotten passwords


async def reset_path(console: ConsoleWorld) -> str:
    """The link in the newest letter."""
    requested = (await sent(console, PasswordResetRequested))[-1]
    return f"/password-reset/{reset_code(console.settings.accounts_key_bytes, requested.challenge_id)}/"


async def test_a_forgotten_password_is_replaced_by_the_link_which_looking_does_not_use_up(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(ADDRESS)
    await browser.go("/forgot-password")
    await browser.send("/forgot-password", address=ADDRESS)
    assert browser.page.heading == "Look into your mailbox"
    path = await reset_path(console)
    for method in ("HEAD", "GET", "GET"):
        await browser.go(path, method=method, headers={})
        assert browser.answer.status_code == 200
        assert browser.answer.headers["referrer-policy"] == "no-referrer"

    await browser.send(path, password="short")
    assert (browser.answer.status_code, browser.page.described) == (422, {"password": "hint-password error-password"})
    await browser.send(path, password=ANOTHER_PASSWORD)
    assert (browser.path, browser.page.toasts) == (
        "/sign-in",
        [("success", "Your password is changed. Sign in with the new one.")],
    )
    await browser.send("/sign-in", address=ADDRESS, password=ANOTHER_PASSWORD)
    assert browser.path == "/dashboard"


async def test_a_link_that_was_used_leads_to_a_new_one(console: ConsoleWorld, browser: PageBrowser) -> None:
    await console.person(ADDRESS)
    await browser.go("/forgot-password")
    await browser.send("/forgot-password", address=ADDRESS)
    path = await reset_path(console)
    await browser.go(path)
    async with PageBrowser(console) as other:
        await other.go(path)
        await other.send(path, password=ANOTHER_PASSWORD)
    await browser.send(path, password=PASSWORD)
    assert (browser.answer.status_code, browser.page.heading) == (410, "This link does not work any more")
    await browser.go(path)
    assert browser.answer.status_code == 410
    await browser.click("Ask for a new link")
    assert browser.page.heading == "Forgot your password?"


# --- the account page


async def test_one_changes_ones_name(console: ConsoleWorld, browser: PageBrowser) -> None:
    await console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    await browser.go("/account")
    await browser.send("/account/name", name="Another Name")
    assert browser.page.toasts == [("success", "Your name is changed.")]
    assert browser.page.forms["/account/name"]["name"] == "Another Name"
    await browser.send("/account/name", name=" ")
    assert (browser.answer.status_code, browser.page.described) == (422, {"name": "error-name"})


async def test_one_changes_ones_password_and_is_signed_out_elsewhere(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    async with PageBrowser(console) as other:
        await other.sign_in(ADDRESS)
        await browser.go("/account")
        await browser.send("/account/password", old="not the right one", new=ANOTHER_PASSWORD)
        assert (browser.answer.status_code, browser.page.described) == (422, {"old": "error-old"})
        await browser.send("/account/password", old=PASSWORD, new="short")
        assert browser.page.described == {"new": "hint-new error-new"}

        await browser.send("/account/password", old=PASSWORD, new=ANOTHER_PASSWORD)
        assert browser.page.toasts == [
            ("success", "Your password is changed. You are signed out everywhere else."),
        ]
        await other.go("/account")
        assert other.page.heading == "Sign in"


async def test_one_sees_ones_sessions_and_ends_them_after_a_second_thought(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(ADDRESS)
    async with PageBrowser(console) as first, PageBrowser(console) as second:
        for each in (first, second, browser):
            await each.sign_in(ADDRESS)
        await browser.go("/account")
        assert browser.page.text.count("Firefox on Linux") >= 3
        assert browser.page.text.count("This one") == 1

        await browser.send("/account/sessions/end")
        assert browser.page.heading == "Sign out this session?"
        await browser.send("/account/sessions/end")
        assert browser.page.toasts == [("success", "The session is signed out.")]
        await browser.send("/account/sessions/end-others")
        assert browser.page.heading == "Sign out elsewhere?"
        await browser.send("/account/sessions/end-others", confirmed="1")
        assert browser.page.toasts[-1][1].endswith("signed out.")
        assert "/account/sessions/end" not in browser.page.forms
        for each in (first, second):
            await each.go("/account")
            assert each.page.heading == "Sign in"


async def test_nobody_ends_the_session_or_the_token_of_somebody_else(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    somebody = await console.person("somebody@example.com")
    await console.person(ADDRESS)
    new = await console.edge.accounts.create_token(somebody, "a program", frozenset({Scope.READ}), None)
    (session,) = await console.edge.accounts.sessions(somebody.account_id)
    await browser.sign_in(ADDRESS)
    await browser.go("/account")
    token = {"csrf_token": browser.page.forms["/account/name"]["csrf_token"], "confirmed": "1"}
    for path, field, their_id in [
        ("/account/sessions/end", "session_id", session.session_id),
        ("/account/tokens/revoke", "token_id", new.token.token_id),
    ]:
        await browser.http.post(path, data={**token, field: str(their_id)})
    assert await console.edge.accounts.account_of_token(new.secret) is not None
    assert len(await console.edge.accounts.sessions(somebody.account_id)) == 1


async def test_a_token_is_shown_once_works_and_is_revoked_after_a_second_thought(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    await browser.go("/account")
    assert "No tokens yet" in browser.page.text
    await browser.send("/account/tokens", token_name="nightly report", scopes=["read", "account"], lifetime="30")
    assert (browser.answer.status_code, browser.page.heading) == (200, "Your new token")
    (secret,) = re.findall(r"lk_[A-Za-z0-9_-]{43}", browser.answer.text)
    found = await console.edge.accounts.account_of_token(secret)
    assert found is not None
    assert found[1].scopes == {Scope.READ, Scope.ACCOUNT}
    assert found[1].expires_at == console.clock() + timedelta(days=30)

    await browser.click("I have copied it")
    assert "nightly report" in browser.page.text
    assert secret not in browser.answer.text
    await browser.send("/account/tokens/revoke")
    assert browser.page.heading == "Revoke this token?"
    await browser.send("/account/tokens/revoke")
    assert browser.page.toasts == [("success", "The token is revoked.")]
    assert await console.edge.accounts.account_of_token(secret) is None


async def test_a_token_that_cannot_be_made_says_why_and_keeps_what_was_typed(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    await browser.go("/account")
    await browser.send("/account/tokens", token_name="nightly report", scopes=[], lifetime="30")
    assert browser.answer.status_code == 422
    assert "A token that may do nothing is of no use." in browser.page.text
    assert browser.page.forms["/account/tokens"]["token_name"] == "nightly report"
    await browser.send("/account/tokens", token_name="", scopes=["read"])
    assert browser.page.described == {"token_name": "hint-token_name error-token_name"}
    await browser.send("/account/tokens", token_name="nightly report", scopes=["read"], lifetime="soon")
    assert "Choose how long the token holds." in browser.page.text
    assert await console.edge.accounts.tokens((await account_of(console, browser)).account_id) == []


async def test_nothing_of_the_account_page_is_done_for_another_site(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    for path in ("name", "password", "sessions/end", "sessions/end-others", "tokens", "tokens/revoke"):
        answer = await browser.http.post(f"/account/{path}", data={"confirmed": "1", "name": "x"})
        assert answer.status_code == 403, path
