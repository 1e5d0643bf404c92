"""Creating topics from a registry of them. Kafka's auto-creation is off everywhere; services only wait."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from postroom.kafka import MAX_RECORD_BYTES
from postroom.message import Topic, dead_letter_topic

_DEAD_LETTERS_KEPT = timedelta(days=30)
_SEGMENT = timedelta(days=1)
"""Kafka deletes whole segments, when the last record of one is too old: so a record lives this much longer than the
retention, and the inbox remembers two days longer. Kafka's default, a week, would be longer than that."""


def new_topics(
    topics: Iterable[Topic], replication_factor: int, min_insync_replicas: int | None = None
) -> list[NewTopic]:
    """Each topic, and a dead-letter topic for each of its readers; where nothing is said of the replicas that must have
    a record before it is acknowledged, the brokers' own setting holds.

    A dead letter is kept for 30 days, or for as long as the topic keeps its records where that is shorter (since what
    is bounded there for a person's sake is bounded here, too), but never under 7 days.
    """
    wanted: list[NewTopic] = []
    durability = {} if min_insync_replicas is None else {"min.insync.replicas": str(min_insync_replicas)}
    for topic in topics:
        retention_ms = "-1" if topic.retention is None else _milliseconds(topic.retention)
        configs = {
            "cleanup.policy": str(topic.cleanup),
            "retention.ms": retention_ms,
            "segment.ms": _milliseconds(_SEGMENT),
            **durability,
        }
        if topic.cleanup == "compact":
            # How soon an erased person is gone for good.
            configs |= {"min.cleanable.dirty.ratio": "0.1", "max.compaction.lag.ms": _milliseconds(timedelta(days=1))}
        wanted.append(NewTopic(topic.name, topic.partitions, replication_factor, topic_configs=configs))
        kept = max(timedelta(days=7), min(topic.retention or _DEAD_LETTERS_KEPT, _DEAD_LETTERS_KEPT))
        wanted.extend(
            NewTopic(
                dead_letter_topic(topic.name, reader),
                topic.partitions,
                replication_factor,
                topic_configs={
                    "cleanup.policy": "delete",
                    "retention.ms": _milliseconds(kept),
                    # A record of the largest size, and what is said of it, must fit.
                    "max.message.bytes": str(MAX_RECORD_BYTES),
                    **durability,
                },
            )
            for reader in topic.readers
        )
    return wanted


async def create_topics(
    admin: AIOKafkaAdminClient,
    topics: Sequence[Topic],
    replication_factor: int = 1,
    min_insync_replicas: int | None = None,
) -> list[str]:
    """Creates what is missing and answers its names; what is there is left as it is. Raises KafkaError."""
    response = await admin.create_topics(new_topics(topics, replication_factor, min_insync_replicas))
    created: list[str] = []
    for name, code, *_ in response.topic_errors:
        error = for_code(code)
        if error is TopicAlreadyExistsError:
            continue
        if issubclass(error, KafkaError) and code != 0:
            raise error(f"Topic {name} could not be created: {error.__name__}.")
        created.append(name)
    return created


async def missing_topics(admin: AIOKafkaAdminClient, names: Iterable[str]) -> list[str]:
    """Which of these topics Kafka does not have."""
    there = set(await admin.list_topics())
    return sorted(set(names) - there)


def _milliseconds(period: timedelta) -> str:
    return str(int(period.total_seconds() * 1000))
