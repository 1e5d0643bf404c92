"""How Alembic runs the migrations of console."""

from console.tables import metadata
from postroom.migrations import run_migrations

run_migrations(metadata)
