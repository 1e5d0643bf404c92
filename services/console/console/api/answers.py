"""Answers of the API: a model as JSON, 202 for what is not decided yet, and 304 for what has not changed."""

import hashlib
from collections.abc import Mapping
from uuid import UUID

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from console.api.callers import Caller
from console.api.models import Command
from console.api.problems import Problem, refusal
from console.commands.outcome import Outcome
from console.edge import Edge
from console.view.nouns import Membership

PREFIX = "/api/v1"
"""Where the API is mounted."""
_NO_STORE = {"cache-control": "no-store"}
_REVALIDATE = {"cache-control": "private, no-cache", "vary": "Authorization, Cookie"}
_SOON = {"retry-after": "1"}


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The model; no cache keeps it."""
    return Response(model.model_dump_json(), status, {**_NO_STORE, **(headers or {})}, media_type="application/json")


def created(model: BaseModel, path: str) -> Response:
    """201: it is at this path below the API's."""
    return answer(model, 201, {"location": f"{PREFIX}{path}"})


def nothing() -> Response:
    """204: it is done, and there is nothing to say."""
    return Response(status_code=204, headers=_NO_STORE)


def tagged(request: Request, model: BaseModel) -> Response:
    """The model with an ETag, for caches of the caller's own; 304 where the caller has it already."""
    return tagged_content(request, model.model_dump_json().encode())


def tagged_content(request: Request, content: bytes) -> Response:
    """As `tagged`, of JSON that is there already."""
    tag = f'W/"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {"etag": tag, **_REVALIDATE}
    if _matches(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(content, 200, headers, media_type="application/json")


def command_of(outcome: Outcome) -> Command:
    """The command, and what is known of its outcome."""
    return Command(
        command_id=outcome.command_id,
        type=outcome.ce_type,
        organization_id=outcome.organization_id,
        state=outcome.state,
        reason=outcome.reason,
        message=outcome.message,
        result=dict(outcome.result),
        sent_at=outcome.sent_at,
        ended_at=outcome.ended_at,
    )


def state_of(outcome: Outcome) -> Response:
    """The command itself; while it waits, with when to ask again."""
    return answer(command_of(outcome), headers=_SOON if outcome.is_waiting else None)


def undecided(outcome: Outcome) -> Response | None:
    """202 while the command waits, with where its outcome will be; None when what was asked for is so. Raises Problem
    where it was refused."""
    if outcome.is_refused:
        raise refusal(outcome)
    if not outcome.is_waiting:
        return None
    headers = dict(_SOON)
    if outcome.actor_id is not None:  # Nobody is shown what nobody has asked.
        headers["location"] = f"{PREFIX}/commands/{outcome.command_id}"
    return answer(command_of(outcome), 202, headers)


async def undecided_within(edge: Edge, caller: Caller, outcome: Outcome) -> Response | None:
    """As `undecided`, of a command about an organization: who is not in it hears that there is none."""
    if outcome.is_refused:
        await require_membership(edge, caller, outcome.organization_id)
    return undecided(outcome)


async def require_membership(edge: Edge, caller: Caller, organization_id: UUID) -> Membership:
    """The caller's place in the organization. Raises Problem where they have none."""
    membership = await edge.view.membership(caller.account.account_id)
    if membership is None or membership.organization_id != organization_id:
        raise Problem("unknown_organization")
    return membership


async def require_admin(edge: Edge, caller: Caller, organization_id: UUID) -> Membership:
    """As `require_membership`, of its owner or one of its admins."""
    membership = await require_membership(edge, caller, organization_id)
    if not membership.is_admin:
        raise Problem("not_an_admin")
    return membership


def _matches(if_none_match: str, tag: str) -> bool:
    """Weakly, as RFC 9110 says for If-None-Match."""
    asked = {each.strip().removeprefix("W/") for each in if_none_match.split(",")}
    return "*" in asked or tag.removeprefix("W/") in asked
