"""How Alembic runs the migrations of notifier."""

from notifier.tables import metadata
from postroom.migrations import run_migrations

run_migrations(metadata)
