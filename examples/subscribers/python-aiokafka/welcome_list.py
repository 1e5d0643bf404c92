"""Keeps a list of everybody to welcome: one row for each MemberJoined, with aiokafka, asyncpg and nothing else.

A record is handled in one database transaction, and its offset is committed after that. So nothing is lost; a record
may come again, and is known by its id then.
"""

import asyncio
import json
import logging
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError

TOPIC = "membership.events"
MEMBER_JOINED = "io.carolinacloud.member.joined.v1"
SCHEMA = Path(__file__).with_name("schema.sql")

REMEMBER = "INSERT INTO handled_facts (ce_id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING ce_id"
WELCOME = "INSERT INTO welcome_list (ce_id, organization_id, account_id) VALUES ($1, $2, $3)"
SET_ASIDE = """
    INSERT INTO unreadable_records (topic, partition, record_offset, reason) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
"""

log = logging.getLogger("welcome-list")


@dataclass(frozen=True, slots=True)
class MemberJoined:
    """What this program wants to know of the fact. Its other fields, and those that will be added, are ignored."""

    ce_id: UUID
    organization_id: UUID
    account_id: UUID


class Unreadable(Exception):
    """The record is not what the contract says. The text names no value of it."""


def read(record: ConsumerRecord) -> MemberJoined | None:
    """The fact in the record; None where it is of another type, known or not. Raises Unreadable."""
    headers = dict(record.headers)
    try:
        if headers["ce_type"].decode() != MEMBER_JOINED:
            return None
        ce_id = UUID(headers["ce_id"].decode())
    except (KeyError, AttributeError, ValueError):  # not there; without a value; not UTF-8, or no id
        raise Unreadable("it is no CloudEvent") from None
    try:
        data = json.loads(record.value)
        return MemberJoined(ce_id, UUID(data["organization_id"]), UUID(data["account_id"]))
    except (KeyError, AttributeError, TypeError, ValueError):
        raise Unreadable("its data does not fit") from None


async def handle(database: asyncpg.Connection, record: ConsumerRecord) -> None:
    """Does the work of one record, once, however often it comes."""
    try:
        joined = read(record)
    except Unreadable as error:
        log.error("%s/%s/%s is set aside: %s", record.topic, record.partition, record.offset, error)
        await database.execute(SET_ASIDE, record.topic, record.partition, record.offset, str(error))
        return
    if joined is None:
        return
    async with database.transaction():
        # Where another instance has the same fact in hand, this waits until that one has committed or failed.
        if await database.fetchval(REMEMBER, joined.ce_id) is None:
            return
        await database.execute(WELCOME, joined.ce_id, joined.organization_id, joined.account_id)


async def main() -> None:
    """Works until SIGTERM. Where Kafka or the database fails it ends with an error, having committed nothing that is
    not done: whoever runs it starts it again."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    group = os.environ.get("GROUP_ID", "welcome-list-aiokafka")
    database = await asyncpg.connect(os.environ["DATABASE_URL"])
    await database.execute(SCHEMA.read_text())
    consumer = AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id=group,
        enable_auto_commit=False,  # by itself it commits what was fetched, done or not
        auto_offset_reset="earliest",  # a new group begins with the oldest fact, not with the next one
        session_timeout_ms=6_000,  # how soon the partitions of a killed process are another's
        heartbeat_interval_ms=2_000,
    )
    await consumer.start()
    log.info("subscribed to %s as %s", TOPIC, group)
    try:
        while not stopping.is_set():
            fetched = await consumer.getmany(timeout_ms=500, max_records=100)
            for partition, records in fetched.items():
                for record in records:
                    await handle(database, record)
                await commit(consumer, partition, records[-1].offset + 1)
    finally:
        await consumer.stop()
        await database.close()


async def commit(consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int) -> None:
    try:
        await consumer.commit({partition: offset})
    except (CommitFailedError, IllegalStateError):  # Kafka says so; or aiokafka, which has heard of it before
        # The partition is another member's by now, which is given the records again and knows them by their ids.
        log.warning("%s was taken away before its offset was committed", partition)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    asyncio.run(main())
