"""What every request and every answer goes through: limits of size, headers, and a log that names no codes."""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postroom.dead_letters import where

log = structlog.get_logger()

_CONTENT_SECURITY_POLICY: Mapping[str, str] = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def content_security_policy(also: Mapping[str, Sequence[str]]) -> str:
    """The policy of all pages, and what one page allows `also`: origins, by directive."""
    directives = dict(_CONTENT_SECURITY_POLICY)
    for name, origins in also.items():
        directives[name] = " ".join((*directives.get(name, "").split(), *origins))
    return "; ".join(f"{name} {value}" for name, value in directives.items())


_HEADERS: Mapping[str, str] = {
    "content-security-policy": content_security_policy({}),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "cache-control": "no-store",
}
_SECRET_PATHS = ("/org-invite/", "/password-reset/")
"""Below these the address itself is a secret."""
_SECRET_HEADERS = {"referrer-policy": "no-referrer", "cache-control": "no-store", "x-robots-tag": "noindex, nofollow"}


class SecurityHeaders:
    """Tells browsers what our pages may do, and what must not be done with them. An answer may have a Cache-Control or
    a policy of its own, but no Cache-Control below the secret paths."""

    def __init__(self, app: ASGIApp, hsts: timedelta) -> None:
        self._app = app
        self._hsts = int(hsts.total_seconds())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_secret = scope["path"].startswith(_SECRET_PATHS)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                if is_secret:
                    headers.update(_SECRET_HEADERS)
                if self._hsts:
                    headers.setdefault("strict-transport-security", f"max-age={self._hsts}; includeSubDomains")
            await send(message)

        await self._app(scope, receive, send_with_headers)


class BodyLimit:
    """Reads no more of a body than is allowed, whatever its Content-Length says; then the answer is 413."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self._limit:
            await _refuse(send)
            return
        taken = 0

        async def receive_counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            return {"type": "http.disconnect"} if taken > self._limit else message

        async def send_unless_too_large(message: Message) -> None:
            if taken <= self._limit:
                await send(message)

        try:
            await self._app(scope, receive_counted, send_unless_too_large)
        finally:
            if taken > self._limit:
                await _refuse(send)


class Faults:
    """Answers where the application fails. What failed is in the log by its kind alone: its text may hold what people
    have written."""

    def __init__(self, app: ASGIApp, answer: Callable[[Scope, Exception], Response]) -> None:
        self._app = app
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def send_noted(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except ClientDisconnect:
            pass
        except Exception as error:
            log.error("request failed", error=type(error).__name__, where=where(error).splitlines()[-3:])
            if not started:
                await self._answer(scope, error)(scope, receive, send)


class AccessLog:
    """A line for each request: the route, not the path, which may hold a code; no query, no address, no cookie."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500

        async def send_noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        finally:
            milliseconds = round((time.perf_counter() - began) * 1000, 1)
            log.info("request", method=scope["method"], route=route_of(scope), status=status, ms=milliseconds)


def route_of(scope: Scope) -> str:
    """The pattern that the path matched, such as `/org-invite/{code}/`; `none` where only a mount did."""
    route = scope.get("route")
    path = None if isinstance(route, Mount) else getattr(route, "path_format", None)
    return f"{scope.get('root_path', '')}{path}" if path else "none"


async def _refuse(send: Send) -> None:
    body = (
        b'{"type":"urn:latchkey:problem:too_large","title":"The body is too large","status":413,'
        b'"detail":"The body is too large.","reason":"too_large"}'
    )
    headers = [(b"content-type", b"application/problem+json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": body})
