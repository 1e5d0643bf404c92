"""The caller's own account, sessions and tokens."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from console.accounts import domain
from console.accounts.domain import Malformed, Scope, WrongPassword
from console.api.answers import answer, nothing
from console.api.callers import Caller, Holder, Needs, Person, Reader, signed_in
from console.api.models import (
    Account,
    Ended,
    Me,
    Membership,
    NewToken,
    PasswordChange,
    Rename,
    Session,
    SessionList,
    Token,
    TokenList,
    TokenRequest,
)
from console.api.openapi import SET_COOKIE, problems, said
from console.api.problems import Problem, malformed
from console.api.repeats import Done, Key, once, request_key
from console.web.answers import end_session, start_session
from console.web.requests import csrf_token, edge_of, visitor_of

router = APIRouter(prefix="/me", tags=["Me"])


@router.get("", operation_id="getMe", summary="Who the caller is", responses=said(200, "The account.", Me))
async def read_me(request: Request, caller: Annotated[Caller, Depends(Needs(Scope.READ, unproven=True))]) -> Response:
    """And which organization they are in. Also for an account whose mailbox is not proven yet."""
    return answer(await _me(request, caller, caller.account))


@router.patch(
    "",
    operation_id="rename",
    summary="Change the name",
    responses={**said(200, "The account.", Me), **problems("malformed_name")},
)
async def rename(request: Request, body: Rename, caller: Holder) -> Response:
    """As it is shown to the others in the organization, and in letters."""
    renamed = await edge_of(request).accounts.rename(caller.account, body.name)
    return answer(await _me(request, caller, renamed))


@router.post(
    "/password",
    status_code=204,
    operation_id="changePassword",
    summary="Change the password",
    responses={
        **said(204, "It is changed. This session is a new one, and all others have ended.", None, SET_COOKIE),
        **problems("wrong_password", "malformed_password", "rate_limited", "idempotency_key_in_use"),
    },
)
async def change_password(request: Request, body: PasswordChange, caller: Person, key: Key = None) -> Response:
    """For who knows the old one. The CSRF token is another one afterwards: see `GET /me`. Tokens hold on."""
    edge, session = edge_of(request), signed_in(caller)

    async def do() -> Done:
        try:
            new = await edge.accounts.change_password(session, body.old, body.new, visitor_of(request))
        except WrongPassword:
            raise Problem("wrong_password") from None
        except Malformed as error:
            raise malformed(error, member="new") from None
        response = nothing()
        start_session(response, new, edge)
        return Done(response)

    return await once(edge, await request_key(request, session.account.account_id, key), do)


@router.get(
    "/sessions",
    operation_id="listSessions",
    summary="Browsers that are signed in",
    responses=said(200, "Those that have not ended, the one last seen first.", SessionList),
)
async def list_sessions(request: Request, caller: Reader) -> Response:
    """With where they were begun."""
    found = await edge_of(request).accounts.sessions(caller.account.account_id)
    return answer(SessionList(items=[_session(each, caller) for each in found]))


@router.delete(
    "/sessions",
    operation_id="endOtherSessions",
    summary="Sign out everywhere else",
    responses=said(200, "How many sessions were ended.", Ended),
)
async def end_other_sessions(request: Request, caller: Holder) -> Response:
    """All sessions but the one that asks; all of them, where a token asks."""
    accounts = edge_of(request).accounts
    if caller.session is not None:
        return answer(Ended(ended=await accounts.sign_out_elsewhere(caller.session)))
    account_id = caller.account.account_id
    ended = [await accounts.end_session(account_id, each.session_id) for each in await accounts.sessions(account_id)]
    return answer(Ended(ended=sum(ended)))


@router.delete(
    "/sessions/{session_id:uuid}",
    status_code=204,
    operation_id="endSession",
    summary="End a session",
    responses={**said(204, "It has ended."), **problems("unknown_session")},
)
async def end_session_by_id(request: Request, session_id: UUID, caller: Holder) -> Response:
    """One of the caller's, maybe the one that asks."""
    edge = edge_of(request)
    if not await edge.accounts.end_session(caller.account.account_id, session_id):
        raise Problem("unknown_session")
    response = nothing()
    if caller.session is not None and caller.session.session_id == session_id:
        end_session(response, edge)
    return response


@router.get(
    "/tokens",
    operation_id="listTokens",
    summary="Tokens of the account",
    responses=said(200, "The oldest first, with those whose time is over.", TokenList),
)
async def list_tokens(request: Request, caller: Reader) -> Response:
    """Without their secrets, which are stored nowhere."""
    found = await edge_of(request).accounts.tokens(caller.account.account_id)
    return answer(TokenList(items=[Token(**_token(each)) for each in found]))


@router.post(
    "/tokens",
    status_code=201,
    operation_id="createToken",
    summary="Make a token for a program",
    responses={
        **said(201, "The token. Its secret is shown this once.", NewToken),
        **problems("malformed_name", "malformed_scopes", "malformed_lifetime", "idempotency_key_in_use"),
    },
)
async def create_token(request: Request, body: TokenRequest, caller: Person, key: Key = None) -> Response:
    """Only somebody who is signed in can make one, no token can. Repeated with the same Idempotency-Key, the answer has
    no secret."""
    edge = edge_of(request)
    lifetime = None if body.lifetime_days is None else timedelta(days=body.lifetime_days)

    async def do() -> Done:
        try:
            new = await edge.accounts.create_token(caller.account, body.name, frozenset(body.scopes), lifetime)
        except Malformed as error:
            raise malformed(error, member="lifetime_days" if error.field == "lifetime" else None) from None
        shown = NewToken(**_token(new.token), secret=new.secret)
        return Done(answer(shown, 201), shown.model_copy(update={"secret": None}))

    return await once(edge, await request_key(request, caller.account.account_id, key), do)


@router.delete(
    "/tokens/{token_id:uuid}",
    status_code=204,
    operation_id="revokeToken",
    summary="Revoke a token",
    responses={**said(204, "It is worth nothing from now on."), **problems("unknown_token")},
)
async def revoke_token(request: Request, token_id: UUID, caller: Person) -> Response:
    """One of the caller's."""
    if not await edge_of(request).accounts.revoke_token(caller.account.account_id, token_id):
        raise Problem("unknown_token")
    return nothing()


def account_of(account: domain.Account) -> Account:
    """As its holder sees it."""
    return Account(**_account(account))


async def _me(request: Request, caller: Caller, account: domain.Account) -> Me:
    found = await edge_of(request).view.membership(account.account_id)
    membership = None
    if found is not None:
        membership = Membership(
            organization_id=found.organization_id,
            organization_name=found.organization_name,
            role=found.role,
            joined_at=found.joined_at,
        )
    token = None if caller.session is None else await csrf_token(request)
    return Me(**_account(account), membership=membership, csrf_token=token)


def _account(account: domain.Account) -> dict[str, Any]:
    return {
        "account_id": account.account_id,
        "address": account.address,
        "name": account.name,
        "proven": account.proven,
        "created_at": account.created_at,
    }


def _session(session: domain.Session, caller: Caller) -> Session:
    return Session(
        session_id=session.session_id,
        current=caller.session is not None and caller.session.session_id == session.session_id,
        created_at=session.created_at,
        seen_at=session.seen_at,
        expires_at=session.expires_at,
        user_agent=session.user_agent,
        network_address=session.network_address,
    )


def _token(token: domain.Token) -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "name": token.name,
        "scopes": sorted(token.scopes),
        "created_at": token.created_at,
        "expires_at": token.expires_at,
        "used_at": token.used_at,
    }
