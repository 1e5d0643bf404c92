"""No usable link, code or secret: after a full run, no topic, table, log or dead letter holds one. The letters do."""

import base64
import re

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer
from crowd import Crowd
from people import PASSWORD, people_of

from contracts import TOPICS, link_code
from stack.client import Client
from stack.platform import Platform
from stack.services import SERVICES

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]


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


async def test_no_topic_table_or_log_lets_anybody_into_an_account(platform: Platform) -> None:
    async with people_of(platform) as people:
        persons = [await people.sign_up(f"person-{number}") for number in range(3)]
        secrets = [await people.letters.mailbox_code(person.address) for person in persons]
        for person in persons:
            secrets += person.browser.cookies.values()
            secrets.append(await person.browser.create_token("search", ["read"]))
            await person.browser.post("/password-resets", {"address": person.address})
            secrets.append(await people.letters.reset_code(person.address))
        secrets.append(PASSWORD)

    found = [
        *await _in_topics(platform.bootstrap_servers, secrets),
        *await _in_tables(platform, secrets),
        *_in_logs(platform, secrets),
    ]
    assert len(secrets) == 3 + 3 * (2 + 1 + 1) + 1  # codes; the two cookies, a token and a reset of each; the password
    assert found == []


async def test_no_log_holds_the_address_of_somebody_with_an_account(platform: Platform) -> None:
    async with people_of(platform) as people:
        owner = await people.sign_up("owner")
        await owner.browser.invite(await people.organization(owner), people.address("invitee"))
        await people.letters.link_code(people.address("invitee"))

    assert _in_logs(platform, [owner.address, people.address("invitee")]) == []


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
        assert sum(ends.values()) > 10, "there is something to search"
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                for record in records:
                    text = b"\n".join((record.key or b"", record.value or b"", *(value for _, value in record.headers)))
                    found.extend(f"{record.topic}: {code}" for code in codes if _holds(text.decode("latin-1"), code))
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
                if _holds(row, code) or code.encode().hex() in row
            )
        await connection.close()
    return found


def _in_logs(platform: Platform, texts: list[str]) -> list[str]:
    """In the logs of the services, and of what they run on."""
    logs = sorted((platform.folder / "logs").glob("*.log"))
    assert {f"{service}.log" for service in SERVICES} < {log.name for log in logs if log.stat().st_size > 0}
    return [f"{log.name}: {text}" for log in logs for text in texts if _holds(log.read_text(errors="replace"), text)]


def _holds(text: str, code: str) -> bool:
    """Six digits may be part of an id, or of an instant, without being a code."""
    return bool(re.search(rf"(?<![0-9A-Fa-f.]){code}(?![0-9A-Fa-f])", text)) if code.isdecimal() else code in text
