"""Billing chains, and postroom's tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, UUID

from postroom.migrations import create_postroom_tables, drop_postroom_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "chains",
        sa.Column("chain_id", UUID(as_uuid=True), primary_key=True),
        sa.Column("membership_id", UUID(as_uuid=True), nullable=False),
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False, comment="Of the last fact; 0 while only the end is known."),
        sa.Column(
            "sources", ARRAY(sa.Text), nullable=False, comment="Kinds of source, in the order they are drawn from."
        ),
        sa.Column(
            "effective_at", sa.DateTime(timezone=True), comment="When the member joined: the sources pay from here."
        ),
        sa.Column("established_at", sa.DateTime(timezone=True), comment="When billing set it up."),
        sa.Column("end_reason", sa.Text, comment="left, or removed; none while the member is one."),
        sa.Column("ends_at", sa.DateTime(timezone=True), comment="When the member went: nothing is paid from here."),
        sa.Column("closed_at", sa.DateTime(timezone=True), comment="When billing closed it."),
        sa.CheckConstraint("end_reason IN ('left', 'removed')", name="known_end_reason"),
        sa.CheckConstraint("(end_reason IS NULL) = (ends_at IS NULL)", name="an_end_has_a_reason"),
        comment="Who pays for a member's usage, in which order, from when until when.",
    )
    op.create_index("one_chain_per_membership", "chains", ["membership_id"], unique=True)
    op.create_index("ended_chains", "chains", ["ends_at"], postgresql_where=sa.text("ends_at IS NOT NULL"))
    create_postroom_tables(op)


def downgrade() -> None:
    drop_postroom_tables(op)
    op.drop_table("chains")
