"""The client of the console's API, and the reader of letters, with a console and a mailbox that are made up."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uuid_utils.compat import uuid7

from stack.console_client import ConsoleClient, Refused
from stack.mailbox.reader import NoLetter, Reader

ORGANIZATION: UUID = uuid7()


class MadeUpConsole:
    """Answers each path as it is told, and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Iterator[Response]] = {}
        self.asked: list[Request] = []
        self.bodies: list[bytes] = []

    def will_answer(self, path: str, *answers: Response) -> None:
        self.answers[f"/api/v1{path}"] = iter(answers)

    def client(self, *, token: str | None = None, patience: float = 5.0) -> ConsoleClient:
        methods = ["GET", "POST", "PATCH", "DELETE"]
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=methods)])
        transport = httpx.ASGITransport(app)
        return ConsoleClient("http://127.0.0.1", token=token, patience=patience, transport=transport)

    async def _answer(self, request: Request) -> Response:
        self.asked.append(request)
        self.bodies.append(await request.body())
        if request.url.path == "/api/v1/csrf":
            return JSONResponse({"csrf_token": "of a visitor"})
        return next(self.answers[request.url.path])


@pytest.fixture
def console() -> MadeUpConsole:
    return MadeUpConsole()


def command(state: str, status: int = 202, **fields: Any) -> JSONResponse:
    return JSONResponse({"command_id": "c-1", "state": state, **fields}, status)


async def test_a_browser_shows_the_csrf_token_of_the_newest_answer(console: MadeUpConsole) -> None:
    console.will_answer("/sign-in", JSONResponse({"account": {}, "csrf_token": "of the session"}))
    console.will_answer("/organizations", JSONResponse({"organization_id": str(ORGANIZATION)}, 201))
    async with console.client() as browser:
        await browser.sign_in("owner@example.com", "a password")
        assert await browser.create_organization("Acme") == ORGANIZATION

    tokens = {request.url.path: request.headers.get("x-csrf-token") for request in console.asked}
    assert tokens == {
        "/api/v1/csrf": None,
        "/api/v1/sign-in": "of a visitor",
        "/api/v1/organizations": "of the session",
    }


async def test_a_program_shows_its_token_and_needs_no_other(console: MadeUpConsole) -> None:
    console.will_answer("/organizations", JSONResponse({"organization_id": str(ORGANIZATION)}, 201))
    async with console.client(token="of a program") as program:
        await program.create_organization("Acme")

    (request,) = console.asked
    assert request.headers["authorization"] == "Bearer of a program"


async def test_a_refusal_says_its_status_its_reason_and_its_sentence(console: MadeUpConsole) -> None:
    problem = {"status": 429, "reason": "rate_limited_recipient", "detail": "Too many."}
    console.will_answer(f"/organizations/{ORGANIZATION}/invitations", JSONResponse(problem, 429, {"Retry-After": "60"}))
    async with console.client() as browser:
        with pytest.raises(Refused) as refused:
            await browser.invite(ORGANIZATION, "invitee@example.com")

    assert (refused.value.status, refused.value.reason) == (429, "rate_limited_recipient")
    assert (refused.value.detail, refused.value.retry_after) == ("Too many.", 60.0)


async def test_an_error_that_is_no_problem_is_a_refusal_all_the_same(console: MadeUpConsole) -> None:
    console.will_answer("/me", Response("<h1>Oh</h1>", 500, media_type="text/html"))
    async with console.client() as browser:
        with pytest.raises(Refused, match="500 Internal Server Error"):
            await browser.me()


async def test_a_command_that_is_not_decided_yet_is_waited_for(console: MadeUpConsole) -> None:
    invitation_id = uuid7()
    console.will_answer(f"/organizations/{ORGANIZATION}/invitations", command("waiting"))
    console.will_answer(
        "/commands/c-1",
        command("waiting", 200),
        command("done", 200, result={"invitation_id": str(invitation_id)}),
    )
    async with console.client() as browser:
        assert await browser.invite(ORGANIZATION, "invitee@example.com") == invitation_id


async def test_a_command_that_is_refused_later_is_a_refusal(console: MadeUpConsole) -> None:
    console.will_answer("/invitation-links/accept", command("waiting"))
    console.will_answer(
        "/commands/c-1", command("refused", 200, reason="revoked", message="The invitation was revoked.")
    )
    async with console.client() as browser:
        with pytest.raises(Refused, match="revoked: The invitation was revoked"):
            await browser.accept("a code")


async def test_a_command_that_is_never_decided_is_not_waited_for_without_end(console: MadeUpConsole) -> None:
    console.will_answer("/invitation-links/accept", command("waiting"))
    async with console.client(patience=0.0) as browser:
        with pytest.raises(TimeoutError, match="c-1 is still not decided"):
            await browser.accept("a code")


async def test_a_list_is_read_to_its_end(console: MadeUpConsole) -> None:
    console.will_answer(
        f"/organizations/{ORGANIZATION}/members",
        JSONResponse({"items": [{"name": "first"}], "next": "after the first"}),
        JSONResponse({"items": [{"name": "second"}], "next": None}),
    )
    async with console.client() as browser:
        members = await browser.members(ORGANIZATION)

    assert [member["name"] for member in members] == ["first", "second"]
    assert [request.url.query for request in console.asked] == ["", "cursor=after+the+first"]


class MadeUpMailbox:
    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    def letters(self, to: str | None = None) -> list[dict[str, Any]]:
        return [{"to": to, "subject": text.strip()[:20], "text": text} for text in self.texts]


LINK = "https://console.example/org-invite/{}/\n"


async def test_the_code_of_a_mailbox_is_read_as_six_digits() -> None:
    mailbox = MadeUpMailbox("Your code:\n\n    304 608\n\nIt works until 3 March 2026.")

    assert await Reader(mailbox).mailbox_code("new@example.com") == "304608"


async def test_the_newest_link_is_the_one_that_is_read() -> None:
    mailbox = MadeUpMailbox(LINK.format("a" * 43), "Welcome!", LINK.format("b" * 43))

    assert await Reader(mailbox).link_code("invitee@example.com", after=1) == "b" * 43


async def test_an_older_letter_is_not_taken_for_the_one_that_is_waited_for() -> None:
    mailbox = MadeUpMailbox(LINK.format("a" * 43))

    with pytest.raises(NoLetter, match="No letter with an invitation came to invitee"):
        await Reader(mailbox, within=0.0).link_code("invitee@example.com", after=1)
