"""The services on their real databases, without Kafka: a test is the postman, and decides what is delivered when."""

import asyncio
import importlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from uuid_utils.compat import uuid7

from contracts import ACCOUNTS_PROFILES, TOPICS, Command, Message
from postroom.database import async_url
from postroom.metrics import Metrics
from postroom.migrations import migrate
from postroom.processor import Processor
from postroom.record import StoredRecord
from postroom.transaction import PostgresTransactions, headers_from_json
from stack.client import Seen, cloud_event_headers

M = TypeVar("M", bound=Message)
_TYPES = TOPICS.message_types
_COMMAND_TOPICS: dict[type[Message], str] = {
    kind: topic.name for topic in TOPICS for kind in topic.messages if issubclass(kind, Command)
}
_LINK_KEY = "a2V5LW9mLXRlc3RzLWtleS1vZi10ZXN0cy1rZXktb2Y"
_ACCOUNTS_KEY = "YW5vdGhlciBrZXkgb2YgdGVzdHMsIGZvciBhY2NvdW50cyE"
_TAKE = text("""
    DELETE FROM postroom_outbox RETURNING id, topic, key, CAST(headers AS text) AS headers, value
""")


class Desk:
    """One service: its reactions, and as many processes as a test likes on its one database."""

    def __init__(self, name: str, database_url: str, clock: Callable[[], datetime], **settings: Any) -> None:
        app = importlib.import_module(f"{name}.app")
        settings_class = importlib.import_module(f"{name}.settings").Settings
        self.name = name
        self.database_url = database_url
        self.clock = clock
        self.engine: AsyncEngine = create_async_engine(async_url(database_url), pool_size=25, max_overflow=0)
        self.service = app.build(
            settings_class(kafka_bootstrap_servers="127.0.0.1:1", database_url=database_url, **settings)
        )
        self.reads = {topic.name for topic in TOPICS.read_by(name)}
        self._offset = 0

    def process(self) -> Processor[Any]:
        """A process of this service."""
        transactions = PostgresTransactions(self.engine, wake_relay=lambda: None, relay_is_here=lambda: True)
        return Processor(self.service.reactions, transactions, Metrics(self.name), clock=self.clock)

    async def handle(self, *records: StoredRecord) -> None:
        """All of them, as one batch of one process."""
        await self.process().process(records)

    async def handle_at_once(self, *records: StoredRecord) -> None:
        """Each in a process of its own, at the same time."""
        await asyncio.gather(*(self.handle(record) for record in records))

    async def take_outbox(self) -> list[StoredRecord]:
        """What its relay would send now, in order."""
        async with self.engine.begin() as connection:
            rows = sorted(await connection.execute(_TAKE), key=lambda row: row.id)
        return [StoredRecord(r.topic, 0, r.id, 0, r.key, r.value, headers_from_json(r.headers)) for r in rows]

    async def column(self, query: str, **arguments: object) -> list[Any]:
        """The first column of a query's answer."""
        async with self.engine.begin() as connection:
            return list((await connection.execute(text(query), arguments)).scalars())


class Office:
    """Several desks, and the post between them."""

    def __init__(self, desks: Sequence[Desk]) -> None:
        self.desks = {desk.name: desk for desk in desks}
        self.seen: list[Seen] = []

    async def deliver(self, *messages: Message) -> list[str]:
        """Hands messages to their readers, one batch each, and answers their ids; what follows waits in outboxes."""
        records = [record_of(message) for message in messages]
        for desk in self.desks.values():
            theirs = [record for record in records if record.topic in desk.reads]
            if theirs:
                await desk.handle(*theirs)
        return [ce_id_of(record) for record in records]

    async def run_until_quiet(self) -> None:
        """Carries the post around until every outbox is empty."""
        while records := [record for desk in self.desks.values() for record in await desk.take_outbox()]:
            self.seen.extend(_seen(record) for record in records)
            for desk in self.desks.values():
                theirs = [record for record in records if record.topic in desk.reads]
                if theirs:
                    await desk.handle(*theirs)

    async def ask(self, *messages: Message) -> None:
        """deliver() and run_until_quiet()."""
        await self.deliver(*messages)
        await self.run_until_quiet()

    def facts(self, kind: type[M]) -> list[M]:
        return [seen.message for seen in self.seen if isinstance(seen.message, kind)]


@asynccontextmanager
async def office(
    make_database: Callable[[], str], *names: str, clock: Callable[[], datetime] | None = None
) -> AsyncIterator[Office]:
    """An office with these services, on migrated databases of their own."""
    desks = []
    for name in names:
        url = make_database()
        await migrate(name, url)
        settings: dict[str, Any] = {}
        if name in ("invites", "notifier"):
            settings["link_key"] = _LINK_KEY
        if name in ("notifier", "console"):
            settings["accounts_key"] = _ACCOUNTS_KEY
        desks.append(Desk(name, url, clock or (lambda: datetime.now(UTC)), **settings))
    try:
        yield Office(desks)
    finally:
        for desk in desks:
            await desk.engine.dispose()


def record_of(message: Message, ce_id: str | None = None) -> StoredRecord:
    """The record of a command or a profile, as a client writes it."""
    topic = _COMMAND_TOPICS.get(type(message), ACCOUNTS_PROFILES.name)
    headers = tuple(cloud_event_headers(message, ce_id or str(uuid7())))
    key = str(message.partition_key).encode()
    return StoredRecord(topic, 0, 0, 0, key, message.model_dump_json().encode(), headers)


def ce_id_of(record: StoredRecord) -> str:
    return (dict(record.headers)["ce_id"] or b"").decode()


def _seen(record: StoredRecord) -> Seen:
    headers = {name: (value or b"").decode() for name, value in record.headers}
    message = _TYPES[headers["ce_type"]].model_validate_json(record.value or b"")
    assert not record.topic.endswith(".dlt"), f"{headers['ce_type']} is a dead letter: {headers}"
    return Seen(
        record.topic, message, headers["ce_id"], headers["ce_correlationid"], headers.get("ce_causationid"), 0.0
    )
