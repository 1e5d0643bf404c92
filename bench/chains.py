"""The product under measurement: the idle chain, and a backlog of accepted invitations."""

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import psutil
from uuid_utils.compat import uuid7

from bench.measure import MEGABYTE, FactCounter, cpu_between, lag_of, load_of, percentiles
from contracts import (
    TOPICS,
    AcceptInvitation,
    AccountProfile,
    BillingChainEstablished,
    CreateOrganization,
    InvitationIssued,
    InviteMember,
    LetterSent,
    OrganizationCreated,
)
from stack.client import Client
from stack.platform import Platform

SERVICES = ("invites", "membership", "billing", "notifier")
ORGANIZATIONS = 50
"""The backlog is spread over this many, as the keys of a busy product would be."""


async def prepare(client: Client, count: int) -> list[AcceptInvitation]:
    """Issues `count` invitations over ORGANIZATIONS organizations; answers the commands that accept them, not sent."""
    organizations = [(uuid7(), uuid7()) for _ in range(min(ORGANIZATIONS, count))]
    for organization_id, owner_id in organizations:
        tag = organization_id.hex[-8:]
        await client.send(_profile(owner_id, f"owner.{tag}@example.com"))
        name = f"Bench {tag}"
        await client.ask(
            CreateOrganization(organization_id=organization_id, actor_id=owner_id, name=name), OrganizationCreated
        )
    wanted: dict[tuple[UUID, str], UUID] = {}
    commands: list[InviteMember] = []
    profiles: list[AccountProfile] = []
    for number in range(count):
        organization_id, owner_id = organizations[number % len(organizations)]
        address = f"p{number}.{organization_id.hex[-8:]}@example.com"
        account_id = uuid7()
        wanted[organization_id, address] = account_id
        profiles.append(_profile(account_id, address))
        commands.append(InviteMember(organization_id=organization_id, actor_id=owner_id, address=address))
    await _send_all(client, profiles)
    await _send_all(client, commands)
    issued: dict[tuple[UUID, str], InvitationIssued] = {}
    async with asyncio.timeout(300):
        looked_at = 0
        while len(issued) < count:
            await asyncio.sleep(0.05)
            for seen in client.seen[looked_at:]:
                fact = seen.message
                if isinstance(fact, InvitationIssued) and (fact.organization_id, fact.address) in wanted:
                    issued[fact.organization_id, fact.address] = fact
            looked_at = len(client.seen)
    return [
        AcceptInvitation(organization_id=fact.organization_id, actor_id=wanted[key], code_digest=fact.code_digest)
        for key, fact in issued.items()
    ]


async def idle(client: Client, acceptances: Sequence[AcceptInvitation], rest: float) -> dict[str, Any]:
    """One chain at a time, `rest` seconds apart: milliseconds from the command sent to BillingChainEstablished
    received."""
    times: list[float] = []
    for accept in acceptances:
        sent_at = time.perf_counter()
        await client.send(accept)
        account_id = accept.actor_id
        arrived = await client.wait_for(
            lambda seen: isinstance(seen.message, BillingChainEstablished) and seen.message.account_id == account_id,  # noqa: B023
            "chain",
        )
        times.append((arrived.arrived - sent_at) * 1000)
        client.seen.clear()
        await asyncio.sleep(rest)
    return {"rest_seconds": rest, "milliseconds": percentiles(times), "raw": [round(value, 2) for value in times]}


async def backlog(platform: Platform, subscriber_pid: int, acceptances: Sequence[AcceptInvitation]) -> dict[str, Any]:
    """Chains a second from a backlog: invites stands still while the commands are sent, and then goes on."""
    count = len(acceptances)
    pids = pids_of(platform) | {"subscriber": subscriber_pid, "bench": os.getpid()}
    async with FactCounter(platform.bootstrap_servers, "billing.events", BillingChainEstablished) as counter:
        async with _Quiet(platform), Client(platform.bootstrap_servers) as sender:
            await _send_all(sender, acceptances)
        before, started = load_of(pids), time.perf_counter()
        established = await counter.reaches(count, within=120) - started
        peak = {name: round(load.resident / MEGABYTE) for name, load in load_of(pids).items()}
        await _drained(platform, count)
        drained = time.perf_counter() - started
        cpu = cpu_between(before, load_of(pids))
    return {
        "chains": count,
        "seconds_to_last_established": round(established, 2),
        "seconds_until_drained": round(drained, 2),
        "chains_per_second_established": round(count / established),
        "chains_per_second_drained": round(count / drained),
        "cpu_seconds": cpu,
        "cpu_milliseconds_per_chain": {name: round(seconds / count * 1000, 3) for name, seconds in cpu.items()},
        "resident_megabytes_under_load": peak,
    }


async def letters(platform: Platform) -> dict[str, Any]:
    """Letters a second over SMTP: the first 5,000 of those that the backlog has queued, since delivery stood still
    until now. The mail server is the stack's mailbox, in Python, and takes part in the race."""
    queued = await _count(platform, "notifier", "SELECT count(*) FROM letters WHERE state IN ('queued', 'sending')")
    count = min(queued, 5000)
    async with Client(platform.bootstrap_servers) as client:
        await asyncio.to_thread(platform.service("notifier").stop)
        platform.service("notifier").env["SMTP_PORT"] = str(platform.mailbox.smtp_port)
        await asyncio.to_thread(platform.service("notifier").start)
        started = time.perf_counter()
        before = len(client.facts(LetterSent))
        async with asyncio.timeout(300):
            while len(client.facts(LetterSent)) - before < count:
                await asyncio.sleep(0.05)
        seconds = time.perf_counter() - started
    return {"letters": count, "seconds": round(seconds, 2), "letters_per_second": round(count / seconds)}


async def at_rest(platform: Platform, seconds: float = 30.0) -> dict[str, Any]:
    """Memory and CPU of each service when nothing happens."""
    pids = {name: pid for name, pid in pids_of(platform).items() if name in SERVICES}
    before = load_of(pids)
    await asyncio.sleep(seconds)
    after = load_of(pids)
    used = cpu_between(before, after)
    return {
        "seconds": seconds,
        "resident_megabytes": {name: round(load.resident / MEGABYTE) for name, load in after.items()},
        "cpu_percent_of_a_core": {name: round(used[name] / seconds * 100, 2) for name in pids},
    }


def pids_of(platform: Platform) -> dict[str, int]:
    """The process of each part of the platform."""
    parts = {"kafka": platform.kafka.pid, "postgres": platform.postgres.pid}
    parts |= {name: platform.service(name).pid for name in SERVICES}
    return {name: pid for name, pid in parts.items() if pid is not None}


async def start_subscriber(platform: Platform, log: Path) -> "asyncio.subprocess.Process":
    """The process in the place of console, with a database of its own."""
    environment = {
        **os.environ,
        "KAFKA_BOOTSTRAP_SERVERS": platform.bootstrap_servers,
        "DATABASE_URL": platform.postgres.create_database("console"),
    }
    with log.open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.subscriber", env=environment, stdout=asyncio.subprocess.PIPE, stderr=errors
        )
    assert process.stdout is not None
    await process.stdout.readline()
    return process


class _Quiet:
    """invites stands still inside the block."""

    def __init__(self, platform: Platform) -> None:
        self._service = platform.service("invites")

    async def __aenter__(self) -> None:
        self._service.pause()

    async def __aexit__(self, *_: object) -> None:
        self._service.resume()


async def _drained(platform: Platform, count: int) -> None:
    """Returns when every service, and the subscriber, has handled and told all: letters are queued by then."""
    async with asyncio.timeout(300):
        while True:
            left = sum(
                [
                    await _count(
                        platform, service, "SELECT count(*) FROM postroom_outbox WHERE topic <> 'notifier.events'"
                    )
                    for service in SERVICES
                ]
            )
            if left == 0 and await _lag(platform.bootstrap_servers) == 0:
                return
            await asyncio.sleep(0.1)


async def _lag(bootstrap_servers: str) -> int:
    readers = {service: [(t.name, t.partitions) for t in TOPICS.read_by(service)] for service in SERVICES}
    readers["console"] = [(f"{name}.events", 6) for name in ("invites", "membership", "billing")]
    return sum([await lag_of(bootstrap_servers, group, topics) for group, topics in readers.items()])


async def _count(platform: Platform, service: str, query: str) -> int:
    connection = await asyncpg.connect(platform.postgres.url(service))
    try:
        return int(await connection.fetchval(query))
    finally:
        await connection.close()


async def _send_all(client: Client, messages: Sequence[Any]) -> None:
    for start in range(0, len(messages), 1000):
        await asyncio.gather(*(client.send(message) for message in messages[start : start + 1000]))


def _profile(account_id: UUID, address: str) -> AccountProfile:
    return AccountProfile(account_id=account_id, version=1, address=address, name="Somebody", verified=True)


def machine() -> dict[str, Any]:
    """What it was measured on."""
    with Path("/proc/cpuinfo").open() as info:
        models = [line.split(":", 1)[1].strip() for line in info if line.startswith("model name")]
    return {
        "cores": psutil.cpu_count(),
        "processor": models[0] if models else "unknown",
        "memory_gigabytes": round(psutil.virtual_memory().total / 1024**3),
        "python": sys.version.split()[0],
    }
