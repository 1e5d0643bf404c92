"""The link of an invitation: what whoever follows it sees, and may do.

Looking changes nothing, unless the right person has clicked. Nothing here tells whether the invited address has an
account: what is shown depends on the invitation and on who is signed in, alone.
"""

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from console.accounts.domain import Session
from console.commands.outcome import Outcome
from console.web.answers import Toast, end_session, redirect, render
from console.web.pages.entering import HOME, Link, joining_toast, link_of
from console.web.pages.link_states import Step, how_it_ended, what_to_show, why_not
from console.web.pages.navigation import is_user_navigation
from console.web.pages.sign_in import sign_in_page
from console.web.pages.sign_up import confirm_page, sign_up_page
from console.web.requests import edge_of, forget_membership, form_of, membership_of, session_of

_PAGES: Mapping[Step, tuple[str, int]] = {
    Step.ASK: ("org_invite_join.html.j2", 200),
    Step.ELSEWHERE: ("org_invite_elsewhere.html.j2", 409),
    Step.DIFFERS: ("org_invite_differs.html.j2", 403),
    Step.SUPERSEDED: ("org_invite_superseded.html.j2", 410),
    Step.REVOKED: ("org_invite_revoked.html.j2", 410),
    Step.EXPIRED: ("org_invite_expired.html.j2", 410),
    Step.DECLINED: ("org_invite_declined.html.j2", 410),
    Step.USED: ("org_invite_used.html.j2", 410),
    Step.REFUSED: ("org_invite_refused.html.j2", 409),
}
"""The template of each step that has one, and the status."""


async def follow(request: Request) -> Response:
    """The link itself. HEAD looks nothing up, and a GET that no person stands behind changes nothing."""
    if request.method == "HEAD":
        return HTMLResponse()
    link = await _link(request)
    if link is None:
        return await _unknown(request)
    session = await session_of(request)
    step = await _step(request, link, by_person=is_user_navigation(request.headers))
    if step is Step.JOIN and session is not None:
        return await _join(request, link, session)
    return await _show(request, link, step)


async def join(request: Request) -> Response:
    """The button of the page that asks first. What has changed meanwhile is shown instead."""
    await form_of(request)
    link = await _link(request)
    if link is None:
        return await _unknown(request)
    session = await session_of(request)
    step = await _step(request, link, by_person=True)
    if step is Step.JOIN and session is not None:
        return await _join(request, link, session)
    return redirect(request, link.path)


async def show_joining(request: Request) -> Response:
    """What became of an acceptance that was not decided at once."""
    link, session = await _link(request), await session_of(request)
    if link is None:
        return await _unknown(request)
    if session is None or session.joining_command_id is None:
        return redirect(request, link.path if session is None else HOME)
    outcome = await edge_of(request).commands.outcome(session.joining_command_id, wait=True)
    if outcome is None:
        return redirect(request, HOME)
    if outcome.is_waiting:
        return await render(request, "org_invite_joining.html.j2", link=link)
    return await _tell(request, link, session, outcome)


async def show_sign_in(request: Request) -> Response:
    """For who has an account already. The link stays with them, and not in a query."""
    link = await _link(request)
    if link is None:
        return await _unknown(request)
    step = await _step(request, link, by_person=False)
    return await sign_in_page(request, link) if step is Step.SIGN_UP else redirect(request, link.path)


async def sign_out_and_continue(request: Request) -> Response:
    """For who is signed in with another address than the invited one."""
    await form_of(request)
    link, session = await _link(request), await session_of(request)
    if session is not None:
        await edge_of(request).accounts.sign_out(session)
    response = redirect(request, link.path if link else "/sign-in", Toast("success", "You are signed out."))
    end_session(response, edge_of(request))
    return response


async def ask_to_decline(request: Request) -> Response:
    """Asks first; no account is needed to say no."""
    link = await _link(request)
    if link is None:
        return await _unknown(request)
    ended = how_it_ended(link.invitation, edge_of(request).room.clock())
    if ended is not None:
        return await _show(request, link, ended)
    return await _decline_page(request, link)


async def decline(request: Request) -> Response:
    """Says no. The page of the link then says so. By a link that works no more, nothing is sent."""
    await form_of(request)
    link, session = await _link(request), await session_of(request)
    if link is None:
        return await _unknown(request)
    ended = how_it_ended(link.invitation, edge_of(request).room.clock())
    if ended is not None:
        return await _show(request, link, ended)
    actor = session.account if session is not None and session.account.proven else None
    outcome = await edge_of(request).commands.decline(actor, link.invitation.code_digest)
    if outcome is None:
        return await _unknown(request)
    if outcome.is_refused:
        return await _tell_not_declined(request, link, outcome)
    if outcome.is_waiting:
        return await render(request, "org_invite_declining.html.j2", 202, link=link)
    return redirect(request, link.path)


async def _link(request: Request) -> Link | None:
    return await link_of(request, request.path_params["code"])


async def _step(request: Request, link: Link, *, by_person: bool) -> Step:
    session = await session_of(request)
    account = session.account if session else None
    now = edge_of(request).room.clock()
    return what_to_show(link.invitation, account, await membership_of(request), now, by_person=by_person)


async def _join(request: Request, link: Link, session: Session) -> Response:
    outcome = await edge_of(request).commands.accept_invitation(session.account, link.invitation)
    return await _tell(request, link, session, outcome)


async def _tell(request: Request, link: Link, session: Session, outcome: Outcome) -> Response:
    """What became of an acceptance, or that it takes a moment."""
    accounts = edge_of(request).accounts
    if outcome.is_waiting:
        await accounts.remember_joining(session.session_id, outcome.command_id)
        return redirect(request, f"{link.path}joining")
    if session.joining_command_id is not None:
        await accounts.remember_joining(session.session_id, None)
    if outcome.is_done:
        return redirect(request, HOME, joining_toast(outcome))
    # What the refusal is about may have come to the view meanwhile: the date of a newer invitation, another membership.
    forget_membership(request)
    return await _show(request, await _link(request) or link, why_not(outcome.reason), outcome.message)


async def _tell_not_declined(request: Request, link: Link, outcome: Outcome) -> Response:
    """Why saying no was refused. Who wanted to say no is never offered to join instead."""
    step = why_not(outcome.reason)
    if step is Step.REFUSED:
        return await _decline_page(request, link, 409, message=outcome.message)
    return await _show(request, await _link(request) or link, step)


async def _decline_page(request: Request, link: Link, status: int = 200, *, message: str | None = None) -> Response:
    return await render(request, "org_invite_decline.html.j2", status, link=link, message=message)


async def _show(request: Request, link: Link, step: Step, message: str | None = None) -> Response:
    """The page of a step; `message` is the refusal, where there was one."""
    match step:
        case Step.SIGN_UP:
            return await sign_up_page(request, link)
        case Step.PROVE:
            return await confirm_page(request, link.path)
        case Step.MEMBER:
            return redirect(
                request, HOME, Toast("success", f"You are a member of {link.invitation.organization_name}.")
            )
        case Step.UNKNOWN:
            return await _unknown(request)
    template, status = _PAGES[step]
    return await render(request, template, status, link=link, invitation=link.invitation, message=message)


async def _unknown(request: Request) -> Response:
    return await render(request, "org_invite_unknown.html.j2", 404)


_LINK = "/org-invite/{code}/"
routes = [
    Route(_LINK, follow),
    Route(_LINK, join, methods=["POST"]),
    Route(f"{_LINK}joining", show_joining),
    Route(f"{_LINK}sign-in", show_sign_in),
    Route(f"{_LINK}sign-out", sign_out_and_continue, methods=["POST"]),
    Route(f"{_LINK}decline", ask_to_decline),
    Route(f"{_LINK}decline", decline, methods=["POST"]),
]
