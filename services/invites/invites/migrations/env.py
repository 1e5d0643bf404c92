"""How Alembic runs the migrations of invites."""

from invites.tables import metadata
from postroom.migrations import run_migrations

run_migrations(metadata)
