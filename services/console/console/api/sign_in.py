"""Signing up, proving the mailbox, signing in and out, and forgotten passwords."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from console.accounts.desk import Proven
from console.accounts.domain import NewSession, WrongPassword
from console.api.answers import answer, command_of, nothing
from console.api.callers import Newcomer, OwnPage, signed_in
from console.api.me import account_of
from console.api.models import (
    Command,
    Csrf,
    LetterSent,
    MailboxCode,
    Proof,
    Reset,
    ResetRequest,
    SignedIn,
    SignIn,
    SignUp,
)
from console.api.openapi import SET_COOKIE, problems, said
from console.api.problems import Problem, unauthorized
from console.api.repeats import Done, Key, once, request_key
from console.edge import Edge
from console.web.answers import end_session, keep_visitor, start_session
from console.web.requests import csrf_token, csrf_token_of, edge_of, session_of, visitor_id, visitor_of
from contracts import code_digest

router = APIRouter(tags=["Signing in"])


@router.get(
    "/csrf",
    operation_id="getCsrfToken",
    summary="The CSRF token of this browser",
    responses=said(200, "The token. A browser without a cookie is given one with it.", Csrf, SET_COOKIE),
)
async def read_csrf_token(request: Request) -> Response:
    """For who is not signed in yet. Signing in and out gives the browser another one."""
    response = answer(Csrf(csrf_token=await csrf_token(request)))
    keep_visitor(request, response)
    return response


@router.post(
    "/sign-up",
    status_code=202,
    operation_id="signUp",
    summary="Sign up",
    dependencies=[OwnPage],
    responses={
        **said(202, "A letter with a code is on its way. The session can only prove it.", SignedIn, SET_COOKIE),
        **problems(
            "malformed_address",
            "malformed_name",
            "malformed_password",
            "rate_limited",
            "idempotency_key_in_use",
            "idempotency_key_used",
        ),
    },
)
async def sign_up(request: Request, body: SignUp, key: Key = None) -> Response:
    """The account exists when its mailbox is proven. The answer is the same where the address has an account already:
    that is told in the letter alone, to whoever can read it."""
    edge = edge_of(request)
    digest = None if body.invitation_code is None else code_digest(body.invitation_code)

    async def do() -> Done:
        new = await edge.accounts.sign_up(
            body.address, body.name, body.password, visitor_of(request), invitation_digest=digest
        )
        return Done(await _begun(request, new, 202))

    return await once(edge, await request_key(request, await visitor_id(request), key), do)


@router.post(
    "/sign-up/code",
    status_code=202,
    operation_id="sendCode",
    summary="Send another code",
    responses={
        **said(202, "A letter with another code is on its way; earlier codes hold no more.", LetterSent),
        **problems("already_proven", "rate_limited", "idempotency_key_in_use"),
    },
)
async def send_code(request: Request, caller: Newcomer, key: Key = None) -> Response:
    """For who has not got the first one, or was too slow with it."""
    edge, session = edge_of(request), signed_in(caller)

    async def do() -> Done:
        _require_unproven(session.account.proven)
        await edge.accounts.send_code(session, visitor_of(request))
        return _letter("Another code is on its way.")

    return await once(edge, await request_key(request, session.account.account_id, key), do)


@router.post(
    "/sign-up/proof",
    operation_id="proveMailbox",
    summary="Prove the mailbox",
    responses={
        **said(200, "The account may act from now on. The session is a new one.", Proof, SET_COOKIE),
        **problems("wrong_code", "already_proven", "rate_limited", "idempotency_key_in_use", "idempotency_key_used"),
    },
)
async def prove(request: Request, body: MailboxCode, caller: Newcomer, key: Key = None) -> Response:
    """By the six digits in the newest letter. Who has signed up by the link of an invitation joins with this: `joining`
    says what became of it, or that it is still waiting."""
    edge, session = edge_of(request), signed_in(caller)

    async def do() -> Done:
        _require_unproven(session.account.proven)
        proven = await edge.accounts.prove(session, body.code, visitor_of(request))
        new = proven.session
        proof = Proof(
            account=account_of(new.session.account),
            csrf_token=csrf_token_of(new.token),
            joining=await _join(edge, proven),
        )
        response = answer(proof)
        start_session(response, new, edge)
        return Done(response)

    return await once(edge, await request_key(request, session.account.account_id, key), do)


@router.post(
    "/sign-in",
    operation_id="signIn",
    summary="Sign in",
    dependencies=[OwnPage],
    responses={
        **said(200, "A session has begun.", SignedIn, SET_COOKIE),
        **problems("wrong_credentials", "rate_limited", "idempotency_key_in_use", "idempotency_key_used"),
    },
)
async def sign_in(request: Request, body: SignIn, key: Key = None) -> Response:
    """Whether it is the address or the password that is wrong is not told. Where the mailbox is not proven yet, the
    session can do nothing but prove it, and a letter with another code is on its way."""
    edge = edge_of(request)

    async def do() -> Done:
        try:
            new = await edge.accounts.sign_in(body.address, body.password, visitor_of(request))
        except WrongPassword:
            raise unauthorized("wrong_credentials") from None
        return Done(await _begun(request, new, 200))

    return await once(edge, await request_key(request, await visitor_id(request), key), do)


@router.post(
    "/sign-out",
    status_code=204,
    operation_id="signOut",
    summary="Sign out",
    responses={**said(204, "The session has ended.", None, SET_COOKIE), **problems("idempotency_key_in_use")},
)
async def sign_out(request: Request, caller: Newcomer, key: Key = None) -> Response:
    """Afterwards the cookie is worth nothing: whoever repeats this with it hears that nobody is signed in."""
    edge, session = edge_of(request), signed_in(caller)

    async def do() -> Done:
        await edge.accounts.sign_out(session)
        response = nothing()
        end_session(response, edge)
        return Done(response)

    return await once(edge, await request_key(request, session.account.account_id, key), do)


@router.post(
    "/password-resets",
    status_code=202,
    operation_id="requestReset",
    summary="Ask for a link that resets the password",
    dependencies=[OwnPage],
    responses={
        **said(202, "If the address has an account, a letter with a link is on its way.", LetterSent),
        **problems("malformed_address", "rate_limited", "idempotency_key_in_use"),
    },
)
async def request_reset(request: Request, body: ResetRequest, key: Key = None) -> Response:
    """The answer is the same whether or not there is such an account."""
    edge = edge_of(request)

    async def do() -> Done:
        await edge.accounts.request_reset(body.address, visitor_of(request))
        return _letter("If the address has an account, a letter with a link is on its way.")

    return await once(edge, await request_key(request, await visitor_id(request), key), do)


@router.post(
    "/password-resets/redeem",
    status_code=204,
    operation_id="resetPassword",
    summary="Set another password by the link",
    dependencies=[OwnPage],
    responses={
        **said(204, "The password is another. All sessions and tokens of the account have ended."),
        **problems("malformed_password", "dead_link", "rate_limited", "idempotency_key_in_use"),
    },
)
async def reset_password(request: Request, body: Reset, key: Key = None) -> Response:
    """The link is worth nothing afterwards. Sign in with the new password."""
    edge = edge_of(request)

    async def do() -> Done:
        await edge.accounts.reset_password(body.code, body.password, visitor_of(request))
        return Done(nothing())

    return await once(edge, await request_key(request, await visitor_id(request), key), do)


async def _begun(request: Request, new: NewSession, status: int) -> Response:
    """The answer with the cookie of the new session, which takes the place of the browser's old one."""
    edge = edge_of(request)
    old = await session_of(request)
    if old is not None:
        await edge.accounts.sign_out(old)
    account, token = account_of(new.session.account), csrf_token_of(new.token)
    response = answer(SignedIn(account=account, csrf_token=token), status)
    start_session(response, new, edge)
    return response


async def _join(edge: Edge, proven: Proven) -> Command | None:
    """Accepts the invitation that the person came by. A page tells them what this answer could not tell yet."""
    if proven.accept is None:
        return None
    session = proven.session.session
    outcome = await edge.commands.accept(session.account, proven.accept)
    waiting = outcome.command_id if outcome is not None and outcome.is_waiting else None
    await edge.accounts.remember_joining(session.session_id, waiting)
    return None if outcome is None else command_of(outcome)


def _require_unproven(proven: bool) -> None:
    if proven:
        raise Problem("already_proven")


def _letter(message: str) -> Done:
    sent = LetterSent(message=message)
    return Done(answer(sent, 202), sent)
