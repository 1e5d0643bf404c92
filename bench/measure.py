"""What is common to the measurements: percentiles, CPU seconds and memory per process, and a counter of facts."""

import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psutil
from aiokafka import AIOKafkaConsumer, TopicPartition

from contracts import Fact

MEGABYTE = 1024 * 1024


def percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99, min and max, in milliseconds."""
    ordered = sorted(milliseconds)
    cuts = statistics.quantiles(ordered, n=100, method="inclusive")
    return {
        "count": len(ordered),
        **{
            name: round(value, 1)
            for name, value in zip(("p50", "p95", "p99"), (cuts[49], cuts[94], cuts[98]), strict=True)
        },
        "min": round(ordered[0], 1),
        "max": round(ordered[-1], 1),
    }


@dataclass(frozen=True, slots=True)
class Load:
    """What a process, with its children, has used so far."""

    cpu_seconds: float
    resident: int


def load_of(pids: Mapping[str, int]) -> dict[str, Load]:
    """The load of each process by its name. PostgreSQL's is that of all its backends, which are its children."""
    loads: dict[str, Load] = {}
    for name, pid in pids.items():
        process = psutil.Process(pid)
        own = process.cpu_times()
        seconds = own.user + own.system
        if name == "postgres":
            backends = [backend.cpu_times() for backend in process.children()]
            seconds += own.children_user + own.children_system + sum(t.user + t.system for t in backends)
        loads[name] = Load(seconds, process.memory_info().rss)
    return loads


def cpu_between(before: Mapping[str, Load], after: Mapping[str, Load]) -> dict[str, float]:
    """CPU seconds per process between two looks."""
    return {name: round(after[name].cpu_seconds - before[name].cpu_seconds, 2) for name in before}


class FactCounter:
    """Counts the facts of one type on a topic as they arrive, and remembers when the last one came."""

    def __init__(self, bootstrap_servers: str, topic: str, wanted: type[Fact]) -> None:
        self._consumer = AIOKafkaConsumer(
            topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="latest", fetch_max_wait_ms=100
        )
        self._wanted = ("ce_type", wanted.ce_type.encode())
        self.count = 0
        self.last_arrived = 0.0

    async def __aenter__(self) -> "FactCounter":
        await self._consumer.start()
        for partition in self._consumer.assignment():
            await self._consumer.position(partition)
        self._task = asyncio.create_task(self._count())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._consumer.stop()

    async def reaches(self, count: int, within: float) -> float:
        """Returns when that many have come: the moment (time.perf_counter) of the last. Raises TimeoutError."""
        async with asyncio.timeout(within):
            while self.count < count:
                await asyncio.sleep(0.01)
        return self.last_arrived

    async def _count(self) -> None:
        while True:
            batches = await self._consumer.getmany(timeout_ms=1000, max_records=5000)
            for records in batches.values():
                self.count += sum(self._wanted in record.headers for record in records)
            if batches:
                self.last_arrived = time.perf_counter()


async def lag_of(bootstrap_servers: str, group: str, topics: Sequence[tuple[str, int]]) -> int:
    """Records of the topics (name, partitions) that the group has not committed yet."""
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=bootstrap_servers, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(name, number) for name, count in topics for number in range(count)]
        ends = await consumer.end_offsets(partitions)
        committed = await asyncio.gather(*(consumer.committed(partition) for partition in partitions))
        return sum(ends[partition] - (offset or 0) for partition, offset in zip(partitions, committed, strict=True))
    finally:
        await consumer.stop()
