"""Live pages: streams of server-sent events that say when the members table or the figures of money have changed, and
nothing else. What has changed is fetched by the page, with the rights that its reader has then."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from console.changes import money_of
from console.edge import Edge
from console.web.requests import edge_of, membership_of, session_cookie, session_of

_HEARTBEAT = 15.0
"""Seconds after which something is sent in any case, so that a connection that is gone is noticed."""
_RETRY = 2000
"""Milliseconds after which a browser connects again."""
_MONEY_PAUSE = 1.0
"""Seconds between two news of money, which may change with every message."""


async def live(request: Request) -> Response:
    """The stream of the reader's organization. It begins with the present revision."""
    session, membership = await session_of(request), await membership_of(request)
    if session is None or membership is None:
        return Response(status_code=401 if session is None else 404)
    edge = edge_of(request)
    return _stream(_events(edge, request.cookies[session_cookie(edge)], session.account.account_id))


async def live_money(request: Request) -> Response:
    """The stream of who pays for the reader, and of what their organization spends."""
    session = await session_of(request)
    if session is None or not session.account.proven:
        return Response(status_code=401)
    edge = edge_of(request)
    return _stream(_money_events(edge, request.cookies[session_cookie(edge)], session.account.account_id))


def _stream(events: AsyncIterator[str]) -> Response:
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


async def _money_events(edge: Edge, token: str, account_id: UUID) -> AsyncIterator[str]:
    """Ends with the process or the session; the latter is told. What goes by with time is news at each heartbeat."""
    yield f"retry: {_RETRY}\n\n"
    while not edge.changes.stopping:
        if await edge.accounts.session(token) is None:
            yield "event: gone\ndata: \n\n"
            return
        membership = await edge.view.membership(account_id)
        watched = {money_of(account_id)}
        if membership is not None:
            watched |= {membership.organization_id, money_of(membership.organization_id)}
        # Whatever commits from now on is noticed, and whatever did before is seen by who is told now.
        with edge.changes.watch(*watched) as watch:
            yield "event: changed\ndata: \n\n"
            await watch.changed(_HEARTBEAT)
        await asyncio.sleep(_MONEY_PAUSE)


routes = [
    Route("/billing/organization/live", live, methods=["GET"]),
    Route("/billing/usage/live", live_money, methods=["GET"]),
]
