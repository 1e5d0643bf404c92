"""Usage & Billing → My Organization: who is in it, who is invited, and what may be done about that. And a new one."""

import hashlib
import math
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from console.accounts.domain import Account
from console.commands import allowances
from console.commands.outcome import Outcome
from console.limits import RateLimited
from console.view.nouns import Membership
from console.web.answers import Toast, redirect, render
from console.web.pages.confirmation import confirm
from console.web.pages.rows import MOST_ADDRESSES, addresses_in, invitation_rows, member_rows
from console.web.requests import csrf_token, edge_of, form_of, membership_of, session_of, signed_in, visitor_of

_HOME = "/billing/organization"
_LONGEST_NAME = 1000
_STATUS = {"not_an_admin": 403, "malformed_address": 422, "malformed_name": 422, "name_taken": 409}
_REFUSED = "That was refused."
_STILL = "It is still being decided. The table will show what came of it."


# --- creating one


async def new_organization(request: Request) -> Response:
    """The form for a new organization."""
    await signed_in(request)
    if await membership_of(request) is not None:
        return redirect(request, _HOME)
    return await render(request, "organization_new.html.j2", name="", error=None)


async def create_organization(request: Request) -> Response:
    """Makes it, and shows it; a refusal stands beside the name."""
    session = await signed_in(request)
    name = str((await form_of(request)).get("name", ""))[:_LONGEST_NAME]
    outcome = await edge_of(request).commands.create_organization(session.account, name)
    if outcome.is_refused:
        status = _STATUS.get(outcome.reason or "", 409)
        return await render(request, "organization_new.html.j2", status, name=name, error=outcome.message)
    toast = Toast("success", f"{name.strip()} is ready.") if outcome.is_done else Toast("info", _STILL)
    return redirect(request, _HOME, toast)


# --- the table


async def organization(request: Request) -> Response:
    """The page; for who is in none, what to do about that."""
    await signed_in(request)
    if await membership_of(request) is None:
        return await render(request, "organization_none.html.j2")
    return await _page(request)


async def table(request: Request) -> Response:
    """The table alone, for pages that are open already. 401 and 404 tell them that it is not theirs any more."""
    session, membership = await session_of(request), await membership_of(request)
    if session is None or membership is None:
        raise HTTPException(401 if session is None else 404)
    reader = await _reader_of(request, membership)
    tag = _tag_of(request, membership, reader)
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"etag": tag})
    rows = await _rows(request, session.account, membership)
    response = await render(request, "organization_table.html.j2", reader=reader, **rows)
    response.headers["etag"] = tag
    return response


async def to_the_page(request: Request) -> Response:
    """For who loads the address again that a form was sent to."""
    return redirect(request, _HOME)


async def _page(request: Request, status: int = 200, *, toasts: tuple[Toast, ...] = (), **changed: Any) -> Response:
    session, membership = await signed_in(request), await membership_of(request)
    if membership is None:
        return redirect(request, _HOME)
    context: dict[str, Any] = {
        "adding": "add" in request.query_params,
        "typed": "",
        "error": None,
        "results": [],
        "query": request.url.query,
        "reader": await _reader_of(request, membership),
    }
    rows = await _rows(request, session.account, membership)
    return await render(request, "organization.html.j2", status, toasts=toasts, **context | rows | changed)


async def _rows(request: Request, account: Account, membership: Membership) -> dict[str, Any]:
    view, now = edge_of(request).view, edge_of(request).room.clock()
    query = request.query_params
    try:
        members = await view.members(membership.organization_id, after=query.get("after"))
        invitations = await view.invitations(membership.organization_id, after=query.get("invited_after"), limit=100)
    except ValueError:
        raise HTTPException(404) from None
    return {
        "members": member_rows(members.items, account.account_id, membership),
        "invitations": invitation_rows(invitations.items, membership, now),
        "more_members": members.next,
        "more_invitations": invitations.next,
        "after": query.get("after"),
        "invited_after": query.get("invited_after"),
    }


async def _reader_of(request: Request, membership: Membership) -> str:
    """For whom the forms of a page work, and what they may do there. A page that is open has to be left when this is
    another: somebody has signed in anew, or has become an admin."""
    return f"{membership.organization_id} {membership.role} {await csrf_token(request)}"


def _tag_of(request: Request, membership: Membership, reader: str) -> str:
    """Days are counted down at any moment of the day, so a tag holds for an hour at the most."""
    hour = f"{edge_of(request).room.clock():%Y%m%d%H}"
    parts = (reader, membership.organization_revision, hour, request.url.query)
    return f'W/"{hashlib.sha256(repr(parts).encode()).hexdigest()[:24]}"'


# --- inviting


async def invite(request: Request) -> Response:
    """Invites one address, or several with a result for each."""
    session = await signed_in(request)
    typed = str((await form_of(request)).get("addresses", ""))
    addresses, membership = addresses_in(typed), await membership_of(request)
    if membership is None:
        return redirect(request, _HOME)
    if not addresses or len(addresses) > MOST_ADDRESSES:
        error = f"Invite up to {MOST_ADDRESSES} at a time." if addresses else "Enter an e-mail address."
        return await _page(request, 422, adding=True, typed=typed, error=error)
    edge = edge_of(request)
    try:
        await edge.limits.spend(allowances.invitations(edge.settings, visitor_of(request), len(addresses)))
    except RateLimited as limited:
        return await _too_many(request, typed, limited.retry_after)
    outcomes = await edge.commands.invite(session.account, membership.organization_id, addresses)
    if all(outcome.reason == "not_an_admin" for outcome in outcomes):
        return redirect(request, _HOME, Toast("error", outcomes[0].message or _REFUSED))  # There is no field any more.
    if len(addresses) == 1:
        return await _one_result(request, typed, addresses[0], outcomes[0])
    return await _several_results(request, addresses, outcomes)


async def _too_many(request: Request, typed: str, retry_after: timedelta) -> Response:
    minutes = max(1, math.ceil(retry_after / timedelta(minutes=1)))
    error = f"That is too much for now. Try again in {'a minute' if minutes == 1 else f'{minutes} minutes'}."
    response = await _page(request, 429, adding=True, typed=typed, error=error)
    response.headers["retry-after"] = str(max(1, math.ceil(retry_after.total_seconds())))
    return response


async def _one_result(request: Request, typed: str, address: str, outcome: Outcome) -> Response:
    if outcome.is_refused:
        status = _STATUS.get(outcome.reason or "", 429 if "rate_limited" in (outcome.reason or "") else 409)
        return await _page(request, status, adding=True, typed=typed, error=outcome.message)
    if outcome.is_done:
        return redirect(request, f"{_HOME}?add=1", Toast("success", f"Invitation sent to {address}."))
    return redirect(request, _HOME, Toast("info", f"The invitation to {address} is still being sent. {_STILL}"))


async def _several_results(request: Request, addresses: Sequence[str], outcomes: Sequence[Outcome]) -> Response:
    results = list(zip(addresses, outcomes, strict=True))
    refused = [address for address, outcome in results if outcome.is_refused]
    sent = sum(outcome.is_done for outcome in outcomes)
    toasts = (Toast("success", f"{sent} {'invitation' if sent == 1 else 'invitations'} sent."),) if sent else ()
    return await _page(request, adding=True, typed="\n".join(refused), results=results, toasts=toasts)


# --- what needs a second click, and roles

Ask = Callable[[Request, Account, Membership, UUID], Awaitable[Outcome]]


async def revoke(request: Request) -> Response:
    """Kills a pending invitation's link, and says what is true: nobody joined, or somebody was faster."""
    return await _act(
        request,
        "invitation_id",
        lambda r, who, where, what: edge_of(r).commands.revoke(who, where.organization_id, what),
        done="Revoked. Nobody joined by the invitation of {}.",
        ask=("Revoke the invitation of {}?", "Its link is dead at once. You can invite the address again.", "Revoke"),
    )


async def promote(request: Request) -> Response:
    """Makes a member an admin."""
    return await _act(
        request,
        "account_id",
        lambda r, who, where, what: edge_of(r).commands.promote(who, where.organization_id, what),
        done="{} is an admin now.",
    )


async def demote(request: Request) -> Response:
    """Makes an admin a plain member."""
    return await _act(
        request,
        "account_id",
        lambda r, who, where, what: edge_of(r).commands.demote(who, where.organization_id, what),
        done="{} is a member now, and no admin.",
    )


async def remove(request: Request) -> Response:
    """Puts a member out."""
    return await _act(
        request,
        "account_id",
        lambda r, who, where, what: edge_of(r).commands.remove(who, where.organization_id, what),
        done="{} was removed from the organization.",
        ask=(
            "Remove {}?",
            "The organization pays nothing more for them, and what they have invited is revoked.",
            "Remove",
        ),
    )


async def leave(request: Request) -> Response:
    """The reader leaves."""
    return await _act(
        request,
        None,
        lambda r, who, where, what: edge_of(r).commands.leave(who, where.organization_id),
        done="You left {}.",
        ask=("Leave {}?", "It pays nothing more for you. An admin can invite you again.", "Leave"),
    )


async def _act(
    request: Request, field: str | None, act: Ask, *, done: str, ask: tuple[str, str, str] | None = None
) -> Response:
    """What all of these have in common: the form, the second click, the outcome as a toast. Question and toast name
    who it is about, in the place of `{}`."""
    session = await signed_in(request)
    form, membership = await form_of(request), await membership_of(request)
    if membership is None:
        return redirect(request, _HOME)
    what = _id_in(form, field) if field else membership.organization_id
    name = await _name_of(request, membership, field, what)
    if ask is not None and "confirmed" not in form:
        question, text, label = ask
        return await confirm(request, form, question.format(name), text, label, back=_HOME)
    outcome = await act(request, session.account, membership, what)
    if outcome.is_refused:
        return redirect(request, _HOME, Toast("error", outcome.message or _REFUSED))
    return redirect(request, _HOME, Toast("success", done.format(name)) if outcome.is_done else Toast("info", _STILL))


async def _name_of(request: Request, membership: Membership, field: str | None, what: UUID) -> str:
    view, organization_id = edge_of(request).view, membership.organization_id
    if field is None:
        return membership.organization_name
    if field == "invitation_id":
        invitation = await view.invitation(what)
        is_ours = invitation is not None and invitation.organization_id == organization_id
        return invitation.address if invitation is not None and is_ours else "somebody"
    member = await view.member(organization_id, what)
    return member.name if member is not None and member.name else "Somebody"


def _id_in(form: FormData, field: str) -> UUID:
    try:
        return UUID(str(form.get(field, "")))
    except ValueError:
        raise HTTPException(400) from None


routes = [
    Route("/organization/new", new_organization, methods=["GET"]),
    Route("/organization/new", create_organization, methods=["POST"]),
    Route(_HOME, organization, methods=["GET"]),
    Route(f"{_HOME}/table", table, methods=["GET"]),
    Route(f"{_HOME}/invite", invite, methods=["POST"]),
    Route(f"{_HOME}/revoke", revoke, methods=["POST"]),
    Route(f"{_HOME}/promote", promote, methods=["POST"]),
    Route(f"{_HOME}/demote", demote, methods=["POST"]),
    Route(f"{_HOME}/remove", remove, methods=["POST"]),
    Route(f"{_HOME}/leave", leave, methods=["POST"]),
    *(Route(f"{_HOME}/{form}", to_the_page, methods=["GET"]) for form in ("invite", "revoke", "remove", "leave")),
]
