"""What is one's own, over the API: name, password, sessions and tokens."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from api_browser import ApiBrowser, program_of, reason, signed_in
from console_world import PASSWORD, ConsoleWorld, console_world

from console.accounts.domain import Account
from contracts import AccountProfile

ANOTHER_PASSWORD = "a way to the sea by night"


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


@pytest.fixture
async def browser(console: ConsoleWorld) -> AsyncIterator[ApiBrowser]:
    async with await signed_in(console, "owner@example.com") as browser:
        yield browser


async def account_of(console: ConsoleWorld, browser: ApiBrowser) -> Account:
    account_id = UUID((await browser.get("/me")).json()["account_id"])
    return (await console.edge.accounts.accounts([account_id]))[account_id]


async def test_a_new_name_is_told_to_everybody_who_keeps_a_copy(console: ConsoleWorld, browser: ApiBrowser) -> None:
    renamed = await browser.patch("/me", {"name": "Another Name"})
    await console.deliver()

    assert renamed.json()["name"] == "Another Name"
    assert (await browser.get("/me")).json() == renamed.json()
    assert console.sent_of(AccountProfile)[-1].name == "Another Name"


async def test_a_password_is_changed_by_who_knows_the_old_one_and_ends_the_other_sessions(
    console: ConsoleWorld, browser: ApiBrowser
) -> None:
    async with await ApiBrowser(console).sign_in("owner@example.com") as elsewhere:
        wrong = await browser.post("/me/password", {"old": "not the password", "new": ANOTHER_PASSWORD})
        assert reason(wrong) == (403, "wrong_password")
        weak = await browser.post("/me/password", {"old": PASSWORD, "new": "owner@example.com"})
        assert reason(weak) == (422, "malformed_password")
        assert weak.json()["errors"][0]["pointer"] == "/new"
        changed = await browser.post("/me/password", {"old": PASSWORD, "new": ANOTHER_PASSWORD})
        assert changed.status_code == 204

        assert reason(await elsewhere.get("/me")) == (401, "not_signed_in")
        assert reason(await browser.patch("/me", {"name": "Another"})) == (403, "csrf_token_invalid")
        await browser.get("/me")
        assert (await browser.patch("/me", {"name": "Another"})).status_code == 200


async def test_sessions_are_listed_and_ended(console: ConsoleWorld, browser: ApiBrowser) -> None:
    async with (
        await ApiBrowser(console).sign_in("owner@example.com") as second,
        await ApiBrowser(console).sign_in("owner@example.com") as third,
    ):
        # That of the fixture's person, whose mailbox was proven without a browser, is one as well.
        sessions = (await browser.get("/me/sessions")).json()["items"]
        assert [each["current"] for each in sessions].count(True) == 1
        assert len(sessions) == 4
        (own,) = [each for each in (await third.get("/me/sessions")).json()["items"] if each["current"]]
        assert (await browser.delete(f"/me/sessions/{own['session_id']}")).status_code == 204
        assert reason(await third.get("/me")) == (401, "not_signed_in")
        assert reason(await browser.delete(f"/me/sessions/{own['session_id']}")) == (404, "unknown_session")

        assert (await browser.delete("/me/sessions")).json() == {"ended": 2}
        assert reason(await second.get("/me")) == (401, "not_signed_in")
        assert (await browser.get("/me")).status_code == 200


async def test_ending_the_session_that_asks_signs_out(console: ConsoleWorld, browser: ApiBrowser) -> None:
    (own,) = [each for each in (await browser.get("/me/sessions")).json()["items"] if each["current"]]
    await browser.delete(f"/me/sessions/{own['session_id']}")

    assert "session" not in browser.http.cookies


async def test_a_program_ends_all_sessions(console: ConsoleWorld, browser: ApiBrowser) -> None:
    async with await program_of(console, await account_of(console, browser)) as program:
        assert (await program.delete("/me/sessions")).json() == {"ended": 2}
        assert reason(await browser.get("/me")) == (401, "not_signed_in")


async def test_nobody_ends_the_session_of_another(console: ConsoleWorld, browser: ApiBrowser) -> None:
    async with await signed_in(console, "other@example.com") as other:
        (own,) = [each for each in (await browser.get("/me/sessions")).json()["items"] if each["current"]]

        assert reason(await other.delete(f"/me/sessions/{own['session_id']}")) == (404, "unknown_session")
        assert (await browser.get("/me")).status_code == 200


async def test_a_token_is_shown_once_and_revoked(console: ConsoleWorld, browser: ApiBrowser) -> None:
    body = {"name": "deployment", "scopes": ["read", "organization"], "lifetime_days": 30}
    created = await browser.post("/me/tokens", body)
    assert created.status_code == 201
    secret = created.json()["secret"]
    async with ApiBrowser(console, token=secret) as program:
        assert (await program.get("/me")).json()["address"] == "owner@example.com"
        listed = await browser.get("/me/tokens")
        (token,) = listed.json()["items"]

        assert (token["name"], token["scopes"]) == ("deployment", ["organization", "read"])
        assert secret not in listed.text
        assert (await browser.delete(f"/me/tokens/{token['token_id']}")).status_code == 204
        assert reason(await program.get("/me")) == (401, "invalid_token")
        assert reason(await browser.delete(f"/me/tokens/{token['token_id']}")) == (404, "unknown_token")


@pytest.mark.parametrize(
    ("changed", "pointer"),
    [
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["everything"]}, "/scopes/0"),
        ({"lifetime_days": 0}, "/lifetime_days"),
        ({"lifetime_days": "7"}, "/lifetime_days"),
        ({"name": ""}, "/name"),
        ({"name": "nul\x00"}, "/name"),
        ({"more": 1}, "/more"),
    ],
)
async def test_a_token_that_cannot_be_made_is_refused(
    browser: ApiBrowser, changed: dict[str, object], pointer: str
) -> None:
    answer = await browser.post("/me/tokens", {"name": "a program", "scopes": ["read"], **changed})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == pointer


async def test_what_is_anothers_is_not_found(browser: ApiBrowser) -> None:
    assert reason(await browser.delete(f"/me/tokens/{uuid4()}")) == (404, "unknown_token")
    assert reason(await browser.get(f"/commands/{uuid4()}")) == (404, "unknown_command")
    assert reason(await browser.get("/commands/no-uuid")) == (404, "not_found")
