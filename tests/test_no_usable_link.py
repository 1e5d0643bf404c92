"""No usable link: after a full run, no topic, table, log or dead letter holds the code of a link. The letters do."""

import base64

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from crowd import Crowd

from contracts import TOPICS, link_code
from stack.client import Client
from stack.platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]

SERVICES = ("invites", "membership", "billing", "notifier")


async def test_no_topic_table_or_log_holds_a_usable_link(platform: Platform, client: Client) -> None:
    crowd = Crowd(client, 5)
    await crowd.gather()
    await crowd.accept()
    await crowd.is_through()
    codes = [link_code(_key(platform), fact.invitation_id) for fact in crowd.invitations.values()]
    letters = "\n".join(str(letter) for letter in platform.mailbox.letters())
    assert all(code in letters for code in codes), "the search would find them, where they are"

    found = [
        *await _in_topics(platform.bootstrap_servers, codes),
        *await _in_tables(platform, codes),
        *_in_logs(platform, codes),
    ]
    assert found == []


async def test_no_log_holds_an_address(platform: Platform, client: Client) -> None:
    crowd = Crowd(client, 3)
    await crowd.gather()
    await crowd.accept()
    await crowd.is_through()

    assert _in_logs(platform, [person.address for person in crowd.people]) == []


def _key(platform: Platform) -> bytes:
    text = platform.link_key
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def _in_topics(bootstrap_servers: str, codes: list[str]) -> list[str]:
    names = [topic.name for topic in TOPICS]
    names += [f"{topic.name}.{reader}.dlt" for topic in TOPICS for reader in topic.readers]
    consumer = AIOKafkaConsumer(*names, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    found: list[str] = []
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        assert sum(ends.values()) > 50, "there is something to search"
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    text = b"\n".join((record.key or b"", record.value or b"", *(value for _, value in record.headers)))
                    found.extend(f"{record.topic}: {code}" for code in codes if code.encode() in text)
    finally:
        await consumer.stop()
    return found


async def _in_tables(platform: Platform, codes: list[str]) -> list[str]:
    found: list[str] = []
    for service in SERVICES:
        connection = await asyncpg.connect(platform.postgres.url(service))
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert len(tables) > 3, "there is something to search"
        for (table,) in tables:
            rows = await connection.fetch(f"SELECT CAST(t AS text) FROM {table} AS t")
            # Bytes are shown as hexadecimal digits.
            found.extend(
                f"{service}.{table}: {code}"
                for (row,) in rows
                for code in codes
                if code in row or code.encode().hex() in row
            )
        await connection.close()
    return found


def _in_logs(platform: Platform, texts: list[str]) -> list[str]:
    """In the logs of the services, and of what they run on."""
    logs = sorted((platform.folder / "logs").glob("*.log"))
    assert {f"{service}.log" for service in SERVICES} < {log.name for log in logs if log.stat().st_size > 0}
    return [f"{log.name}: {text}" for log in logs for text in texts if text in log.read_text(errors="replace")]
