"""The floor: the same chain with nothing but aiokafka and asyncpg, as little code as it takes.

Five processes as in the product (invites, membership, billing, notifier, and a subscriber in the place of console),
each with its own database; the same topics and partitions, messages and headers; for every message the same rows in
the same number of transactions (inbox, effect, outbox). No rules, retries, dead letters, health, logs
or metrics.

`python -m bench.floor <role> <prefix>` runs one of them; bench/floor_run.py starts and measures them.
"""

import asyncio
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from uuid_utils.compat import uuid7

from contracts import (
    AcceptInvitation,
    BillingChainEstablished,
    ChainSource,
    InvitationAccepted,
    MemberJoined,
    Message,
)

BATCH = 500

SCHEMA = """
CREATE TABLE inbox (message_id uuid PRIMARY KEY, forget_on date NOT NULL);
CREATE TABLE outbox (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, topic text NOT NULL, key bytea,
    headers json NOT NULL, value bytea, created_at timestamptz NOT NULL);
CREATE TABLE effect (id uuid PRIMARY KEY, key uuid NOT NULL, state text NOT NULL, at timestamptz NOT NULL);
CREATE INDEX ON effect (key);
"""

Reaction = Callable[[Any], tuple[Sequence[UUID], Message | None]]
"""From a message to the ids of the rows that it writes, and to the fact that follows."""


@dataclass(frozen=True)
class Role:
    reads: tuple[str, ...]
    writes: str | None
    reactions: dict[type[Message], Reaction]


def _accepted(command: AcceptInvitation) -> tuple[Sequence[UUID], Message]:
    now = datetime.now(UTC)
    invitation_id = uuid7()
    return [invitation_id], InvitationAccepted(
        organization_id=command.organization_id,
        invitation_id=invitation_id,
        version=2,
        account_id=command.actor_id,
        inviter_id=command.actor_id,
        accepted_at=now,
    )


def _joined(fact: InvitationAccepted) -> tuple[Sequence[UUID], Message]:
    membership_id = uuid7()
    # The member's row, and the organization's new version.
    return [membership_id, uuid7()], MemberJoined(
        organization_id=fact.organization_id,
        version=3,
        account_id=fact.account_id,
        membership_id=membership_id,
        role="member",
        invitation_id=fact.invitation_id,
        inviter_id=fact.inviter_id,
        joined_at=datetime.now(UTC),
    )


def _established(fact: MemberJoined) -> tuple[Sequence[UUID], Message]:
    now = datetime.now(UTC)
    kinds: Any = (
        ("organization_credit", "organization", fact.organization_id),
        ("organization_card", "organization", fact.organization_id),
        ("member_credit", "account", fact.account_id),
        ("member_card", "account", fact.account_id),
    )
    chain_id = uuid7()
    return [chain_id], BillingChainEstablished(
        organization_id=fact.organization_id,
        account_id=fact.account_id,
        membership_id=fact.membership_id,
        chain_id=chain_id,
        version=1,
        sources=tuple(
            ChainSource(position=position, kind=kind, payer_kind=payer, payer_id=payer_id)
            for position, (kind, payer, payer_id) in enumerate(kinds, 1)
        ),
        effective_at=fact.joined_at,
        established_at=now,
    )


def _rows(count: int) -> Reaction:
    return lambda _: ([uuid7() for _ in range(count)], None)


ROLES = {
    "invites": Role(
        ("invites.commands", "membership.events"),
        "invites.events",
        {AcceptInvitation: _accepted, MemberJoined: _rows(1)},
    ),
    "membership": Role(("invites.events",), "membership.events", {InvitationAccepted: _joined}),
    "billing": Role(("membership.events",), "billing.events", {MemberJoined: _established}),
    "notifier": Role(
        ("invites.events", "membership.events"), None, {InvitationAccepted: _rows(1), MemberJoined: _rows(2)}
    ),
    "subscriber": Role(
        ("invites.events", "membership.events", "billing.events"),
        None,
        {InvitationAccepted: _rows(1), MemberJoined: _rows(1), BillingChainEstablished: _rows(1)},
    ),
}

CLAIM = """
INSERT INTO inbox SELECT * FROM unnest($1::uuid[], $2::date[]) ON CONFLICT DO NOTHING RETURNING message_id
"""
EFFECT = """
INSERT INTO effect SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::timestamptz[])
ON CONFLICT (id) DO UPDATE SET state = excluded.state
"""
POST = """
INSERT INTO outbox (topic, key, headers, value, created_at)
SELECT topic, key, headers, value, $5 FROM unnest($1::text[], $2::bytea[], $3::json[], $4::bytea[])
    WITH ORDINALITY AS p (topic, key, headers, value, turn) ORDER BY turn
"""


async def serve(name: str, bootstrap_servers: str, database_url: str, prefix: str) -> None:
    """Handles and relays until it is ended. `prefix` stands before topics and groups, for each run its own."""
    role = ROLES[name]
    types = {message.ce_type: message for message in role.reactions}
    handling = await asyncpg.connect(database_url)
    consumer = AIOKafkaConsumer(
        *(prefix + topic for topic in role.reads),
        bootstrap_servers=bootstrap_servers,
        group_id=prefix + name,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    awake = asyncio.Event()
    relaying = asyncio.create_task(_relay(bootstrap_servers, database_url, awake))
    print("ready", flush=True)
    while True:
        batches = await consumer.getmany(timeout_ms=60_000, max_records=BATCH)
        records = [record for batch in batches.values() for record in batch]
        if not records:
            continue
        if relaying.done():
            relaying.result()
        async with handling.transaction():
            told = await _handle(handling, role, prefix, types, records)
        if told:
            awake.set()
        await consumer.commit()


async def _handle(
    connection: "asyncpg.Connection[Any]",
    role: Role,
    prefix: str,
    types: dict[str, type[Message]],
    records: Sequence[Any],
) -> bool:
    now = datetime.now(UTC)
    messages: dict[UUID, tuple[dict[str, bytes], Message]] = {}
    for record in records:
        headers = dict(record.headers)
        message_type = types.get(headers["ce_type"].decode())
        if message_type is not None:
            messages[UUID(headers["ce_id"].decode())] = (headers, message_type.model_validate_json(record.value))
    ids = sorted(messages)
    new = {row[0] for row in await connection.fetch(CLAIM, ids, [now.date()] * len(ids))}
    rows: list[tuple[UUID, UUID]] = []
    facts: list[tuple[dict[str, bytes], Message]] = []
    for message_id, (headers, message) in messages.items():
        if message_id in new:
            effects, fact = role.reactions[type(message)](message)
            rows.extend((effect, message.partition_key) for effect in effects)
            if fact is not None:
                facts.append((headers, fact))
    if rows:
        await connection.execute(
            EFFECT, [row[0] for row in rows], [row[1] for row in rows], ["done"] * len(rows), [now] * len(rows)
        )
    if facts and role.writes:
        keys = [str(fact.partition_key).encode() for _, fact in facts]
        bodies = [fact.model_dump_json().encode() for _, fact in facts]
        envelopes = [_headers(fact, cause, now) for cause, fact in facts]
        await connection.execute(POST, [prefix + role.writes] * len(facts), keys, envelopes, bodies, now)
    return bool(facts)


def _headers(fact: Message, cause: dict[str, bytes], now: datetime) -> str:
    key = str(fact.partition_key)
    return json.dumps(
        [
            ("ce_specversion", "1.0"),
            ("ce_id", str(uuid7())),
            ("ce_source", "/floor"),
            ("ce_type", fact.ce_type),
            ("ce_time", now.isoformat()),
            ("ce_subject", key),
            ("ce_correlationid", cause["ce_correlationid"].decode()),
            ("ce_causationid", cause["ce_id"].decode()),
            ("ce_partitionkey", key),
            ("content-type", "application/json"),
        ]
    )


async def _relay(bootstrap_servers: str, database_url: str, awake: asyncio.Event) -> None:
    connection = await asyncpg.connect(database_url, server_settings={"synchronous_commit": "off"})
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True, max_batch_size=128 * 1024
    )
    await producer.start()
    while True:
        awake.clear()
        rows = await connection.fetch("SELECT id, topic, key, headers, value FROM outbox ORDER BY id LIMIT $1", BATCH)
        if not rows:
            await awake.wait()
            continue
        sent = [
            await producer.send(
                row["topic"],
                row["value"],
                key=row["key"],
                headers=[(name, value.encode()) for name, value in json.loads(row["headers"])],
            )
            for row in rows
        ]
        await asyncio.gather(*sent)
        await connection.execute("DELETE FROM outbox WHERE id = ANY($1::bigint[])", [row["id"] for row in rows])


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1], os.environ["KAFKA_BOOTSTRAP_SERVERS"], os.environ["DATABASE_URL"], sys.argv[2]))
