"""What /metrics says of a service's database."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import datetime

import httpx
from prometheus_client.core import GaugeMetricFamily, Metric
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from toy_service import COMMANDS, EVENTS, Deposit, PostgresStore, ToyRoom, Transfer, deposit, transfer

from postroom import Service, ServiceSettings
from postroom.health import bind
from postroom.metrics import Reading
from postroom.process import Process


async def read_slowly(connection: AsyncConnection, now: datetime) -> Iterable[Metric]:
    await connection.execute(text("SELECT pg_sleep(60)"))
    return [GaugeMetricFamily("toy_slow", "Never told.", value=1)]


async def read_accounts(connection: AsyncConnection, now: datetime) -> Iterable[Metric]:
    number = (await connection.execute(text("SELECT count(*) FROM toy"))).scalar_one()
    return [GaugeMetricFamily("toy_accounts", "Accounts.", value=number)]


async def test_a_reading_that_is_slow_takes_no_other_away(postgres_room: ToyRoom, database_url: str) -> None:
    async with _serving(database_url, [read_slowly, read_accounts]) as client:
        page = (await client.get("/metrics")).text

    assert "\npostroom_outbox_rows 0.0\n" in page
    assert "\ntoy_accounts 0.0\n" in page
    assert "toy_slow" not in page


@asynccontextmanager
async def _serving(database_url: str, readings: list[Reading]) -> AsyncIterator[httpx.AsyncClient]:
    """A process that waits for Kafka, and answers already."""
    settings = ServiceSettings(kafka_bootstrap_servers="127.0.0.1:1", database_url=SecretStr(database_url))
    service = Service(
        "toy",
        settings,
        reads=[COMMANDS],
        writes=EVENTS,
        reactions={Deposit: deposit, Transfer: transfer},
        store=PostgresStore(),
        readings=readings,
    )
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    stopping = asyncio.Event()
    serving = asyncio.create_task(Process(service, stopping).serve(listener))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
            yield client
    finally:
        stopping.set()
        await serving
