"""Money: what billing tells of sources, cards, spending and receipts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "balances",
        sa.Column("payer_id", UUID(as_uuid=True), nullable=False, comment="An organization, or an account."),
        sa.Column("kind", sa.Text, nullable=False, comment="Of the source."),
        sa.Column(
            "amount", sa.BigInteger, nullable=False, comment="Of a card, what it was charged and is not used up."
        ),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The payer's, when this was so."),
        sa.CheckConstraint(
            "kind IN ('organization_credit', 'organization_card', 'member_credit', 'member_card')", name="known_kind"
        ),
        sa.PrimaryKeyConstraint("payer_id", "kind"),
        comment="What sources hold.",
    )
    op.create_table(
        "burn_rates",
        sa.Column("payer_id", UUID(as_uuid=True), nullable=False),
        sa.Column("per_hour", sa.BigInteger, nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False, comment="When it was so."),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The payer's, when this was so."),
        sa.PrimaryKeyConstraint("payer_id"),
        comment="How fast money is used: an organization's by all its members, an account's by itself.",
    )
    op.create_table(
        "cards",
        sa.Column("payer_id", UUID(as_uuid=True), nullable=False),
        sa.Column(
            "card_id",
            sa.Text,
            nullable=True,
            comment="The payment provider's reference; none while no card is on file.",
        ),
        sa.Column("brand", sa.Text, nullable=False),
        sa.Column("last4", sa.Text, nullable=False),
        sa.Column("expiry_month", sa.Integer, nullable=False),
        sa.Column("expiry_year", sa.Integer, nullable=False),
        sa.Column("declined", sa.Text, nullable=True, comment="Why its bank said no; none while it is counted on."),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The payer's, when this was so."),
        sa.PrimaryKeyConstraint("payer_id"),
        comment="Cards on file: what people know them by. Nobody can pay with it.",
    )
    op.create_table(
        "funds",
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column(
            "at",
            sa.DateTime(timezone=True),
            nullable=False,
            comment="When nothing was left; of low funds, when nothing will be.",
        ),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The account's, when this was so."),
        sa.CheckConstraint("state IN ('ok', 'low', 'exhausted')", name="known_state"),
        sa.PrimaryKeyConstraint("account_id"),
        comment="Whether anything can pay for what accounts use.",
    )
    op.create_table(
        "receipts",
        sa.Column("receipt_id", UUID(as_uuid=True), nullable=False, comment="Of a payment by card the payment's."),
        sa.Column("payer_id", UUID(as_uuid=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "card_brand", sa.Text, nullable=False, comment="Empty where the card is not known, or there was none."
        ),
        sa.Column("card_last4", sa.Text, nullable=False),
        sa.Column(
            "bought_by", UUID(as_uuid=True), nullable=True, comment="The account that bought; none where nobody did."
        ),
        sa.CheckConstraint("kind IN ('top_up', 'card_charge', 'trial_credit')", name="known_kind"),
        sa.PrimaryKeyConstraint("receipt_id"),
        comment="Money that came in.",
    )
    op.create_index("receipts_of_payers", "receipts", ["payer_id", "at", "receipt_id"], unique=False)
    op.create_table(
        "spend",
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("day", sa.Date, nullable=False, comment="On which the usage began (UTC)."),
        sa.Column(
            "organization_id",
            UUID(as_uuid=True),
            nullable=True,
            comment="In which the account was then; none where it was in none.",
        ),
        sa.Column("organization_credit", sa.BigInteger, nullable=False),
        sa.Column("organization_card", sa.BigInteger, nullable=False),
        sa.Column("member_credit", sa.BigInteger, nullable=False),
        sa.Column("member_card", sa.BigInteger, nullable=False),
        sa.Column("written_off", sa.BigInteger, nullable=False, comment="What no source could pay."),
        comment="What was charged for usage, by source, and what was not; reversals are taken off.",
    )
    op.create_index(
        "spend_of_accounts",
        "spend",
        ["account_id", "day", "organization_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
    )
    op.create_index(
        "spend_of_organizations",
        "spend",
        ["organization_id", "day"],
        unique=False,
        postgresql_where=sa.text("organization_id IS NOT NULL"),
    )
    op.create_table(
        "spend_caps",
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column(
            "cap",
            sa.BigInteger,
            nullable=True,
            comment="For a calendar month (UTC); none where there is no limit any more.",
        ),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The organization's, when this was so."),
        sa.PrimaryKeyConstraint("organization_id", "account_id"),
        comment="What organizations pay at most for a member.",
    )


def downgrade() -> None:
    op.drop_table("spend_caps")
    op.drop_index("spend_of_organizations", table_name="spend", postgresql_where=sa.text("organization_id IS NOT NULL"))
    op.drop_index("spend_of_accounts", table_name="spend", postgresql_nulls_not_distinct=True)
    op.drop_table("spend")
    op.drop_index("receipts_of_payers", table_name="receipts")
    op.drop_table("receipts")
    op.drop_table("funds")
    op.drop_table("cards")
    op.drop_table("burn_rates")
    op.drop_table("balances")
