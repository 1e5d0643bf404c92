"""The first page after signing in: where one is, and what one may do next."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.accounts.domain import Session
from console.commands.outcome import Outcome
from console.web.answers import Toast, render
from console.web.pages.chain_steps import SOURCE_NAMES, about, chain_steps, who_pays
from console.web.pages.entering import joining_toast
from console.web.requests import edge_of, membership_of, signed_in


@dataclass(frozen=True, slots=True)
class _Joining:
    """An acceptance whose outcome the person has not been told yet."""

    waits: bool = False
    toasts: tuple[Toast, ...] = ()


async def dashboard(request: Request) -> Response:
    """Also tells what became of an invitation that was being accepted when the last page was shown."""
    session = await signed_in(request)
    joining = await _joining(request, session)
    membership = await membership_of(request)
    organization = await edge_of(request).view.organization(membership.organization_id) if membership else None
    chain = await edge_of(request).money.chain(session.account.account_id)
    return await render(
        request,
        "dashboard.html.j2",
        organization=organization,
        joining=joining.waits and membership is None,
        chain=chain,
        steps=chain_steps(chain, membership),
        who_pays=who_pays(chain, membership),
        source_names=SOURCE_NAMES,
        about=about,
        toasts=joining.toasts,
    )


async def _joining(request: Request, session: Session) -> _Joining:
    edge = edge_of(request)
    outcome: Outcome | None = None
    if session.joining_command_id is not None:
        outcome = await edge.commands.outcome(session.joining_command_id)
    elif session.account.invitation_digest is not None:
        # The process that has taken the proof of the mailbox ended before it could accept the invitation.
        outcome = await edge.commands.accept(session.account, session.account.invitation_digest)
    else:
        return _Joining()
    waits = outcome is not None and outcome.is_waiting
    command_id = outcome.command_id if outcome is not None and waits else None
    await edge.accounts.remember_joining(session.session_id, command_id)
    return _Joining(waits, () if waits else (joining_toast(outcome),))


routes = [Route("/dashboard", dashboard, methods=["GET"])]
