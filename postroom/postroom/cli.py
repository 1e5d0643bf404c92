"""The commands of `python -m postroom`. Where Kafka is, they are told by the environment, as a service is."""

import argparse
import asyncio
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from postroom.faults import explain
from postroom.kafka import client_options, create_admin, create_producer
from postroom.message import Topic
from postroom.redrive import letter_of, redrive, summary
from postroom.runtime import load
from postroom.settings import ServiceSettings
from postroom.topics import create_topics, missing_topics


class _KafkaOnly(ServiceSettings):
    """These commands need no database."""

    database_url: SecretStr = SecretStr("postgresql://none")


def main(arguments: Sequence[str] | None = None) -> None:
    """Exits with 1, and a sentence, where something cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        settings = _KafkaOnly()
    except (ValidationError, SettingsError) as error:
        sys.exit(f"The settings do not fit:\n{explain(_KafkaOnly, error)}")
    try:
        asyncio.run(options.run(settings, options))
    except (KafkaError, LookupError) as error:
        sys.exit(f"{type(error).__name__}: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m postroom", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")

    topics = commands.add_parser("topics", help="create the topics of a registry").add_subparsers(required=True)
    create = topics.add_parser("create", help="create what is missing, dead-letter topics included")
    create.add_argument("registry", help="where the topics are declared, as in contracts:TOPICS")
    create.add_argument("--replication-factor", type=int, default=1, help="how many brokers keep each record")
    create.add_argument(
        "--min-insync-replicas",
        type=int,
        help="how many of them must have it before it is acknowledged; the brokers' own setting where it is not given",
    )
    create.set_defaults(run=_create_topics)

    letters = commands.add_parser("dead-letters", help="look at dead letters, and hand them in again")
    actions = letters.add_subparsers(required=True)
    for name, run, text in (
        ("list", _list_dead_letters, "show what is in a dead-letter topic, a line of JSON each, without the bodies"),
        ("redrive", _redrive, "hand dead letters in again, once each, to the service that could not handle them"),
    ):
        action = actions.add_parser(name, help=text)
        action.add_argument("topic", help="the dead-letter topic, <topic>.<reader>.dlt")
        action.add_argument("--only", metavar="PARTITION/OFFSET", action="append", help="only this one; repeatable")
        action.set_defaults(run=run)
    return parser


async def _create_topics(settings: ServiceSettings, options: argparse.Namespace) -> None:
    registry: Iterable[Topic] = load(options.registry)
    admin = create_admin(settings, "postroom")
    try:
        await admin.start()
        created = await create_topics(admin, list(registry), options.replication_factor, options.min_insync_replicas)
    finally:
        await admin.close()
    print(f"{len(created)} topics created." if created else "All topics are there.")


async def _list_dead_letters(settings: ServiceSettings, options: argparse.Namespace) -> None:
    for record in await _read_all(settings, options.topic, options.only):
        print(json.dumps(summary(record)))


async def _redrive(settings: ServiceSettings, options: argparse.Namespace) -> None:
    records = await _read_all(settings, options.topic, options.only)
    producer = create_producer(settings, "postroom-redrive")
    try:
        await producer.start()
        for record in records:
            await redrive(producer, record)
            place = letter_of(record)
            print(f"{place.name} is handed in again at {place.original_topic}.")
    finally:
        await producer.stop()
    print(f"{len(records)} dead letters handed in again. One that is handed in a second time changes nothing.")


async def _read_all(settings: ServiceSettings, topic: str, only: Sequence[str] | None) -> list[Any]:
    """Everything that the topic holds at this moment."""
    admin = create_admin(settings, "postroom")
    try:
        await admin.start()
        if await missing_topics(admin, [topic]):
            raise LookupError(f"Kafka has no topic {topic}.")
    finally:
        await admin.close()
    consumer = AIOKafkaConsumer(topic, **client_options(settings), client_id="postroom", auto_offset_reset="earliest")
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        records: list[Any] = []
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(record for record in batch if record.offset < ends[_partition_of(record)])
    finally:
        await consumer.stop()
    return [record for record in records if only is None or f"{record.partition}/{record.offset}" in only]


def _partition_of(record: Any) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
