"""The account page: name, password, sessions and API tokens."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.accounts.domain import Malformed, Scope, Session, WrongPassword
from console.limits import RateLimited
from console.web.answers import Toast, redirect, render
from console.web.pages.browsers import browser_name
from console.web.pages.confirmation import confirm
from console.web.pages.entering import enter
from console.web.pages.forms import Trouble, form_page, trouble_of, typed, typed_id
from console.web.requests import edge_of, form_of, signed_in, visitor_of

_HOME = "/account"

_SCOPES: Mapping[Scope, tuple[str, str]] = {
    Scope.READ: ("Read", "See your account, your organization, its members and invitations."),
    Scope.ORGANIZATION: ("Organization", "Create, invite, revoke, accept, promote, remove and leave."),
    Scope.BILLING: ("Billing", "Top up, set cards and limits: what costs money, or decides who pays."),
    Scope.ACCOUNT: ("Account", "Change your name and end your sessions."),
}
_LIFETIMES: Mapping[str, str] = {
    "7": "7 days",
    "30": "30 days",
    "90": "90 days",
    "365": "1 year",
    "never": "Until it is revoked",
}
"""What a token's lifetime may be, in days, and what that is called."""
_USUAL_LIFETIME = "90"
_ROUGHLY = 6
"""Minutes: uses are noted every five."""

# What is asked before something is ended: heading, text, and the label of the button.
_END_SESSION = ("Sign out this session?", "Whoever uses that browser has to sign in again.", "Sign out")
_END_OTHERS = (
    "Sign out elsewhere?",
    "Every other browser has to sign in again. You stay signed in here.",
    "Sign out elsewhere",
)
_REVOKE = (
    "Revoke this token?",
    "Programs that use it stop working at once. It cannot be brought back.",
    "Revoke token",
)


async def show(request: Request) -> Response:
    return await _page(request, await signed_in(request))


async def rename(request: Request) -> Response:
    """Members and letters show the new name from now on."""
    session, form = await signed_in(request), await form_of(request)
    name = typed(form, "name")
    try:
        await edge_of(request).accounts.rename(session.account, name)
    except Malformed as error:
        return await _page(request, session, trouble_of(error), name=name)
    return redirect(request, _HOME, Toast("success", "Your name is changed."))


async def change_password(request: Request) -> Response:
    """Signs out everywhere else."""
    session, form = await signed_in(request), await form_of(request)
    accounts = edge_of(request).accounts
    try:
        new = await accounts.change_password(session, typed(form, "old"), typed(form, "new"), visitor_of(request))
    except WrongPassword:
        wrong = Trouble("Please check the form", errors={"old": "That is not your present password."})
        return await _page(request, session, wrong)
    except (Malformed, RateLimited) as error:
        return await _page(request, session, trouble_of(error, password="new"))  # noqa: S106
    toast = Toast("success", "Your password is changed. You are signed out everywhere else.")
    return await enter(request, new, _HOME, toast)


async def end_session(request: Request) -> Response:
    """Signs out one browser."""
    session, form = await signed_in(request), await form_of(request)
    ended_id = typed_id(form, "session_id")
    if "confirmed" not in form:
        return await confirm(request, form, *_END_SESSION, back=_HOME)
    if ended_id is not None:
        await edge_of(request).accounts.end_session(session.account.account_id, ended_id)
    return redirect(request, _HOME, Toast("success", "The session is signed out."))


async def end_other_sessions(request: Request) -> Response:
    """Signs out every browser but this one."""
    session, form = await signed_in(request), await form_of(request)
    if "confirmed" not in form:
        return await confirm(request, form, *_END_OTHERS, back=_HOME)
    ended = await edge_of(request).accounts.sign_out_elsewhere(session)
    said = "1 other session is signed out." if ended == 1 else f"{ended} other sessions are signed out."
    return redirect(request, _HOME, Toast("success", said))


async def create_token(request: Request) -> Response:
    """Shows the secret, here and never again."""
    session, form = await signed_in(request), await form_of(request)
    name, lifetime = typed(form, "token_name"), typed(form, "lifetime")
    scopes = frozenset(scope for scope in Scope if scope in form.getlist("scopes"))
    try:
        new = await edge_of(request).accounts.create_token(session.account, name, scopes, _lifetime(lifetime))
    except Malformed as error:
        trouble = trouble_of(error, name="token_name")
        return await _page(request, session, trouble, token_name=name, scopes=scopes, lifetime=lifetime)
    return await render(request, "token_created.html.j2", secret=new.secret, token=new.token, scope_names=_SCOPES)


async def revoke_token(request: Request) -> Response:
    """Programs that use it are refused from now on."""
    session, form = await signed_in(request), await form_of(request)
    token_id = typed_id(form, "token_id")
    if "confirmed" not in form:
        return await confirm(request, form, *_REVOKE, back=_HOME)
    if token_id is not None:
        await edge_of(request).accounts.revoke_token(session.account.account_id, token_id)
    return redirect(request, _HOME, Toast("success", "The token is revoked."))


async def _page(
    request: Request,
    session: Session,
    trouble: Trouble | None = None,
    *,
    name: str | None = None,
    token_name: str = "",
    scopes: frozenset[Scope] = frozenset({Scope.READ}),
    lifetime: str = _USUAL_LIFETIME,
) -> Response:
    """The page, with what was typed where that could not be taken."""
    accounts, account = edge_of(request).accounts, session.account
    return await form_page(
        request,
        "account.html.j2",
        trouble,
        sessions=await accounts.sessions(account.account_id),
        tokens=await accounts.tokens(account.account_id),
        browser_name=browser_name,
        how_long_ago=how_long_ago,
        scope_names=_SCOPES,
        lifetimes=_LIFETIMES,
        typed_name=account.name if name is None else name,
        token_name=token_name,
        chosen_scopes=scopes,
        chosen_lifetime=lifetime,
    )


def how_long_ago(at: datetime, now: datetime) -> str | None:
    """In words, for what was today; none for what is better said with its date. Minutes are rough ones: that is how
    exactly it is known when a session or a token was used."""
    minutes = (now - at) // timedelta(minutes=1)
    if minutes < _ROUGHLY:
        return "just now"
    if minutes < 60:
        return f"{minutes} minutes ago"
    hours = minutes // 60
    if hours < 24:
        return "1 hour ago" if hours == 1 else f"{hours} hours ago"
    return None


def _lifetime(chosen: str) -> timedelta | None:
    """Raises Malformed."""
    if chosen not in _LIFETIMES:
        raise Malformed("lifetime", "Choose how long the token holds.")
    return None if chosen == "never" else timedelta(days=int(chosen))


routes = [
    Route(_HOME, show),
    Route("/account/name", rename, methods=["POST"]),
    Route("/account/password", change_password, methods=["POST"]),
    Route("/account/sessions/end", end_session, methods=["POST"]),
    Route("/account/sessions/end-others", end_other_sessions, methods=["POST"]),
    Route("/account/tokens", create_token, methods=["POST"]),
    Route("/account/tokens/revoke", revoke_token, methods=["POST"]),
]
