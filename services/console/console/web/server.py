"""The web server of a process: a worker of the service, which lives as long as that does."""

import asyncio

import structlog
from prometheus_client import CollectorRegistry

from console.accounts.desk import Accounts
from console.changes import Changes
from console.commands.counts import CommandCounts
from console.commands.desk import Commands
from console.edge import Edge
from console.limits import Limits
from console.settings import Settings
from console.view.money_queries import MoneyView
from console.view.queries import View
from console.web.app import web_app
from console.web.telemetry import RequestCounts
from postroom import Room
from postroom.health import EmbeddedServer, bind

log = structlog.get_logger()

_LARGEST_HEADERS = 16 * 1024
"""Bytes of a request's line and headers."""
_BACKLOG = 512
_KEEP_ALIVE = 15
"""Seconds that an idle connection is kept."""


class Web:
    """Serves pages and API on WEB_HOST:WEB_PORT."""

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        """Requests, and the outcomes that they wait for, are counted in the registry."""
        self._settings = settings
        self._commands = CommandCounts(registry)
        self._requests = RequestCounts(registry)
        self._listening = False

    def lacks(self) -> str | None:
        """For /readyz."""
        return None if self._listening else f"not listening on {self._settings.web_host}:{self._settings.web_port}"

    async def serve(self, room: Room) -> None:
        """Serves until the service stops; requests in hand are finished then. Raises OSError where the port is
        taken."""
        settings = self._settings
        listener = bind(settings.web_host, settings.web_port)
        edge = edge_of_process(settings, room, self._commands)
        server = EmbeddedServer(
            web_app(edge, self._requests),
            settings.web_host,
            settings.web_port,
            http="h11",
            h11_max_incomplete_event_size=_LARGEST_HEADERS,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=settings.trusted_proxies,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=int(settings.shutdown_timeout.total_seconds()),
        )
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(edge.changes.listen(), name="changes")
                tasks.create_task(server.serve(sockets=[listener]), name="http")
                self._listening = True
                log.info("web is listening", port=listener.getsockname()[1])
                await room.stopping.wait()
                server.stop()
        finally:
            self._listening = False
            listener.close()


def edge_of_process(settings: Settings, room: Room, counts: CommandCounts | None = None) -> Edge:
    """The parts behind pages and API, put together."""
    changes = Changes(room, settings.database_url.get_secret_value())
    limits = Limits(room)
    view = View(room, changes)
    return Edge(
        settings=settings,
        room=room,
        accounts=Accounts(settings, room, limits),
        commands=Commands(settings, room, view, changes, counts),
        view=view,
        money=MoneyView(room),
        changes=changes,
        limits=limits,
    )
