"""What a service says of itself over HTTP: /livez, /readyz, /metrics. Open to all, and names nobody."""

import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

Checks = Mapping[str, str | None]
"""What was looked at, and what is wrong with it; None where nothing is."""


def health_app(
    *,
    live: Callable[[], Checks],
    ready: Callable[[], Awaitable[Checks]],
    registry: CollectorRegistry,
    refresh_metrics: Callable[[], Awaitable[None]],
    endpoints: Sequence[BaseRoute] = (),
) -> Starlette:
    """`live` looks at this process alone, so that an outage elsewhere never gets it restarted; `ready` looks at what it
    needs. Both answer 200, or 503 with what is wrong. `endpoints` are those that the service adds."""

    async def livez(_: Request) -> Response:
        return _answer(live())

    async def readyz(_: Request) -> Response:
        return _answer(await ready())

    async def metrics(_: Request) -> Response:
        await refresh_metrics()
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    health = (Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics))
    return Starlette(routes=[*health, *endpoints])


def _answer(checks: Checks) -> Response:
    failed = any(fault is not None for fault in checks.values())
    body = {name: fault or "ok" for name, fault in checks.items()}
    return JSONResponse(body, status_code=503 if failed else 200)


class EmbeddedServer(uvicorn.Server):
    """uvicorn inside a process that minds its signals itself."""

    def __init__(self, app: Any, host: str, port: int, **options: Any) -> None:
        """`options` are uvicorn's own, beside those that every server of a service has."""
        fixed: dict[str, Any] = {
            "lifespan": "off",
            "access_log": False,
            "log_config": None,
            "server_header": False,
            "timeout_graceful_shutdown": 2,
            "ws": "none",
        }
        super().__init__(uvicorn.Config(app, host=host, port=port, **fixed | options))

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop(self) -> None:
        """serve() returns soon after."""
        self.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError where the port is taken, before anything else has started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(128)
    return listener
