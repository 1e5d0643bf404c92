"""The web application: pages, API and static files, with what is common to all of them."""

import math
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Scope

from console.api.app import api_app
from console.api.problems import Problem
from console.edge import Edge
from console.limits import RateLimited
from console.web import statics
from console.web.amounts import dollars, exact_dollars, is_rounded
from console.web.answers import redirect, render
from console.web.pages import (
    account,
    dashboard,
    invitation_link,
    live,
    organization,
    passwords,
    payment,
    sign_in,
    sign_up,
    top_up,
    usage,
)
from console.web.requests import Forbidden, SignInFirst
from console.web.security import AccessLog, BodyLimit, Faults, SecurityHeaders
from console.web.telemetry import RequestCounts, Telemetry
from postroom.database import is_outage

PAGES = (sign_up, sign_in, passwords, account, dashboard, organization, usage, payment, top_up, live, invitation_link)


def web_app(edge: Edge, counts: RequestCounts | None = None) -> Starlette:
    """The application of one process. Without `counts`, nobody learns how many requests there were."""
    api = api_app(edge)
    app = Starlette(
        routes=[
            Route("/", _home),
            *(route for page in PAGES for route in page.routes),
            *statics.routes,
            Mount("/api/v1", api),
        ],
        exception_handlers={
            SignInFirst: _sign_in_first,
            Forbidden: _forbidden,
            RateLimited: _rate_limited,
            HTTPException: _http_error,
        },
        middleware=[
            Middleware(Telemetry, counts=counts or RequestCounts(CollectorRegistry())),
            Middleware(AccessLog),
            Middleware(SecurityHeaders, hsts=edge.settings.hsts),
            Middleware(Faults, answer=_fault),
            Middleware(BodyLimit, limit=edge.settings.max_body),
        ],
    )
    app.state.edge = edge
    app.state.templates = api.state.templates = templates()
    return app


def templates() -> Environment:
    """What pages are made of. What people have written is always escaped."""
    environment = Environment(
        loader=PackageLoader("console.web", "templates"),
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"static": statics.address_of, "brand": "Latchkey"}
    environment.filters |= {"dollars": dollars, "exact_dollars": exact_dollars}
    environment.tests |= {"rounded_in_dollars": is_rounded}
    return environment


async def _home(request: Request) -> Response:
    return redirect(request, "/dashboard")


async def _sign_in_first(request: Request, error: Exception) -> Response:
    assert isinstance(error, SignInFirst)
    if error.must_prove:
        return redirect(request, "/confirm-address")
    if request.method != "GET":
        return redirect(request, "/sign-in")
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return redirect(request, f"/sign-in?{urlencode({'next': asked})}")


async def _forbidden(request: Request, _: Exception) -> Response:
    return await _error(request, 403, "This page is too old", "Go back, reload the page, and try once more.")


async def _rate_limited(request: Request, error: Exception) -> Response:
    assert isinstance(error, RateLimited)
    seconds = max(1, math.ceil(error.retry_after.total_seconds()))
    minutes = math.ceil(seconds / 60)
    when = "in a minute" if minutes == 1 else f"in {minutes} minutes"
    response = await _error(request, 429, "Too many attempts", f"Please try again {when}.")
    response.headers["retry-after"] = str(seconds)
    return response


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.scope["path"].startswith("/api/v1/"):  # Starlette finds nothing mounted for a path with a line break.
        return Problem("not_found").answer()
    if error.status_code == 404:
        response = await _error(request, 404, "There is no such page", "Check the address, or go back.")
    else:
        response = await _error(request, error.status_code, "That did not work", "Go back, and try once more.")
    response.headers.update(error.headers or {})
    return response


def _fault(scope: Scope, error: Exception) -> Response:
    """Of ours, or of the database; said without asking that for anything."""
    away = is_outage(error)
    if away:
        title, text = "Back in a moment", "Our database cannot be reached just now. Nothing is lost: try again."
    else:
        title, text = "Something went wrong", "The fault is ours, and it is noted. Try again in a moment."
    html = (
        scope["app"]
        .state.templates.get_template("error.html.j2")
        .render(
            status=503 if away else 500,
            heading=title,
            text=text,
            session=None,
            account=None,
            membership=None,
            csrf_token="",
            toasts=[],
            path=scope["path"],
        )
    )
    return HTMLResponse(html, status_code=503 if away else 500, headers={"retry-after": "5"} if away else None)


async def _error(request: Request, status: int, heading: str, text: str) -> Response:
    return await render(request, "error.html.j2", status, heading=heading, text=text)
