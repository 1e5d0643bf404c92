"""The template of a service, against the real platform: every fact is in its table once, whatever comes twice, and
though it is killed in the middle; and nothing in it names a person."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from consumer_groups import begin_again, has_caught_up
from crowd import Crowd

from audit.topics import READS
from contracts import AccountErased, Command
from stack.client import Client
from stack.environment import python_environment
from stack.platform import Platform
from stack.ports import free_port
from stack.services import ServiceProcess

pytestmark = [pytest.mark.platform, pytest.mark.examples, pytest.mark.timeout(240)]

SIZE = 20
"""People who join."""
WITHIN = 60.0
"""Seconds in which audit must have caught up."""
ROWS = "SELECT ce_id, ce_type, CAST(data AS text) AS data FROM facts WHERE key = ANY($1::uuid[]) ORDER BY position"


@pytest.fixture
def audit(platform: Platform, repository: Path, tmp_path: Path) -> Iterator[ServiceProcess]:
    """It runs, as its README says, in small batches, so that there is much to be killed between."""
    env = {
        "KAFKA_BOOTSTRAP_SERVERS": platform.bootstrap_servers,
        "DATABASE_URL": platform.postgres.create_database("audit"),
        "KAFKA_SESSION_TIMEOUT": "3",
        "BATCH_SIZE": "5",
        "PYTHONPATH": os.pathsep.join([str(repository / "examples" / "audit"), os.environ.get("PYTHONPATH", "")]),
    }
    for arguments in (["postroom", "topics", "create", "audit.topics:READS"], ["audit", "migrate"]):
        subprocess.run([sys.executable, "-m", *arguments], env=python_environment() | env, cwd=tmp_path, check=True)
    process = ServiceProcess("audit", "audit", free_port(), tmp_path / "audit.log", env=env, folder=tmp_path)
    process.start()
    yield process
    process.kill()


async def test_every_fact_is_written_once_and_names_nobody(
    platform: Platform, client: Client, audit: ServiceProcess
) -> None:
    crowd = Crowd(client, SIZE)
    await crowd.gather()
    await crowd.accept()
    await crowd.has_joined(3)
    at_the_kill = await _rows(audit, crowd)
    audit.kill()
    await crowd.is_through()
    await asyncio.to_thread(audit.start)
    gone = crowd.people[0]
    await client.erase(gone.account_id)
    await has_caught_up(platform.bootstrap_servers, "audit", READS, within=WITHIN)

    told = [seen for seen in client.seen if not isinstance(seen.message, Command)]
    expected = sorted((seen.ce_id, seen.message.ce_type) for seen in told if seen.message.partition_key in _keys(crowd))
    written = await _rows(audit, crowd)
    assert 0 < len(at_the_kill) < len(written), "it was killed too late to show anything"
    erasures = [row for row in written if row["ce_type"] == AccountErased.ce_type]
    assert [gone.account_id] == [AccountErased.model_validate_json(row["data"]).account_id for row in erasures]
    assert sorted((row["ce_id"], row["ce_type"]) for row in written if row not in erasures) == expected
    for word in ("@", "Person 1", "The owner", crowd.invitations[gone.address].inviter_name):
        assert not [row["ce_type"] for row in written if word in row["data"]], f"{word} is personal data"

    await asyncio.to_thread(audit.stop)
    async with _connected(audit) as connection:  # a month later, the inbox has forgotten who signed up
        await connection.execute("DELETE FROM postroom_inbox")
    await begin_again(platform.bootstrap_servers, "audit", READS)
    await asyncio.to_thread(audit.start)
    await has_caught_up(platform.bootstrap_servers, "audit", READS, within=WITHIN)
    assert await _rows(audit, crowd) == written, "everything was delivered again, and something was written again"


def _keys(crowd: Crowd) -> set[Any]:
    return {crowd.organization_id, crowd.owner_id, *(person.account_id for person in crowd.people)}


async def _rows(audit: ServiceProcess, crowd: Crowd) -> list[Any]:
    """What is written about the crowd, in order."""
    async with _connected(audit) as connection:
        rows: list[Any] = await connection.fetch(ROWS, list(_keys(crowd)))
        return rows


@asynccontextmanager
async def _connected(audit: ServiceProcess) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(audit.env["DATABASE_URL"])
    try:
        yield connection
    finally:
        await connection.close()
