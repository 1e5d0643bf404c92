"""Idempotency-Key: a POST that comes again has its effect once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from api_browser import ApiBrowser, organization_of, reason, signed_in
from console_world import PASSWORD, ConsoleWorld, console_world

from contracts import CreateOrganization, InviteMember, LeaveOrganization, MailboxProofRequested, Reason


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


@pytest.fixture
async def owner(console: ConsoleWorld) -> AsyncIterator[ApiBrowser]:
    async with await signed_in(console, "owner@example.com") as browser:
        yield browser


async def test_a_command_that_is_repeated_is_sent_once_and_answered_as_before(
    console: ConsoleWorld, owner: ApiBrowser
) -> None:
    first = await owner.post("/organizations", {"name": "Example Org"}, key="one")
    path = f"/organizations/{first.json()['organization_id']}/invitations"
    second = await owner.post("/organizations", {"name": "Example Org"}, key="one")
    invited = [await owner.post(path, {"address": "invitee@example.com"}, key="two") for _ in range(2)]

    assert (second.status_code, second.json()) == (first.status_code, first.json())
    assert invited[0].json() == invited[1].json()
    assert invited[0].headers["location"] == invited[1].headers["location"]
    assert (len(console.sent_of(CreateOrganization)), len(console.sent_of(InviteMember))) == (1, 1)


async def test_ten_at_once_with_one_key_send_one_command(console: ConsoleWorld, owner: ApiBrowser) -> None:
    path = f"/organizations/{await organization_of(owner)}/invitations"
    answers = await asyncio.gather(
        *(owner.post(path, {"address": "invitee@example.com"}, key="one") for _ in range(10))
    )

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["invitation_id"] for answer in answers}) == 1
    assert len(console.sent_of(InviteMember)) == 1


async def test_a_refusal_is_the_outcome_of_its_command_and_comes_again(
    console: ConsoleWorld, owner: ApiBrowser
) -> None:
    console.player.refusals[CreateOrganization] = (Reason.NAME_TAKEN, "It is taken.")
    first = await owner.post("/organizations", {"name": "Example Org"}, key="one")
    del console.player.refusals[CreateOrganization]
    second = await owner.post("/organizations", {"name": "Example Org"}, key="one")

    assert reason(first) == reason(second) == (409, "name_taken")
    assert first.json() == second.json()


async def test_who_has_left_hears_so_again(console: ConsoleWorld, owner: ApiBrowser) -> None:
    path = f"/organizations/{await organization_of(owner)}/leave"

    assert [(await owner.post(path, {}, key="one")).status_code for _ in range(2)] == [204, 204]
    assert len(console.sent_of(LeaveOrganization)) == 1


async def test_a_key_is_for_one_request(console: ConsoleWorld, owner: ApiBrowser) -> None:
    await owner.post("/organizations", {"name": "Example Org"}, key="one")
    answers = [
        await owner.post("/organizations", {"name": "Another Org"}, key="one"),
        await owner.post("/me/tokens", {"name": "a program", "scopes": ["read"]}, key="one"),
    ]

    assert [reason(answer) for answer in answers] == [(422, "idempotency_key_reused")] * 2
    assert len(console.sent_of(CreateOrganization)) == 1


async def test_keys_of_others_are_others(console: ConsoleWorld, owner: ApiBrowser) -> None:
    async with await signed_in(console, "other@example.com") as other:
        first = await owner.post("/organizations", {"name": "Example Org"}, key="one")
        second = await other.post("/organizations", {"name": "Another Org"}, key="one")

        assert (first.status_code, second.status_code) == (201, 201)


async def test_a_token_is_made_once_and_its_secret_is_not_shown_again(owner: ApiBrowser) -> None:
    body = {"name": "a program", "scopes": ["read"]}
    first = await owner.post("/me/tokens", body, key="one")
    second = await owner.post("/me/tokens", body, key="one")

    assert second.status_code == 201
    assert second.json() == first.json() | {"secret": None}
    assert len((await owner.get("/me/tokens")).json()["items"]) == 1


async def test_ten_at_once_with_one_key_make_one_token(owner: ApiBrowser) -> None:
    body = {"name": "a program", "scopes": ["read"]}
    answers = await asyncio.gather(*(owner.post("/me/tokens", body, key="one") for _ in range(10)))
    at_work = [answer for answer in answers if answer.status_code != 201]

    assert [answer.json()["secret"] is None for answer in answers if answer.status_code == 201].count(False) == 1
    assert {reason(answer) for answer in at_work} <= {(409, "idempotency_key_in_use")}
    assert len((await owner.get("/me/tokens")).json()["items"]) == 1


async def test_the_secret_of_a_token_is_stored_nowhere(console: ConsoleWorld, owner: ApiBrowser) -> None:
    created = await owner.post("/me/tokens", {"name": "a program", "scopes": ["read"]}, key="one")
    secret = created.json()["secret"].removeprefix("lk_")
    async with console.engine.connect() as connection:
        rows = (await connection.exec_driver_sql("SELECT CAST(idempotency_keys AS text) FROM idempotency_keys")).all()

    assert len(rows) == 1
    assert not any(secret in str(row) for row in rows)


async def test_a_sign_up_is_done_once_and_its_session_is_handed_out_once(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        await browser.get("/csrf")
        visitor = browser.csrf_token
        body = {"address": "new@example.com", "name": "A Person", "password": PASSWORD}
        first = await browser.post("/sign-up", body, key="one")
        assert first.status_code == 202
        # The answer was lost on its way: the browser is still a visitor.
        browser.http.cookies.delete("session")
        browser.csrf_token = visitor
        second = await browser.post("/sign-up", body, key="one")
        await console.deliver()

        assert reason(second) == (409, "idempotency_key_used")
        assert "session" not in browser.http.cookies
        assert len(console.sent_of(MailboxProofRequested)) == 1


async def test_a_sign_in_that_failed_may_come_again_with_its_key(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        body = {"address": "owner@example.com", "password": PASSWORD}
        assert reason(await browser.post("/sign-in", body, key="one")) == (401, "wrong_credentials")
        await console.person("owner@example.com")

        assert (await browser.post("/sign-in", body, key="one")).status_code == 200


async def test_a_password_is_changed_once_and_answered_again(owner: ApiBrowser) -> None:
    body = {"old": PASSWORD, "new": "a way to the sea by night"}
    assert (await owner.post("/me/password", body, key="one")).status_code == 204
    await owner.get("/me")

    assert (await owner.post("/me/password", body, key="one")).status_code == 204


async def test_a_letter_is_sent_once(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        await browser.sign_up("new@example.com")
        answers = [await browser.post("/sign-up/code", {}, key="one") for _ in range(2)]
        await console.deliver()

        assert answers[0].json() == answers[1].json()
        assert [answer.status_code for answer in answers] == [202, 202]
        assert len(console.sent_of(MailboxProofRequested)) == 2  # The first one is the sign-up's.


@pytest.mark.parametrize("key", ["", "with space", "x" * 256, "é"])
async def test_a_key_has_1_to_255_visible_characters(owner: ApiBrowser, key: str) -> None:
    headers = {b"Idempotency-Key": key.encode("latin-1"), b"X-CSRF-Token": (owner.csrf_token or "").encode()}
    answer = await owner.http.post("/api/v1/organizations", json={"name": "Example Org"}, headers=headers)

    assert reason(answer) == (422, "invalid_request")
    assert answer.json()["errors"][0]["parameter"] == "Idempotency-Key"
