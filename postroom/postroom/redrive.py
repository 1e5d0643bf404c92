"""Handing dead letters in again, once their cause is gone.

The record goes back to its topic with its bytes and headers as they were, and two headers more: which consumer group it
is for (the others have handled it long ago, and skip it), and which dead letter it was. The second is part of what the
inbox knows it by: it is new once for each dead letter, however often that is handed in.
"""

import struct
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from postroom.dead_letters import PREFIX, original_headers
from postroom.envelope import REDRIVE_OF, REDRIVE_TO
from postroom.record import Record


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Where a dead letter stands, and where it came from."""

    name: str
    """`<dead-letter topic>/<partition>/<offset>`."""
    original_topic: str
    original_partition: int
    original_offset: int
    reader: str
    error: str
    message: str


def letter_of(record: Record) -> DeadLetter:
    """Raises LookupError where the record carries no headers of dead-lettering."""
    headers = dict(record.headers)
    try:
        return DeadLetter(
            name=f"{record.topic}/{record.partition}/{record.offset}",
            original_topic=_bytes(headers, "original-topic").decode(),
            original_partition=struct.unpack(">i", _bytes(headers, "original-partition"))[0],
            original_offset=struct.unpack(">q", _bytes(headers, "original-offset"))[0],
            reader=_bytes(headers, "original-consumer-group").decode(),
            error=_bytes(headers, "exception-fqcn").decode(),
            message=_bytes(headers, "exception-message").decode(),
        )
    except (KeyError, struct.error) as error:
        place = f"{record.topic}/{record.partition}/{record.offset}"
        raise LookupError(
            f"{place} says not where it came from ({error}); it is no dead letter of postroom's."
        ) from error


async def redrive(producer: AIOKafkaProducer, record: Record) -> None:
    """Returns when Kafka has acknowledged the record. Raises KafkaError."""
    letter = letter_of(record)
    headers = [
        *original_headers(record.headers),
        (REDRIVE_TO, letter.reader.encode()),
        (REDRIVE_OF, letter.name.encode()),
    ]
    await producer.send_and_wait(letter.original_topic, record.value, key=record.key, headers=headers)


def summary(record: Record) -> dict[str, Any]:
    """What an operator wants to know first; the body stays where it is, since it may hold personal data."""
    letter = letter_of(record)
    headers = {name: (value or b"").decode("utf-8", "replace") for name, value in original_headers(record.headers)}
    return {
        "dead_letter": letter.name,
        "from": f"{letter.original_topic}/{letter.original_partition}/{letter.original_offset}",
        "reader": letter.reader,
        "type": headers.get("ce_type"),
        "id": headers.get("ce_id"),
        "correlation_id": headers.get("ce_correlationid"),
        "error": letter.error,
        "message": letter.message,
    }


def _bytes(headers: dict[str, bytes | None], name: str) -> bytes:
    value = headers[PREFIX + name]
    if value is None:
        raise KeyError(PREFIX + name)
    return value
