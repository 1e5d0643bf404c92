"""Signing in and out."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.accounts.domain import Account, Session, WrongPassword
from console.limits import RateLimited
from console.web.answers import Toast, end_session, redirect
from console.web.pages.entering import HOME, Link, enter_and_join, link_of, wanted_path, way_in
from console.web.pages.forms import Trouble, form_page, trouble_of, typed
from console.web.requests import edge_of, form_of, own_path, session_of, visitor_of

_WRONG = Trouble(
    "You could not be signed in",
    "The address and the password do not belong together. Check both and try again.",
)


async def show_sign_in(request: Request) -> Response:
    """The form; who is signed in goes on instead."""
    session = await session_of(request)
    if session is not None and session.account.proven:
        return redirect(request, wanted_path(request))
    return await sign_in_page(request, path=wanted_path(request))


async def sign_in(request: Request) -> Response:
    """A session. Who came by a link goes back to it; who has not proven their mailbox is asked to."""
    form = await form_of(request)
    address, path = typed(form, "address"), own_path(typed(form, "next"), HOME)
    link = await link_of(request, typed(form, "invitation_code"))
    try:
        new = await edge_of(request).accounts.sign_in(address, typed(form, "password"), visitor_of(request))
    except WrongPassword:
        return await sign_in_page(request, link, path=path, address=address, trouble=_WRONG)
    except RateLimited as error:
        return await sign_in_page(request, link, path=path, address=address, trouble=trouble_of(error))
    account, path = new.session.account, link.path if link else path
    digest = None if link else given_up(await session_of(request), account)
    return await enter_and_join(request, new, digest, way_in(account, path))


async def sign_out(request: Request) -> Response:
    """Ends the session."""
    await form_of(request)
    session = await session_of(request)
    if session is not None:
        await edge_of(request).accounts.sign_out(session)
    response = redirect(request, "/sign-in", Toast("success", "You are signed out."))
    end_session(response, edge_of(request))
    return response


async def sign_in_page(
    request: Request,
    link: Link | None = None,
    *,
    path: str = HOME,
    address: str | None = None,
    trouble: Trouble | None = None,
) -> Response:
    """The form, for somebody who came by a link with the banner that says who invites them."""
    if address is None:
        address = link.invitation.address if link else ""
    return await form_page(request, "sign_in.html.j2", trouble, link=link, next_path=path, address=address)


def given_up(before: Session | None, account: Account) -> str | None:
    """The digest of the link that somebody came by with the sign-up in this browser (`before`), which they give up to
    sign in with the account that they have already. Somebody else's sign-up is left alone."""
    if before is None or before.account.proven or not account.proven:
        return None
    is_same = before.account.address_normalized == account.address_normalized
    return before.account.invitation_digest if is_same else None


routes = [
    Route("/sign-in", show_sign_in),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
]
