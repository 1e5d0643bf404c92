"""The first version: accounts, commands, and a view of the topics."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

from postroom.migrations import create_postroom_tables, drop_postroom_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_postroom_tables(op)

    op.create_table(
        "accounts",
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("address", sa.Text, nullable=False, comment="As its owner wrote it."),
        sa.Column("address_normalized", sa.Text, nullable=False, comment="What addresses are compared by."),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("password_hash", sa.Text, nullable=False, comment="Argon2id."),
        sa.Column("version", sa.BigInteger, nullable=False, comment="That of the AccountProfile."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column(
            "proven_at",
            sa.DateTime(timezone=True),
            nullable=True,
            comment="When the mailbox was proven. Until then this is a mere sign-up.",
        ),
        sa.Column(
            "invitation_digest",
            sa.Text,
            nullable=True,
            comment="The link that the person came by, as a digest, until it is used.",
        ),
        sa.PrimaryKeyConstraint("account_id"),
        comment="Who people are.",
    )
    op.create_index(
        "accounts_one_per_address",
        "accounts",
        ["address_normalized"],
        unique=True,
        postgresql_where=sa.text("proven_at IS NOT NULL"),
    )
    op.create_index(
        "accounts_signing_up",
        "accounts",
        ["address_normalized"],
        unique=False,
        postgresql_where=sa.text("proven_at IS NULL"),
    )
    op.create_index(
        "accounts_unproven", "accounts", ["created_at"], unique=False, postgresql_where=sa.text("proven_at IS NULL")
    )
    op.create_table(
        "allowances",
        sa.Column("subject", sa.LargeBinary, nullable=False, comment="A digest: what is counted, and of whom."),
        sa.Column("spent_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("subject"),
        comment="Rate limits (GCRA): until when an allowance is spent. Who has it all back needs no row.",
    )
    op.create_index(op.f("ix_allowances_spent_until"), "allowances", ["spent_until"], unique=False)
    op.create_table(
        "commands",
        sa.Column("command_id", UUID(as_uuid=True), nullable=False, comment="Its CloudEvents id."),
        sa.Column("ce_type", sa.Text, nullable=False),
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column(
            "actor_id", UUID(as_uuid=True), nullable=True, comment="None where somebody without an account declined."
        ),
        sa.Column(
            "invitation_id",
            UUID(as_uuid=True),
            nullable=True,
            comment="The invitation that is accepted, revoked or declined.",
        ),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=True, comment="The reason code of a refusal."),
        sa.Column("message", sa.Text, nullable=True, comment="The refusal, for the person who asked."),
        sa.Column("result", JSONB(), nullable=True, comment="What the outcome says, for the answer to the request."),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(ended_at IS NULL) = (state = 'waiting')", name="an_end_has_its_time"),
        sa.CheckConstraint("state IN ('waiting', 'done', 'refused')", name="known_state"),
        sa.PrimaryKeyConstraint("command_id"),
        comment="What was asked of other services, and what became of it.",
    )
    op.create_index("commands_by_age", "commands", ["sent_at"], unique=False)
    op.create_index(
        "commands_waiting", "commands", ["actor_id"], unique=False, postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_table(
        "idempotency_keys",
        sa.Column(
            "owner_id",
            UUID(as_uuid=True),
            nullable=False,
            comment="The account; for who has none, derived from the visitor.",
        ),
        sa.Column("key_digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the Idempotency-Key."),
        sa.Column("request_digest", sa.LargeBinary, nullable=False, comment="SHA-256 of method, path and body."),
        sa.Column("command_ids", ARRAY(UUID(as_uuid=True)), nullable=False, comment="What the request has sent."),
        sa.Column("status", sa.Integer, nullable=True, comment="Of an answer that does not depend on commands."),
        sa.Column("body", JSONB(), nullable=True, comment="That answer, without what is shown once."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("owner_id", "key_digest"),
        comment="POSTs that may come again, for a day.",
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "invitations",
        sa.Column("invitation_id", UUID(as_uuid=True), nullable=False),
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False, comment="Empty while only facts that come after its issue have."),
        sa.Column("address_normalized", sa.Text, nullable=False),
        sa.Column("code_digest", sa.Text, nullable=False),
        sa.Column("organization_name", sa.Text, nullable=False),
        sa.Column("inviter_id", UUID(as_uuid=True), nullable=False),
        sa.Column("inviter_name", sa.Text, nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivery", sa.Text, nullable=False, comment="Of the letter with the link."),
        sa.CheckConstraint("delivery IN ('queued', 'sent', 'bounced', 'failed')", name="known_delivery"),
        sa.CheckConstraint(
            "state IN ('pending', 'accepting', 'accepted', 'superseded', 'revoked', 'declined', 'expired')",
            name="known_state",
        ),
        sa.PrimaryKeyConstraint("invitation_id"),
        comment="Invitations, as invites tells of them.",
    )
    op.create_index(
        "invitations_ended", "invitations", ["ended_at"], unique=False, postgresql_where=sa.text("ended_at IS NOT NULL")
    )
    op.create_index(
        "invitations_in_order",
        "invitations",
        ["organization_id", "issued_at", "invitation_id"],
        unique=False,
        postgresql_where=sa.text("state IN ('pending', 'accepting', 'expired')"),
    )
    op.create_index(op.f("ix_invitations_code_digest"), "invitations", ["code_digest"], unique=False)
    op.create_table(
        "members",
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("membership_id", UUID(as_uuid=True), nullable=False),
        sa.Column("role", sa.Text, nullable=True, comment="None for somebody who is not in it any more."),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The organization's, when this was so."),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("organization_id", "account_id"),
        comment="Who is, or was, in which organization, as membership tells.",
    )
    op.create_index(
        "members_former", "members", ["ended_at"], unique=False, postgresql_where=sa.text("ended_at IS NOT NULL")
    )
    op.create_index(
        "members_in_order",
        "members",
        ["organization_id", "joined_at", "account_id"],
        unique=False,
        postgresql_where=sa.text("role IS NOT NULL"),
    )
    op.create_index(
        "members_of_account", "members", ["account_id"], unique=False, postgresql_where=sa.text("role IS NOT NULL")
    )
    op.create_table(
        "organizations",
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False, comment="Empty while only facts about its members have come."),
        sa.Column("version", sa.BigInteger, nullable=False, comment="The newest that membership has told."),
        sa.Column("revision", sa.BigInteger, nullable=False, comment="Grows with every change that a page could show."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("organization_id"),
        comment="Organizations, as membership tells of them.",
    )
    op.create_table(
        "challenges",
        sa.Column(
            "challenge_id", UUID(as_uuid=True), nullable=False, comment="The code, or the link, is derived from it."
        ),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column(
            "code_digest", sa.Text, nullable=True, comment="Of a reset link. None of six digits: it would be as good."
        ),
        sa.Column("attempts", sa.Integer, nullable=False, comment="Wrong codes so far."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("(code_digest IS NOT NULL) = (kind = 'password_reset')", name="only_links_have_digests"),
        sa.CheckConstraint("kind IN ('mailbox', 'password_reset')", name="known_kind"),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("challenge_id"),
        sa.UniqueConstraint("code_digest"),
        comment="Proofs of a mailbox that are asked for. One that was given is deleted.",
    )
    op.create_index(op.f("ix_challenges_account_id"), "challenges", ["account_id"], unique=False)
    op.create_index(op.f("ix_challenges_expires_at"), "challenges", ["expires_at"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("session_id", UUID(as_uuid=True), nullable=False),
        sa.Column("token_digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the cookie."),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False, comment="Within a few minutes."),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("user_agent", sa.Text, nullable=False),
        sa.Column("network_address", sa.Text, nullable=False),
        sa.Column(
            "joining_command_id",
            UUID(as_uuid=True),
            nullable=True,
            comment="An acceptance whose outcome the person has not been told yet.",
        ),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("session_id"),
        sa.UniqueConstraint("token_digest"),
        comment="Browsers that are signed in, or about to prove a mailbox.",
    )
    op.create_index(op.f("ix_sessions_account_id"), "sessions", ["account_id"], unique=False)
    op.create_index(op.f("ix_sessions_expires_at"), "sessions", ["expires_at"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("token_id", UUID(as_uuid=True), nullable=False),
        sa.Column("token_digest", sa.LargeBinary, nullable=False, comment="SHA-256 of the token."),
        sa.Column("account_id", UUID(as_uuid=True), nullable=False),
        sa.Column("name", sa.Text, nullable=False, comment="What its owner calls it."),
        sa.Column("scopes", ARRAY(sa.Text), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True, comment="Within a few minutes."),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.account_id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_id"),
        sa.UniqueConstraint("token_digest"),
        comment="Programs that may act for a person.",
    )
    op.create_index(op.f("ix_tokens_account_id"), "tokens", ["account_id"], unique=False)


def downgrade() -> None:
    #
    op.drop_index(op.f("ix_tokens_account_id"), table_name="tokens")
    op.drop_table("tokens")
    op.drop_index(op.f("ix_sessions_expires_at"), table_name="sessions")
    op.drop_index(op.f("ix_sessions_account_id"), table_name="sessions")
    op.drop_table("sessions")
    op.drop_index(op.f("ix_challenges_expires_at"), table_name="challenges")
    op.drop_index(op.f("ix_challenges_account_id"), table_name="challenges")
    op.drop_table("challenges")
    op.drop_table("organizations")
    op.drop_index("members_of_account", table_name="members", postgresql_where=sa.text("role IS NOT NULL"))
    op.drop_index("members_in_order", table_name="members", postgresql_where=sa.text("role IS NOT NULL"))
    op.drop_index("members_former", table_name="members", postgresql_where=sa.text("ended_at IS NOT NULL"))
    op.drop_table("members")
    op.drop_index(op.f("ix_invitations_code_digest"), table_name="invitations")
    op.drop_index(
        "invitations_in_order",
        table_name="invitations",
        postgresql_where=sa.text("state IN ('pending', 'accepting', 'expired')"),
    )
    op.drop_index("invitations_ended", table_name="invitations", postgresql_where=sa.text("ended_at IS NOT NULL"))
    op.drop_table("invitations")
    op.drop_index(op.f("ix_idempotency_keys_created_at"), table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
    op.drop_index("commands_waiting", table_name="commands", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_index("commands_by_age", table_name="commands")
    op.drop_table("commands")
    op.drop_index(op.f("ix_allowances_spent_until"), table_name="allowances")
    op.drop_table("allowances")
    op.drop_index("accounts_unproven", table_name="accounts", postgresql_where=sa.text("proven_at IS NULL"))
    op.drop_index("accounts_signing_up", table_name="accounts", postgresql_where=sa.text("proven_at IS NULL"))
    op.drop_index("accounts_one_per_address", table_name="accounts", postgresql_where=sa.text("proven_at IS NOT NULL"))
    op.drop_table("accounts")
    drop_postroom_tables(op)
