"""A migration that makes an index beside the running services, in no transaction, and is run by several at once."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from postroom.database import async_url

_MIGRATE = "import sys; from postroom.migrations import migrate_now; migrate_now(*sys.argv[1:])"
ENVIRONMENT = """
import sqlalchemy as sa
from postroom.migrations import run_migrations

run_migrations(sa.MetaData())
"""
FIRST = """
from alembic import op

revision = "0001"
down_revision = None


def upgrade():
    op.execute("CREATE TABLE letters AS SELECT id, id % 7 AS kind FROM generate_series(1, 10000) AS id")
"""
SECOND = """
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade():
    with op.get_context().autocommit_block():
        op.create_index("letters_by_kind", "letters", ["kind"], postgresql_concurrently=True)
    op.execute("CREATE TABLE afterwards (id bigint)")
"""


@pytest.fixture
def package(tmp_path: Path) -> str:
    """A service that has migrations, and nothing else, in `tmp_path`."""
    versions = tmp_path / "longmigrations" / "migrations" / "versions"
    versions.mkdir(parents=True)
    (tmp_path / "longmigrations" / "__init__.py").touch()
    (versions.parent / "env.py").write_text(ENVIRONMENT)
    (versions / "0001_first.py").write_text(FIRST)
    (versions / "0002_second.py").write_text(SECOND)
    return "longmigrations"


@pytest.mark.timeout(60)
async def test_several_that_make_an_index_concurrently_wait_for_each_other(
    package: str, tmp_path: Path, database_url: str
) -> None:
    command = [sys.executable, "-c", _MIGRATE, package, database_url]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    processes = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(3)]
    try:
        async with asyncio.timeout(50):
            assert [await process.wait() for process in processes] == [0, 0, 0]
    finally:
        for process in processes:
            if process.returncode is None:
                process.kill()

    engine = create_async_engine(async_url(database_url))
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalars().all() == ["0002"]
        valid = text("SELECT indisvalid FROM pg_index WHERE indexrelid = 'letters_by_kind'::regclass")
        assert (await connection.execute(valid)).scalars().all() == [True]
    await engine.dispose()
