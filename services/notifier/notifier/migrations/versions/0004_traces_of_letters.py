"""Where a letter's delivery goes on in the trace of what it is about."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "letters", sa.Column("traceparent", sa.Text, comment="What its delivery goes on from, where traces are on.")
    )


def downgrade() -> None:
    op.drop_column("letters", "traceparent")
