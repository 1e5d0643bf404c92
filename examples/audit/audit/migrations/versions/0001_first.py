"""The table of facts, and postroom's tables."""

from alembic import op

from postroom.migrations import create_postroom_tables, drop_postroom_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        CREATE TABLE facts (
            position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            ce_id text NOT NULL UNIQUE, ce_type text NOT NULL, key uuid NOT NULL,
            correlation_id text NOT NULL, causation_id text,
            recorded_at timestamptz NOT NULL, data jsonb NOT NULL
        )
    """)
    op.execute("CREATE INDEX facts_of_key ON facts (key, position)")
    create_postroom_tables(op)


def downgrade() -> None:
    drop_postroom_tables(op)
    op.execute("DROP TABLE facts")
