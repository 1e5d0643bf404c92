"""People, organizations, ended invitations and letters, and postroom's tables."""

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
        "profiles",
        sa.Column("account_id", UUID(as_uuid=True), primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("address", sa.Text, comment="None where the account is erased."),
        sa.Column("name", sa.Text),
        comment="notifier's own copy of accounts.profiles.",
    )
    op.create_table(
        "organizations",
        sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        comment="What organizations are called.",
    )
    op.create_table(
        "ended_invitations",
        sa.Column("invitation_id", UUID(as_uuid=True), primary_key=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        comment="Invitations whose link is dead, for facts that come late (from a dead-letter topic, say).",
    )
    op.create_table(
        "letters",
        sa.Column("letter_id", UUID(as_uuid=True), primary_key=True, comment="Derived from the cause and the kind."),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("cause_id", sa.Text, nullable=False, comment="The CloudEvents id of the fact that it is about."),
        sa.Column("correlation_id", sa.Text, nullable=False),
        sa.Column("organization_id", UUID(as_uuid=True), nullable=False, comment="Also the key of the fact."),
        sa.Column("invitation_id", UUID(as_uuid=True), nullable=False),
        sa.Column("recipient_id", UUID(as_uuid=True), comment="The account; none where the address is invited."),
        sa.Column("address", sa.Text, comment="Invited; none where it is an account's, and after the end."),
        sa.Column("person_id", UUID(as_uuid=True), comment="Whom it speaks of: the inviter or the new member."),
        sa.Column("person_name", sa.Text, comment="The inviter, as the fact called them; none after the end."),
        sa.Column("expires_at", sa.DateTime(timezone=True), comment="When its link dies."),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, comment="Also tells a lease from an earlier one."),
        sa.Column(
            "due_at", sa.DateTime(timezone=True), nullable=False, comment="To be sent; if sending, end of the lease."
        ),
        sa.Column(
            "overtime_at", sa.DateTime(timezone=True), nullable=False, comment="From when on it is not tried more."
        ),
        sa.Column("ended_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("kind IN ('invitation', 'reminder', 'welcome', 'has_joined')", name="known_kind"),
        sa.CheckConstraint(
            "state IN ('waiting', 'queued', 'sending', 'sent', 'bounced', 'failed', 'withdrawn')", name="known_state"
        ),
        sa.CheckConstraint(
            "(ended_at IS NULL) = (state IN ('waiting', 'queued', 'sending'))", name="an_end_has_its_time"
        ),
        sa.CheckConstraint(
            "ended_at IS NULL OR (address IS NULL AND person_name IS NULL)", name="the_ended_are_nameless"
        ),
        comment="Every letter, from the fact that it is about until some weeks after its end.",
    )
    op.create_index("ix_ended_invitations_ended_at", "ended_invitations", ["ended_at"])
    op.create_index("due_letters", "letters", ["due_at"], postgresql_where=sa.text("state IN ('queued', 'sending')"))
    op.create_index(
        "overtime_letters",
        "letters",
        ["overtime_at"],
        postgresql_where=sa.text("state IN ('waiting', 'queued', 'sending')"),
    )
    op.create_index(
        "letters_with_link",
        "letters",
        ["invitation_id"],
        postgresql_where=sa.text("state IN ('waiting', 'queued', 'sending') AND recipient_id IS NULL"),
    )
    op.create_index("waiting_for_recipient", "letters", ["recipient_id"], postgresql_where=sa.text("state = 'waiting'"))
    op.create_index("waiting_for_person", "letters", ["person_id"], postgresql_where=sa.text("state = 'waiting'"))
    op.create_index(
        "waiting_for_organization", "letters", ["organization_id"], postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_index("ended_letters", "letters", ["ended_at"], postgresql_where=sa.text("ended_at IS NOT NULL"))
    # A queue turns over all the time: it is vacuumed by what has changed, not by its size.
    op.execute("ALTER TABLE letters SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000)")
    create_postroom_tables(op)


def downgrade() -> None:
    drop_postroom_tables(op)
    op.drop_table("letters")
    op.drop_table("ended_invitations")
    op.drop_table("organizations")
    op.drop_table("profiles")
