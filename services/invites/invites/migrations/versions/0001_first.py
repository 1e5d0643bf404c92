"""Invitations, what invites knows of organizations, members and accounts, and postroom's tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

from postroom.migrations import create_postroom_tables, drop_postroom_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "invitations",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("address", sa.Text, nullable=False, comment="As the inviter typed it. Personal data."),
        sa.Column("address_normalized", sa.Text, nullable=False, comment="What it is compared by. Personal data."),
        sa.Column(
            "code_digest", sa.Text, nullable=False, comment="SHA-256 of the link's code, which is stored nowhere."
        ),
        sa.Column("inviter_id", UUID(as_uuid=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "due_at",
            sa.DateTime(timezone=True),
            comment="When time alone changes something next: the reminder, then the end.",
        ),
        sa.Column("accepted_by", UUID(as_uuid=True), comment="Whom it is, or was, reserved for."),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.Column("waiting", JSONB, comment="Revocations that wait until membership has spoken; null for none."),
        sa.CheckConstraint(
            "state IN ('pending', 'accepting', 'accepted', 'superseded', 'revoked', 'declined', 'expired')",
            name="invitations_state",
        ),
    )
    op.create_index("invitations_code_digest", "invitations", ["code_digest"], unique=True)
    op.create_index(
        "invitations_one_live_link",
        "invitations",
        ["organization_id", "address_normalized"],
        unique=True,
        postgresql_where=sa.text("state IN ('pending', 'accepting')"),
    )
    op.create_index("invitations_due", "invitations", ["due_at"], postgresql_where=sa.text("state = 'pending'"))
    op.create_index("invitations_ended", "invitations", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))
    op.create_table(
        "organizations",
        sa.Column("id", UUID(as_uuid=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column(
            "version", sa.BigInteger, nullable=False, comment="The newest that membership was heard to speak of."
        ),
        comment="Copied from membership.events. Whoever changes anything of an organization locks its row first.",
    )
    op.create_table(
        "members",
        sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
        sa.Column("account_id", UUID(as_uuid=True), primary_key=True),
        sa.Column("role", sa.Text, comment="owner, admin or member; null for somebody who left or was removed."),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The organization's, when this was so."),
        sa.Column("invitation_id", UUID(as_uuid=True), comment="What they joined by."),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        comment="Copied from membership.events.",
    )
    op.create_index("members_ended", "members", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))
    op.create_table(
        "profiles",
        sa.Column("account_id", UUID(as_uuid=True), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("address", sa.Text, comment="Null where the person was erased. Personal data."),
        sa.Column("address_normalized", sa.Text, comment="What it is compared by. Personal data."),
        sa.Column("name", sa.Text, nullable=False, comment="Personal data."),
        sa.Column("verified", sa.Boolean, nullable=False),
        comment="Copied from accounts.profiles.",
    )
    op.create_index(
        "profiles_address",
        "profiles",
        ["address_normalized"],
        postgresql_where=sa.text("address_normalized IS NOT NULL"),
    )
    op.create_table(
        "allowances",
        sa.Column("scope", sa.Text, primary_key=True, comment="organization, inviter or recipient."),
        sa.Column(
            "subject", sa.Text, primary_key=True, comment="An id, or an address without aliases (personal data)."
        ),
        sa.Column("spent_until", sa.DateTime(timezone=True), nullable=False),
        comment="Rate limits (GCRA): a subject whose instant is over has all of its allowance, and needs no row.",
    )
    op.create_index("allowances_spent_until", "allowances", ["spent_until"])
    create_postroom_tables(op)


def downgrade() -> None:
    drop_postroom_tables(op)
    for table in ("allowances", "profiles", "members", "organizations", "invitations"):
        op.drop_table(table)
