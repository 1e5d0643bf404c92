"""The floor under measurement: the same backlog through bench/floor.py, on the same Kafka and PostgreSQL."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from uuid_utils.compat import uuid7

from bench.floor import ROLES, SCHEMA
from bench.measure import FactCounter, cpu_between, lag_of, load_of
from contracts import AcceptInvitation, BillingChainEstablished
from stack.client import cloud_event_headers
from stack.platform import Platform

PARTITIONS = 6


async def floor(platform: Platform, acceptances: Sequence[AcceptInvitation], logs: Path) -> dict[str, Any]:
    """Chains a second of the bare chain, from the same commands; the product's services stand still meanwhile."""
    count = len(acceptances)
    prefix = f"floor-{uuid7().hex[-6:]}."
    topics = sorted(
        {topic for role in ROLES.values() for topic in role.reads} | {r.writes for r in ROLES.values() if r.writes}
    )
    await _create_topics(platform.bootstrap_servers, [prefix + topic for topic in topics])
    async with AsyncExitStack() as stack:
        pids: dict[str, int] = {}
        for name in ROLES:
            pids[name] = await stack.enter_async_context(_role(platform, name, prefix, logs))
        kafka, postgres = platform.kafka.pid, platform.postgres.pid
        assert kafka is not None
        assert postgres is not None
        pids |= {"kafka": kafka, "postgres": postgres, "bench": os.getpid()}
        async with FactCounter(
            platform.bootstrap_servers, prefix + "billing.events", BillingChainEstablished
        ) as counter:
            # As the product's invites, while its backlog is sent.
            os.kill(pids["invites"], signal.SIGSTOP)
            await _send(platform.bootstrap_servers, prefix, acceptances)
            before, started = load_of(pids), time.perf_counter()
            os.kill(pids["invites"], signal.SIGCONT)
            established = await counter.reaches(count, within=120) - started
            await _drained(platform.bootstrap_servers, prefix)
            drained = time.perf_counter() - started
            cpu = cpu_between(before, load_of(pids))
    return {
        "chains": count,
        "seconds_to_last_established": round(established, 2),
        "seconds_until_drained": round(drained, 2),
        "chains_per_second_established": round(count / established),
        "chains_per_second_drained": round(count / drained),
        "cpu_seconds": cpu,
    }


@asynccontextmanager
async def _role(platform: Platform, name: str, prefix: str, logs: Path) -> AsyncIterator[int]:
    database = f"floor_{name}_{uuid7().hex[-6:]}"
    url = platform.postgres.create_database(database)
    connection = await asyncpg.connect(url)
    await connection.execute(SCHEMA)
    await connection.close()
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": platform.bootstrap_servers, "DATABASE_URL": url}
    with (logs / f"floor-{name}.log").open("wb") as errors:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.floor",
            name,
            prefix,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
        )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(60):
            await process.stdout.readline()
        yield process.pid
    finally:
        process.kill()
        await process.wait()


async def _create_topics(bootstrap_servers: str, names: Sequence[str]) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, PARTITIONS, 1) for name in names])
    finally:
        await admin.close()


async def _send(bootstrap_servers: str, prefix: str, acceptances: Sequence[AcceptInvitation]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        sent = [
            await producer.send(
                prefix + "invites.commands",
                command.model_dump_json().encode(),
                key=str(command.partition_key).encode(),
                headers=cloud_event_headers(command, str(uuid7())),
            )
            for command in acceptances
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


async def _drained(bootstrap_servers: str, prefix: str) -> None:
    async with asyncio.timeout(120):
        while True:
            lags = [
                await lag_of(bootstrap_servers, prefix + name, [(prefix + topic, PARTITIONS) for topic in role.reads])
                for name, role in ROLES.items()
            ]
            if sum(lags) == 0:
                return
            await asyncio.sleep(0.1)
