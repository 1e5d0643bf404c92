"""Who may call the API: browsers that show their CSRF token, and programs whose token has the scope."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from api_browser import ApiBrowser, organization_of, program_of, reason, signed_in
from console_world import PASSWORD, ConsoleWorld, console_world

from console.accounts.domain import Scope


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


async def test_nobody_is_told_how_to_say_who_they_are(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        answer = await browser.get("/me")

        assert reason(answer) == (401, "not_signed_in")
        assert answer.headers["www-authenticate"] == 'Bearer realm="latchkey"'


async def test_without_the_csrf_token_of_the_browser_nothing_is_changed(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as browser, ApiBrowser(console) as other:
        await other.get("/csrf")
        for token in (None, "", "guessed", other.csrf_token):
            headers = {} if token is None else {"X-CSRF-Token": token}
            answer = await browser.http.patch("/api/v1/me", json={"name": "Another"}, headers=headers)
            assert reason(answer) == (403, "csrf_token_invalid")

        assert (await browser.get("/me")).json()["name"] == "A Person"


async def test_no_page_of_another_site_can_sign_somebody_in(console: ConsoleWorld) -> None:
    await console.person("owner@example.com")
    async with ApiBrowser(console) as browser:
        body = {"address": "owner@example.com", "password": PASSWORD}
        without = await browser.http.post("/api/v1/sign-in", json=body)
        elsewhere = await browser.post("/sign-in", body, headers={"Sec-Fetch-Site": "cross-site"})
        origin = await browser.post("/sign-in", body, headers={"Origin": "https://elsewhere.example"})

        assert [reason(each) for each in (without, elsewhere, origin)] == [(403, "csrf_token_invalid")] * 3
        assert (await browser.post("/sign-in", body)).status_code == 200


async def test_a_program_needs_no_csrf_token(console: ConsoleWorld) -> None:
    owner = await console.person("owner@example.com")
    async with await program_of(console, owner) as program:
        await organization_of(program)
        me = (await program.get("/me")).json()

        assert (me["address"], me["csrf_token"]) == ("owner@example.com", None)


@pytest.mark.parametrize(
    "authorization", ["Bearer", "Bearer lk_unknown", "bearer ", "Basic b3duZXI6b3duZXI=", "lk_unknown"]
)
async def test_a_token_that_is_none_is_refused_even_if_somebody_is_signed_in(
    console: ConsoleWorld, authorization: str
) -> None:
    async with await signed_in(console, "owner@example.com") as browser:
        answer = await browser.get("/me", headers={"Authorization": authorization})

        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_token_ends_with_its_time_and_when_it_is_revoked(console: ConsoleWorld) -> None:
    owner = await console.person("owner@example.com")
    for_a_day = await console.edge.accounts.create_token(owner, "one", frozenset(Scope), timedelta(days=1))
    revoked = await console.edge.accounts.create_token(owner, "two", frozenset(Scope), None)
    await console.edge.accounts.revoke_token(owner.account_id, revoked.token.token_id)
    async with (
        ApiBrowser(console, token=for_a_day.secret) as program,
        ApiBrowser(console, token=revoked.secret) as ended,
    ):
        assert (await program.get("/me")).status_code == 200
        assert reason(await ended.get("/me")) == (401, "invalid_token")
        console.clock.advance(timedelta(days=1))

        assert reason(await program.get("/me")) == (401, "invalid_token")


async def test_a_token_may_do_what_its_scopes_say(console: ConsoleWorld) -> None:
    owner = await console.person("owner@example.com")
    async with (
        await program_of(console, owner, Scope.READ) as reader,
        await program_of(console, owner, Scope.ORGANIZATION) as organizer,
        await program_of(console, owner, Scope.ACCOUNT) as holder,
    ):

        async def statuses(program: ApiBrowser) -> list[int]:
            asked = (
                await program.get("/me"),
                await program.post("/organizations", {"name": "Example Org"}),
                await program.patch("/me", {"name": "Another"}),
            )
            return [answer.status_code for answer in asked]

        assert await statuses(reader) == [200, 403, 403]
        assert await statuses(organizer) == [403, 201, 403]
        assert await statuses(holder) == [403, 403, 200]
        refused = await reader.patch("/me", {"name": "Another"})
        assert reason(refused) == (403, "insufficient_scope")
        assert 'scope="account"' in refused.headers["www-authenticate"]


async def test_passwords_and_tokens_are_for_people_alone(console: ConsoleWorld) -> None:
    owner = await console.person("owner@example.com")
    async with await program_of(console, owner) as program:
        answers = [
            await program.post("/me/tokens", {"name": "more", "scopes": ["read"]}),
            await program.post("/me/password", {"old": PASSWORD, "new": "a way to the sea by night"}),
            await program.delete(f"/me/tokens/{owner.account_id}"),
            await program.post("/sign-out", {}),
        ]

        assert [reason(answer) for answer in answers] == [(403, "session_required")] * 4
