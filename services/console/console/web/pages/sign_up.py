"""Signing up, and the proof of the mailbox by six digits."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.accounts.domain import Malformed, Session, WrongCode
from console.limits import RateLimited
from console.web.answers import Toast, end_session, redirect
from console.web.pages.entering import (
    HOME,
    Link,
    enter,
    enter_and_join,
    link_of,
    require_invited_address,
    wanted_path,
    way_in,
)
from console.web.pages.forms import Trouble, form_page, trouble_of, typed
from console.web.requests import edge_of, form_of, own_path, session_of, visitor_of

# --- signing up


async def show_sign_up(request: Request) -> Response:
    """The form; who is signed in goes on instead."""
    session = await session_of(request)
    if session is not None and session.account.proven:
        return redirect(request, wanted_path(request))
    return await sign_up_page(request, path=wanted_path(request))


async def sign_up(request: Request) -> Response:
    """A session that has to prove its mailbox, whoever has the address already."""
    form = await form_of(request)
    address, name, path = typed(form, "address"), typed(form, "name"), own_path(typed(form, "next"), HOME)
    link = await link_of(request, typed(form, "invitation_code"))
    digest = link.invitation.code_digest if link else None
    try:
        require_invited_address(link, address)
        new = await edge_of(request).accounts.sign_up(
            address, name, typed(form, "password"), visitor_of(request), invitation_digest=digest
        )
    except (Malformed, RateLimited) as error:
        return await sign_up_page(request, link, path=path, address=address, name=name, trouble=trouble_of(error))
    return await enter(request, new, way_in(new.session.account, path))


async def sign_up_page(
    request: Request,
    link: Link | None = None,
    *,
    path: str = HOME,
    address: str | None = None,
    name: str = "",
    trouble: Trouble | None = None,
) -> Response:
    """The form, for somebody who came by a link with the banner that says who invites them."""
    if address is None:
        address = link.invitation.address if link else ""
    return await form_page(request, "sign_up.html.j2", trouble, link=link, next_path=path, address=address, name=name)


# --- the proof


async def show_confirm_address(request: Request) -> Response:
    """Asks for the six digits."""
    session = await session_of(request)
    if session is None or session.account.proven:
        return _elsewhere(request, session, wanted_path(request))
    return await confirm_page(request, wanted_path(request))


async def confirm_address(request: Request) -> Response:
    """The account exists from now on. Who came by a link has joined, too."""
    form = await form_of(request)
    path = own_path(typed(form, "next"), HOME)
    session = await session_of(request)
    if session is None or session.account.proven:
        return _elsewhere(request, session, path)
    code = typed(form, "code")
    try:
        proven = await edge_of(request).accounts.prove(session, code, visitor_of(request))
    except WrongCode as error:
        return await confirm_page(request, path, _wrong_code(error))
    except RateLimited as error:
        return await confirm_page(request, path, trouble_of(error))
    welcome = Toast("success", "Your address is confirmed. Welcome!")
    return await enter_and_join(request, proven.session, proven.accept, path, welcome)


async def send_another_code(request: Request) -> Response:
    """The earlier code holds no more."""
    form = await form_of(request)
    path = own_path(typed(form, "next"), HOME)
    session = await session_of(request)
    if session is None or session.account.proven:
        return _elsewhere(request, session, path)
    try:
        await edge_of(request).accounts.send_code(session, visitor_of(request))
    except RateLimited as error:
        return await confirm_page(request, path, trouble_of(error))
    return redirect(request, way_in(session.account, path), Toast("info", "Another code is on its way."))


async def use_another_address(request: Request) -> Response:
    """Ends this sign-up, and begins another."""
    await form_of(request)
    session = await session_of(request)
    if session is None or session.account.proven:
        return _elsewhere(request, session, HOME)
    await edge_of(request).accounts.sign_out(session)
    response = redirect(request, "/sign-up")
    end_session(response, edge_of(request))
    return response


async def confirm_page(request: Request, path: str, trouble: Trouble | None = None) -> Response:
    """Asks for the six digits, for a session that has to prove its mailbox. Afterwards the person goes to `path`."""
    minutes = edge_of(request).settings.code_lifetime // timedelta(minutes=1)
    return await form_page(request, "confirm_address.html.j2", trouble, next_path=path, minutes=minutes)


def _elsewhere(request: Request, session: Session | None, path: str) -> Response:
    """Where those go who have nothing to prove."""
    return redirect(request, "/sign-in" if session is None else path)


def _wrong_code(error: WrongCode) -> Trouble:
    if error.attempts_left == 0:
        text = "That code is not right, or it does not hold any more. Ask for another one."
    elif error.attempts_left == 1:
        text = "That code is not right, or it does not hold any more. You can try once more."
    else:
        text = f"That code is not right, or it does not hold any more. You can try {error.attempts_left} more times."
    return Trouble("Please check the code", errors={"code": text})


routes = [
    Route("/sign-up", show_sign_up),
    Route("/sign-up", sign_up, methods=["POST"]),
    Route("/confirm-address", show_confirm_address),
    Route("/confirm-address", confirm_address, methods=["POST"]),
    Route("/confirm-address/again", send_another_code, methods=["POST"]),
    Route("/confirm-address/leave", use_another_address, methods=["POST"]),
]
