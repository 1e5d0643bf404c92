"""Errors, as RFC 9457 problem details: every one has a reason code that programs may rely on, and a sentence."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from console.accounts.domain import DeadLink, Malformed, WrongCode
from console.commands.idempotency import KeyReused
from console.commands.outcome import Outcome
from console.limits import RateLimited
from console.web.requests import Forbidden
from postroom.database import is_outage

MEDIA_TYPE = "application/problem+json"
CHALLENGE = 'Bearer realm="latchkey"'
"""WWW-Authenticate: how a program may say who it is. RFC 6750."""
_TYPE = "urn:latchkey:problem:"
_REFUSED = 409
"""The status of a refusal whose reason is new to this console."""

PROBLEMS: Mapping[str, tuple[int, str]] = {
    # of the request
    "unreadable_body": (400, "The body is not JSON"),
    "not_signed_in": (401, "Sign in, or send a token"),
    "invalid_token": (401, "The token is not known, was revoked, or is too old"),
    "wrong_credentials": (401, "The address and the password do not belong together"),
    "csrf_token_invalid": (403, "The CSRF token is missing, or is not this browser's"),
    "insufficient_scope": (403, "The token may not do this"),
    "session_required": (403, "Only somebody who is signed in may do this, no token"),
    "wrong_password": (403, "The password is not the account's"),
    "not_found": (404, "There is nothing here"),
    "method_not_allowed": (405, "This method is not for here"),
    "too_large": (413, "The body is too large"),
    "unsupported_media_type": (415, "Send application/json"),
    "invalid_request": (422, "The request is not as described"),
    "idempotency_key_in_use": (409, "A request with this key is at work, or was cut off"),
    "idempotency_key_used": (409, "The request was answered before, with a session"),
    "idempotency_key_reused": (422, "The key came with another request before"),
    "rate_limited": (429, "Too many attempts"),
    "internal_error": (500, "The fault is ours"),
    "unavailable": (503, "Our database cannot be reached just now"),
    # of what was typed
    "malformed_address": (422, "That is no e-mail address"),
    "malformed_name": (422, "That is no name"),
    "malformed_password": (422, "That password cannot be taken"),
    "malformed_scopes": (422, "Those scopes cannot be given"),
    "malformed_lifetime": (422, "A token cannot hold for so long"),
    "malformed_cursor": (422, "That is no cursor of this list"),
    "wrong_code": (422, "The code is not the one in the newest letter"),
    "already_proven": (409, "The mailbox is proven already"),
    "dead_link": (410, "The link is unknown, used, or too old"),
    # of what is asked of the other services; see contracts.Reason
    "not_an_admin": (403, "Only the owner and admins may do this"),
    "mailbox_not_proven": (403, "The mailbox has to be proven first"),
    "address_differs": (403, "The invitation is for another address"),
    "unknown_organization": (404, "There is no such organization"),
    "unknown_invitation": (404, "There is no such invitation"),
    "unknown_account": (404, "There is no such account"),
    "unknown_member": (404, "There is no such member"),
    "unknown_command": (404, "There is no such command"),
    "unknown_session": (404, "There is no such session"),
    "unknown_token": (404, "There is no such token"),
    "already_a_member": (409, "A member of this organization already"),
    "already_accepted": (409, "The invitation was accepted already"),
    "already_in_an_organization": (409, "In an organization already"),
    "already_an_admin": (409, "An admin already"),
    "in_another_organization": (409, "In another organization"),
    "acceptance_in_progress": (409, "The invitation is being accepted"),
    "name_taken": (409, "Another organization has this name"),
    "organization_exists": (409, "There is this organization already"),
    "owner_is_fixed": (409, "The owner stays the owner"),
    "not_an_admin_role": (409, "Not an admin"),
    "not_a_member": (409, "Not a member of this organization"),
    "not_the_payer": (403, "An account's own sources are its own to change"),
    "no_card": (409, "No card is on file"),
    "card_not_declined": (409, "The card is counted on already"),
    "card_declined": (402, "The card's bank said no"),
    "card_needs_cardholder": (402, "The card's bank asks for the cardholder"),
    "unknown_card": (422, "The payment provider knows no such card"),
    "amount_out_of_range": (422, "That is less, or more, than may be bought at once"),
    "superseded": (410, "A newer invitation was sent"),
    "revoked": (410, "The invitation was revoked"),
    "expired": (410, "The invitation's time is over"),
    "declined": (410, "The invitation was declined"),
    "rate_limited_organization": (429, "The organization has sent too many invitations"),
    "rate_limited_inviter": (429, "You have sent too many invitations"),
    "rate_limited_recipient": (429, "The recipient was invited too often"),
}
"""Status and title of each reason."""

_OF_STATUS = {404: "not_found", 405: "method_not_allowed", 413: "too_large", 415: "unsupported_media_type"}
_RETRY_AFTER_REFUSAL = 3600
"""Seconds. Invites counts by the hour or the day, and says no time."""


class Problem(Exception):
    """An answer that is an error. `more` are members of its own, beside those that every problem has."""

    def __init__(
        self, reason: str, detail: str | None = None, *, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status, self.title = PROBLEMS.get(reason, (_REFUSED, "It was refused"))
        self.detail = detail or f"{self.title}."
        self.headers = dict(headers or {})
        self.more = more

    def answer(self) -> Response:
        """The problem, as it is sent."""
        body = {
            "type": f"{_TYPE}{self.reason}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason,
            **self.more,
        }
        headers = {"cache-control": "no-store", **self.headers}
        return Response(to_json(body), self.status, headers, media_type=MEDIA_TYPE)


def unauthorized(reason: str, *, detail: str | None = None) -> Problem:
    """401, with the challenge that belongs to it."""
    challenge = f'{CHALLENGE}, error="invalid_token"' if reason == "invalid_token" else CHALLENGE
    return Problem(reason, detail, headers={"www-authenticate": challenge})


def refusal(outcome: Outcome) -> Problem:
    """Of a command that another service has refused."""
    reason = outcome.reason or "refused"
    headers = {"retry-after": str(_RETRY_AFTER_REFUSAL)} if reason.startswith("rate_limited") else {}
    return Problem(reason, outcome.message, headers=headers, command_id=outcome.command_id)


def malformed(error: Malformed, *, member: str | None = None) -> Problem:
    """Of one member of the body: `member`, where that is not called as the field is."""
    pointer = f"/{member or error.field}"
    return Problem(f"malformed_{error.field}", error.message, errors=[{"pointer": pointer, "detail": error.message}])


def install(app: FastAPI) -> None:
    """From here on, whatever goes wrong is answered as a problem."""
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Malformed, _malformed)
    app.add_exception_handler(RateLimited, _rate_limited)
    app.add_exception_handler(WrongCode, _wrong_code)
    app.add_exception_handler(DeadLink, _dead_link)
    app.add_exception_handler(KeyReused, _key_reused)
    app.add_exception_handler(Forbidden, _forbidden)
    app.add_exception_handler(Exception, _fault)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.answer()


async def _http(request: Request, error: Exception) -> Response:
    """What Starlette and FastAPI raise themselves."""
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return Problem("method_not_allowed", headers={"allow": ", ".join(_allowed(request))}).answer()
    reason = _OF_STATUS.get(error.status_code, "unreadable_body")
    return Problem(reason, headers=error.headers).answer()


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if isinstance(error.body, bytes):  # So FastAPI leaves what does not claim to be JSON.
        return Problem("unsupported_media_type").answer()
    errors = error.errors()
    if any(each["type"] == "json_invalid" for each in errors):
        return Problem("unreadable_body").answer()
    return Problem("invalid_request", errors=[_place(each) for each in errors]).answer()


async def _malformed(_: Request, error: Exception) -> Response:
    assert isinstance(error, Malformed)
    return malformed(error).answer()


async def _rate_limited(_: Request, error: Exception) -> Response:
    assert isinstance(error, RateLimited)
    seconds = max(1, math.ceil(error.retry_after.total_seconds()))
    return Problem("rate_limited", str(error), headers={"retry-after": str(seconds)}).answer()


async def _wrong_code(_: Request, error: Exception) -> Response:
    assert isinstance(error, WrongCode)
    return Problem(
        "wrong_code",
        str(error),
        errors=[{"pointer": "/code", "detail": str(error)}],
        attempts_left=error.attempts_left,
    ).answer()


async def _dead_link(_: Request, __: Exception) -> Response:
    return Problem("dead_link", "This link is unknown, was used, or is too old. Ask for another one.").answer()


async def _key_reused(_: Request, __: Exception) -> Response:
    return Problem("idempotency_key_reused", "The key came with another request before. Use a new one.").answer()


async def _forbidden(_: Request, __: Exception) -> Response:
    return Problem(
        "csrf_token_invalid", "Send the header X-CSRF-Token with the token of this browser: see GET /csrf."
    ).answer()


async def _fault(_: Request, error: Exception) -> Response:
    if is_outage(error):
        detail = "Our database cannot be reached just now. Nothing is lost: try again."
        return Problem("unavailable", detail, headers={"retry-after": "5"}).answer()
    return Problem("internal_error", "The fault is ours, and it is noted. Try again in a moment.").answer()


def _allowed(request: Request) -> Sequence[str]:
    """Every method that the path takes: Starlette names those of one route alone."""
    allowed: set[str] = set()
    for route in iter_route_contexts(request.app.routes):
        match, _ = route.original_route.matches(request.scope)
        if match is not Match.NONE:
            allowed |= route.methods or set()
    return sorted(allowed)


def _place(error: Mapping[str, Any]) -> dict[str, str]:
    """Where it is, and what is wrong; without what was sent."""
    where, *path = error["loc"]
    if where == "body":
        steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
        return {"pointer": "".join(f"/{step}" for step in steps), "detail": error["msg"]}
    return {"parameter": str(path[0]) if path else where, "detail": error["msg"]}
