"""The moment at which a browser gets a session, and at which an invitation that somebody came by is accepted."""

from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from console.accounts.addresses import parse_address
from console.accounts.domain import Account, Malformed, NewSession
from console.commands.outcome import Outcome
from console.view.nouns import Invitation
from console.web.answers import Toast, redirect, start_session
from console.web.requests import edge_of, own_path, session_of
from contracts import code_digest

HOME = "/dashboard"
_LINKS = "/org-invite/"


@dataclass(frozen=True, slots=True)
class Link:
    """The link that somebody came by. Its code is never in a query: those end up in logs and histories."""

    code: str
    invitation: Invitation

    @property
    def path(self) -> str:
        return f"{_LINKS}{self.code}/"


async def link_of(request: Request, code: str) -> Link | None:
    """The link with this code, whatever became of it; none where it is unknown."""
    if not code:
        return None
    invitation = await edge_of(request).view.invitation_by_digest(code_digest(code))
    # Without an address, what is known of it came before its issue.
    return None if invitation is None or not invitation.address else Link(code, invitation)


def require_invited_address(link: Link | None, address: str) -> None:
    """Raises Malformed where somebody who came by a link signs up with another address: they could not join."""
    if link is not None and parse_address(address).normalized != link.invitation.address_normalized:
        invited, organization = link.invitation.address, link.invitation.organization_name
        raise Malformed("address", f"The invitation is for {invited}. Use that address to join {organization}.")


def way_in(account: Account, path: str) -> str:
    """Where somebody goes who has just got a session and wants to go to `path`. The page of a link asks for the proof
    of the mailbox itself, so that its code stays where it is."""
    if account.proven or path.startswith(_LINKS):
        return path
    return "/confirm-address" if path == HOME else f"/confirm-address?{urlencode({'next': path})}"


def wanted_path(request: Request) -> str:
    """Where the person was going, as the query says."""
    return own_path(request.query_params.get("next"), HOME)


async def enter(request: Request, new: NewSession, path: str, *toasts: Toast) -> Response:
    """Goes on with a new session, which takes the place of the browser's old one."""
    edge = edge_of(request)
    old = await session_of(request)
    if old is not None:
        await edge.accounts.sign_out(old)
    response = redirect(request, path, *toasts)
    start_session(response, new, edge)
    return response


async def enter_and_join(request: Request, new: NewSession, digest: str | None, path: str, *welcome: Toast) -> Response:
    """Goes on with a new session, and accepts the invitation that the person came by, if they did. The dashboard tells
    them later what could not be told yet."""
    if digest is None:
        return await enter(request, new, path, *welcome)
    edge = edge_of(request)
    outcome = await edge.commands.accept(new.session.account, digest)
    waiting = outcome is not None and outcome.is_waiting
    await edge.accounts.remember_joining(new.session.session_id, outcome.command_id if outcome and waiting else None)
    return await enter(request, new, HOME, *(() if waiting else (joining_toast(outcome),)))


def joining_toast(outcome: Outcome | None) -> Toast:
    """What is said of an acceptance that is decided; none is one of a link that is not known any more."""
    if outcome is None:
        return Toast("error", "The invitation that you came by is not known any more. Ask for a new one.")
    if outcome.is_refused:
        return Toast("error", outcome.message or "You could not be added to the organization.")
    organization = outcome.result.get("organization_name") or "the organization"
    if outcome.result.get("repeated"):
        return Toast("success", f"You are a member of {organization}.")
    return Toast("success", f"You joined {organization}.")
