"""Answers: pages from templates, redirects, cookies, and toasts that survive a redirect."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Literal

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from console.accounts.domain import NewSession
from console.edge import Edge
from console.web.requests import (
    csrf_token,
    edge_of,
    membership_of,
    session_cookie,
    session_of,
    visitor_cookie,
)

_TOASTS = "toasts"
_TOASTS_LIVE = 60
"""Seconds that a toast waits for the next page."""
_MOST_TOASTS = 5


@dataclass(frozen=True, slots=True)
class Toast:
    """A word to the person, on this page or on the next."""

    kind: Literal["success", "error", "info"]
    text: str


async def render(
    request: Request, template: str, status: int = 200, *, toasts: tuple[Toast, ...] = (), **context: object
) -> Response:
    """A page. Beside `context` the template knows: session, account, membership, csrf_token, toasts, path and now."""
    edge = edge_of(request)
    session = await session_of(request)
    environment: Environment = request.app.state.templates
    html = environment.get_template(template).render(
        session=session,
        account=session.account if session else None,
        membership=await membership_of(request),
        csrf_token=await csrf_token(request),
        toasts=[*_waiting_toasts(request), *toasts],
        path=request.url.path,
        now=edge.room.clock(),
        **context,
    )
    response = HTMLResponse(html, status_code=status)
    if _TOASTS in request.cookies:
        response.delete_cookie(_TOASTS, path="/", secure=edge.settings.is_https, httponly=True, samesite="lax")
    keep_visitor(request, response)
    return response


def redirect(request: Request, path: str, *toasts: Toast) -> Response:
    """To a page of ours, to be fetched with GET; the toasts are shown there."""
    response = RedirectResponse(path, status_code=303)
    if toasts:
        _keep_toasts(response, toasts, edge_of(request))
    keep_visitor(request, response)
    return response


def start_session(response: Response, new: NewSession, edge: Edge) -> None:
    """From now on the browser is known by this session."""
    lifetime: timedelta = edge.settings.session_lifetime
    response.set_cookie(
        session_cookie(edge),
        new.token,
        max_age=int(lifetime.total_seconds()),
        path="/",
        secure=edge.settings.is_https,
        httponly=True,
        samesite="lax",
    )


def end_session(response: Response, edge: Edge) -> None:
    """The browser forgets its session."""
    response.delete_cookie(session_cookie(edge), path="/", secure=edge.settings.is_https, httponly=True, samesite="lax")


def keep_visitor(request: Request, response: Response) -> None:
    """Gives the browser the cookie that was made for it while the request was answered."""
    new = getattr(request.state, "new_visitor", None)
    if new is not None:
        edge = edge_of(request)
        response.set_cookie(
            visitor_cookie(edge), new, path="/", secure=edge.settings.is_https, httponly=True, samesite="lax"
        )


def _keep_toasts(response: Response, toasts: Sequence[Toast], edge: Edge) -> None:
    content = json.dumps(
        [asdict(toast) for toast in toasts[:_MOST_TOASTS]], ensure_ascii=False, separators=(",", ":")
    ).encode()
    parts = (content, _signature(content, edge))
    value = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    response.set_cookie(
        _TOASTS, value, max_age=_TOASTS_LIVE, path="/", secure=edge.settings.is_https, httponly=True, samesite="lax"
    )


def _waiting_toasts(request: Request) -> list[Toast]:
    """What the last answer left for this page. Only we can have written it."""
    content, _, signature = request.cookies.get(_TOASTS, "").partition(".")
    try:
        decoded, mac = _decode(content), _decode(signature)
        if not hmac.compare_digest(mac, _signature(decoded, edge_of(request))):
            return []
        return [Toast(**toast) for toast in json.loads(decoded)]
    except (binascii.Error, ValueError, TypeError):
        return []


def _signature(content: bytes, edge: Edge) -> bytes:
    return hmac.new(edge.settings.accounts_key_bytes, b"toasts" + content, hashlib.sha256).digest()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
