"""What a topic is: everything that is needed to create it, and to know what may be found in it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from contracts.message import Message


class Cleanup(StrEnum):
    """What Kafka does with old records."""

    DELETE = "delete"
    """Records go when the retention is over."""
    COMPACT = "compact"
    """The last record of each key stays; a record without a value erases its key."""


class PersonalData(StrEnum):
    """What about people may be found in a topic."""

    IDENTIFIERS = "identifiers"
    """Account ids only: nobody can be named or written to."""
    ADDRESSES = "addresses"
    """Addresses or names."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A Kafka topic and its rules. Services create none: topics are created from this registry, before they start."""

    name: str
    key: str
    """What the key is, in words; records of one key stay in order."""
    owner: str
    """The service whose commands or facts these are."""
    writers: tuple[str, ...]
    """The principals that may write."""
    readers: tuple[str, ...]
    """The consumer groups that read; each has a dead-letter topic `<name>.<reader>.dlt`."""
    messages: tuple[type[Message], ...]
    partitions: int
    retention: timedelta | None
    """How long a record is kept; none where the last record of each key is kept for ever."""
    cleanup: Cleanup
    personal_data: PersonalData
    tombstone: type[Message] | None = None
    """What a record without a value means, where the topic is compacted."""


class TopicRegistry(tuple[Topic, ...]):
    """All topics, with look-ups by what is written on them."""

    __slots__ = ()

    @property
    def message_types(self) -> dict[str, type[Message]]:
        """Every message class by its `ce_type`. Raises ValueError where two classes claim one."""
        types: dict[str, type[Message]] = {}
        for message in self._messages():
            if types.setdefault(message.ce_type, message) is not message:
                raise ValueError(f"{message.__name__} and {types[message.ce_type].__name__} are both {message.ce_type}")
        return types

    def of(self, message: type[Message]) -> Topic:
        """The one topic of `message`. Raises LookupError for one that is on none, or on several (CommandRefused)."""
        topics = [topic for topic in self if message in topic.messages or message is topic.tombstone]
        if len(topics) != 1:
            names = ", ".join(topic.name for topic in topics) or "no topic"
            raise LookupError(f"{message.__name__} is on {names}; name the topic that you mean")
        return topics[0]

    def read_by(self, reader: str) -> tuple[Topic, ...]:
        """The topics that the consumer group `reader` subscribes to."""
        return tuple(topic for topic in self if reader in topic.readers)

    def _messages(self) -> Iterable[type[Message]]:
        for topic in self:
            yield from topic.messages
            if topic.tombstone:
                yield topic.tombstone
