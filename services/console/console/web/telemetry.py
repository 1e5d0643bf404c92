"""What every request is counted and traced by, with OpenTelemetry's names.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/

Only the route is told, never the path, the query, an address or a cookie: below some routes the path is a secret.
"""

import time

from prometheus_client import CollectorRegistry, Gauge, Histogram
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.web.security import route_of
from postroom.tracing import span

_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
"""Those of the convention."""


class RequestCounts:
    """The requests of one process."""

    def __init__(self, registry: CollectorRegistry) -> None:
        request = ("http_request_method", "url_scheme")
        self._duration = Histogram(
            "http_server_request_duration_seconds",
            "Requests to pages and API.",
            (*request, "http_route", "http_response_status_code", "error_type"),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._active = Gauge(
            "http_server_active_requests", "Requests that are being answered.", request, registry=registry
        )

    def begin(self, method: str, scheme: str) -> None:
        self._active.labels(method, scheme).inc()

    def end(self, method: str, scheme: str, route: str, status: int, seconds: float) -> None:
        self._active.labels(method, scheme).dec()
        self._duration.labels(method, scheme, route, str(status), _error_type(status)).observe(seconds)


class Telemetry:
    """Counts each request, and makes a trace of it. A trace that the client has begun is linked, and not gone on with:
    a stranger does not decide what is traced here."""

    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        scheme = "https" if scope.get("scheme") == "https" else "http"  # It may be left out, and is `http` then.
        began = time.perf_counter()
        status = 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._counts.begin(method, scheme)
        links = [theirs] if (theirs := Headers(scope=scope).get("traceparent")) else []
        about = {"http.request.method": method, "url.scheme": scheme}
        with span(method, kind="server", links=links, attributes=about) as request:
            try:
                await self._app(scope, receive, send_noted)
            finally:
                route = route_of(scope)
                request.rename(f"{method} {route}")
                request.note({"http.route": route, "http.response.status_code": status})
                if error_type := _error_type(status):
                    request.fail(error_type)
                self._counts.end(method, scheme, route, status, time.perf_counter() - began)


def _error_type(status: int) -> str:
    return str(status) if status >= 500 else ""
