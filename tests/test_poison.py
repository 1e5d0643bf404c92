"""Poison on the real topics: whatever somebody writes there, the neighbours are handled, and it is kept as it was.

That a handler which always fails ends in the dead-letter topic, and is handled once it is mended, is shown with a
service that can be broken on purpose: postroom/tests/test_on_kafka.py."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from crowd import Crowd
from uuid_utils.compat import uuid7

from contracts import INVITES_COMMANDS, InvitationIssued, InviteMember
from postroom.cli import main as postroom
from stack.client import Client, cloud_event_headers
from stack.platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]

DEAD_LETTERS = "invites.commands.invites.dlt"


@pytest.fixture
async def crowd(client: Client) -> Crowd:
    crowd = Crowd(client, 4)
    await crowd.found_organization()
    crowd.assemble()
    await crowd.sign_up()
    return crowd


@pytest.fixture
async def producer(platform: Platform) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(bootstrap_servers=platform.bootstrap_servers, linger_ms=50)
    await producer.start()
    yield producer
    await producer.stop()


async def test_poison_harms_no_neighbour_and_is_kept_as_it_was(
    platform: Platform, client: Client, crowd: Crowd, producer: AIOKafkaProducer
) -> None:
    key = str(crowd.organization_id).encode()
    good = [crowd.invitation_of(person) for person in crowd.people]
    poison: list[tuple[bytes | None, list[tuple[str, bytes]]]] = [
        (b"{ this is no JSON", _headers(good[0])),
        (b'{"organization_id": 7}', _headers(good[0])),
        (b"{}", _changed(_headers(good[0]), "ce_type", b"io.carolinacloud.member.abduct.v1")),
        (good[0].model_dump_json().encode(), [("content-type", b"application/json")]),
        (good[0].model_dump_json().encode(), _changed(_headers(good[0]), "ce_id", b"\xff\xfe")),
        (None, _headers(good[0])),
    ]
    sent = []
    for number, (value, headers) in enumerate(poison):
        # Neighbours in the same partition, and (by the producer's linger) in the same batch.
        if number < len(good):
            await producer.send(
                INVITES_COMMANDS.name, good[number].model_dump_json().encode(), key=key, headers=_headers(good[number])
            )
        sent.append(await producer.send(INVITES_COMMANDS.name, value, key=key, headers=[*headers, ("mark", key)]))
    await asyncio.gather(*sent)

    for person in crowd.people:
        await client.fact(InvitationIssued, address=person.address)
    letters = await _dead_letters(platform.bootstrap_servers, key, len(poison))
    assert {letter.value for letter in letters} == {value for value, _ in poison}
    assert {letter.key for letter in letters} == {key}
    for value, headers in poison:
        assert any(letter.value == value and list(letter.headers)[: len(headers)] == headers for letter in letters)
    await _hand_in_again(platform, crowd, letters)


async def _hand_in_again(platform: Platform, crowd: Crowd, letters: list[Any]) -> None:
    """What is still poison comes back as a dead letter: a re-drive loses nothing either."""
    broken = next(letter for letter in letters if letter.value == b"{ this is no JSON")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", platform.bootstrap_servers)
        only = f"{broken.partition}/{broken.offset}"
        await asyncio.to_thread(postroom, ["dead-letters", "redrive", DEAD_LETTERS, "--only", only])
    letters = await _dead_letters(platform.bootstrap_servers, str(crowd.organization_id).encode(), len(letters) + 1)
    again = [letter for letter in letters if letter.value == broken.value]
    assert len(again) == 2
    assert again[0].headers[:-10] == again[1].headers[:-10], "as they were, the second time, too"


async def _dead_letters(bootstrap_servers: str, mark: bytes, count: int) -> list[Any]:
    """The first `count` dead letters that carry the mark."""
    consumer = AIOKafkaConsumer(DEAD_LETTERS, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    found: list[Any] = []
    try:
        async with asyncio.timeout(30):
            while len(found) < count:
                record = await consumer.getone()
                if ("mark", mark) in record.headers:
                    found.append(record)
    finally:
        await consumer.stop()
    return found


def _headers(command: InviteMember) -> list[tuple[str, bytes]]:
    return cloud_event_headers(command, str(uuid7()))


def _changed(headers: list[tuple[str, bytes]], name: str, value: bytes) -> list[tuple[str, bytes]]:
    return [(each, value if each == name else old) for each, old in headers]
