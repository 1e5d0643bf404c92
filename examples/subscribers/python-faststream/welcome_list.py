"""Keeps a list of everybody to welcome: one row for each MemberJoined, with Latchkey's contracts and FastStream.

A record is handled in one database transaction, and its offset is committed after that. So nothing is lost; a record
may come again, and is known by its id then. Where a setting is explained below, FastStream's default loses messages.
"""

import asyncio
import json
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import asyncpg
from faststream import AckPolicy, BaseMiddleware, Context, ContextRepo, FastStream, Header, StreamMessage
from faststream.kafka import KafkaBroker, KafkaMessage
from pydantic import ValidationError

from contracts import MEMBERSHIP_EVENTS, MemberJoined

SCHEMA = Path(__file__).with_name("schema.sql")
PAUSE = 1.0
"""Seconds before a record is tried again that failed for no fault of its own."""

REMEMBER = "INSERT INTO handled_facts (ce_id) VALUES ($1) ON CONFLICT DO NOTHING RETURNING ce_id"
WELCOME = "INSERT INTO welcome_list (ce_id, organization_id, account_id) VALUES ($1, $2, $3)"
SET_ASIDE = """
    INSERT INTO unreadable_records (topic, partition, record_offset, reason) VALUES ($1, $2, $3, $4)
    ON CONFLICT DO NOTHING
"""

log = logging.getLogger("welcome-list")
Database = Annotated[asyncpg.Pool, Context()]


class NoCloudEvent(Exception):
    """The record does not say of what type it is."""


async def welcome(joined: MemberJoined, ce_id: Annotated[UUID, Header()], database: Database) -> None:
    """Does the work of one fact, once, however often it comes."""
    async with database.acquire() as connection, connection.transaction():
        # Where another instance has the same fact in hand, this waits until that one has committed or failed.
        if await connection.fetchval(REMEMBER, ce_id) is not None:
            await connection.execute(WELCOME, ce_id, joined.organization_id, joined.account_id)


async def skip(message: KafkaMessage) -> None:
    """The other types of the topic, those that will be added, too: without this handler they would be errors."""
    if "ce_type" not in message.headers:
        raise NoCloudEvent


def is_member_joined(message: KafkaMessage) -> bool:
    return message.headers.get("ce_type") == MemberJoined.ce_type


class Faults(BaseMiddleware):
    """What becomes of a record that failed: one that is at fault itself is set aside, any other comes again."""

    async def consume_scope(self, call_next: Callable[[Any], Awaitable[Any]], msg: StreamMessage[Any]) -> Any:
        try:
            try:
                return await call_next(msg)
            except (ValidationError, json.JSONDecodeError, NoCloudEvent) as error:
                await self._set_aside(msg.raw_message, type(error).__name__)  # its text may quote the record
        except Exception:
            await asyncio.sleep(PAUSE)  # FastStream itself would try again at once, and for ever
            raise

    async def _set_aside(self, record: Any, reason: str) -> None:
        log.error("%s/%s/%s is set aside: %s", record.topic, record.partition, record.offset, reason)
        database: asyncpg.Pool = self.context.get("database")
        await database.execute(SET_ASIDE, record.topic, record.partition, record.offset, reason)


async def parse(record: Any, original: Callable[[Any], Awaitable[KafkaMessage]]) -> KafkaMessage:
    """Headers may hold any bytes, or none; where FastStream cannot decode them, it loses the record."""
    record.headers = tuple((name, (value or b"").decode(errors="replace").encode()) for name, value in record.headers)
    return await original(record)


@asynccontextmanager
async def connected(context: ContextRepo) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=1, max_size=2) as database:
        await database.execute(SCHEMA.read_text())
        context.set_global("database", database)
        yield


def build() -> FastStream:
    """The program, not started yet: `faststream run --factory welcome_list:build` runs it, too."""
    group = os.environ.get("GROUP_ID", "welcome-list-faststream")
    broker = KafkaBroker(
        os.environ["KAFKA_BOOTSTRAP_SERVERS"],
        ack_policy=AckPolicy.NACK_ON_ERROR,  # commits after the handler; by default it commits before
        parser=parse,
        middlewares=[Faults],
        graceful_timeout=15.0,  # what was begun when SIGTERM came is finished
        allow_auto_create_topics=False,
    )
    subscriber = broker.subscriber(
        MEMBERSHIP_EVENTS.name,
        group_id=group,
        auto_offset_reset="earliest",  # a new group begins with the oldest fact, not with the next one
        session_timeout_ms=6_000,  # how soon the partitions of a killed process are another's
        heartbeat_interval_ms=2_000,
    )
    subscriber(welcome, filter=is_member_joined)
    subscriber(skip)
    app = FastStream(broker, lifespan=connected)

    @app.after_startup
    async def tell() -> None:
        log.info("subscribed to %s as %s", MEMBERSHIP_EVENTS.name, group)

    return app


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    asyncio.run(build().run())
