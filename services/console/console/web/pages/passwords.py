"""Forgotten passwords: asking for a link, and using it."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.accounts.domain import DeadLink, Malformed
from console.limits import RateLimited
from console.web.answers import Toast, redirect, render
from console.web.pages.forms import Trouble, form_page, trouble_of, typed
from console.web.requests import edge_of, form_of, visitor_of


async def show_forgot_password(request: Request) -> Response:
    return await _forgot_page(request, "")


async def forgot_password(request: Request) -> Response:
    """Says the same whether or not the address has an account."""
    form = await form_of(request)
    address = typed(form, "address")
    edge = edge_of(request)
    try:
        await edge.accounts.request_reset(address, visitor_of(request))
    except (Malformed, RateLimited) as error:
        return await _forgot_page(request, address, trouble_of(error))
    minutes = edge.settings.reset_lifetime // timedelta(minutes=1)
    return await render(request, "forgot_password_sent.html.j2", address=address.strip(), minutes=minutes)


async def show_password_reset(request: Request) -> Response:
    """Looking at the page uses nothing up: programs that look into letters do it before people."""
    if not await edge_of(request).accounts.reset_exists(request.path_params["code"]):
        return await _dead_link(request)
    return await form_page(request, "password_reset.html.j2")


async def reset_password(request: Request) -> Response:
    """Uses the link up."""
    form = await form_of(request)
    accounts = edge_of(request).accounts
    try:
        await accounts.reset_password(request.path_params["code"], typed(form, "password"), visitor_of(request))
    except DeadLink:
        return await _dead_link(request)
    except (Malformed, RateLimited) as error:
        return await form_page(request, "password_reset.html.j2", trouble_of(error))
    return redirect(request, "/sign-in", Toast("success", "Your password is changed. Sign in with the new one."))


async def _forgot_page(request: Request, address: str, trouble: Trouble | None = None) -> Response:
    return await form_page(request, "forgot_password.html.j2", trouble, address=address)


async def _dead_link(request: Request) -> Response:
    return await render(request, "password_reset_dead.html.j2", 410)


routes = [
    Route("/forgot-password", show_forgot_password),
    Route("/forgot-password", forgot_password, methods=["POST"]),
    Route("/password-reset/{code}/", show_password_reset),
    Route("/password-reset/{code}/", reset_password, methods=["POST"]),
]
