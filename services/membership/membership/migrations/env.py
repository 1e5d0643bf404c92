"""How Alembic runs the migrations of membership."""

from membership.tables import metadata
from postroom.migrations import run_migrations

run_migrations(metadata)
