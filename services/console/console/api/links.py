"""Links of invitations: what whoever has one may do. Their codes are in bodies, never in URLs, which end up in logs."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from console.accounts.domain import Scope
from console.api.answers import answer, undecided
from console.api.callers import Caller, Needs, Organizer
from console.api.models import Acceptance, Declined, JoinedMembership, Link, LinkPreview
from console.api.openapi import UNDECIDED, problems, said
from console.api.problems import Problem
from console.api.repeats import Key, request_key
from console.commands.outcome import Outcome
from console.web.requests import edge_of, visitor_id
from contracts import code_digest

router = APIRouter(prefix="/invitation-links", tags=["Invitation links"])

_DEAD = ("unknown_invitation", "superseded", "revoked", "expired", "declined", "already_accepted")


@router.post(
    "/preview",
    operation_id="previewLink",
    summary="What a link is for",
    responses={**said(200, "The invitation.", LinkPreview), **problems("unknown_invitation")},
)
async def preview(
    request: Request,
    body: Link,
    _: Annotated[Caller | None, Depends(Needs(Scope.READ, unproven=True, optional=True))],
) -> Response:
    """Changes nothing, and needs no account. A link that works no more is answered, too: `state` says why, and
    `ended_at` since when."""
    edge = edge_of(request)
    found = await edge.view.invitation_by_digest(code_digest(body.code))
    if found is None or not found.address:
        raise Problem("unknown_invitation")
    return answer(
        LinkPreview(
            organization_name=found.organization_name,
            inviter_name=found.inviter_name,
            state=found.state_at(edge.room.clock()),
            issued_at=found.issued_at,
            expires_at=found.expires_at,
            ended_at=found.ended_at,
        )
    )


@router.post(
    "/accept",
    operation_id="acceptInvitation",
    summary="Join the organization",
    responses={
        **said(200, "The caller is a member.", Acceptance),
        **UNDECIDED,
        **problems(
            *_DEAD,
            "address_differs",
            "in_another_organization",
            "already_a_member",
            "acceptance_in_progress",
            "unknown_account",
            "unknown_organization",
        ),
    },
)
async def accept(request: Request, body: Link, caller: Organizer, key: Key = None) -> Response:
    """Only the account whose address was invited can join, and only while it is in no organization; where it cannot,
    the invitation stays pending. Joining twice by the same link is a success, and `repeated`. The answer comes when the
    membership is there."""
    repeated = await request_key(request, caller.account.account_id, key)
    outcome = await edge_of(request).commands.accept(caller.account, code_digest(body.code), key=repeated)
    if outcome is None:
        raise Problem("unknown_invitation")
    return undecided(outcome) or answer(_acceptance(outcome))


@router.post(
    "/decline",
    operation_id="declineInvitation",
    summary="Say no",
    responses={
        **said(200, "The link is dead from now on.", Declined),
        **UNDECIDED,
        **problems(*_DEAD, "acceptance_in_progress"),
    },
)
async def decline(
    request: Request,
    body: Link,
    caller: Annotated[Caller | None, Depends(Needs(Scope.ORGANIZATION, unproven=True, optional=True))],
    key: Key = None,
) -> Response:
    """Needs no account: the link is enough."""
    owner_id = caller.account.account_id if caller else await visitor_id(request)
    repeated = await request_key(request, owner_id, key)
    actor = caller.account if caller and caller.account.proven else None
    outcome = await edge_of(request).commands.decline(actor, code_digest(body.code), key=repeated)
    if outcome is None:
        raise Problem("unknown_invitation")
    return undecided(outcome) or answer(Declined(invitation_id=UUID(outcome.result["invitation_id"])))


def _acceptance(outcome: Outcome) -> Acceptance:
    """The outcome says it all, so that nothing has to be read for it."""
    result = outcome.result
    return Acceptance(
        membership=JoinedMembership(
            membership_id=UUID(result["membership_id"]),
            organization_id=UUID(result["organization_id"]),
            organization_name=result["organization_name"],
        ),
        invitation_id=UUID(result["invitation_id"]),
        repeated=result["repeated"],
    )
