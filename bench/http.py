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
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

import asyncpg
from pydantic_core import from_json, to_json
from uuid_utils.compat import uuid7

from bench.measure import MEGABYTE, cpu_between, lag_of, load_of, percentiles
from contracts import ACCOUNTS_PROFILES, AccountProfile, link_code
from stack.client import Client
from stack.platform import Platform
from stack.ports import LOOPBACK

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


class Connection:
    """HTTP/1.1 to one server, one request at a time, and no more of it than the bench needs: the callers share two
    cores with everything that they measure, and a whole client would take as much of them as a service."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection(LOOPBACK, self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def ask(self, method: str, path: str, token: str, body: dict[str, str]) -> tuple[int, bytes]:
        """The status and the body of the answer."""
        content = to_json(body)
        head = (
            f"{method} /api/v1{path} HTTP/1.1\r\nHost: {LOOPBACK}:{self._port}\r\nAuthorization: Bearer {token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
        )
        self._writer.write(head.encode() + content)
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(answer.partition(b"\r\ncontent-length: ")[2].partition(b"\r\n")[0])
        return int(answer.split(None, 2)[1]), await self._reader.readexactly(length)


class Api:
    """What one caller does over the console's API; who has the link key knows every link."""

    def __init__(self, connection: Connection, link_key: bytes) -> None:
        self._connection = connection
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
        status, content = await self._connection.ask(method, path, who.token, body)
        if status != expected:
            raise RuntimeError(f"{method} {path} was answered {status}: {content.decode()}")
        return from_json(content)


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
    admins = await organizations(platform, queue)
    async with callers(platform, AT_A_TIME) as apis:
        await pairs(apis, admins, queue, warm_up)
    results: dict[str, Any] = {"at_rest": at_rest, "alone": await one_alone(platform, admins[0], queue, alone)}
    results["rounds"] = [
        {
            "one_after_the_other": await measured(platform, 1, admins, queue, sequential),
            "at_a_time": await measured(platform, AT_A_TIME, admins, queue, parallel),
        }
        for _ in range(rounds)
    ]
    await _require_members(platform, people)
    return results


@asynccontextmanager
async def callers(platform: Platform, count: int) -> AsyncIterator[list[Api]]:
    """So many of them, connected."""
    link_key, port = base64.urlsafe_b64decode(platform.link_key), platform.service("console").web_port
    assert port is not None
    async with AsyncExitStack() as stack:
        yield [Api(await stack.enter_async_context(Connection(port)), link_key) for _ in range(count)]


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


async def organizations(platform: Platform, people: Iterator[Person]) -> list[Admin]:
    """AT_A_TIME admins, spread over the organizations; neighbours in the list are in different ones."""
    admins: list[Admin] = []
    async with callers(platform, 1) as (api,):
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


async def pairs(apis: list[Api], admins: list[Admin], people: Iterator[Person], count: int) -> Times:
    """`count` pairs, as many at a time as there are callers: each invites somebody, who accepts, and so on."""
    times = Times([], [])
    turns = iter(range(count))

    async def call(api: Api, admin: Admin) -> None:
        for _ in turns:
            invitee = next(people)
            started = time.perf_counter()
            code = await api.invite(admin, invitee)
            invited = time.perf_counter()
            await api.accept(invitee, code)
            times.accept.append(time.perf_counter() - invited)
            times.invite.append(invited - started)

    await asyncio.gather(*(call(api, admin) for api, admin in zip(apis, admins, strict=False)))
    return times


async def measured(
    platform: Platform, at_a_time: int, admins: list[Admin], people: Iterator[Person], count: int
) -> dict[str, Any]:
    """pairs(), with what they took."""
    await _quiet(platform)
    pids = _pids(platform)
    async with callers(platform, at_a_time) as apis:
        before, started = load_of(pids), time.perf_counter()
        times = await pairs(apis, admins, people, count)
        seconds = time.perf_counter() - started
    after = load_of(pids)
    return {
        "at_a_time": at_a_time,
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


async def one_alone(
    platform: Platform, admin: Admin, people: Iterator[Person], count: int, rest: float = 0.3
) -> dict[str, Any]:
    """One acceptance at a time, of an invitation from before, when nothing else is going on."""
    times: list[float] = []
    async with callers(platform, 1) as (api,):
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
