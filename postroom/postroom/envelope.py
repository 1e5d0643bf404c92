"""The envelope: CloudEvents 1.0 over Kafka. Binary mode is written; binary and structured mode are read.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from postroom.ids import identity, identity_of_place, identity_of_redrive, uuid7
from postroom.message import Message, Topic
from postroom.record import OutgoingRecord, Record

REDRIVE_TO = "postroom-redrive-to"
"""Header of a re-driven record: the consumer group that it is for; the others skip it."""
REDRIVE_OF = "postroom-redrive-of"
"""Header of a re-driven record: the dead letter that it was, as topic/partition/offset."""

_REQUIRED = ("ce_id", "ce_source", "ce_type", "ce_specversion")
_STRUCTURED = b"application/cloudevents+json"
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})")


class Unreadable(Exception):
    """The record is no CloudEvent that this service can understand; it goes to the dead-letter topic as it is."""

    def __init__(self, message_id: UUID, why: str) -> None:
        super().__init__(why)
        self.message_id = message_id


class NotForUs(Exception):
    """The record is of a type that this service has no reaction to (or re-driven for another); it is skipped."""

    def __init__(self, ce_type: str) -> None:
        super().__init__(ce_type)
        self.ce_type = ce_type


@dataclass(frozen=True, slots=True)
class Received:
    """A record that was understood."""

    record: Record
    message: Message
    message_id: UUID
    """What the inbox knows it by."""
    ce_id: str
    correlation_id: str
    traceparent: str | None
    causation_id: str | None = None

    @property
    def ce_type(self) -> str:
        return self.message.ce_type


class Reader:
    """Understands the records of some topics, for one consumer group."""

    def __init__(self, reader: str, topics: Sequence[Topic], reactions: Mapping[type[Message], object]) -> None:
        """Only the types among `reactions` are understood; the others of the topics are not even parsed.

        Raises ValueError where a type is in `reactions` and on no topic, or where a command topic of this service
        holds a type that has no reaction (its sender would wait for ever).
        """
        self._reader = reader
        self._reactions: dict[tuple[str, str], type[Message]] = {}
        self._tombstones = {topic.name: topic.tombstone for topic in topics if topic.tombstone in reactions}
        self._answerable = {topic.name for topic in topics if topic.owner == reader}
        self._known = {message.ce_type for topic in topics for message in topic.messages}
        for topic in topics:
            for message in topic.messages:
                if message in reactions:
                    self._reactions[topic.name, message.ce_type] = message
                elif topic.owner == reader:
                    raise ValueError(f"{reader} has no reaction to {message.__name__} of its own topic {topic.name}")
        unread = set(reactions) - set(self._reactions.values()) - set(self._tombstones.values())
        if unread:
            names = ", ".join(sorted(message.__name__ for message in unread))
            raise ValueError(f"{reader} reacts to {names}, which none of its topics holds")

    def read(self, record: Record) -> Received:
        """Raises Unreadable or NotForUs, and nothing else, whatever the bytes are."""
        headers = dict(record.headers)
        if REDRIVE_TO in headers and headers[REDRIVE_TO] != self._reader.encode():
            raise NotForUs("redriven")
        if record.value is None and record.topic in self._tombstones:
            return self._read_tombstone(record, headers)
        if (headers.get("content-type") or b"").startswith(_STRUCTURED):
            return self._read_structured(record, headers)
        return self._read_binary(record, headers)

    def _read_binary(self, record: Record, headers: Mapping[str, bytes | None]) -> Received:
        ce_id, source, ce_type, version = [_text(headers.get(header)) for header in _REQUIRED]
        message_id = _message_id(record, headers, source, ce_id)
        message_type = self._type_of(record, message_id, ce_id, source, ce_type, version)
        if record.value is None:
            raise Unreadable(message_id, "The record has no value.")
        try:
            message = message_type.model_validate_json(record.value)
        except ValidationError as error:
            raise Unreadable(message_id, _what_is_wrong(error)) from None
        return Received(
            record=record,
            message=message,
            message_id=message_id,
            ce_id=ce_id or "",
            correlation_id=_text(headers.get("ce_correlationid")) or ce_id or "",
            traceparent=_text(headers.get("traceparent")),
            causation_id=_text(headers.get("ce_causationid")),
        )

    def _read_structured(self, record: Record, headers: Mapping[str, bytes | None]) -> Received:
        try:
            event: Any = json.loads(record.value or b"")
        except ValueError:
            event = None
        if not isinstance(event, dict):
            raise Unreadable(_message_id(record, headers, None, None), "The structured CloudEvent is no JSON object.")
        ce_id, source, ce_type, version = [_string(event.get(name.removeprefix("ce_"))) for name in _REQUIRED]
        message_id = _message_id(record, headers, source, ce_id)
        message_type = self._type_of(record, message_id, ce_id, source, ce_type, version)
        try:
            # By way of JSON, since a UUID or an instant is a string only there.
            message = message_type.model_validate_json(json.dumps(event.get("data")))
        except ValidationError as error:
            raise Unreadable(message_id, _what_is_wrong(error)) from None
        return Received(
            record=record,
            message=message,
            message_id=message_id,
            ce_id=ce_id or "",
            correlation_id=_string(event.get("correlationid")) or ce_id or "",
            traceparent=_string(event.get("traceparent")),
            causation_id=_string(event.get("causationid")),
        )

    def _read_tombstone(self, record: Record, headers: Mapping[str, bytes | None]) -> Received:
        tombstone = self._tombstones[record.topic]
        ce_id, source = _text(headers.get("ce_id")), _text(headers.get("ce_source"))
        message_id = _message_id(record, headers, source, ce_id)
        assert tombstone is not None
        try:
            (field,) = tombstone.model_fields  # type: ignore[attr-defined]
            message = tombstone.model_validate({field: (record.key or b"").decode()})
        except (ValueError, ValidationError):
            raise Unreadable(message_id, "The key of a record without a value is no id.") from None
        correlation_id = _text(headers.get("ce_correlationid")) or ce_id or str(message_id)
        return Received(record, message, message_id, ce_id or str(message_id), correlation_id, None)

    def _type_of(self, record: Record, message_id: UUID, *attributes: str | None) -> type[Message]:
        if not all(attributes):
            missing = [name for name, value in zip(_REQUIRED, attributes, strict=True) if not value]
            raise Unreadable(message_id, f"Missing or not UTF-8: {', '.join(missing)}.")
        _, _, ce_type, version = attributes
        if version != "1.0":
            raise Unreadable(message_id, "The CloudEvents specversion is not 1.0.")
        ce_type = ce_type or ""
        message_type = self._reactions.get((record.topic, ce_type))
        if message_type is not None:
            return message_type
        if record.topic in self._answerable:
            # Nobody else will ever answer a command of ours, so it must not vanish; a new fact of others may.
            raise Unreadable(message_id, "The type is not known.")
        raise NotForUs(ce_type if ce_type in self._known else "unknown")


def write(
    message: Message,
    *,
    topic: Topic,
    source: str,
    correlation_id: str | None,
    causation_id: str | None,
    now: datetime,
    traceparent: str | None = None,
    message_id: UUID | None = None,
) -> OutgoingRecord:
    """The record of `message`, in binary mode, keyed by its partition key; without a value where the message is the
    tombstone of `topic`.

    Without `correlation_id` the message starts something, and is correlated with itself. `now` must be aware.
    """
    ce_id = message_id or uuid7()
    text_id = str(ce_id)
    key = str(message.partition_key).encode()
    correlation = correlation_id or text_id
    headers: list[tuple[str, bytes | None]] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", text_id.encode()),
        ("ce_source", source.encode()),
        ("ce_type", message.ce_type.encode()),
        ("ce_time", _time(now)),
        ("ce_subject", key),
        ("ce_correlationid", correlation.encode()),
        ("ce_partitionkey", key),
        ("traceparent", _traceparent(traceparent, correlation, ce_id)),
        ("content-type", b"application/json"),
    ]
    if causation_id:
        headers.insert(7, ("ce_causationid", causation_id.encode()))
    value = None if type(message) is topic.tombstone else message.model_dump_json().encode()
    return OutgoingRecord(topic=topic.name, key=key, value=value, headers=headers)


@lru_cache(maxsize=8)
def _time(now: datetime) -> bytes:
    """The facts of a batch have one time."""
    return now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()


def _traceparent(parent: str | None, correlation_id: str, ce_id: UUID) -> bytes:
    """W3C trace context. The trace is the sender's; where there was none, the correlation id is the trace id, so that
    everything which a command started is one trace. The span is the random half of this message's id."""
    span = ce_id.hex[16:]
    if parent and (match := _TRACEPARENT.fullmatch(parent)):
        return f"00-{match[1]}-{span}-{match[2]}".encode()
    try:
        trace = UUID(correlation_id).hex
    except ValueError:
        trace = ce_id.hex
    return f"00-{trace}-{span}-01".encode()


def _message_id(record: Record, headers: Mapping[str, bytes | None], ce_source: str | None, ce_id: str | None) -> UUID:
    message_id = identity(ce_source or "", ce_id) if ce_id else identity_of_place(record)
    dead_letter = _text(headers.get(REDRIVE_OF))
    return identity_of_redrive(message_id, dead_letter) if dead_letter else message_id


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def _string(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _what_is_wrong(error: ValidationError) -> str:
    """Which fields are wrong and how, without their values: they may be personal data."""
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    places = [f"{'.'.join(map(str, fault['loc'])) or 'the body'}: {fault['type']}" for fault in faults[:5]]
    return f"The data does not fit the schema: {'; '.join(places)}."
