"""What is known of who sends a request: their session, and that they mean it.

A browser is known by a cookie: that of its session, or that of a visitor who is not signed in. The CSRF token is
derived from that cookie, so that nothing has to be stored for it: only who can read a page of ours knows it.
"""

import base64
import hashlib
import hmac
import re
import secrets
from uuid import UUID

from starlette.datastructures import FormData
from starlette.requests import Request

from console.accounts.domain import Session, Visitor
from console.edge import Edge
from console.view.nouns import Membership

CSRF_FIELD = "csrf_token"
CSRF_HEADER = "x-csrf-token"
_USER_AGENT_LENGTH = 200
_VISITOR = re.compile(r"[A-Za-z0-9_-]{43}")
_OWN_PATH = re.compile(r"/(?![/\\])[^\\\x00-\x1f\x7f]*")
_MAX_FIELDS = 200


class Forbidden(Exception):
    """The request was not made by one of our own pages, or its page is too old."""


class SignInFirst(Exception):
    """The page is for people who are signed in; `proven` is false where the mailbox is still to be proven."""

    def __init__(self, *, must_prove: bool) -> None:
        super().__init__()
        self.must_prove = must_prove


def edge_of(request: Request) -> Edge:
    """Everything that stands behind the pages."""
    edge: Edge = request.app.state.edge
    return edge


def visitor_of(request: Request) -> Visitor:
    """Who sends the request, as far as the network tells. Proxies are believed where uvicorn was told to."""
    host = request.client.host if request.client else "unknown"
    return Visitor(host, request.headers.get("user-agent", "")[:_USER_AGENT_LENGTH])


def session_cookie(edge: Edge) -> str:
    """The name of the session's cookie; with HTTPS one that browsers bind to this host."""
    return "__Host-session" if edge.settings.is_https else "session"


def visitor_cookie(edge: Edge) -> str:
    """The name of the cookie of those who are not signed in."""
    return "__Host-visitor" if edge.settings.is_https else "visitor"


async def session_of(request: Request) -> Session | None:
    """The session of the browser, also one that has still to prove its mailbox; none for a visitor."""
    if not hasattr(request.state, "session"):
        edge = edge_of(request)
        token = request.cookies.get(session_cookie(edge))
        request.state.session = await edge.accounts.session(token) if token else None
    session: Session | None = request.state.session
    return session


async def signed_in(request: Request) -> Session:
    """The session of somebody whose mailbox is proven. Raises SignInFirst."""
    session = await session_of(request)
    if session is None or not session.account.proven:
        raise SignInFirst(must_prove=session is not None)
    return session


async def membership_of(request: Request) -> Membership | None:
    """The place of who is signed in, in their organization; none for others. It is looked up once for a request."""
    if not hasattr(request.state, "membership"):
        session = await session_of(request)
        proven = session is not None and session.account.proven
        view = edge_of(request).view
        request.state.membership = await view.membership(session.account.account_id) if session and proven else None
    membership: Membership | None = request.state.membership
    return membership


def forget_membership(request: Request) -> None:
    """What `membership_of` has found may have changed while the request was answered: it is looked up anew."""
    if hasattr(request.state, "membership"):
        del request.state.membership


async def csrf_token(request: Request) -> str:
    """What forms of this browser carry. A visitor without a cookie is given one with the answer."""
    return csrf_token_of(await browser_secret(request))


def csrf_token_of(secret: str) -> str:
    """What forms of a browser carry whose session, or visitor's cookie, is this."""
    mac = hmac.new(secret.encode(), b"csrf", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


async def browser_secret(request: Request) -> str:
    """What only this browser and we know: the cookie of its session, or of the visitor. For a visitor without one it is
    made, and `request.state.new_visitor` is set for the answer."""
    edge = edge_of(request)
    if await session_of(request) is not None:
        return request.cookies[session_cookie(edge)]
    cookie = request.cookies.get(visitor_cookie(edge), "")
    if _VISITOR.fullmatch(cookie):
        return cookie
    if not hasattr(request.state, "new_visitor"):
        request.state.new_visitor = secrets.token_urlsafe(32)
    new: str = request.state.new_visitor
    return new


async def visitor_id(request: Request) -> UUID:
    """An id of a browser that is not signed in, for what has to be remembered of it. Not its cookie."""
    return UUID(bytes=hashlib.sha256(f"visitor {await browser_secret(request)}".encode()).digest()[:16])


async def form_of(request: Request) -> FormData:
    """The form of a page of ours. Raises Forbidden."""
    form = await request.form(max_files=0, max_fields=_MAX_FIELDS)
    await require_own_page(request, str(form.get(CSRF_FIELD) or request.headers.get(CSRF_HEADER) or ""))
    return form


async def require_own_page(request: Request, presented: str) -> None:
    """Raises Forbidden unless the request comes from a page of ours, in this browser."""
    expected = await csrf_token(request)
    if not is_same_origin(request) or not hmac.compare_digest(expected.encode(), presented.encode("utf-8", "replace")):
        raise Forbidden


def is_same_origin(request: Request) -> bool:
    """Whether the browser says that the request was made by a page of ours, or does not say. Pages which send no
    referrer have the origin `null`; every current browser then tells by Sec-Fetch-Site."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin in (None, "null", edge_of(request).settings.origin, str(request.base_url).rstrip("/"))


def own_path(path: str | None, default: str = "/dashboard") -> str:
    """`path`, if it is one of this console's; otherwise `default`. No other host, scheme or trick gets through."""
    return path if path and _OWN_PATH.fullmatch(path) else default
