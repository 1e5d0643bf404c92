"""What postroom asks of messages and topics. Latchkey's `contracts` fit; so does any other package of such models."""

from collections.abc import Sequence
from datetime import timedelta
from typing import ClassVar, Protocol, Self
from uuid import UUID


class Message(Protocol):
    """The body of a CloudEvent; in practice a frozen Pydantic model."""

    ce_type: ClassVar[str]
    """Its CloudEvents type, a literal."""

    @property
    def partition_key(self) -> UUID:
        """What it is ordered with; its text form is the Kafka key."""
        ...

    def model_dump_json(self) -> str: ...

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, /) -> Self: ...

    @classmethod
    def model_validate(cls, obj: object, /) -> Self: ...


class Topic(Protocol):
    """What has to be known of a topic to read it, write it and create it."""

    @property
    def name(self) -> str: ...
    @property
    def owner(self) -> str: ...
    @property
    def readers(self) -> tuple[str, ...]: ...
    @property
    def messages(self) -> Sequence[type[Message]]: ...
    @property
    def tombstone(self) -> type[Message] | None: ...
    @property
    def partitions(self) -> int: ...
    @property
    def retention(self) -> timedelta | None: ...
    @property
    def cleanup(self) -> str: ...


def dead_letter_topic(topic: str, reader: str) -> str:
    """The topic that takes what the consumer group `reader` could not handle of `topic`."""
    return f"{topic}.{reader}.dlt"
