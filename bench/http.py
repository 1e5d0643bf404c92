"""HTTP under measurement: invitations that are sent and accepted over the console's API, by programs with tokens.

The links are derived as invites and notifier derive them, since waiting for letters would measure the mail server; the
letters are written to their queue all the same. People are put into console's database, with their profiles on the
topic, since thousands of sign-ups would be minutes of Argon2; all that is measured goes through the API.
"""

import asyncio
import base64
import hashlib
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from uuid_utils.compat import uuid7

from bench.measure import MEGABYTE, cpu_between, lag_of, load_of, percentiles
from contracts import ACCOUNTS_PROFILES, AccountProfile, link_code
from stack.client import Client
from stack.platform import Platform

ORGANIZATIONS = 4
AT_A_TIME = 16
SETTINGS = {
    "invites": {
        "ORGANIZATION_INVITATIONS_PER_DAY": "0",
        "INVITER_INVITATIONS_PER_HOUR": "0",
        "RECIPIENT_INVITATIONS_PER_DAY": "0",
    },
    "console": {"INVITATIONS_PER_NETWORK_PER_HOUR": "0"},
    # Delivery stands still: nobody listens on that port.
    "notifier": {"SMTP_PORT": "1"},
}
"""What the services are told: nobody is kept from inviting, and no mail server takes part."""

_ACCOUNTS = """
    INSERT INTO accounts (account_id, address, address_normalized, name, password_hash, version, created_at, proven_at)
    SELECT id, address, address, 'Somebody', 'none', 1, $3, $3 FROM unnest($1::uuid[], $2::text[]) AS s (id, address)
"""
_TOKENS = """
    INSERT INTO tokens (token_id, token_digest, account_id, name, scopes, created_at)
    SELECT token_id, digest, account_id, 'bench', ARRAY['read', 'organization'], $4
    FROM unnest($1::uuid[], $2::bytea[], $3::uuid[]) AS s (token_id, digest, account_id)
"""
_MEMBERS = "SELECT count(*) FROM members WHERE account_id = ANY($1) AND ended_at IS NULL"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account, and a program that acts for them."""

    account_id: UUID
    address: str
    token: str


@dataclass(frozen=True, slots=True)
class Admin:
    """Who invites."""

    person: Person
    organization_id: UUID


class Api:
    """The console's API, and the secret by which links are made."""

    def __init__(self, http: httpx.AsyncClient, link_key: bytes) -> None:
        self._http = http
        self._link_key = link_key

    async def found(self, owner: Person, name: str) -> UUID:
        """Creates an organization."""
        return UUID((await self._ask("POST", "/organizations", owner, {"name": name}, 201))["organization_id"])

    async def promote(self, owner: Person, organization_id: UUID, member: Person) -> None:
        path = f"/organizations/{organization_id}/members/{member.account_id}"
        await self._ask("PATCH", path, owner, {"role": "admin"}, 200)

    async def invite(self, admin: Admin, invitee: Person) -> str:
        """Sends an invitation, and answers the code of its link."""
        path = f"/organizations/{admin.organization_id}/invitations"
        answer = await self._ask("POST", path, admin.person, {"address": invitee.address}, 201)
        return link_code(self._link_key, UUID(answer["invitation_id"]))

    async def accept(self, invitee: Person, code: str) -> None:
        """Accepts; the answer comes when the membership is there."""
        await self._ask("POST", "/invitation-links/accept", invitee, {"code": code}, 200)

    async def _ask(self, method: str, path: str, who: Person, body: dict[str, str], expected: int) -> Any:
        headers = {"Authorization": f"Bearer {who.token}"}
        response = await self._http.request(method, path, json=body, headers=headers)
        if response.status_code != expected:
            raise RuntimeError(f"{method} {path} was answered {response.status_code}: {response.text}")
        return response.json()


async def measure_http(
    platform: Platform, *, rounds: int, alone: int, sequential: int, parallel: int
) -> dict[str, Any]:
    """`alone` acceptances with rests; then, in each round, `sequential` pairs of an invitation and its acceptance one
    after the other, and `parallel` pairs AT_A_TIME at a time. Fails where somebody did not join."""
    warm_up = 10 * AT_A_TIME
    await asyncio.sleep(2)
    at_rest = await _at_rest(platform)
    people = await settle(platform, AT_A_TIME + warm_up + alone + rounds * (sequential + parallel))
    queue = iter(people)
    limits = httpx.Limits(max_connections=AT_A_TIME, max_keepalive_connections=AT_A_TIME)
    async with httpx.AsyncClient(
        base_url=f"{platform.console_url}/api/v1", limits=limits, timeout=30, trust_env=False
    ) as http:
        api = Api(http, base64.urlsafe_b64decode(platform.link_key))
        admins = await _organizations(api, queue)
        await _pairs(api, admins, queue, warm_up)
        results: dict[str, Any] = {"at_rest": at_rest, "alone": await _alone(api, admins[0], queue, alone)}
        results["rounds"] = [
            {
                "one_after_the_other": await _measured(platform, api, admins[:1], queue, sequential),
                "at_a_time": await _measured(platform, api, admins, queue, parallel),
            }
            for _ in range(rounds)
        ]
    await _require_members(platform, people)
    return results


async def settle(platform: Platform, count: int) -> list[Person]:
    """People with accounts and tokens, of whom every service has heard."""
    people = [
        Person(uuid7(), f"p{number}.{secrets.token_hex(4)}@example.com", secrets.token_urlsafe(32))
        for number in range(count)
    ]
    ids, now = [person.account_id for person in people], datetime.now(UTC)
    connection = await asyncpg.connect(platform.postgres.url("console"))
    try:
        await connection.execute(_ACCOUNTS, ids, [person.address for person in people], now)
        digests = [hashlib.sha256(person.token.encode()).digest() for person in people]
        await connection.execute(_TOKENS, [uuid7() for _ in people], digests, ids, now)
        await connection.execute("ANALYZE")
    finally:
        await connection.close()
    async with Client(platform.bootstrap_servers) as client:
        for start in range(0, count, 1000):
            await asyncio.gather(
                *(
                    client.send(
                        AccountProfile(
                            account_id=person.account_id,
                            version=1,
                            address=person.address,
                            name="Somebody",
                            verified=True,
                        )
                    )
                    for person in people[start : start + 1000]
                )
            )
    async with asyncio.timeout(120):
        topics = [(ACCOUNTS_PROFILES.name, ACCOUNTS_PROFILES.partitions)]
        while any([await lag_of(platform.bootstrap_servers, reader, topics) for reader in ACCOUNTS_PROFILES.readers]):
            await asyncio.sleep(0.2)
    return people


async def _organizations(api: Api, people: Iterator[Person]) -> list[Admin]:
    """AT_A_TIME admins, spread over the organizations; neighbours in the list are in different ones."""
    admins: list[Admin] = []
    for number in range(AT_A_TIME):
        person = next(people)
        if number < ORGANIZATIONS:
            admins.append(Admin(person, await api.found(person, f"Bench {secrets.token_hex(4)}")))
        else:
            owner = admins[number % ORGANIZATIONS]
            await api.accept(person, await api.invite(owner, person))
            await api.promote(owner.person, owner.organization_id, person)
            admins.append(Admin(person, owner.organization_id))
    return admins


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of each request, in the order in which the pairs were done."""

    invite: list[float]
    accept: list[float]


async def _pairs(api: Api, admins: list[Admin], people: Iterator[Person], count: int) -> Times:
    """`count` pairs, as many at a time as there are admins: each invites somebody, who accepts, and so on."""
    times = Times([], [])
    turns = iter(range(count))

    async def caller(admin: Admin) -> None:
        for _ in turns:
            invitee = next(people)
            started = time.perf_counter()
            code = await api.invite(admin, invitee)
            invited = time.perf_counter()
            await api.accept(invitee, code)
            times.accept.append(time.perf_counter() - invited)
            times.invite.append(invited - started)

    await asyncio.gather(*(caller(admin) for admin in admins))
    return times


async def _measured(
    platform: Platform, api: Api, admins: list[Admin], people: Iterator[Person], count: int
) -> dict[str, Any]:
    await _quiet(platform)
    pids = _pids(platform)
    before, started = load_of(pids), time.perf_counter()
    times = await _pairs(api, admins, people, count)
    seconds = time.perf_counter() - started
    after = load_of(pids)
    return {
        "at_a_time": len(admins),
        "pairs": count,
        "seconds": round(seconds, 2),
        "pairs_per_second": round(count / seconds, 1),
        "invite_milliseconds": percentiles(_milliseconds(times.invite)),
        "accept_milliseconds": percentiles(_milliseconds(times.accept)),
        "cpu_milliseconds_per_pair": {
            name: round(used / count * 1000, 2) for name, used in cpu_between(before, after).items()
        },
        "console_resident_megabytes": round(after["console"].resident / MEGABYTE),
        "raw": {"invite": _milliseconds(times.invite), "accept": _milliseconds(times.accept)},
    }


async def _alone(api: Api, admin: Admin, people: Iterator[Person], count: int, rest: float = 0.3) -> dict[str, Any]:
    """One acceptance at a time, of an invitation from before, when nothing else is going on."""
    times: list[float] = []
    for _ in range(count):
        invitee = next(people)
        code = await api.invite(admin, invitee)
        await asyncio.sleep(rest)
        started = time.perf_counter()
        await api.accept(invitee, code)
        times.append(time.perf_counter() - started)
        await asyncio.sleep(rest)
    return {
        "rest_seconds": rest,
        "accept_milliseconds": percentiles(_milliseconds(times)),
        "raw": _milliseconds(times),
    }


async def _at_rest(platform: Platform, seconds: float = 15.0) -> dict[str, Any]:
    """Memory and CPU of console when nobody asks it for anything."""
    pids = {"console": _pids(platform)["console"]}
    before = load_of(pids)
    await asyncio.sleep(seconds)
    after = load_of(pids)
    return {
        "seconds": seconds,
        "resident_megabytes": round(after["console"].resident / MEGABYTE),
        "cpu_percent_of_a_core": round(cpu_between(before, after)["console"] / seconds * 100, 2),
    }


async def _quiet(platform: Platform) -> None:
    """Returns when nothing is left of what was measured before: letters are queued by then."""
    query = "SELECT count(*) FROM postroom_outbox"
    async with asyncio.timeout(120):
        while sum([await _count(platform, name, query) for name in platform.service_names if name != "notifier"]):
            await asyncio.sleep(0.1)
    await asyncio.sleep(1)


async def _require_members(platform: Platform, people: list[Person]) -> None:
    members = await _count(platform, "membership", _MEMBERS, [person.account_id for person in people])
    if members != len(people):
        raise RuntimeError(f"{members} of {len(people)} people are members")


async def _count(platform: Platform, service: str, query: str, *arguments: object) -> int:
    connection = await asyncpg.connect(platform.postgres.url(service))
    try:
        return int(await connection.fetchval(query, *arguments))
    finally:
        await connection.close()


def _pids(platform: Platform) -> dict[str, int]:
    processes = [*platform.services, platform.kafka, platform.postgres]
    return {process.name: process.pid for process in processes if process.pid} | {"bench": os.getpid()}


def _milliseconds(seconds: list[float]) -> list[float]:
    return [round(each * 1000, 2) for each in seconds]
