"""Money: payers, charges, the ledger, payments, and what members may draw."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import UUID

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Whatever has access to the database: what is booked stays.
_REFUSE_CHANGES = """
    CREATE FUNCTION refuse_changes() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        RAISE EXCEPTION 'The ledger is append-only: book a reversal instead.';
    END
    $$
"""
_APPEND_ONLY = """
    CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON entries
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_changes()
"""


def upgrade() -> None:
    op.create_table(
        "charges",
        sa.Column("usage_id", UUID(as_uuid=True), nullable=False, comment="Of meter and interval (UUIDv5)."),
        sa.Column("part", sa.Integer, nullable=False, comment="Pieces of a usage lie in different stays."),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("organization_id", UUID(as_uuid=True), nullable=True, comment="That pays first; none outside any."),
        sa.Column("resource", sa.Text, nullable=False),
        sa.Column("instance_id", sa.Text, nullable=False),
        sa.Column("used_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="Micro-dollars, as all that follow."),
        sa.Column("organization_credit", sa.BigInteger, nullable=False),
        sa.Column("organization_card", sa.BigInteger, nullable=False),
        sa.Column("member_credit", sa.BigInteger, nullable=False),
        sa.Column("member_card", sa.BigInteger, nullable=False),
        sa.Column("written_off", sa.BigInteger, nullable=False),
        sa.Column("waiting", sa.BigInteger, nullable=False, comment="Not paid yet: a card is being charged."),
        sa.Column(
            "forgiven", sa.BigInteger, nullable=False, comment="Was written off once; its account never pays it."
        ),
        sa.Column("is_told", sa.Boolean, nullable=False),
        sa.CheckConstraint(
            "amount = organization_credit + organization_card + member_credit + member_card + written_off + waiting",
            name="nothing_is_lost",
        ),
        sa.PrimaryKeyConstraint("usage_id", "part"),
        comment="What each usage cost, and which source has paid how much of it.",
    )
    op.create_index("charges_by_time", "charges", ["used_until"], unique=False, postgresql_using="brin")
    op.create_index("charges_of_account", "charges", ["account_id", "used_until"], unique=False)
    op.create_index(
        "charges_waiting_for_account", "charges", ["account_id"], unique=False, postgresql_where=sa.text("waiting > 0")
    )
    op.create_index(
        "charges_waiting_for_organization",
        "charges",
        ["organization_id"],
        unique=False,
        postgresql_where=sa.text("waiting > 0"),
    )
    op.create_table(
        "entries",
        sa.Column("cause_id", UUID(as_uuid=True), nullable=False, comment="The message, or payment, that caused it."),
        sa.Column("turn", sa.Integer, nullable=False, comment="Each of a cause's entries is booked once."),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("source_kind", sa.Text, nullable=False, comment="The account that it was taken from,"),
        sa.Column(
            "source_owner_id", UUID(as_uuid=True), nullable=False, comment="of this payer, or of the house (zeros);"
        ),
        sa.Column("target_kind", sa.Text, nullable=False, comment="and the one that it went to."),
        sa.Column("target_owner_id", UUID(as_uuid=True), nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="Micro-dollars, more than zero."),
        sa.Column("subject_id", UUID(as_uuid=True), nullable=False, comment="A usage, a payment, or an account."),
        sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("amount > 0", name="something_moved"),
        sa.PrimaryKeyConstraint("cause_id", "turn"),
        comment="The ledger, append-only: each entry moves an amount between two accounts, so that all sum to zero.",
    )
    op.create_table(
        "heard_webhooks",
        sa.Column("event_id", sa.Text, nullable=False, comment="The payment provider's id of what it told."),
        sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("event_id"),
        comment="Which webhooks were taken: each is once.",
    )
    op.create_index("heard_webhooks_by_time", "heard_webhooks", ["heard_at"], unique=False)
    op.create_table(
        "members",
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("role", sa.Text, nullable=True, comment="owner, admin, or member; none for who has gone."),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "account_id"),
        comment="Who may decide about an organization's money.",
    )
    op.create_table(
        "organizations",
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The newest that membership has told."),
        sa.PrimaryKeyConstraint("organization_id"),
        comment="What is known of organizations.",
    )
    op.create_table(
        "payers",
        sa.Column("payer_id", UUID(as_uuid=True), nullable=False, comment="An organization's or an account's id."),
        sa.Column("kind", sa.Text, nullable=False, comment="organization, or account."),
        sa.Column("version", sa.BigInteger, server_default="0", nullable=False, comment="Of the last fact about it."),
        sa.Column(
            "credit", sa.BigInteger, server_default="0", nullable=False, comment="Prepaid, or trial: micro-dollars."
        ),
        sa.Column(
            "block", sa.BigInteger, server_default="0", nullable=False, comment="Charged to cards and not used up."
        ),
        sa.Column("card_id", sa.Text, nullable=True, comment="The payment provider's reference of the card on file."),
        sa.Column("card_brand", sa.Text, nullable=True),
        sa.Column("card_last4", sa.Text, nullable=True),
        sa.Column("card_expiry_month", sa.Integer, nullable=True),
        sa.Column("card_expiry_year", sa.Integer, nullable=True),
        sa.Column("card_attached_by", UUID(as_uuid=True), nullable=True, comment="Who put it on file."),
        sa.Column(
            "card_declined", sa.Text, nullable=True, comment="Why its bank said no; none while it is counted on."
        ),
        sa.Column("customer_id", sa.Text, nullable=True, comment="Who it is to the payment provider."),
        sa.Column(
            "charging_id",
            UUID(as_uuid=True),
            nullable=True,
            comment="The payment by which its card is being charged a block.",
        ),
        sa.Column(
            "attaching_id",
            UUID(as_uuid=True),
            nullable=True,
            comment="The payment by which another card is being put on file.",
        ),
        sa.Column("burning_weight", sa.Double, server_default="0", nullable=False, comment="See domain/burning.py."),
        sa.Column("burning_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("burning_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "funds", sa.Text, server_default="ok", nullable=False, comment="What was told last: ok, low, exhausted."
        ),
        sa.CheckConstraint("funds IN ('ok', 'low', 'exhausted')", name="known_funds"),
        sa.CheckConstraint("kind IN ('organization', 'account')", name="known_kind"),
        sa.CheckConstraint("credit >= 0 AND block >= 0", name="never_below_zero"),
        sa.PrimaryKeyConstraint("payer_id"),
        comment="What organizations and accounts pay by. What they hold is what the ledger's entries sum up to.",
    )
    op.create_index("payers_in_need", "payers", ["payer_id"], unique=False, postgresql_where=sa.text("funds <> 'ok'"))
    op.create_table(
        "payments",
        sa.Column(
            "payment_id",
            UUID(as_uuid=True),
            nullable=False,
            comment="Its key at the provider, while that remembers it.",
        ),
        sa.Column("purpose", sa.Text, nullable=False, comment="block, top_up, or card (put on file, nothing charged)."),
        sa.Column("payer_kind", sa.Text, nullable=False),
        sa.Column("payer_id", UUID(as_uuid=True), nullable=False),
        sa.Column("card_id", sa.Text, nullable=False),
        sa.Column("amount", sa.BigInteger, nullable=False, comment="Micro-dollars, whole cents."),
        sa.Column("asked_by", UUID(as_uuid=True), nullable=True),
        sa.Column("cause_id", sa.Text, nullable=False),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "state", sa.Text, nullable=False, comment="asked, sent (it may have been made), succeeded, or failed."
        ),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), nullable=True, comment="When it is asked for (again); none when over."
        ),
        sa.Column("attempts", sa.Integer, server_default="0", nullable=False),
        sa.Column(
            "intent_id",
            sa.Text,
            nullable=True,
            comment="The one thing at the provider that can be confirmed for it, once.",
        ),
        sa.Column("reason", sa.Text, nullable=True, comment="Why it failed, in the provider's code."),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(due_at IS NULL) = (state IN ('succeeded', 'failed'))", name="over_or_due"),
        sa.CheckConstraint("state IN ('asked', 'sent', 'succeeded', 'failed')", name="known_state"),
        sa.PrimaryKeyConstraint("payment_id"),
        comment="What the payment provider was asked for.",
    )
    op.create_index(
        "payments_due", "payments", ["due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_table(
        "spend_caps",
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column(
            "cap",
            sa.BigInteger,
            nullable=True,
            comment="Micro-dollars in a calendar month (UTC); none where there is no limit.",
        ),
        sa.PrimaryKeyConstraint("organization_id", "account_id"),
        comment="What members may draw from their organization's sources.",
    )
    op.create_table(
        "spending",
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("month", sa.Date, nullable=False, comment="Its first day."),
        sa.Column("spent", sa.BigInteger, nullable=False, comment="Micro-dollars."),
        sa.PrimaryKeyConstraint("organization_id", "account_id", "month"),
        comment="What members have drawn from their organization's sources.",
    )
    op.create_table(
        "trial_grants",
        sa.Column("address_digest", sa.Text, nullable=False, comment="SHA-256 of the mailbox; no address is kept."),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("address_digest"),
        sa.UniqueConstraint("account_id"),
        comment="Which mailboxes have had their trial credit.",
    )
    op.create_index("chains_of_account", "chains", ["account_id"], unique=False)
    op.execute(_REFUSE_CHANGES)
    op.execute(_APPEND_ONLY)


def downgrade() -> None:
    op.drop_index("chains_of_account", table_name="chains")
    op.drop_table("trial_grants")
    op.drop_table("spending")
    op.drop_table("spend_caps")
    op.drop_index("payments_due", table_name="payments", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_table("payments")
    op.drop_index("payers_in_need", table_name="payers", postgresql_where=sa.text("funds <> 'ok'"))
    op.drop_table("payers")
    op.drop_table("organizations")
    op.drop_table("members")
    op.drop_index("heard_webhooks_by_time", table_name="heard_webhooks")
    op.drop_table("heard_webhooks")
    op.drop_table("entries")
    op.execute("DROP FUNCTION refuse_changes")
    op.drop_index("charges_waiting_for_organization", table_name="charges", postgresql_where=sa.text("waiting > 0"))
    op.drop_index("charges_waiting_for_account", table_name="charges", postgresql_where=sa.text("waiting > 0"))
    op.drop_index("charges_of_account", table_name="charges")
    op.drop_index("charges_by_time", table_name="charges", postgresql_using="brin")
    op.drop_table("charges")
