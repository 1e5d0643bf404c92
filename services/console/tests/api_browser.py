"""Somebody at the console's API: a browser with its cookies and its CSRF token, or a program with a token."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx
from console_world import PASSWORD, ConsoleWorld

from console.accounts.domain import Account, Scope

Json = dict[str, Any]


class ApiBrowser:
    """Every method answers the raw response, whatever its status."""

    def __init__(self, console: ConsoleWorld, *, token: str | None = None) -> None:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.http = console.browser(headers=headers)
        self.csrf_token: str | None = None
        self._is_program = token is not None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.http.aclose()

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None, **parameters: Any) -> httpx.Response:
        return await self._ask("GET", path, headers=dict(headers or {}), params=parameters)

    async def post(
        self, path: str, body: Json | None = None, *, key: str | None = None, headers: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """`key` is the Idempotency-Key."""
        more = {} if key is None else {"Idempotency-Key": key}
        return await self._ask("POST", path, json=body, headers={**await self._csrf(), **more, **(headers or {})})

    async def patch(self, path: str, body: Json) -> httpx.Response:
        return await self._ask("PATCH", path, json=body, headers=await self._csrf())

    async def put(self, path: str, body: Json) -> httpx.Response:
        return await self._ask("PUT", path, json=body, headers=await self._csrf())

    async def delete(self, path: str) -> httpx.Response:
        return await self._ask("DELETE", path, headers=await self._csrf())

    async def sign_up(self, address: str = "owner@example.com", **more: str) -> Json:
        """The new account, whose mailbox is still to be proven."""
        answer = await self.post("/sign-up", {"address": address, "name": "A Person", "password": PASSWORD, **more})
        assert answer.status_code == 202, answer.text
        account: Json = answer.json()["account"]
        return account

    async def sign_in(self, address: str) -> Self:
        answer = await self.post("/sign-in", {"address": address, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return self

    async def _ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        response = await self.http.request(method, f"/api/v1{path}", **options)
        if response.headers.get("content-type") == "application/json":
            self.csrf_token = response.json().get("csrf_token") or self.csrf_token
        return response

    async def _csrf(self) -> dict[str, str]:
        if self._is_program:
            return {}
        if self.csrf_token is None:
            await self.get("/csrf")
        assert self.csrf_token is not None
        return {"X-CSRF-Token": self.csrf_token}


async def signed_in(console: ConsoleWorld, address: str) -> ApiBrowser:
    """The browser of somebody new, whose mailbox is proven. Close it, or use it with `async with`."""
    await console.person(address)
    return await ApiBrowser(console).sign_in(address)


async def program_of(console: ConsoleWorld, account: Account, *scopes: Scope) -> ApiBrowser:
    """A program with a token of these scopes; all of them where none is named."""
    new = await console.edge.accounts.create_token(account, "a program", frozenset(scopes or Scope), None)
    return ApiBrowser(console, token=new.secret)


async def organization_of(owner: ApiBrowser, name: str = "Example Org") -> str:
    """The id of a new organization."""
    answer = await owner.post("/organizations", {"name": name})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["organization_id"])


def reason(answer: httpx.Response) -> tuple[int, str]:
    """Status and reason of a problem. Fails where the answer is none."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["type"] == f"urn:latchkey:problem:{problem['reason']}"
    assert problem["detail"]
    return answer.status_code, problem["reason"]


async def code_for(console: ConsoleWorld, account: Json) -> str:
    """The six digits in the newest letter to somebody who has signed up."""
    account_id = UUID(account["account_id"])
    return await console.code_of((await console.edge.accounts.accounts([account_id]))[account_id])
