"""An example subscriber as a process, and what it has written."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from consumer_groups import begin_again, has_caught_up, has_shared_out
from recipes import Recipe

from contracts import MEMBERSHIP_EVENTS
from stack.environment import python_environment
from stack.platform import Platform
from stack.process import Launch, ManagedProcess

WITHIN = 60.0
"""Seconds in which a subscriber must have done what it is given."""

# A sequence counts what is rolled back, too. Only what is newer than the test counts: ids are UUIDv7, in order.
_COUNT = """
    CREATE SEQUENCE attempts MINVALUE 0;
    SELECT nextval('attempts');
    CREATE TABLE pause (at_attempt bigint NOT NULL);
    INSERT INTO pause VALUES (0);
    CREATE FUNCTION count_attempt() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('attempts') = (SELECT at_attempt FROM pause) THEN PERFORM pg_sleep(3); END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER count_attempt BEFORE INSERT ON handled_facts
        FOR EACH ROW WHEN (NEW.ce_id > '{since}') EXECUTE FUNCTION count_attempt();
"""

Welcomed = tuple[str, str, str]
"""What is written of a fact: its id, the organization and the account."""


class Subscriber(ManagedProcess):
    """It has a database on the platform's PostgreSQL, and a consumer group: its own, or those of its `group`."""

    ready_within = WITHIN

    def __init__(
        self, recipe: Recipe, folder: Path, platform: Platform, log_path: Path, group: str | None = None
    ) -> None:
        """`folder` is where it was built."""
        super().__init__(recipe.name, log_path)
        self.group = group or f"example-{recipe.name}"
        self._command = recipe.run
        self._folder = folder
        self._pause = 0
        self._bootstrap_servers = platform.bootstrap_servers
        self._database_url = platform.postgres.create_database(self.group.replace("-", "_"))

    @property
    def address(self) -> str:
        return self.group

    @property
    def exit_code(self) -> int | None:
        """Of the process that ran last; None while it runs."""
        return self._child.poll() if self._child else None

    def _prepare(self) -> Launch:
        settings = {
            "KAFKA_BOOTSTRAP_SERVERS": self._bootstrap_servers,
            "DATABASE_URL": self._database_url,
            "GROUP_ID": self.group,
        }
        return Launch(self._command, env=python_environment() | settings, folder=self._folder)

    def _is_ready(self) -> bool:
        return f"subscribed to {MEMBERSHIP_EVENTS.name}" in self._said()

    async def count_attempts(self, since: UUID) -> None:
        """From now on, each attempt at a fact that is newer is counted."""
        await self._ask(lambda connection: connection.execute(_COUNT.format(since=since)))

    async def attempts(self) -> int:
        """How often it has begun with a fact."""
        count: int = await self._ask(lambda connection: connection.fetchval("SELECT last_value FROM attempts"))
        return count

    async def pause_at(self, attempt: int) -> None:
        """That attempt will take three seconds, in the middle of its transaction."""
        self._pause = attempt
        await self._ask(lambda connection: connection.execute("UPDATE pause SET at_attempt = $1", attempt))

    async def killed_in_the_pause(self) -> None:
        """kill -9, when it has come to the pause."""
        made = 0
        try:
            async with asyncio.timeout(WITHIN):
                while (made := await self.attempts()) < self._pause:
                    self.check()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{self.name}: {made} attempts, not {self._pause}. {self.last_words()}") from None
        self.kill()

    async def make_tables(self, schema: str) -> None:
        await self._ask(lambda connection: connection.execute(schema))

    @asynccontextmanager
    async def held_up(self) -> AsyncIterator[None]:
        """Whoever has begun with a fact does not get on with it meanwhile."""
        connection = await asyncpg.connect(self._database_url)
        try:
            async with connection.transaction():
                await connection.execute("LOCK TABLE handled_facts IN EXCLUSIVE MODE")
                yield
        finally:
            await connection.close()

    async def has_begun(self) -> None:
        """Returns when it has a fact in hand, while it is held up."""
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = CAST('handled_facts' AS regclass)"
        try:
            async with asyncio.timeout(WITHIN):
                while await self._ask(lambda connection: connection.fetchval(waiting)) == 0:
                    self.check()
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{self.name} has begun with nothing. {self.last_words()}") from None

    async def has_shared_out(self, members: int, *, within: float) -> bool:
        """Whether so many instances come to have their partitions in time."""
        return await has_shared_out(self._bootstrap_servers, self.group, members, within=within)

    async def welcomed(self) -> list[Welcomed]:
        """Every row of its list, in order."""
        rows = await self._rows("SELECT ce_id, organization_id, account_id FROM welcome_list ORDER BY 1, 2, 3")
        return [(str(ce_id), str(organization_id), str(account_id)) for ce_id, organization_id, account_id in rows]

    async def set_aside(self) -> set[tuple[int, int]]:
        """Partition and offset of each record that it could not read."""
        rows = await self._rows("SELECT partition, record_offset FROM unreadable_records")
        return {(partition, offset) for partition, offset in rows}

    async def caught_up(self) -> None:
        """Returns when it has committed all that is in the topic."""
        try:
            await has_caught_up(self._bootstrap_servers, self.group, [MEMBERSHIP_EVENTS], within=WITHIN)
        except AssertionError as error:
            raise AssertionError(f"{error} {self.last_words()}") from None
        self.check()

    async def begin_again(self) -> None:
        """Everything will be delivered to it again. It must have been stopped."""
        await begin_again(self._bootstrap_servers, self.group, [MEMBERSHIP_EVENTS])

    async def _rows(self, query: str) -> Sequence[Any]:
        rows: Sequence[Any] = await self._ask(lambda connection: connection.fetch(query))
        return rows

    async def _ask(self, question: Callable[[Any], Awaitable[Any]]) -> Any:
        connection = await asyncpg.connect(self._database_url)
        try:
            return await question(connection)
        finally:
            await connection.close()
