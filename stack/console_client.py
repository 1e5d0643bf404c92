"""A client of the console's JSON API that has nothing but the console's address. The demo, the stories and the bench
play their people and programs with it.

Each object is one browser, with its cookies and its CSRF token, or one program, with a bearer token.
"""

import asyncio
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx

Json = dict[str, Any]

_ATTEMPTS_APART = 0.25
"""Seconds between two looks at a command that is not decided yet."""


class Refused(Exception):
    """The console said no. `status` is that of HTTP (200 where the refusal came only after the console had answered),
    `reason` the code of the refusal (contracts.Reason, or one of the console's own), `detail` the sentence for the
    person, `retry_after` the seconds to wait where there were too many."""

    def __init__(self, status: int, reason: str, detail: str, retry_after: float | None = None) -> None:
        super().__init__(f"{status} {reason}: {detail}")
        self.status = status
        self.reason = reason
        self.detail = detail
        self.retry_after = retry_after


class ConsoleClient:
    """Open it with `async with`. Every method raises Refused where the console says no, and httpx.HTTPError where it
    does not answer. Where a command is not decided in the time that the console gives it, the methods wait on, up to
    `patience` seconds (TimeoutError); what they answer is the same then."""

    def __init__(
        self,
        address: str,
        *,
        token: str | None = None,
        patience: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`transport` is for a console that runs in this very process."""
        self.patience = patience
        self._csrf_token: str | None = None
        self._is_program = token is not None
        self._http = httpx.AsyncClient(
            base_url=f"{address}/api/v1",
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=httpx.Timeout(30.0),
            limits=httpx.Limits(max_connections=None),
            transport=transport,
            trust_env=False,  # A proxy has no business on loopback.
        )

    @property
    def cookies(self) -> dict[str, str]:
        """What the browser holds: its session, once somebody is signed in."""
        return dict(self._http.cookies)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self._http.__aexit__(kind, error, trace)

    # --- accounts

    async def sign_up(self, address: str, name: str, password: str, *, invitation_code: str | None = None) -> Json:
        """The new account, whose mailbox is still to be proven; `invitation_code` is that of the link that the person
        came by."""
        body = {"address": address, "name": name, "password": password}
        if invitation_code is not None:
            body["invitation_code"] = invitation_code
        answer = await self.post("/sign-up", body)
        account: Json = answer["account"]
        return account

    async def send_code(self) -> None:
        """Another letter with a code."""
        await self.post("/sign-up/code", {})

    async def prove(self, code: str) -> Json:
        """`account`, proven, and `joining`: what became of the invitation that the person came by, or none."""
        answer = await self.post("/sign-up/proof", {"code": code})
        if answer.get("joining") is not None:
            answer["joining"] = await self._decided(answer["joining"])
        return answer

    async def sign_in(self, address: str, password: str) -> Json:
        """The account."""
        account: Json = (await self.post("/sign-in", {"address": address, "password": password}))["account"]
        return account

    async def sign_out(self) -> None:
        await self.post("/sign-out", {})
        self._csrf_token = None

    async def me(self) -> Json:
        """The caller's account, with its membership, or none."""
        return await self.get("/me")

    async def create_token(self, name: str, scopes: Sequence[str], lifetime_days: int | None = None) -> str:
        """The secret of a new token, which is shown this once."""
        body: Json = {"name": name, "scopes": list(scopes)}
        if lifetime_days is not None:
            body["lifetime_days"] = lifetime_days
        return str((await self.post("/me/tokens", body))["secret"])

    # --- organizations and their members

    async def create_organization(self, name: str) -> UUID:
        """Its id."""
        return UUID((await self.post("/organizations", {"name": name}))["organization_id"])

    async def organization(self, organization_id: UUID) -> Json:
        return await self.get(f"/organizations/{organization_id}")

    async def members(self, organization_id: UUID) -> list[Json]:
        """All, whatever the size of a page."""
        return await self._all(f"/organizations/{organization_id}/members")

    async def change_role(self, organization_id: UUID, account_id: UUID, role: str) -> None:
        """`admin` or `member`."""
        await self._ask("PATCH", f"/organizations/{organization_id}/members/{account_id}", {"role": role})

    async def remove(self, organization_id: UUID, account_id: UUID) -> None:
        await self._ask("DELETE", f"/organizations/{organization_id}/members/{account_id}")

    async def leave(self, organization_id: UUID) -> None:
        await self.post(f"/organizations/{organization_id}/leave", {})

    # --- invitations

    async def invite(self, organization_id: UUID, address: str) -> UUID:
        """The id of the new invitation."""
        answer = await self.post(f"/organizations/{organization_id}/invitations", {"address": address})
        return UUID(answer["invitation_id"])

    async def invite_many(self, organization_id: UUID, addresses: Sequence[str]) -> list[Json]:
        """What became of each, in their order: address, status, invitation or reason and message, command."""
        path = f"/organizations/{organization_id}/invitations/batch"
        results: list[Json] = (await self.post(path, {"addresses": list(addresses)}))["results"]
        return results

    async def invitations(self, organization_id: UUID) -> list[Json]:
        """All that the members table shows, whatever the size of a page."""
        return await self._all(f"/organizations/{organization_id}/invitations")

    async def revoke(self, organization_id: UUID, invitation_id: UUID) -> None:
        """Returns when it is certain that nobody joins by the link."""
        await self._ask("DELETE", f"/organizations/{organization_id}/invitations/{invitation_id}")

    async def preview(self, code: str) -> Json:
        """What the link is about, for whoever has it."""
        return await self.post("/invitation-links/preview", {"code": code})

    async def accept(self, code: str) -> bool:
        """Returns when the membership is there: whether it was there before (the link was followed twice)."""
        return bool((await self.post("/invitation-links/accept", {"code": code}))["repeated"])

    async def decline(self, code: str) -> None:
        await self.post("/invitation-links/decline", {"code": code})

    # --- money, in micro-dollars

    async def billing_chain(self) -> Json:
        """Who pays for what the caller uses, and what is left in each source."""
        return await self.get("/me/billing-chain")

    async def set_card(self, card_id: str, organization_id: UUID | None = None) -> None:
        """Puts a payment method of Stripe's on file: the organization's, or the caller's own."""
        path = f"/organizations/{organization_id}/card" if organization_id else "/me/card"
        await self._ask("PUT", path, {"card_id": card_id})

    async def top_up(self, organization_id: UUID, amount: int) -> int:
        """Buys credit with the organization's card. Answers the balance after it."""
        answer = await self.post(f"/organizations/{organization_id}/top-ups", {"amount": amount})
        return int(answer["balance"])

    # --- commands

    async def command(self, command_id: UUID | str) -> Json:
        """What became of something that the caller has asked for."""
        return await self.get(f"/commands/{command_id}")

    # --- anything

    async def get(self, path: str, **parameters: str) -> Json:
        """The answer to a GET below /api/v1."""
        return await self._ask("GET", path, parameters=parameters)

    async def post(self, path: str, body: Json) -> Json:
        """The answer to a POST below /api/v1; where a command is not decided yet, its result when it is."""
        return await self._ask("POST", path, body)

    async def _ask(
        self, method: str, path: str, body: Json | None = None, *, parameters: dict[str, str] | None = None
    ) -> Json:
        headers = {} if method == "GET" else await self._csrf_header()
        response = await self._http.request(method, path, json=body, headers=headers, params=parameters or None)
        answer = _content(response)
        if response.status_code == httpx.codes.ACCEPTED and "command_id" in answer:
            result: Json = (await self._decided(answer))["result"]
            return result
        self._csrf_token = answer.get("csrf_token", self._csrf_token)
        return answer

    async def _csrf_header(self) -> dict[str, str]:
        if self._is_program:
            return {}
        if self._csrf_token is None:
            self._csrf_token = (await self.get("/csrf"))["csrf_token"]
        return {"X-CSRF-Token": str(self._csrf_token)}

    async def _decided(self, command: Json) -> Json:
        """The command, as soon as it is decided. Raises Refused, and TimeoutError."""
        deadline = time.monotonic() + self.patience
        while command["state"] == "waiting":
            if time.monotonic() > deadline:
                raise TimeoutError(f"The command {command['command_id']} is still not decided.")
            await asyncio.sleep(_ATTEMPTS_APART)
            command = await self.command(command["command_id"])
        if command["state"] == "refused":
            raise Refused(httpx.codes.OK, command["reason"], command["message"])
        return command

    async def _all(self, path: str) -> list[Json]:
        page = await self.get(path)
        items: list[Json] = page["items"]
        while page["next"] is not None:
            page = await self.get(path, cursor=page["next"])
            items += page["items"]
        return items


def _content(response: httpx.Response) -> Json:
    """The JSON of an answer; nothing where it has none. Raises Refused where it is a problem (RFC 9457)."""
    is_json = "json" in response.headers.get("content-type", "")
    content: Json = response.json() if is_json else {}
    if response.is_error:
        retry_after = response.headers.get("retry-after")
        raise Refused(
            response.status_code,
            str(content.get("reason", response.reason_phrase)),
            str(content.get("detail", content.get("title", ""))),
            float(retry_after) if retry_after else None,
        )
    return content
