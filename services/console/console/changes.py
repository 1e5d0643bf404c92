"""News of the view: which organizations, payers and commands have changed, by the hand of whichever instance.

A batch that changes the view notifies once, in its own transaction; where it tells of nothing but usage, which goes on
all the time, that is told once a second, with that of other batches. Each process listens on one connection, and wakes
those who wait for what has changed: nobody polls, however many wait and however many instances there are.
"""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID, uuid5

import asyncpg
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from postroom import Room

log = structlog.get_logger()

_CHANNEL = "console_changes"
_USAGE_INTERVAL = 1.0
"""Seconds from one notification of usage to the next."""
_IDS_AT_A_TIME = 200
"""PostgreSQL carries 8000 bytes in a notification."""

_NOTIFY = text("SELECT pg_notify('console_changes', ids) FROM unnest(CAST(:payloads AS text[])) AS payload (ids)")
_SHOW = text("""
    UPDATE organizations SET revision = revision + 1
    WHERE organization_id IN (SELECT organization_id FROM members WHERE account_id = :account_id AND role IS NOT NULL)
    RETURNING organization_id
""")
_REVISION = text("SELECT revision FROM organizations WHERE organization_id = :organization_id")


async def tell(connection: AsyncConnection, ids: Iterable[UUID]) -> None:
    """Wakes who waits for these organizations, payers and commands, in every instance, when the transaction commits."""
    texts = [each.hex for each in ids]
    payloads = [",".join(texts[at : at + _IDS_AT_A_TIME]) for at in range(0, len(texts), _IDS_AT_A_TIME)]
    if payloads:
        await connection.execute(_NOTIFY, {"payloads": payloads})


async def tell_of_account(connection: AsyncConnection, account_id: UUID) -> None:
    """Wakes who watches the organization of this account, since its members table shows something else of it."""
    await tell(connection, (await connection.execute(_SHOW, {"account_id": account_id})).scalars())


def money_of(payer_id: UUID) -> UUID:
    """What is watched of the money of an organization, or an account: it changes more often than who belongs to it, and
    wakes others."""
    return uuid5(payer_id, "money")


class Usage:
    """Who goes on using, and is to be told of together: pages that show money need not move with every meter."""

    def __init__(self) -> None:
        self._payers: set[UUID] = set()

    def note(self, payers: Iterable[UUID]) -> None:
        """These organizations and accounts are told of within a second or so. A process that is killed before has told
        nobody: whoever watches money looks again by themselves, too."""
        self._payers.update(payers)

    async def tell(self, room: Room) -> None:
        """A worker: tells until the service stops."""
        while not room.stopping.is_set():
            await _first(room.stopping, timeout=_USAGE_INTERVAL)
            payers, self._payers = self._payers, set()
            if payers:
                async with room.transaction() as transaction:
                    await tell(transaction.connection, map(money_of, sorted(payers)))


class Watch:
    """Set when something that is watched has changed (or may have)."""

    def __init__(self, stopping: asyncio.Event) -> None:
        self._event = asyncio.Event()
        self._stopping = stopping

    def wake(self) -> None:
        self._event.set()

    async def changed(self, timeout: float) -> bool:
        """Whether there was a change within so many seconds, since the watch began or was asked last. False at once
        when the process stops."""
        if self._stopping.is_set() or timeout <= 0:
            return False
        try:
            async with asyncio.timeout(timeout):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return not self._stopping.is_set()


class Changes:
    """What this process hears of changes, as long as somebody runs `listen`."""

    def __init__(self, room: Room, database_url: str) -> None:
        self._room = room
        self._database_url = database_url
        self._watches: dict[UUID, set[Watch]] = {}
        self._any = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def stopping(self) -> bool:
        """Whether nothing more will be heard, since the process stops."""
        return self._stopping.is_set()

    @contextmanager
    def watch(self, *ids: UUID) -> Iterator[Watch]:
        """Watches organizations, money (`money_of`) or commands: whatever commits after this is noticed. So begin to
        watch, then look at the database, then wait."""
        watch = Watch(self._stopping)
        for each in ids:
            self._watches.setdefault(each, set()).add(watch)
        try:
            yield watch
        finally:
            for each in ids:
                watches = self._watches[each]
                watches.discard(watch)
                if not watches:
                    del self._watches[each]

    async def until(self, organization_id: UUID, revision: int, timeout: float) -> int:
        """The revision of the organization as soon as it is another than `revision`; the same after `timeout` seconds,
        or when the process stops; 0 where the organization is not known."""
        deadline = asyncio.get_running_loop().time() + timeout
        with self.watch(organization_id) as watch:
            while True:
                async with self._room.reading() as connection:
                    found = await connection.execute(_REVISION, {"organization_id": organization_id})
                    newest = int(found.scalar_one_or_none() or 0)
                if newest != revision or not await watch.changed(deadline - asyncio.get_running_loop().time()):
                    return newest

    async def anything(self, timeout: float) -> None:
        """Returns at the next change of whatever kind, or after `timeout` seconds, or when the process stops."""
        waiting = self._any
        try:
            async with asyncio.timeout(0 if self.stopping else timeout):
                await waiting.wait()
        except TimeoutError:
            pass

    async def listen(self) -> None:
        """Listens until the service stops, however often the connection is lost. When there is one again, everybody who
        waits is woken once, since something may have been missed."""
        failures = 0
        while not self._room.stopping.is_set():
            try:
                await self._listen()
                failures = 0
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                failures += 1
                log.warning("changes are not heard", error=type(error).__name__, failures=failures)
                await _first(self._room.stopping, timeout=min(0.1 * 2.0 ** min(failures, 6), 5.0))
        self.stop()

    async def _listen(self) -> None:
        lost = asyncio.Event()
        connection: asyncpg.Connection[Any] = await asyncpg.connect(
            self._database_url, timeout=10, server_settings={"application_name": "console changes"}
        )
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(_CHANNEL, self._hear)
            self.wake_all()
            await _first(lost, self._room.stopping)
        finally:
            connection.terminate()

    def stop(self) -> None:
        """Ends every wait."""
        self._stopping.set()
        self.wake_all()

    def wake_all(self) -> None:
        """Everybody who waits looks again."""
        for watches in self._watches.values():
            for watch in watches:
                watch.wake()
        self._wake_any()

    def _hear(self, _connection: object, _pid: int, _channel: str, payload: object) -> None:
        for each in str(payload).split(","):
            for watch in self._watches.get(UUID(each), ()):
                watch.wake()
        self._wake_any()

    def _wake_any(self) -> None:
        # One event for each generation: who waits now is woken, who comes later waits anew.
        self._any.set()
        self._any = asyncio.Event()


async def _first(*events: asyncio.Event, timeout: float | None = None) -> None:
    """Returns when one of them is set, or after so many seconds."""
    waiting = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
