"""Idempotency-Key: a POST that comes again has its effect once.

What sends commands claims its key in their transaction (console.commands.desk), and a repetition is answered with
their outcomes. Everything else is done by `once`: the key is claimed, then the thing is done, then the answer is kept.
Where a process dies in between, the key stays claimed: the thing is never done twice, and who repeats is told so.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import Header
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from console.accounts.domain import DeadLink, Malformed, WrongCode
from console.api.answers import nothing
from console.api.problems import Problem
from console.commands import idempotency
from console.commands.idempotency import Earlier, RequestKey
from console.edge import Edge
from console.limits import RateLimited

Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7E]+$",
        description="Names this request, for a day: sent again with the same key, it has its effect once, and is "
        "answered as the first time.",
        examples=["0199a4c0-2f6e-7c1d-9d3e-6f1f0f0f7a11"],
    ),
]

_CHANGED_NOTHING = (Problem, Malformed, WrongCode, DeadLink, RateLimited)
"""After these the same key may come again: with luck, the next time it works."""


@dataclass(frozen=True, slots=True)
class Done:
    """What is answered, and what is kept of it for a repetition: nothing that is shown once."""

    response: Response
    kept: BaseModel | None = None


async def request_key(request: Request, owner_id: UUID, key: str | None) -> RequestKey | None:
    """The key of this request, where it has one. It is its owner's: others may use the same."""
    if key is None:
        return None
    return RequestKey.of(owner_id, key, request.method, request.scope["path"], await request.body())


async def once(edge: Edge, key: RequestKey | None, do: Callable[[], Awaitable[Done]]) -> Response:
    """Does it, unless a request with this key has done it: then it is answered as that. Raises KeyReused, and Problem
    where that request is still at work, or has begun a session, which is handed out once."""
    if key is None:
        return (await do()).response
    async with edge.room.transaction() as transaction:
        earlier = await idempotency.claim(transaction.connection, key, edge.room.clock())
    if earlier is not None:
        return _again(earlier)
    try:
        done = await do()
    except _CHANGED_NOTHING:
        async with edge.room.transaction() as transaction:
            await idempotency.give_back(transaction.connection, key)
        raise
    async with edge.room.transaction() as transaction:
        await idempotency.keep(transaction.connection, key, done.response.status_code, _content(done))
    return done.response


def _content(done: Done) -> str | None:
    return None if done.kept is None else done.kept.model_dump_json()


def _again(earlier: Earlier) -> Response:
    if earlier.status is None:
        detail = "A request with this key is at work, or was cut off. If it had no effect, use a new key."
        raise Problem("idempotency_key_in_use", detail, headers={"retry-after": "1"})
    if earlier.status == 204:
        return nothing()
    if earlier.body is None:
        raise Problem("idempotency_key_used", "The first request has begun a session. Sessions are handed out once.")
    return Response(to_json(earlier.body), earlier.status, {"cache-control": "no-store"}, media_type="application/json")
