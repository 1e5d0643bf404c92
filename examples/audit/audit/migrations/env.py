"""How Alembic runs the migrations of audit, which are written in SQL."""

from sqlalchemy import MetaData

from postroom.migrations import run_migrations

run_migrations(MetaData())
