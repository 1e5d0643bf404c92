"""Commands: what was asked of other services, and what became of it."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.api.answers import state_of
from console.api.callers import Reader
from console.api.models import Command
from console.api.openapi import RETRY_AFTER, problems, said
from console.api.problems import Problem
from console.web.requests import edge_of

router = APIRouter(tags=["Commands"])


@router.get(
    "/commands/{command_id:uuid}",
    operation_id="getCommand",
    summary="What became of a command",
    responses={**said(200, "The command.", Command, RETRY_AFTER), **problems("unknown_command")},
)
async def read_command(request: Request, command_id: UUID, caller: Reader) -> Response:
    """Only the caller who has asked sees it. It is `waiting` until the service that was asked has answered, which takes
    milliseconds as a rule; then this answer has a `Retry-After`. Commands are remembered for 30 days."""
    outcome = await edge_of(request).commands.outcome(command_id)
    if outcome is None or outcome.actor_id != caller.account.account_id:
        raise Problem("unknown_command")
    return state_of(outcome)
