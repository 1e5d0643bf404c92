"""Invitations of an organization: who is asked to join, one or many, and revoking."""

from datetime import datetime
from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.accounts.domain import Account
from console.api.answers import answer, created, nothing, require_membership, tagged, undecided
from console.api.callers import Organizer, Reader
from console.api.models import (
    Invitation,
    InvitationBatch,
    InvitationPage,
    InvitationRequest,
    InvitationResult,
    InvitationResults,
)
from console.api.openapi import ETAG, LOCATION, NOT_MODIFIED, UNDECIDED, problems, said
from console.api.pages import Cursor, Limit, page_of
from console.api.problems import Problem
from console.api.repeats import Key, request_key
from console.commands import allowances
from console.commands.outcome import Outcome
from console.view import nouns
from console.web.requests import edge_of, visitor_of

router = APIRouter(tags=["Invitations"])


@router.post(
    "/organizations/{organization_id:uuid}/invitations",
    status_code=201,
    operation_id="invite",
    summary="Invite an address",
    responses={
        **said(201, "The invitation; its letter is on its way.", Invitation, LOCATION),
        **UNDECIDED,
        **problems(
            "not_an_admin",
            "unknown_organization",
            "unknown_account",
            "already_a_member",
            "acceptance_in_progress",
            "malformed_address",
            "rate_limited",
            "rate_limited_organization",
            "rate_limited_inviter",
            "rate_limited_recipient",
        ),
    },
)
async def invite(
    request: Request, organization_id: UUID, body: InvitationRequest, caller: Organizer, key: Key = None
) -> Response:
    """A letter with a link goes to the address; the link holds for seven days. Where an invitation of the address is
    pending, the new one takes its place, and the old link dies."""
    edge = edge_of(request)
    # Invites would wait for an organization that it does not know; who is in none of that id hears so at once.
    await require_membership(edge, caller, organization_id)
    await edge.limits.spend(allowances.invitations(edge.settings, visitor_of(request)))
    repeated = await request_key(request, caller.account.account_id, key)
    (outcome,) = await edge.commands.invite(caller.account, organization_id, [body.address], key=repeated)
    if waits := undecided(outcome):
        return waits
    invitation = _issued(outcome, caller.account)
    return created(invitation, f"/organizations/{organization_id}/invitations/{invitation.invitation_id}")


@router.post(
    "/organizations/{organization_id:uuid}/invitations/batch",
    operation_id="inviteMany",
    summary="Invite several addresses",
    responses={
        **said(200, "What became of each address.", InvitationResults),
        **problems("unknown_organization", "rate_limited"),
    },
)
async def invite_many(
    request: Request, organization_id: UUID, body: InvitationBatch, caller: Organizer, key: Key = None
) -> Response:
    """Each address is invited, or refused, by itself, and has a result of its own."""
    edge = edge_of(request)
    await require_membership(edge, caller, organization_id)
    await edge.limits.spend(allowances.invitations(edge.settings, visitor_of(request), len(body.addresses)))
    repeated = await request_key(request, caller.account.account_id, key)
    outcomes = await edge.commands.invite(caller.account, organization_id, body.addresses, key=repeated)
    pairs = zip(body.addresses, outcomes, strict=True)
    return answer(InvitationResults(results=[_result(address, outcome, caller.account) for address, outcome in pairs]))


@router.get(
    "/organizations/{organization_id:uuid}/invitations",
    operation_id="listInvitations",
    summary="Invitations that are pending or have expired",
    responses={
        **said(200, "A page of invitations.", InvitationPage, ETAG),
        **NOT_MODIFIED,
        **problems("unknown_organization", "malformed_cursor"),
    },
)
async def list_invitations(
    request: Request, organization_id: UUID, caller: Reader, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """In the order in which they were sent. Expired ones are shown for 30 days, unless their address was invited again
    or has joined. Every member sees them."""
    edge = edge_of(request)
    await require_membership(edge, caller, organization_id)
    found = await page_of(edge.view.invitations(organization_id, after=cursor, limit=limit))
    now = edge.room.clock()
    items = [invitation_of(each, each.state_at(now)) for each in found.items]
    return tagged(request, InvitationPage(items=items, next=found.next))


@router.get(
    "/organizations/{organization_id:uuid}/invitations/{invitation_id:uuid}",
    operation_id="getInvitation",
    summary="An invitation",
    responses={
        **said(200, "The invitation, whatever became of it.", Invitation, ETAG),
        **NOT_MODIFIED,
        **problems("unknown_organization", "unknown_invitation"),
    },
)
async def read_invitation(request: Request, organization_id: UUID, invitation_id: UUID, caller: Reader) -> Response:
    """Those that have ended are remembered for 30 days."""
    edge = edge_of(request)
    await require_membership(edge, caller, organization_id)
    found = await edge.view.invitation(invitation_id)
    if found is None or found.organization_id != organization_id:
        raise Problem("unknown_invitation")
    return tagged(request, invitation_of(found, found.state_at(edge.room.clock())))


@router.delete(
    "/organizations/{organization_id:uuid}/invitations/{invitation_id:uuid}",
    status_code=204,
    operation_id="revokeInvitation",
    summary="Revoke an invitation",
    responses={
        **said(204, "It is revoked, and nobody has joined by it."),
        **UNDECIDED,
        **problems(
            "not_an_admin",
            "unknown_organization",
            "unknown_invitation",
            "already_accepted",
            "superseded",
            "revoked",
            "expired",
            "declined",
        ),
    },
)
async def revoke_invitation(
    request: Request, organization_id: UUID, invitation_id: UUID, caller: Organizer
) -> Response:
    """Its link is dead from now on. Where somebody is following the link at this moment, the answer waits until it is
    known who was first: either nobody has joined, or the answer is `already_accepted`."""
    edge = edge_of(request)
    await require_membership(edge, caller, organization_id)
    outcome = await edge.commands.revoke(caller.account, organization_id, invitation_id)
    return undecided(outcome) or nothing()


def invitation_of(found: nouns.Invitation, state: nouns.InvitationState) -> Invitation:
    """As members of the organization see it."""
    return Invitation(
        invitation_id=found.invitation_id,
        organization_id=found.organization_id,
        address=found.address,
        state=state,
        delivery=found.delivery,
        inviter_id=found.inviter_id,
        inviter_name=found.inviter_name,
        issued_at=found.issued_at,
        expires_at=found.expires_at,
        ended_at=found.ended_at,
    )


def _issued(outcome: Outcome, inviter: Account) -> Invitation:
    """As it was when it was issued: the outcome says it all, so that nothing has to be read for it."""
    result = outcome.result
    return Invitation(
        invitation_id=UUID(result["invitation_id"]),
        organization_id=outcome.organization_id,
        address=result["address"],
        state="pending",
        delivery="queued",
        inviter_id=inviter.account_id,
        inviter_name=inviter.name,
        issued_at=datetime.fromisoformat(result["issued_at"]),
        expires_at=datetime.fromisoformat(result["expires_at"]),
        ended_at=None,
    )


def _result(address: str, outcome: Outcome, inviter: Account) -> InvitationResult:
    return InvitationResult(
        address=address,
        status="waiting" if outcome.is_waiting else "refused" if outcome.is_refused else "created",
        command_id=outcome.command_id,
        invitation=_issued(outcome, inviter) if outcome.is_done else None,
        reason=outcome.reason,
        message=outcome.message,
    )
