"""Usage under measurement: charges a second that are booked durably, from a backlog of what meters have recorded.

Members are told to billing as membership tells of them, and the organizations' credit is put into billing's ledger, as
a top-up would put it there; all that is measured goes over Kafka. After each round the books are looked at.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaProducer
from sqlalchemy.ext.asyncio import create_async_engine
from uuid_utils.compat import uuid7

from bench.measure import MEGABYTE, FactCounter, cpu_between, load_of
from billing.store.ledger import balances, differences
from contracts import (
    BILLING_EVENTS,
    MEMBERSHIP_EVENTS,
    METERING_USAGE,
    BillingChainEstablished,
    MemberJoined,
    Message,
    OrganizationCreated,
    UsageCharged,
    UsageRecorded,
)
from contracts.topic import Topic
from stack.client import cloud_event_headers
from stack.platform import Platform

SERVICES = ("billing",)
MEMBERS = 1000
"""Who use something, in all organizations together."""
PRICE = 12_345
"""Micro-dollars, of each usage."""
_JOINED_AT = datetime(2026, 1, 1, tzinfo=UTC)
_INTERVAL = timedelta(minutes=1)

_GRANT = """
    WITH bought AS (
        INSERT INTO entries (cause_id, turn, kind, source_kind, source_owner_id, target_kind, target_owner_id, amount,
                             subject_id, booked_at)
        SELECT id, 1, 'top_up', 'card_clearing', '00000000-0000-0000-0000-000000000000', 'organization_credit', id,
               $2, id, now()
        FROM unnest($1::uuid[]) AS s (id)
    )
    UPDATE payers SET credit = credit + $2 WHERE payer_id = ANY($1::uuid[])
"""


async def measure_usage(platform: Platform, *, usages: int, rounds: int) -> dict[str, Any]:
    """For a thousand organizations and for one, in turn. Fails where the books are not right."""
    results: dict[str, Any] = {"usages": usages, "price": PRICE, "members": MEMBERS, "many": [], "one": []}
    async with _Writer(platform.bootstrap_servers) as writer:
        await _round(platform, writer, MEMBERS, usages // 4)
        for _ in range(rounds):
            results["many"].append(await _round(platform, writer, MEMBERS, usages))
            results["one"].append(await _round(platform, writer, 1, usages))
    return results


async def _round(platform: Platform, writer: "_Writer", organizations: int, usages: int) -> dict[str, Any]:
    accounts = await _found(platform, writer, organizations)
    pids = {"kafka": platform.kafka.pid, "postgres": platform.postgres.pid, "billing": platform.service("billing").pid}
    present = {name: pid for name, pid in pids.items() if pid is not None}
    charged_before = await _revenue(platform)
    async with FactCounter(platform.bootstrap_servers, BILLING_EVENTS.name, UsageCharged) as counter:
        platform.service("billing").pause()
        try:
            await writer.write(METERING_USAGE, _recorded(accounts, usages))
        finally:
            platform.service("billing").resume()
        before, started = load_of(present), time.perf_counter()
        seconds = await counter.reaches(usages, within=300) - started
        after = load_of(present)
    charged = await _revenue(platform) - charged_before
    if charged != usages * PRICE:
        raise RuntimeError(f"{usages} usages of {PRICE} were charged {charged}.")
    cpu = cpu_between(before, after)
    return {
        "organizations": organizations,
        "seconds": round(seconds, 2),
        "usages_per_second": round(usages / seconds),
        "cpu_milliseconds_per_usage": {name: round(used / usages * 1000, 3) for name, used in cpu.items()},
        "billing_resident_megabytes": round(after["billing"].resident / MEGABYTE),
    }


async def _found(platform: Platform, writer: "_Writer", count: int) -> list[UUID]:
    """New organizations with credit, and MEMBERS members over all of them."""
    organizations = [uuid7() for _ in range(count)]
    members = [(organizations[number % count], uuid7()) for number in range(MEMBERS)]
    async with FactCounter(platform.bootstrap_servers, BILLING_EVENTS.name, BillingChainEstablished) as counter:
        facts: list[Message] = [_created(organization_id) for organization_id in organizations]
        facts += [_joined(organization_id, account_id) for organization_id, account_id in members]
        await writer.write(MEMBERSHIP_EVENTS, facts)
        await counter.reaches(MEMBERS, within=120)
    connection = await asyncpg.connect(platform.postgres.url("billing"))
    try:
        await connection.execute(_GRANT, organizations, 1_000_000_000_000)
    finally:
        await connection.close()
    return [account_id for _, account_id in members]


async def _revenue(platform: Platform) -> int:
    """What was charged so far. Raises RuntimeError where the books are not right."""
    engine = create_async_engine(platform.postgres.url("billing").replace("postgresql://", "postgresql+asyncpg://"))
    try:
        async with engine.connect() as connection:
            wrong, held = await differences(connection), await balances(connection)
    finally:
        await engine.dispose()
    if wrong or sum(held.values()):
        raise RuntimeError(f"The books are not right: {wrong or held}")
    return held.get("revenue", 0)


def _recorded(accounts: Sequence[UUID], count: int) -> list[Message]:
    """What the meters of all of them have recorded, interval by interval."""
    begin = datetime.now(UTC).replace(microsecond=0) - _INTERVAL * (count // len(accounts) + 1)
    return [
        UsageRecorded(
            account_id=accounts[number % len(accounts)],
            meter_id=str(accounts[number % len(accounts)]),
            instance_id="instance-1",
            resource="gpu-a100",
            quantity=Decimal(1),
            unit_price=PRICE,
            used_from=begin + _INTERVAL * (number // len(accounts)),
            used_until=begin + _INTERVAL * (number // len(accounts) + 1),
        )
        for number in range(count)
    ]


def _created(organization_id: UUID) -> OrganizationCreated:
    return OrganizationCreated(
        organization_id=organization_id, version=1, name="Bench", owner_id=uuid7(), created_at=_JOINED_AT
    )


def _joined(organization_id: UUID, account_id: UUID) -> MemberJoined:
    return MemberJoined(
        organization_id=organization_id,
        version=2,
        account_id=account_id,
        membership_id=uuid7(),
        role="member",
        invitation_id=None,
        inviter_id=None,
        joined_at=_JOINED_AT,
    )


class _Writer:
    """Writes what other services, and meters, would."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._producer = AIOKafkaProducer(
            bootstrap_servers=bootstrap_servers, enable_idempotence=True, linger_ms=5, max_batch_size=256 * 1024
        )

    async def __aenter__(self) -> "_Writer":
        await self._producer.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()

    async def write(self, topic: Topic, messages: Sequence[Message]) -> None:
        """Returns when Kafka has them all."""
        for start in range(0, len(messages), 1000):
            sent = [
                await self._producer.send(
                    topic.name,
                    message.model_dump_json().encode(),
                    key=str(message.partition_key).encode(),
                    headers=cloud_event_headers(message, str(uuid7())),
                )
                for message in messages[start : start + 1000]
            ]
            await asyncio.gather(*sent)
