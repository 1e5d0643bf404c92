"""Whoever waits for a change hears of it once it is committed, from every instance, and after a lost connection."""

import asyncio
from uuid import UUID, uuid4

from console_world import ConsoleWorld, console_world
from sqlalchemy import text

from console import changes

ORGANIZATION, OTHER = UUID(int=1), UUID(int=2)
_END_LISTENERS = text(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE application_name = 'console changes' AND datname = current_database()"
)


async def tell(console: ConsoleWorld, *ids: UUID) -> None:
    async with console.engine.begin() as connection:
        await changes.tell(connection, ids)


async def test_who_watches_is_woken_by_a_commit_of_another_instance(database_url: str) -> None:
    async with console_world(database_url, instances=2) as (one, other):
        with one.edge.changes.watch(ORGANIZATION) as watch:
            await tell(other, ORGANIZATION)
            assert await watch.changed(10)


async def test_who_watches_something_else_is_not_woken(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        with console.edge.changes.watch(ORGANIZATION) as watch, console.edge.changes.watch(OTHER) as witness:
            await tell(console, OTHER)
            assert await witness.changed(10)
            assert not await watch.changed(0.01)


async def test_what_is_rolled_back_is_not_told(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        with console.edge.changes.watch(ORGANIZATION) as watch, console.edge.changes.watch(OTHER) as witness:
            async with console.engine.connect() as connection:
                await changes.tell(connection, [ORGANIZATION])
                await connection.rollback()
            await tell(console, OTHER)
            assert await witness.changed(10)
            assert not await watch.changed(0.01)


async def test_a_change_between_two_waits_is_not_missed(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        with console.edge.changes.watch(ORGANIZATION) as watch, console.edge.changes.watch(OTHER) as witness:
            await tell(console, ORGANIZATION, OTHER)
            assert await witness.changed(10)  # It has arrived while nobody waited at `watch`.
            assert await watch.changed(0.01)


async def test_more_changes_than_a_notification_carries_are_all_told(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        many = [uuid4() for _ in range(1000)]
        with console.edge.changes.watch(many[0]) as first, console.edge.changes.watch(many[-1]) as last:
            await tell(console, *many)
            assert await first.changed(10)
            assert await last.changed(10)


async def test_after_a_lost_connection_everybody_looks_again(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        with console.edge.changes.watch(ORGANIZATION) as watch:
            async with console.engine.begin() as connection:
                await connection.execute(_END_LISTENERS)
            assert await watch.changed(20)  # Something may have been missed meanwhile.
            await tell(console, ORGANIZATION)
            assert await watch.changed(20)


async def test_until_answers_at_once_where_the_revision_is_another_and_waits_where_it_is_not(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        await console.hear(console.player.joined(ORGANIZATION, OTHER))
        revision = await console.edge.changes.until(ORGANIZATION, 0, 10)
        assert revision > 0
        assert await console.edge.changes.until(ORGANIZATION, revision, 0.01) == revision

        waiting = asyncio.create_task(console.edge.changes.until(ORGANIZATION, revision, 20))
        await asyncio.sleep(0)
        await console.hear(console.player.joined(ORGANIZATION, OTHER))
        assert await waiting > revision


async def test_every_wait_ends_when_the_process_stops(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        with console.edge.changes.watch(ORGANIZATION) as watch:
            waiting = asyncio.create_task(watch.changed(60))
            until = asyncio.create_task(console.edge.changes.until(OTHER, 0, 60))
            await asyncio.sleep(0)
            console.edge.changes.stop()
            async with asyncio.timeout(10):
                assert await waiting is False
                assert await until == 0
