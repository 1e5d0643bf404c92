"""Organizations and members, and postroom's tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

from postroom.migrations import create_postroom_tables, drop_postroom_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "organizations",
        sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("folded_name", sa.Text, nullable=False, comment="The name without case: what is unique."),
        sa.Column("version", sa.BigInteger, nullable=False, comment="Of the last fact about it."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        comment="What organizations there are. Changes of its members lock its row here.",
    )
    op.create_index("one_organization_per_name", "organizations", ["folded_name"], unique=True)
    op.create_table(
        "members",
        sa.Column("membership_id", UUID(as_uuid=True), primary_key=True),
        sa.Column(
            "organization_id", UUID(as_uuid=True), sa.ForeignKey("organizations.organization_id"), nullable=False
        ),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("invitation_id", UUID(as_uuid=True), comment="The invitation that was accepted; none for the owner."),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), comment="When the account left; none while it is a member."),
        sa.CheckConstraint("role IN ('owner', 'admin', 'member')", name="known_role"),
        comment="Each stay of an account in an organization.",
    )
    op.create_index(
        "one_organization_per_account",
        "members",
        ["account_id"],
        unique=True,
        postgresql_where=sa.text("ended_at IS NULL"),
    )
    op.create_index(
        "one_owner_per_organization",
        "members",
        ["organization_id"],
        unique=True,
        postgresql_where=sa.text("role = 'owner' AND ended_at IS NULL"),
    )
    op.create_index(
        "one_admission_per_invitation",
        "members",
        ["invitation_id"],
        unique=True,
        postgresql_where=sa.text("invitation_id IS NOT NULL"),
    )
    op.create_index("ended_members", "members", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))
    create_postroom_tables(op)


def downgrade() -> None:
    drop_postroom_tables(op)
    op.drop_table("members")
    op.drop_table("organizations")
