"""Rate limits, shared by all instances.

The generic cell rate algorithm (GCRA, ITU-T I.371) keeps one instant for each subject: until when its allowance is
spent. So a burst up to the limit is fine, the allowance comes back steadily, and who has it all back needs no row.
"""

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from postroom import Room

_FORGOTTEN_AT_A_TIME = 2000

_SPENT = text("SELECT subject, spent_until FROM allowances WHERE subject = ANY(CAST(:subjects AS bytea[]))")

# In the order of the subjects, so that two requests that spend from the same ones do not deadlock.
_ADD = text("""
    INSERT INTO allowances (subject, spent_until)
    SELECT subject, CAST(:now AS timestamptz) + cost
    FROM unnest(CAST(:subjects AS bytea[]), CAST(:costs AS interval[])) AS added (subject, cost)
    ORDER BY subject
    ON CONFLICT (subject) DO UPDATE
    SET spent_until = greatest(allowances.spent_until, CAST(:now AS timestamptz))
                      + (excluded.spent_until - CAST(:now AS timestamptz))
    RETURNING subject, spent_until
""")

_FORGET = text("""
    DELETE FROM allowances
    WHERE subject IN (SELECT subject FROM allowances WHERE spent_until <= :now LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


class RateLimited(Exception):
    """Too much for now; `retry_after` says from when on it is worth another try."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("Too many attempts. Try again later.")
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Allowance:
    """At most `limit` of something in each `period`; a limit of 0 is none."""

    name: str
    """What is counted."""
    subject: str
    """Of whom. Only a digest of it is stored."""
    limit: int
    period: timedelta
    times: int = 1
    """How many are asked for at once. More than the limit are never granted."""

    @property
    def cost(self) -> timedelta:
        """How long what is asked for takes to come back."""
        return self.times * (self.period // self.limit)  # rounded down, so that `limit` of them always fit

    @property
    def digest(self) -> bytes:
        """What the table knows it by."""
        return hashlib.sha256(f"{self.name}\0{self.subject}".encode("utf-8", "surrogatepass")).digest()


class Limits:
    """Counts what people do, in a transaction for each question."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def spend(self, *what: Allowance) -> None:
        """Takes what is asked for from each allowance, or nothing: raises RateLimited."""
        async with self._room.transaction() as transaction:
            await spend(transaction.connection, what, self._room.clock())


async def spend(connection: AsyncConnection, what: Iterable[Allowance], now: datetime) -> None:
    """Takes what is asked for from each allowance. Raises RateLimited; the transaction has then to be rolled back, so
    that nothing is taken."""
    asked = _limited(what)
    # Who has nothing left is turned away without a write, however often they come.
    await _require(connection, asked, now)
    _refuse_excess(await _add(connection, [(each, each.cost) for each in asked], now), asked, now)


async def _require(connection: AsyncConnection, asked: Sequence[Allowance], now: datetime) -> None:
    """Raises RateLimited where there is none left of one of them. Takes nothing."""
    if asked:
        rows = await connection.execute(_SPENT, {"subjects": [each.digest for each in asked]})
        spent_until = {bytes(subject): max(until, now) for subject, until in rows}
        after = {each.digest: spent_until.get(each.digest, now) + each.cost for each in asked}
        _refuse_excess(after, asked, now)


async def give_back(connection: AsyncConnection, what: Iterable[Allowance], now: datetime) -> None:
    """Takes back what was spent in advance on something that is not counted after all."""
    await _add(connection, [(each, -each.cost) for each in _limited(what)], now)


async def forget_allowances(connection: AsyncConnection, now: datetime) -> int:
    """Deletes some of the allowances that have come back in full; returns how many."""
    return (await connection.execute(_FORGET, {"now": now, "limit": _FORGOTTEN_AT_A_TIME})).rowcount


def network_of(network_address: str) -> str:
    """Whom a network address is counted as: itself, or for IPv6 its /64, since that is what one subscriber has."""
    try:
        address = ipaddress.ip_address(network_address)
    except ValueError:
        return network_address
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))


def _limited(what: Iterable[Allowance]) -> list[Allowance]:
    return [each for each in what if each.limit]


async def _add(
    connection: AsyncConnection, costs: Sequence[tuple[Allowance, timedelta]], now: datetime
) -> dict[bytes, datetime]:
    """Until when each is spent after this."""
    if not costs:
        return {}
    values = {
        "subjects": [allowance.digest for allowance, _ in costs],
        "costs": [cost for _, cost in costs],
        "now": now,
    }
    return {bytes(subject): until for subject, until in await connection.execute(_ADD, values)}


def _refuse_excess(spent_until: Mapping[bytes, datetime], asked: Iterable[Allowance], now: datetime) -> None:
    waits = [spent_until[each.digest] - each.period - now for each in asked]
    if waits and (longest := max(waits)) > timedelta(0):
        raise RateLimited(longest)
