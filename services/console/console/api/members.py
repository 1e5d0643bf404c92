"""Members of an organization: who they are, and what they may do."""

from uuid import UUID

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.api.answers import answer, nothing, require_membership, tagged, undecided_within
from console.api.callers import Organizer, Reader
from console.api.models import Member, MemberPage, RoleChange
from console.api.openapi import ETAG, NOT_MODIFIED, UNDECIDED, problems, said
from console.api.pages import Cursor, Limit, page_of
from console.api.problems import Problem
from console.view import nouns
from console.web.requests import edge_of

router = APIRouter(tags=["Members"])


@router.get(
    "/organizations/{organization_id:uuid}/members",
    operation_id="listMembers",
    summary="Members, in the order in which they joined",
    responses={
        **said(200, "A page of members.", MemberPage, ETAG),
        **NOT_MODIFIED,
        **problems("unknown_organization", "malformed_cursor"),
    },
)
async def list_members(
    request: Request, organization_id: UUID, caller: Reader, cursor: Cursor = None, limit: Limit = 50
) -> Response:
    """Every member sees them all. Name and address are empty for a moment where an account is newer here than its
    profile."""
    edge = edge_of(request)
    await require_membership(edge, caller, organization_id)
    found = await page_of(edge.view.members(organization_id, after=cursor, limit=limit))
    return tagged(request, MemberPage(items=[_member(each) for each in found.items], next=found.next))


@router.get(
    "/organizations/{organization_id:uuid}/members/{account_id:uuid}",
    operation_id="getMember",
    summary="A member",
    responses={
        **said(200, "The member.", Member, ETAG),
        **NOT_MODIFIED,
        **problems("unknown_organization", "unknown_member"),
    },
)
async def read_member(request: Request, organization_id: UUID, account_id: UUID, caller: Reader) -> Response:
    """One of them, by account."""
    edge = edge_of(request)
    await require_membership(edge, caller, organization_id)
    return tagged(request, _known(await edge.view.member(organization_id, account_id)))


@router.patch(
    "/organizations/{organization_id:uuid}/members/{account_id:uuid}",
    operation_id="changeRole",
    summary="Promote or demote a member",
    responses={
        **said(200, "The member, as they are now.", Member),
        **UNDECIDED,
        **problems(
            "not_an_admin",
            "unknown_organization",
            "unknown_member",
            "not_a_member",
            "already_an_admin",
            "not_an_admin_role",
            "owner_is_fixed",
        ),
    },
)
async def change_role(
    request: Request, organization_id: UUID, account_id: UUID, body: RoleChange, caller: Organizer
) -> Response:
    """Admins may do this to everybody but the owner, who stays the owner."""
    edge = edge_of(request)
    change = edge.commands.promote if body.role == "admin" else edge.commands.demote
    outcome = await change(caller.account, organization_id, account_id)
    if waits := await undecided_within(edge, caller, outcome):
        return waits
    return answer(_known(await edge.view.member(organization_id, account_id)))


@router.delete(
    "/organizations/{organization_id:uuid}/members/{account_id:uuid}",
    status_code=204,
    operation_id="removeMember",
    summary="Remove a member",
    responses={
        **said(204, "They are not in the organization any more."),
        **UNDECIDED,
        **problems("not_an_admin", "unknown_organization", "not_a_member", "owner_is_fixed"),
    },
)
async def remove_member(request: Request, organization_id: UUID, account_id: UUID, caller: Organizer) -> Response:
    """What is pending for their address here, and what they have sent and is pending, is revoked with it."""
    edge = edge_of(request)
    outcome = await edge.commands.remove(caller.account, organization_id, account_id)
    return await undecided_within(edge, caller, outcome) or nothing()


def _known(found: nouns.Member | None) -> Member:
    if found is None:
        raise Problem("unknown_member")
    return _member(found)


def _member(found: nouns.Member) -> Member:
    return Member(
        account_id=found.account_id,
        membership_id=found.membership_id,
        name=found.name,
        address=found.address,
        role=found.role,
        joined_at=found.joined_at,
    )
