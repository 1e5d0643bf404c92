"""A client of Latchkey that has nothing but the contracts and Kafka's address: it publishes commands, profiles and
usage, and watches the facts that come of them. The demo, the stories and the bench play their people with it.

It makes its CloudEvents by itself, so it is also the proof that no library of ours is needed for that.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from uuid_utils.compat import uuid7

from contracts import ACCOUNTS_PROFILES, METERING_USAGE, TOPICS, AccountProfile, Command, CommandRefused, Message

M = TypeVar("M", bound=Message)
_TYPES = TOPICS.message_types
_TOPICS_WRITTEN: dict[type[Message], str] = {
    message: topic.name
    for topic in TOPICS
    for message in topic.messages
    if issubclass(message, Command) or topic in (ACCOUNTS_PROFILES, METERING_USAGE)
}
_TOPICS_WATCHED = tuple(
    topic.name
    for topic in TOPICS
    # Usage is much, and whoever wrote it knows it.
    if topic != METERING_USAGE and any(not issubclass(message, Command) for message in topic.messages)
)
_AT_ONCE = 1_000
"""How many messages may be on their way to Kafka before the next waits."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A message as it arrived."""

    topic: str
    message: Message
    ce_id: str
    correlation_id: str
    causation_id: str | None
    arrived: float
    """Seconds, of time.perf_counter."""


class NothingCame(Exception):
    """What was waited for did not come in time. The text says what came instead."""


@dataclass
class Client:
    """Open it with `async with`. Facts are watched from that moment on (or from the beginning of the topics)."""

    bootstrap_servers: str
    from_the_beginning: bool = False
    seen: list[Seen] = field(default_factory=list)
    """Every fact that has arrived, in the order of arrival. One that comes again (delivery is at least once) is known
    by its id, and is not here a second time."""
    listeners: list[Callable[[Seen], None]] = field(default_factory=list)

    async def __aenter__(self) -> "Client":
        self._producer = AIOKafkaProducer(
            bootstrap_servers=self.bootstrap_servers, acks="all", enable_idempotence=True, client_id="client"
        )
        self._consumer = AIOKafkaConsumer(
            *_TOPICS_WATCHED,
            bootstrap_servers=self.bootstrap_servers,
            group_id=None,
            auto_offset_reset="earliest" if self.from_the_beginning else "latest",
            client_id="client",
        )
        self._arrived = asyncio.Event()
        self._known: set[str] = set()
        await self._producer.start()
        await self._consumer.start()
        # "From this moment on" holds when every position is known.
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)
        self._watching = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        await self._consumer.stop()
        await self._producer.stop()

    async def send(self, message: Message, *, command_id: UUID | None = None) -> str:
        """Publishes a command, a profile or a usage, and answers its CloudEvents id when Kafka has it."""
        ce_id = str(command_id or uuid7())
        await (await self._give(message, ce_id))
        return ce_id

    async def send_all(self, messages: Iterable[Message]) -> int:
        """Publishes many, in their order, and answers how many they were when Kafka has them all."""
        count = 0
        on_their_way: list[asyncio.Future[Any]] = []
        for message in messages:
            on_their_way.append(await self._give(message, str(uuid7())))
            count += 1
            if len(on_their_way) == _AT_ONCE:
                await asyncio.gather(*on_their_way)
                on_their_way.clear()
        await asyncio.gather(*on_their_way)
        return count

    async def erase(self, account_id: UUID) -> None:
        """Publishes the tombstone of an account: a record with its key and no value."""
        await self._producer.send_and_wait(ACCOUNTS_PROFILES.name, None, key=str(account_id).encode())

    async def outcome(self, command_id: str, *expected: type[M], within: float = 30.0) -> M:
        """The fact of one of these types that answers the command. Raises NothingCame, also where the answer is a
        refusal that was not expected."""
        found = await self.wait_for(
            lambda seen: _answers(seen, command_id) and isinstance(seen.message, (*expected, CommandRefused)),
            f"an outcome of the command {command_id}",
            within,
        )
        if isinstance(found.message, expected):
            return found.message
        refused = found.message
        assert isinstance(refused, CommandRefused)
        raise NothingCame(f"The command was refused: {refused.reason}: {refused.message}")

    async def ask(self, message: Command, *expected: type[M], within: float = 30.0) -> M:
        """Sends a command and waits for its outcome."""
        return await self.outcome(await self.send(message), *expected, within=within)

    async def refusal(self, message: Command, *, within: float = 30.0) -> CommandRefused:
        """Sends a command that is to be refused, and waits for the refusal."""
        return await self.ask(message, CommandRefused, within=within)

    async def wait_for(self, wanted: Callable[[Seen], bool], what: str, within: float = 30.0) -> Seen:
        """The first message, of those that have come and those that come in time, that is wanted."""
        start = 0
        try:
            async with asyncio.timeout(within):
                while True:
                    self._arrived.clear()
                    for seen in self.seen[start:]:
                        if wanted(seen):
                            return seen
                    start = len(self.seen)
                    await self._arrived.wait()
        except TimeoutError:
            last = ", ".join(type(seen.message).__name__ for seen in self.seen[-10:]) or "nothing at all"
            raise NothingCame(f"There was no {what} within {within:.0f} s. The last that came: {last}.") from None

    async def fact(self, message_type: type[M], /, *, within: float = 30.0, **fields: object) -> M:
        """The first fact of this type whose fields have these values."""

        def wanted(seen: Seen) -> bool:
            return isinstance(seen.message, message_type) and all(
                getattr(seen.message, name) == value for name, value in fields.items()
            )

        found = (await self.wait_for(wanted, f"{message_type.__name__} with {fields}", within)).message
        assert isinstance(found, message_type)
        return found

    def facts(self, kind: type[M]) -> list[M]:
        """Every fact of this kind that has come."""
        return [seen.message for seen in self.seen if isinstance(seen.message, kind)]

    async def introduce(self, *profiles: AccountProfile) -> None:
        """Publishes account profiles."""
        for profile in profiles:
            await self.send(profile)

    async def _give(self, message: Message, ce_id: str) -> asyncio.Future[Any]:
        """To the producer; what comes back is done when Kafka has it."""
        sent: asyncio.Future[Any] = await self._producer.send(
            _TOPICS_WRITTEN[type(message)],
            message.model_dump_json().encode(),
            key=str(message.partition_key).encode(),
            headers=cloud_event_headers(message, ce_id),
        )
        return sent

    async def _watch(self) -> None:
        async for record in self._consumer:
            seen = _understand(record)
            if seen is not None and seen.ce_id not in self._known:
                self._known.add(seen.ce_id)
                self.seen.append(seen)
                for listener in self.listeners:
                    listener(seen)
                self._arrived.set()


def cloud_event_headers(message: Message, ce_id: str, correlation_id: str | None = None) -> list[tuple[str, bytes]]:
    """CloudEvents 1.0 in Kafka's binary mode."""
    key = str(message.partition_key)
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": ce_id,
        "ce_source": "/client",
        "ce_type": message.ce_type,
        "ce_time": datetime.now(UTC).isoformat(),
        "ce_subject": key,
        "ce_correlationid": correlation_id or ce_id,
        "ce_partitionkey": key,
        "content-type": "application/json",
    }
    return [(name, value.encode()) for name, value in attributes.items()]


def _understand(record: "ConsumerRecord[bytes, bytes]") -> Seen | None:
    """None for what is no message of ours, and for what nobody can read: a test may have written it."""
    try:
        headers = {name: value.decode() for name, value in record.headers if value is not None}
        message_type = _TYPES.get(headers.get("ce_type", ""))
        if message_type is None or record.value is None:
            return None
        message = message_type.model_validate_json(record.value)
    except ValueError:  # Pydantic's, too
        return None
    return Seen(
        topic=record.topic,
        message=message,
        ce_id=headers["ce_id"],
        correlation_id=headers.get("ce_correlationid", headers["ce_id"]),
        causation_id=headers.get("ce_causationid"),
        arrived=time.perf_counter(),
    )


def _answers(seen: Seen, command_id: str) -> bool:
    if isinstance(seen.message, CommandRefused):
        return seen.message.command_id == command_id
    return seen.causation_id == command_id
