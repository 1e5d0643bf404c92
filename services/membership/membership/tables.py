"""membership's tables. The rules that must hold whatever two instances do at once are unique indexes here."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

metadata = sa.MetaData()

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("folded_name", sa.Text, nullable=False, comment="The name without case: what is unique."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="Of the last fact about it."),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("one_organization_per_name", "folded_name", unique=True),
    comment="What organizations there are. Changes of its members lock its row here.",
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("membership_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("organization_id", UUID(as_uuid=True), sa.ForeignKey("organizations.organization_id"), nullable=False),
    sa.Column("account_id", UUID(as_uuid=True), nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("invitation_id", UUID(as_uuid=True), comment="The invitation that was accepted; none for the owner."),
    sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("ended_at", sa.DateTime(timezone=True), comment="When the account left; none while it is a member."),
    sa.CheckConstraint("role IN ('owner', 'admin', 'member')", name="known_role"),
    sa.Index("one_organization_per_account", "account_id", unique=True, postgresql_where=sa.text("ended_at IS NULL")),
    sa.Index(
        "one_owner_per_organization",
        "organization_id",
        unique=True,
        postgresql_where=sa.text("role = 'owner' AND ended_at IS NULL"),
    ),
    # An ended row is kept for a while, so that an acceptance that is delivered again does not bring back who has left.
    sa.Index(
        "one_admission_per_invitation",
        "invitation_id",
        unique=True,
        postgresql_where=sa.text("invitation_id IS NOT NULL"),
    ),
    sa.Index("ended_members", "ended_at", postgresql_where=sa.text("ended_at IS NOT NULL")),
    comment="Each stay of an account in an organization.",
)
