"""Who calls: a person by the cookie of their session, or a program by a token. And whether they may."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from console.accounts.domain import Account, Scope, Session, Token
from console.api.problems import CHALLENGE, Problem, unauthorized
from console.web.requests import CSRF_HEADER, edge_of, require_own_page, session_of

COOKIE, CSRF, BEARER = "session", "csrf", "token"
"""The security schemes, as the OpenAPI document names them."""
_CHANGES_NOTHING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Caller:
    """An account, and how it has shown that it is one."""

    account: Account
    session: Session | None
    """None for a program."""
    token: Token | None
    """None for a person."""


class Needs:
    """A dependency of an operation: who may call it. It answers the caller, and raises Problem for everybody else.

    Without a scope, tokens may not do it. With `unproven`, an account may whose mailbox is not proven yet. With
    `optional`, nobody in particular may, too; then the answer is None. Whoever is known by a cookie has to show the
    CSRF token of that browser, unless nothing is changed.
    """

    def __init__(self, scope: Scope | None = None, *, unproven: bool = False, optional: bool = False) -> None:
        self.scope = scope
        self.unproven = unproven
        self.optional = optional

    async def __call__(self, request: Request) -> Caller | None:
        authorization = request.headers.get("authorization")
        if authorization is not None:
            caller = await self._program(request, authorization)
        else:
            session = await session_of(request)
            if session is None and not self.optional:
                raise unauthorized("not_signed_in")
            if request.method not in _CHANGES_NOTHING:
                await require_own_page(request, request.headers.get(CSRF_HEADER, ""))
            if session is None:
                return None
            caller = Caller(session.account, session, None)
        if not caller.account.proven and not self.unproven:
            raise Problem("mailbox_not_proven", "Prove the mailbox first, with the code from the letter.")
        return caller

    async def _program(self, request: Request, authorization: str) -> Caller:
        scheme, _, secret = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise unauthorized("not_signed_in")
        found = await edge_of(request).accounts.account_of_token(secret.strip())
        if found is None:
            raise unauthorized("invalid_token")
        account, token = found
        if self.scope is None:
            raise Problem("session_required")
        if self.scope not in token.scopes:
            challenge = f'{CHALLENGE}, error="insufficient_scope", scope="{self.scope}"'
            detail = f"The token lacks the scope {self.scope}."
            raise Problem("insufficient_scope", detail, headers={"www-authenticate": challenge})
        return Caller(account, None, token)

    def security(self, method: str) -> list[dict[str, list[str]]]:
        """As OpenAPI says it: any of these will do."""
        browser: dict[str, list[str]] = {COOKIE: []}
        if method not in _CHANGES_NOTHING:
            browser[CSRF] = []
        ways = [browser]
        if self.scope is not None:
            ways.append({BEARER: [self.scope.value]})
        if self.optional:
            ways.append({CSRF: []} if method not in _CHANGES_NOTHING else {})
        return ways

    def problems(self, method: str) -> set[str]:
        """Why it may turn somebody away."""
        reasons = {"invalid_token", "not_signed_in"}
        reasons.add("insufficient_scope" if self.scope is not None else "session_required")
        if method not in _CHANGES_NOTHING:
            reasons.add("csrf_token_invalid")
        if not self.unproven:
            reasons.add("mailbox_not_proven")
        return reasons


class NeedsOwnPage:
    """A dependency of what people do before they have a session: only the CSRF token of the browser is asked for."""

    async def __call__(self, request: Request) -> None:
        await require_own_page(request, request.headers.get(CSRF_HEADER, ""))

    def security(self, _method: str) -> list[dict[str, list[str]]]:
        return [{CSRF: []}]

    def problems(self, _method: str) -> set[str]:
        return {"csrf_token_invalid"}


def signed_in(caller: Caller) -> Session:
    """The session of a caller who is no program."""
    assert caller.session is not None
    return caller.session


Reader = Annotated[Caller, Depends(Needs(Scope.READ))]
"""Who may see what is theirs."""
Organizer = Annotated[Caller, Depends(Needs(Scope.ORGANIZATION))]
"""Who may act in organizations, as far as their role there allows."""
Buyer = Annotated[Caller, Depends(Needs(Scope.BILLING))]
"""Who may decide what is paid, and by what, as far as their role allows."""
Holder = Annotated[Caller, Depends(Needs(Scope.ACCOUNT))]
"""Who may change their account."""
Person = Annotated[Caller, Depends(Needs())]
"""Somebody in a browser, whose mailbox is proven."""
Newcomer = Annotated[Caller, Depends(Needs(unproven=True))]
"""Somebody in a browser, whose mailbox may still have to be proven."""
OwnPage = Depends(NeedsOwnPage())
"""A browser, whoever is in it."""
