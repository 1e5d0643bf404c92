"""Meters that tell what instances use, for the demo, the tests and the bench: they write metering.usage, as those of
real instances do."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import count, islice
from uuid import UUID

from contracts import AccountProfile, UsageRecorded
from stack.client import Client, NothingCame
from stack.errors import StackError

_HOUR = timedelta(hours=1)
_KNOWN_WITHIN = 5.0
"""Seconds in which an account that is there is found."""
_PLACES = Decimal("1e-12")
"""Of hours: what is rounded away is less than a micro-dollar, whatever an hour costs."""


@dataclass(frozen=True, slots=True)
class Meter:
    """Counts the hours of one instance. The same interval is told in the same words, however often."""

    account_id: UUID
    hourly: int
    """What an hour costs, in micro-dollars."""
    resource: str = "gpu-a100"
    number: int = 1
    """Tells the instances of an account apart."""

    @property
    def instance_id(self) -> str:
        return f"{self.account_id}-{self.number}"

    def usage(self, used_from: datetime, used_until: datetime) -> UsageRecorded:
        """What was used between the two instants."""
        return UsageRecorded(
            account_id=self.account_id,
            meter_id=f"{self.instance_id}/{self.resource}",
            instance_id=self.instance_id,
            resource=self.resource,
            quantity=_hours(used_until - used_from),
            unit_price=self.hourly,
            used_from=used_from,
            used_until=used_until,
        )

    def usages(self, started: datetime, interval: timedelta) -> Iterator[UsageRecorded]:
        """What was used in one interval after the other, without end."""
        return (self.usage(started + interval * n, started + interval * (n + 1)) for n in count())


@dataclass
class Meters:
    """Meters that run together, on one clock. Above a `speed` of 1 it goes faster than the clock on the wall, and so
    what they tell lies in the future of whoever looks at that one."""

    client: Client
    meters: Sequence[Meter]
    interval: timedelta = timedelta(seconds=1)
    """After which each tells what was used, by their clock."""
    speed: float = 1.0
    told: list[UsageRecorded] = field(default_factory=list)
    """All that they have told."""

    async def run(self, intervals: int | None = None, *, started: datetime | None = None) -> None:
        """Tells each interval when it is over: so many of them, or until it is cancelled; from now on, or from when it
        is said that they were `started`."""
        began = time.monotonic()
        usages = zip(*(meter.usages(started or datetime.now(UTC), self.interval) for meter in self.meters), strict=True)
        for number, usage in enumerate(islice(usages, intervals), start=1):
            over = began + number * self.interval.total_seconds() / self.speed
            await asyncio.sleep(max(0.0, over - time.monotonic()))
            await self.client.send_all(usage)
            self.told += usage


def usage_of_many(
    account_ids: Sequence[UUID],
    *,
    started: datetime,
    hourly: int = 3_600_000,
    interval: timedelta = timedelta(seconds=1),
) -> Iterator[UsageRecorded]:
    """One interval of every account, then the next of every account, and so on, without end; always the same."""
    meters = [Meter(account_id, hourly).usages(started, interval) for account_id in account_ids]
    return (usage for usages in zip(*meters, strict=True) for usage in usages)


async def run_meter(bootstrap_servers: str, address: str, hourly: int, seconds: int | None) -> int:
    """Lets an instance of the account with this address run, for so many seconds or until the task is cancelled, and
    answers what it cost, in micro-dollars. Raises StackError where there is no such account."""
    async with Client(bootstrap_servers, from_the_beginning=True) as client:
        try:
            account = await client.fact(AccountProfile, address=address, within=_KNOWN_WITHIN)
        except NothingCame as error:
            raise StackError(f"There is no account with the address {address}.") from error
        meters = Meters(client, [Meter(account.account_id, hourly)])
        with contextlib.suppress(asyncio.CancelledError):
            await meters.run(seconds)
        return sum(map(amount_of, meters.told))


def amount_of(usage: UsageRecorded) -> int:
    """What the usage costs, in micro-dollars."""
    return max(0, int((usage.quantity * usage.unit_price).to_integral_value(ROUND_HALF_EVEN)))


def _hours(duration: timedelta) -> Decimal:
    microsecond = timedelta(microseconds=1)
    return (Decimal(duration // microsecond) / Decimal(_HOUR // microsecond)).quantize(_PLACES)
