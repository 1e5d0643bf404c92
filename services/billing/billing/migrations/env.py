"""How Alembic runs the migrations of billing."""

from billing.tables import metadata
from postroom.migrations import run_migrations

run_migrations(metadata)
