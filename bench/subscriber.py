"""Stands in the place of console: reads every topic of events and upserts one row for each event, in batches."""

import os

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer

from contracts import TOPICS, Command

SCHEMA = "CREATE TABLE IF NOT EXISTS seen (message_id text PRIMARY KEY, type text NOT NULL, body json NOT NULL)"
UPSERT = """
INSERT INTO seen SELECT DISTINCT ON (id) id, type, body
FROM unnest($1::text[], $2::text[], $3::json[]) AS s (id, type, body)
ON CONFLICT (message_id) DO UPDATE SET body = excluded.body
"""


async def main() -> None:
    """Upserts until it is ended."""
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute(SCHEMA)
    types = TOPICS.message_types
    names = [topic.name for topic in TOPICS if any(not issubclass(message, Command) for message in topic.messages)]
    consumer = AIOKafkaConsumer(
        *names,
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        group_id="console",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    print("ready", flush=True)
    while True:
        batches = await consumer.getmany(timeout_ms=60_000, max_records=500)
        records = [record for batch in batches.values() for record in batch if record.value is not None]
        if not records:
            continue
        headers = [dict(record.headers) for record in records]
        kinds = [header["ce_type"].decode() for header in headers]
        bodies = [
            types[kind].model_validate_json(record.value).model_dump_json()
            for kind, record in zip(kinds, records, strict=True)
        ]
        await connection.execute(UPSERT, [header["ce_id"].decode() for header in headers], kinds, bodies)
        await consumer.commit()


if __name__ == "__main__":
    uvloop.run(main())
