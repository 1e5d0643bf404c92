"""Letters about accounts: about no organization and no invitation, some of them with a challenge."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.alter_column(
        "letters",
        "organization_id",
        existing_type=UUID(as_uuid=True),
        nullable=True,
        comment="Also the key of the fact; none where it is about an account, which is the recipient then.",
        existing_comment="Also the key of the fact.",
    )
    op.alter_column("letters", "invitation_id", existing_type=UUID(as_uuid=True), nullable=True)
    op.add_column(
        "letters",
        sa.Column("challenge_id", UUID(as_uuid=True), comment="What its code is derived from; the code is nowhere."),
    )
    op.alter_column(
        "letters",
        "expires_at",
        existing_type=sa.DateTime(timezone=True),
        comment="When its link or code dies.",
        existing_comment="When its link dies.",
    )
    op.drop_constraint("known_kind", "letters", type_="check")
    op.create_check_constraint(
        "known_kind",
        "letters",
        "kind IN ('invitation', 'reminder', 'welcome', 'has_joined',"
        " 'mailbox_code', 'password_reset', 'account_exists', 'password_changed')",
    )
    op.create_check_constraint(
        "a_fact_has_its_key", "letters", "organization_id IS NOT NULL OR recipient_id IS NOT NULL"
    )
    op.create_check_constraint(
        "a_code_has_its_challenge",
        "letters",
        "(challenge_id IS NOT NULL) = (kind IN ('mailbox_code', 'password_reset'))",
    )


def downgrade() -> None:
    op.execute("DELETE FROM letters WHERE organization_id IS NULL")
    op.drop_constraint("a_code_has_its_challenge", "letters", type_="check")
    op.drop_constraint("a_fact_has_its_key", "letters", type_="check")
    op.drop_constraint("known_kind", "letters", type_="check")
    op.create_check_constraint("known_kind", "letters", "kind IN ('invitation', 'reminder', 'welcome', 'has_joined')")
    op.alter_column(
        "letters",
        "expires_at",
        existing_type=sa.DateTime(timezone=True),
        comment="When its link dies.",
        existing_comment="When its link or code dies.",
    )
    op.drop_column("letters", "challenge_id")
    op.alter_column("letters", "invitation_id", existing_type=UUID(as_uuid=True), nullable=False)
    op.alter_column(
        "letters",
        "organization_id",
        existing_type=UUID(as_uuid=True),
        nullable=False,
        comment="Also the key of the fact.",
        existing_comment="Also the key of the fact; none where it is about an account, which is the recipient then.",
    )
