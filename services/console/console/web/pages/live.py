"""Live pages: a stream of server-sent events that says when the members table has changed, and nothing else. What has
changed is fetched by the page, with the rights that its reader has then."""

from collections.abc import AsyncIterator
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from console.edge import Edge
from console.web.requests import edge_of, membership_of, session_cookie, session_of

_HEARTBEAT = 15.0
"""Seconds after which something is sent in any case, so that a connection that is gone is noticed."""
_RETRY = 2000
"""Milliseconds after which a browser connects again."""


async def live(request: Request) -> Response:
    """The stream of the reader's organization. It begins with the present revision."""
    session, membership = await session_of(request), await membership_of(request)
    if session is None or membership is None:
        return Response(status_code=401 if session is None else 404)
    edge = edge_of(request)
    events = _events(edge, request.cookies[session_cookie(edge)], session.account.account_id)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(events, media_type="text/event-stream", headers=headers)


async def _events(edge: Edge, token: str, account_id: UUID) -> AsyncIterator[str]:
    """Ends with the process, the session, or the membership; the last two are told, since nothing more will come."""
    yield f"retry: {_RETRY}\n\n"
    told: tuple[UUID, int] | None = None
    while not edge.changes.stopping:
        session = await edge.accounts.session(token)
        membership = await edge.view.membership(account_id) if session is not None else None
        if membership is None:
            yield "event: gone\ndata: \n\n"
            return
        newest = membership.organization_id, membership.organization_revision
        if told != newest:
            told = newest
            yield f"event: changed\ndata: {membership.organization_revision}\n\n"
        else:
            yield ": still here\n\n"
        await edge.changes.until(*newest, _HEARTBEAT)


routes = [Route("/billing/organization/live", live, methods=["GET"])]
