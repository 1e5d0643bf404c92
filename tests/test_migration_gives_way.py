"""A migration does not make the running service wait for long: where it does not get a table, it gives up, whole."""

import asyncpg
import pytest
from alembic import command
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from postroom.database import async_url, sqlstate
from postroom.migrations import alembic_config, migrate

LOCK_NOT_AVAILABLE = "55P03"


async def test_a_migration_gives_up_where_a_table_is_in_use_and_can_be_run_again(database_url: str) -> None:
    await migrate_to("0003", database_url)
    reader = await asyncpg.connect(database_url)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT FROM letters")  # A report that takes long, say.

            with pytest.raises(DBAPIError) as error:
                await migrate("notifier", database_url)

            assert sqlstate(error.value) == LOCK_NOT_AVAILABLE
            assert await reader.fetchval("SELECT version_num FROM alembic_version") == "0003"

        await migrate("notifier", database_url)
        assert await reader.fetchval("SELECT version_num FROM alembic_version") > "0003"
    finally:
        await reader.close()


async def migrate_to(version: str, database_url: str) -> None:
    config = alembic_config("notifier")

    def upgrade(connection: Connection) -> None:
        config.attributes["connection"] = connection
        command.upgrade(config, version)

    engine = create_async_engine(async_url(database_url))
    async with engine.connect() as connection:
        await connection.run_sync(upgrade)
        await connection.commit()
    await engine.dispose()
