"""Where the making of a payment goes on in the trace of what it follows from."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "payments", sa.Column("traceparent", sa.Text, comment="What making it goes on from, where traces are on.")
    )


def downgrade() -> None:
    op.drop_column("payments", "traceparent")
