"""notifier's tables. What must not be lost about a letter is an id; addresses and names stay as short as they can."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = sa.MetaData()

profiles = sa.Table(
    "profiles",
    metadata,
    sa.Column("account_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("address", sa.Text, comment="None where the account is erased."),
    sa.Column("name", sa.Text),
    comment="notifier's own copy of accounts.profiles.",
)

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    comment="What organizations are called.",
)

cards = sa.Table(
    "cards",
    metadata,
    sa.Column("payer_id", UUID(as_uuid=True), primary_key=True, comment="An organization or an account."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The payer's."),
    sa.Column("card_id", sa.Text, comment="None where there is no card on file any more."),
    sa.Column("brand", sa.Text),
    sa.Column("last4", sa.Text),
    comment="What cards on file are called; a person's goes with the person.",
)

ended_invitations = sa.Table(
    "ended_invitations",
    metadata,
    sa.Column("invitation_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False, index=True),
    comment="Invitations whose link is dead, for facts that come late (from a dead-letter topic, say).",
)

letters = sa.Table(
    "letters",
    metadata,
    sa.Column("letter_id", UUID(as_uuid=True), primary_key=True, comment="Derived from the cause and the kind."),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("cause_id", sa.Text, nullable=False, comment="The CloudEvents id of the fact that it is about."),
    sa.Column("correlation_id", sa.Text, nullable=False),
    sa.Column("organization_id", UUID(as_uuid=True), comment="Of which it speaks, if it does."),
    sa.Column("invitation_id", UUID(as_uuid=True)),
    sa.Column("challenge_id", UUID(as_uuid=True), comment="What its code is derived from; the code is nowhere."),
    sa.Column("recipient_id", UUID(as_uuid=True), comment="The account; none where the address is invited."),
    sa.Column("address", sa.Text, comment="Invited; none where it is an account's, and after the end."),
    sa.Column("person_id", UUID(as_uuid=True), comment="Whom it speaks of: the inviter or the new member."),
    sa.Column("person_name", sa.Text, comment="The inviter, as the fact called them; none after the end."),
    sa.Column(
        "expires_at", sa.DateTime(timezone=True), comment="When its link or code dies, or what it warns of has come."
    ),
    sa.Column("fact", JSONB, comment="What a letter about money tells: ids and amounts."),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, comment="Also tells a lease from an earlier one."),
    sa.Column(
        "due_at", sa.DateTime(timezone=True), nullable=False, comment="To be sent; if sending, end of the lease."
    ),
    sa.Column("overtime_at", sa.DateTime(timezone=True), nullable=False, comment="From when on it is not tried more."),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    sa.Column("traceparent", sa.Text, comment="What its delivery goes on from, where traces are on."),
    sa.CheckConstraint(
        "kind IN ('invitation', 'reminder', 'welcome', 'has_joined',"
        " 'mailbox_code', 'password_reset', 'account_exists', 'password_changed',"
        " 'funds_low', 'funds_exhausted', 'card_declined', 'top_up_receipt')",
        name="known_kind",
    ),
    sa.CheckConstraint(
        "state IN ('waiting', 'queued', 'sending', 'sent', 'bounced', 'failed', 'withdrawn')", name="known_state"
    ),
    sa.CheckConstraint("(ended_at IS NULL) = (state IN ('waiting', 'queued', 'sending'))", name="an_end_has_its_time"),
    sa.CheckConstraint("ended_at IS NULL OR (address IS NULL AND person_name IS NULL)", name="the_ended_are_nameless"),
    sa.CheckConstraint("organization_id IS NOT NULL OR recipient_id IS NOT NULL", name="a_fact_has_its_key"),
    sa.CheckConstraint(
        "(challenge_id IS NOT NULL) = (kind IN ('mailbox_code', 'password_reset'))", name="a_code_has_its_challenge"
    ),
    sa.CheckConstraint(
        "(fact IS NOT NULL) = (kind IN ('funds_low', 'funds_exhausted', 'card_declined', 'top_up_receipt'))",
        name="money_has_its_fact",
    ),
    sa.Index("due_letters", "due_at", postgresql_where=sa.text("state IN ('queued', 'sending')")),
    sa.Index("overtime_letters", "overtime_at", postgresql_where=sa.text("state IN ('waiting', 'queued', 'sending')")),
    sa.Index(
        "letters_with_link",
        "invitation_id",
        postgresql_where=sa.text("state IN ('waiting', 'queued', 'sending') AND recipient_id IS NULL"),
    ),
    sa.Index(
        "letters_about_funds",
        "recipient_id",
        postgresql_where=sa.text(
            "state IN ('waiting', 'queued', 'sending') AND kind IN ('funds_low', 'funds_exhausted')"
        ),
    ),
    sa.Index("waiting_for_recipient", "recipient_id", postgresql_where=sa.text("state = 'waiting'")),
    sa.Index("waiting_for_person", "person_id", postgresql_where=sa.text("state = 'waiting'")),
    sa.Index("waiting_for_organization", "organization_id", postgresql_where=sa.text("state = 'waiting'")),
    sa.Index("ended_letters", "ended_at", postgresql_where=sa.text("ended_at IS NOT NULL")),
    comment="Every letter, from the fact that it is about until some weeks after its end.",
)
