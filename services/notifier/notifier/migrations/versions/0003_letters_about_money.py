"""Letters about money, with the facts that they tell of, and what cards on file are called."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB, UUID

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cards",
        sa.Column("payer_id", UUID(as_uuid=True), primary_key=True, comment="An organization or an account."),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The payer's."),
        sa.Column("card_id", sa.Text, comment="None where there is no card on file any more."),
        sa.Column("brand", sa.Text),
        sa.Column("last4", sa.Text),
        comment="What cards on file are called; a person's goes with the person.",
    )
    op.alter_column(
        "letters",
        "organization_id",
        existing_type=UUID(as_uuid=True),
        comment="Of which it speaks, if it does.",
        existing_comment="Also the key of the fact; none where it is about an account, which is the recipient then.",
    )
    op.alter_column(
        "letters",
        "expires_at",
        existing_type=sa.DateTime(timezone=True),
        comment="When its link or code dies, or what it warns of has come.",
        existing_comment="When its link or code dies.",
    )
    op.add_column("letters", sa.Column("fact", JSONB, comment="What a letter about money tells: ids and amounts."))
    op.drop_constraint("known_kind", "letters", type_="check")
    op.create_check_constraint(
        "known_kind",
        "letters",
        "kind IN ('invitation', 'reminder', 'welcome', 'has_joined',"
        " 'mailbox_code', 'password_reset', 'account_exists', 'password_changed',"
        " 'funds_low', 'funds_exhausted', 'card_declined', 'top_up_receipt')",
    )
    op.create_check_constraint(
        "money_has_its_fact",
        "letters",
        "(fact IS NOT NULL) = (kind IN ('funds_low', 'funds_exhausted', 'card_declined', 'top_up_receipt'))",
    )
    op.create_index(
        "letters_about_funds",
        "letters",
        ["recipient_id"],
        postgresql_where=sa.text(
            "state IN ('waiting', 'queued', 'sending') AND kind IN ('funds_low', 'funds_exhausted')"
        ),
    )


def downgrade() -> None:
    op.execute("DELETE FROM letters WHERE fact IS NOT NULL")
    op.drop_index("letters_about_funds", "letters")
    op.drop_constraint("money_has_its_fact", "letters", type_="check")
    op.drop_constraint("known_kind", "letters", type_="check")
    op.create_check_constraint(
        "known_kind",
        "letters",
        "kind IN ('invitation', 'reminder', 'welcome', 'has_joined',"
        " 'mailbox_code', 'password_reset', 'account_exists', 'password_changed')",
    )
    op.drop_column("letters", "fact")
    op.alter_column(
        "letters",
        "expires_at",
        existing_type=sa.DateTime(timezone=True),
        comment="When its link or code dies.",
        existing_comment="When its link or code dies, or what it warns of has come.",
    )
    op.alter_column(
        "letters",
        "organization_id",
        existing_type=UUID(as_uuid=True),
        comment="Also the key of the fact; none where it is about an account, which is the recipient then.",
        existing_comment="Of which it speaks, if it does.",
    )
    op.drop_table("cards")
