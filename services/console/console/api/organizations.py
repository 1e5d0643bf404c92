"""Organizations: creating one, looking at one's own, and leaving it."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.api.answers import created, nothing, require_membership, tagged, undecided, undecided_within
from console.api.callers import Organizer, Reader
from console.api.models import Organization, OrganizationRequest
from console.api.openapi import ETAG, LOCATION, NOT_MODIFIED, UNDECIDED, problems, said
from console.api.repeats import Key, request_key
from console.view import nouns
from console.web.requests import edge_of

router = APIRouter(tags=["Organizations"])


@router.post(
    "/organizations",
    status_code=201,
    operation_id="createOrganization",
    summary="Create an organization",
    responses={
        **said(201, "The organization, which the caller owns.", Organization, LOCATION),
        **UNDECIDED,
        **problems("malformed_name", "name_taken", "already_in_an_organization", "unknown_account"),
    },
)
async def create_organization(
    request: Request, body: OrganizationRequest, caller: Organizer, key: Key = None
) -> Response:
    """The caller becomes its owner. Whoever is in an organization already is refused: an account is in at most one."""
    edge = edge_of(request)
    repeated = await request_key(request, caller.account.account_id, key)
    outcome = await edge.commands.create_organization(caller.account, body.name, key=repeated)
    if waits := undecided(outcome):
        return waits
    found = await edge.view.organization(outcome.organization_id)
    assert found is not None  # Its owner's MemberJoined is the outcome, and organizations do not end.
    return created(_organization(found, "owner"), f"/organizations/{outcome.organization_id}")


@router.get(
    "/organizations/{organization_id:uuid}",
    operation_id="getOrganization",
    summary="The caller's organization",
    responses={
        **said(200, "The organization.", Organization, ETAG),
        **NOT_MODIFIED,
        **problems("unknown_organization"),
    },
)
async def read_organization(request: Request, organization_id: UUID, caller: Reader) -> Response:
    """Its name, how many members it has, and how many invitations are pending."""
    edge = edge_of(request)
    membership = await require_membership(edge, caller, organization_id)
    found = await edge.view.organization(organization_id)
    assert found is not None
    return tagged(request, _organization(found, membership.role))


@router.post(
    "/organizations/{organization_id:uuid}/leave",
    status_code=204,
    operation_id="leaveOrganization",
    summary="Leave the organization",
    responses={
        **said(204, "The caller is in no organization any more."),
        **UNDECIDED,
        **problems("unknown_organization", "owner_is_fixed", "not_a_member"),
    },
)
async def leave_organization(request: Request, organization_id: UUID, caller: Organizer, key: Key = None) -> Response:
    """The owner cannot leave. From now on the organization pays nothing for the caller any more."""
    edge = edge_of(request)
    repeated = await request_key(request, caller.account.account_id, key)
    outcome = await edge.commands.leave(caller.account, organization_id, key=repeated)
    return await undecided_within(edge, caller, outcome) or nothing()


def _organization(found: nouns.Organization, my_role: nouns.Role) -> Organization:
    return Organization(
        organization_id=found.organization_id,
        name=found.name,
        created_at=found.created_at,
        members=found.members,
        pending=found.pending,
        my_role=my_role,
    )
