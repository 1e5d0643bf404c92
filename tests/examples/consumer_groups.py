"""Where a consumer group stands in its topics, looked at and set from outside."""

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from contracts.topic import Topic


@asynccontextmanager
async def _onlooker(
    bootstrap_servers: str, group: str | None, topics: Collection[Topic]
) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer that has all partitions of the topics, and is no member of the group."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)])
        yield consumer
    finally:
        await consumer.stop()


async def has_caught_up(bootstrap_servers: str, group: str, topics: Collection[Topic], *, within: float) -> None:
    """Returns when the group has committed all that is in the topics."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    left: dict[str, int] = {}
    async with _onlooker(bootstrap_servers, None, topics) as consumer:
        await admin.start()
        try:
            async with asyncio.timeout(within):
                while True:
                    ends = await consumer.end_offsets(consumer.assignment())
                    committed = await admin.list_consumer_group_offsets(group, partitions=list(ends))
                    left = {
                        f"{place.topic}/{place.partition}": end - max(0, committed[place].offset)
                        for place, end in ends.items()
                        if end > max(0, committed[place].offset)
                    }
                    if not left:
                        return
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"After {within:.0f} s {group} has still to commit: {left}.") from None
        finally:
            await admin.close()


async def has_shared_out(bootstrap_servers: str, group: str, members: int, *, within: float) -> bool:
    """Whether, in so many seconds, the group comes to have that many members, each with its partitions."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        async with asyncio.timeout(within):
            while True:
                [answer] = await admin.describe_consumer_groups([group])
                [(_, _, state, _, _, present, *_)] = answer.groups
                if state == "Stable" and len(present) == members:
                    return True
                await asyncio.sleep(0.1)
    except TimeoutError:
        return False
    finally:
        await admin.close()


async def begin_again(bootstrap_servers: str, group: str, topics: Collection[Topic]) -> None:
    """The group, which has no members now, will be given every record of the topics again."""
    async with _onlooker(bootstrap_servers, group, topics) as consumer:
        await consumer.commit(await consumer.beginning_offsets(consumer.assignment()))


async def repeat(bootstrap_servers: str, topic: Topic, ids: Collection[str]) -> None:
    """Writes the records with these CloudEvents ids once more, byte by byte."""
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers)
    await producer.start()
    try:
        for record in await _all_records(bootstrap_servers, topic):
            if dict(record.headers).get("ce_id", b"").decode(errors="replace") in ids:
                await producer.send(topic.name, record.value, key=record.key, headers=list(record.headers))
    finally:
        await producer.stop()


async def _all_records(bootstrap_servers: str, topic: Topic) -> list[ConsumerRecord]:
    records: list[ConsumerRecord] = []
    async with _onlooker(bootstrap_servers, None, [topic]) as consumer:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for fetched in (await consumer.getmany(timeout_ms=500)).values():
                records.extend(fetched)
    return records
