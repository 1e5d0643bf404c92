"""Every error of the API is a problem (RFC 9457), also those that no operation has thought of."""

from collections.abc import AsyncIterator

import pytest
from api_browser import ApiBrowser, reason, signed_in
from console_world import Clock, ConsoleWorld, Player, console_world, settings_of
from sqlalchemy.ext.asyncio import create_async_engine

from console.api.problems import PROBLEMS
from contracts import Reason


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


@pytest.fixture
async def owner(console: ConsoleWorld) -> AsyncIterator[ApiBrowser]:
    async with await signed_in(console, "owner@example.com") as browser:
        yield browser


def test_every_reason_of_a_refusal_has_its_status() -> None:
    assert {each.value for each in Reason} <= PROBLEMS.keys()
    assert all(400 <= status <= 599 for status, _ in PROBLEMS.values())


async def test_what_is_not_there_is_not_found(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        for path in ("/", "/nothing", "/me/", "/organizations/x", "/organizations/x/members", "/me/%0A"):
            assert reason(await browser.get(path)) == (404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/me", "GET, PATCH"),
        ("GET", "/sign-in", "POST"),
        ("DELETE", "/organizations", "POST"),
        ("GET", "/organizations/00000000-0000-0000-0000-000000000001/invitations/batch", "POST"),
        ("PUT", "/organizations/00000000-0000-0000-0000-000000000001/invitations", "GET, POST"),
    ],
)
async def test_another_method_is_answered_with_those_that_are_allowed(
    console: ConsoleWorld, method: str, path: str, allowed: str
) -> None:
    async with ApiBrowser(console) as browser:
        answer = await browser.http.request(method, f"/api/v1{path}")

        assert reason(answer) == (405, "method_not_allowed")
        assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"nonsense", b'{"name": "\xff"}', b"[" * 100_000, b'{"name": ' + b"1" * 5000 + b"}"],
    ids=["cut", "empty", "nonsense", "no text", "deep", "huge number"],
)
async def test_a_body_that_is_no_json_is_the_callers_fault(owner: ApiBrowser, body: bytes) -> None:
    answer = await owner.http.patch("/api/v1/me", content=body, headers=json_of(owner))

    assert reason(answer) in [(400, "unreadable_body"), (422, "invalid_request")]


@pytest.mark.parametrize("body", ["null", "[]", '"name"', "{}", '{"name": null}', '{"name": 1}', '{"name": "\\ud800"}'])
async def test_a_body_that_is_not_as_described_says_where(owner: ApiBrowser, body: str) -> None:
    answer = await owner.http.patch("/api/v1/me", content=body, headers=json_of(owner))

    assert reason(answer) == (422, "invalid_request")
    assert answer.json()["errors"][0]["pointer"] in ("", "/name")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None]
)
async def test_only_json_is_taken(owner: ApiBrowser, content_type: str | None) -> None:
    headers = {"X-CSRF-Token": owner.csrf_token or ""}
    if content_type is not None:
        headers["Content-Type"] = content_type
    answer = await owner.http.patch("/api/v1/me", content=b'{"name": "Another"}', headers=headers)

    assert reason(answer) == (415, "unsupported_media_type")


async def test_a_body_that_is_too_large_is_not_read(owner: ApiBrowser, console: ConsoleWorld) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(console.settings.max_body // 1024 + 2):
            yield b" " * 1024

    declared = await owner.http.patch(
        "/api/v1/me", content=b" " * (console.settings.max_body + 1), headers=json_of(owner)
    )
    in_chunks = await owner.http.patch("/api/v1/me", content=chunks(), headers=json_of(owner))

    assert reason(declared) == reason(in_chunks) == (413, "too_large")


async def test_a_fault_of_ours_is_said_to_be_ours_and_tells_nothing(console: ConsoleWorld, owner: ApiBrowser) -> None:
    async with console.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE tokens RENAME COLUMN name TO title")
    try:
        answer = await owner.get("/me/tokens")
    finally:  # The database is that of all tests.
        async with console.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE tokens RENAME COLUMN title TO name")

    assert reason(answer) == (500, "internal_error")
    assert "column" not in answer.text


async def test_while_the_database_is_away_the_answer_is_503() -> None:
    engine = create_async_engine("postgresql+asyncpg://nobody@127.0.0.1:1/nothing")
    clock = Clock()
    console = ConsoleWorld(engine, settings_of("postgresql://nobody@127.0.0.1:1/nothing"), clock, Player(clock))
    async with ApiBrowser(console, token="lk_any") as program:
        answer = await program.get("/me")

    assert reason(answer) == (503, "unavailable")
    assert answer.headers["retry-after"] == "5"


async def test_no_answer_may_be_kept_by_a_cache_of_others(owner: ApiBrowser) -> None:
    for path in ("/me", "/me/tokens", "/csrf", "/nothing"):
        assert (await owner.get(path)).headers["cache-control"] == "no-store"


def json_of(browser: ApiBrowser) -> dict[str, str]:
    return {"X-CSRF-Token": browser.csrf_token or "", "Content-Type": "application/json"}
