"""Over the API: nobody acts before the mailbox is proven, and no answer says whether an address has an account."""

from collections.abc import AsyncIterator

import pytest
from api_browser import ApiBrowser, code_for, organization_of, program_of, reason, signed_in
from console_world import PASSWORD, ConsoleWorld, code_of, console_world
from sqlalchemy import text

from contracts import AcceptInvitation, reset_code

_RESETS = text("SELECT challenge_id FROM challenges WHERE kind = 'password_reset'")


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


async def reset_codes(console: ConsoleWorld) -> list[str]:
    """The codes of the links in letters about forgotten passwords."""
    async with console.engine.connect() as connection:
        ids = (await connection.execute(_RESETS)).scalars()
        return [reset_code(console.settings.accounts_key_bytes, challenge_id) for challenge_id in ids]


async def test_who_has_signed_up_can_do_nothing_but_prove_the_mailbox(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        account = await browser.sign_up("owner@example.com")
        assert (account["address"], account["proven"]) == ("owner@example.com", False)
        assert (await browser.get("/me")).json()["proven"] is False
        assert reason(await browser.post("/organizations", {"name": "Example Org"})) == (403, "mailbox_not_proven")
        assert reason(await browser.get("/me/tokens")) == (403, "mailbox_not_proven")

        proven = await browser.post("/sign-up/proof", {"code": await code_for(console, account)})
        assert proven.status_code == 200
        assert proven.json()["account"]["proven"] is True
        assert proven.json()["joining"] is None
        await organization_of(browser)


async def test_the_session_is_another_one_after_the_proof(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        account = await browser.sign_up()
        before = browser.http.cookies["session"]
        await browser.post("/sign-up/proof", {"code": await code_for(console, account)})

        assert browser.http.cookies["session"] != before
        assert await console.edge.accounts.session(before) is None


async def test_a_wrong_code_proves_nothing_and_says_how_many_may_be_tried(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        account = await browser.sign_up()
        right = await code_for(console, account)
        wrong = await browser.post("/sign-up/proof", {"code": f"{(int(right) + 1) % 1_000_000:06d}"})

        assert reason(wrong) == (422, "wrong_code")
        assert wrong.json()["attempts_left"] == console.settings.code_attempts - 1
        assert wrong.json()["errors"][0]["pointer"] == "/code"


async def test_only_the_newest_code_counts(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        account = await browser.sign_up()
        first = await code_for(console, account)
        assert (await browser.post("/sign-up/code", {})).status_code == 202
        second = await code_for(console, account)

        assert first != second
        assert reason(await browser.post("/sign-up/proof", {"code": first})) == (422, "wrong_code")
        assert (await browser.post("/sign-up/proof", {"code": second})).status_code == 200


async def test_a_mailbox_is_proven_once(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as browser:
        assert reason(await browser.post("/sign-up/code", {})) == (409, "already_proven")
        assert reason(await browser.post("/sign-up/proof", {"code": "000000"})) == (409, "already_proven")


async def test_who_signs_up_with_an_address_that_has_an_account_gets_the_same_answer(console: ConsoleWorld) -> None:
    await console.person("owner@example.com")
    async with ApiBrowser(console) as known, ApiBrowser(console) as unknown:
        body = {"name": "A Person", "password": PASSWORD}
        answers = [
            await known.post("/sign-up", {"address": "owner@example.com", **body}),
            await unknown.post("/sign-up", {"address": "other@example.com", **body}),
        ]

        assert [answer.status_code for answer in answers] == [202, 202]
        first, second = (answer.json() for answer in answers)
        assert first.keys() == second.keys()
        assert first["account"].keys() == second["account"].keys()
        assert first["account"]["proven"] is second["account"]["proven"] is False


async def test_who_signs_up_by_a_link_joins_with_the_proof(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as owner, ApiBrowser(console) as invitee:
        await owner.post(
            f"/organizations/{await organization_of(owner)}/invitations", {"address": "invitee@example.com"}
        )
        (issued,) = console.player.invitations.values()
        account = await invitee.sign_up("invitee@example.com", invitation_code=code_of(issued))
        proven = await invitee.post("/sign-up/proof", {"code": await code_for(console, account)})

        assert proven.json()["joining"]["state"] == "done"
        assert (await invitee.get("/me")).json()["membership"]["organization_name"] == "Example Org"
        assert len(console.sent_of(AcceptInvitation)) == 1


@pytest.mark.parametrize(
    ("body", "expected", "pointer"),
    [
        ({"address": "nobody@"}, "malformed_address", "/address"),
        ({"name": " "}, "malformed_name", "/name"),
        ({"password": "aaaaaaaaaaaa"}, "malformed_password", "/password"),
        ({"password": "short"}, "malformed_password", "/password"),
        ({"password": "x" * 1001}, "invalid_request", "/password"),
    ],
)
async def test_what_cannot_be_taken_is_named(
    console: ConsoleWorld, body: dict[str, str], expected: str, pointer: str
) -> None:
    async with ApiBrowser(console) as browser:
        whole = {"address": "owner@example.com", "name": "A Person", "password": PASSWORD}
        answer = await browser.post("/sign-up", whole | body)

        assert reason(answer) == (422, expected)
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_whether_the_address_or_the_password_is_wrong_is_not_told(console: ConsoleWorld) -> None:
    await console.person("owner@example.com")
    async with ApiBrowser(console) as browser:
        wrong = await browser.post("/sign-in", {"address": "owner@example.com", "password": "not the password"})
        unknown = await browser.post("/sign-in", {"address": "nobody@example.com", "password": PASSWORD})

        assert reason(wrong) == reason(unknown) == (401, "wrong_credentials")
        assert wrong.content == unknown.content
        assert wrong.headers["www-authenticate"].startswith("Bearer")
        assert "session" not in browser.http.cookies


async def test_too_many_failures_are_answered_with_when_to_try_again(database_url: str) -> None:
    async with (
        console_world(database_url, sign_ins_per_address_per_hour=2) as (console,),
        ApiBrowser(console) as browser,
    ):
        body = {"address": "owner@example.com", "password": "not the password"}
        answers = [await browser.post("/sign-in", body) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [401, 401, 429]
        assert reason(answers[-1]) == (429, "rate_limited")
        assert 0 < int(answers[-1].headers["retry-after"]) <= 3600


async def test_signing_in_again_ends_the_session_that_this_browser_had(console: ConsoleWorld) -> None:
    await console.person("other@example.com")
    async with await signed_in(console, "owner@example.com") as browser:
        before = browser.http.cookies["session"]
        await browser.sign_in("other@example.com")

        assert await console.edge.accounts.session(before) is None
        assert (await browser.get("/me")).json()["address"] == "other@example.com"


async def test_after_signing_out_the_session_is_worth_nothing(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as browser:
        session = browser.http.cookies["session"]
        assert (await browser.post("/sign-out", {})).status_code == 204
        assert "session" not in browser.http.cookies
        browser.http.cookies["session"] = session

        assert reason(await browser.get("/me")) == (401, "not_signed_in")


async def test_a_forgotten_password_is_replaced_by_the_link_once_and_ends_what_was_begun_with_it(
    console: ConsoleWorld,
) -> None:
    owner = await console.person("owner@example.com")
    async with (
        await ApiBrowser(console).sign_in("owner@example.com") as elsewhere,
        await program_of(console, owner) as program,
        ApiBrowser(console) as browser,
    ):
        known = await browser.post("/password-resets", {"address": "owner@example.com"})
        unknown = await browser.post("/password-resets", {"address": "nobody@example.com"})
        assert known.status_code == unknown.status_code == 202
        assert known.content == unknown.content
        (code,) = await reset_codes(console)
        redeem = {"code": code, "password": "a way to the sea by night"}
        assert (await browser.post("/password-resets/redeem", redeem)).status_code == 204

        assert reason(await browser.post("/password-resets/redeem", redeem)) == (410, "dead_link")
        assert reason(await elsewhere.get("/me")) == (401, "not_signed_in")
        assert reason(await program.get("/me")) == (401, "invalid_token")
        old = await browser.post("/sign-in", {"address": "owner@example.com", "password": PASSWORD})
        assert reason(old) == (401, "wrong_credentials")
        new = await browser.post("/sign-in", {"address": "owner@example.com", "password": redeem["password"]})
        assert new.status_code == 200


async def test_codes_and_passwords_come_back_in_no_answer(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        secret = "x" * 300
        answer = await browser.post("/password-resets/redeem", {"code": secret, "password": secret, "more": secret})

        assert reason(answer) == (422, "invalid_request")
        assert secret not in answer.text
