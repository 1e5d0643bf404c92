"""Alembic for a service: its own tables and postroom's, in one history."""

import asyncio
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command, context
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from postroom.database import async_url
from postroom.tables import postroom_metadata

_LOCK = sa.text("SELECT pg_try_advisory_lock(hashtextextended('postroom migrations', 0))")
_UNLOCK = sa.text("SELECT pg_advisory_unlock(hashtextextended('postroom migrations', 0))")
_PAUSE = 0.1
"""Seconds between two looks whether the other process has migrated."""
# Whoever comes after a statement that waits for a table waits behind it: a migration gives way to the running service.
_NO_LONG_WAIT = sa.text("SET LOCAL lock_timeout = '5s'")


def create_postroom_tables(op: Any) -> None:
    """In a migration: creates inbox, outbox and deferred. `op` is `alembic.op`."""
    postroom_metadata.create_all(op.get_bind(), checkfirst=False)
    # A queue's table turns over all the time: it is vacuumed by what has changed, not by its size.
    op.execute(
        "ALTER TABLE postroom_outbox SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)"
    )


def drop_postroom_tables(op: Any) -> None:
    """In a downgrade: drops what create_postroom_tables made."""
    postroom_metadata.drop_all(op.get_bind(), checkfirst=False)


def run_migrations(metadata: sa.MetaData) -> None:
    """The whole of a service's `migrations/env.py`: runs what Alembic was asked for, in one transaction, which an
    `autocommit_block` of a migration cuts in two; of several processes that start at once one migrates and the others
    wait. It fails, and nothing of the transaction has changed, where somebody holds a table for longer than five
    seconds."""
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection, target_metadata=[metadata, postroom_metadata], transaction_per_migration=False
    )
    _wait_for_turn(connection)
    try:
        with context.begin_transaction():
            connection.execute(_NO_LONG_WAIT)
            context.run_migrations()
    finally:
        connection.rollback()  # What is left of a transaction that has failed.
        connection.execute(_UNLOCK)
        connection.commit()


def _wait_for_turn(connection: sa.Connection) -> None:
    # Outside any transaction: an index that is made concurrently waits for all that are open, and so for whoever waits.
    while not connection.execute(_LOCK).scalar_one():
        connection.rollback()
        time.sleep(_PAUSE)
    connection.rollback()


def alembic_config(package: str) -> Config:
    """Alembic's configuration of the service whose package is `package`: `<package>/migrations`, no ini file."""
    config = Config()
    config.set_main_option("script_location", f"{package}:migrations")
    return config


async def migrate(package: str, database_url: str) -> None:
    """Brings the database to the newest version; does nothing where it is there already."""
    engine = create_async_engine(async_url(database_url), hide_parameters=True)
    config = alembic_config(package)

    def upgrade(connection: sa.Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")

    try:
        async with engine.connect() as connection:
            await connection.run_sync(upgrade)
            await connection.commit()
    finally:
        await engine.dispose()


async def is_behind(package: str, connection: AsyncConnection) -> bool:
    """Whether the database lacks a migration that this code needs. One that is ahead (of an older process, while a
    newer one is being rolled out) is not behind."""
    script = ScriptDirectory.from_config(alembic_config(package))

    def current(sync_connection: sa.Connection) -> str | None:
        return MigrationContext.configure(sync_connection).get_current_revision()

    revision = await connection.run_sync(current)
    if revision is None:
        return True
    try:
        known = script.get_revision(revision)
    except CommandError:
        return False
    return known is not None and revision != script.get_current_head()


def migrate_now(package: str, database_url: str) -> None:
    """`python -m <package> migrate`."""
    asyncio.run(migrate(package, database_url))


def migrations_folder(package_file: str) -> Path:
    """The folder of the migrations beside `package_file` (a module's `__file__`)."""
    return Path(package_file).parent / "migrations"
