"""Dead letters: what a record looks like that could not be handled, with Spring for Apache Kafka's headers.

Key, value and headers are the original's, byte by byte. Numbers are big-endian, as Spring writes them:
https://docs.spring.io/spring-kafka/reference/kafka/annotation-error-handling.html#dead-letters
"""

import struct
import traceback
from pathlib import PurePath

from aiokafka.errors import KafkaError
from pydantic import ValidationError
from sqlalchemy.exc import SQLAlchemyError

from postroom.database import sqlstate
from postroom.envelope import REDRIVE_OF, REDRIVE_TO, Unreadable
from postroom.message import dead_letter_topic
from postroom.record import Headers, OutgoingRecord, Record

PREFIX = "kafka_dlt-"


def dead_letter(record: Record, reader: str, error: Exception) -> OutgoingRecord:
    """The record for `<topic>.<reader>.dlt`. What is said of the error names no value of the message."""
    cause = error.__cause__ or error
    about: Headers = (
        (PREFIX + "original-topic", record.topic.encode()),
        (PREFIX + "original-partition", struct.pack(">i", record.partition)),
        (PREFIX + "original-offset", struct.pack(">q", record.offset)),
        (PREFIX + "original-timestamp", struct.pack(">q", record.timestamp)),
        (PREFIX + "original-timestamp-type", b"CreateTime"),
        (PREFIX + "original-consumer-group", reader.encode()),
        (PREFIX + "exception-fqcn", qualified_name(error).encode()),
        (PREFIX + "exception-cause-fqcn", qualified_name(cause).encode()),
        (PREFIX + "exception-message", describe(error).encode()),
        (PREFIX + "exception-stacktrace", where(error).encode()),
    )
    return OutgoingRecord(
        topic=dead_letter_topic(record.topic, reader),
        key=record.key,
        value=record.value,
        headers=(*original_headers(record.headers), *about),
    )


def original_headers(headers: Headers) -> Headers:
    """The headers as they were, without those of dead-lettering and re-driving."""
    return tuple(
        (name, value) for name, value in headers if not name.startswith(PREFIX) and name not in (REDRIVE_TO, REDRIVE_OF)
    )


def qualified_name(error: BaseException) -> str:
    """`module.Class`."""
    return f"{type(error).__module__}.{type(error).__qualname__}"


def describe(error: BaseException) -> str:
    """What went wrong, without values: the texts of Pydantic, PostgreSQL and of a KeyError quote what they found, and
    that may be an address or a digest."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, KafkaError | OSError):
        return f"{type(error).__name__}: {error}"  # Hosts, ports, error codes: what an operator needs.
    if isinstance(error, ValidationError):
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['type']}" for fault in faults[:5])
    if isinstance(error, SQLAlchemyError):
        return f"PostgreSQL says {sqlstate(error) or 'nothing'}"
    return type(error).__name__


def where(error: BaseException) -> str:
    """The places that the error came through, innermost last, without the lines' values."""
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    return "\n".join(f"{PurePath(frame.filename).name}:{frame.lineno} in {frame.name}" for frame in frames)
