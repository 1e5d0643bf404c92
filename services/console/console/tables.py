"""console's tables: accounts and how people get in; commands and what became of them; and a view of the topics.

No table holds anything that can be used by whoever reads it: passwords are hashes, sessions and tokens digests, links
digests, and codes are derived.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, UUID

metadata = sa.MetaData()

_ID = UUID(as_uuid=True)
_INSTANT = sa.DateTime(timezone=True)

# --- accounts

accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("address", sa.Text, nullable=False, comment="As its owner wrote it."),
    sa.Column("address_normalized", sa.Text, nullable=False, comment="What addresses are compared by."),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("password_hash", sa.Text, nullable=False, comment="Argon2id."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="That of the AccountProfile."),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("proven_at", _INSTANT, comment="When the mailbox was proven. Until then this is a mere sign-up."),
    sa.Column("invitation_digest", sa.Text, comment="The link that the person came by, as a digest, until it is used."),
    # An address belongs to who has proven it. Others may try to sign up with it, and get nowhere.
    sa.Index(
        "accounts_one_per_address",
        "address_normalized",
        unique=True,
        postgresql_where=sa.text("proven_at IS NOT NULL"),
    ),
    sa.Index("accounts_signing_up", "address_normalized", postgresql_where=sa.text("proven_at IS NULL")),
    sa.Index("accounts_unproven", "created_at", postgresql_where=sa.text("proven_at IS NULL")),
    comment="Who people are.",
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("session_id", _ID, primary_key=True),
    sa.Column("token_digest", sa.LargeBinary, nullable=False, unique=True, comment="SHA-256 of the cookie."),
    sa.Column("account_id", _ID, sa.ForeignKey("accounts.account_id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("seen_at", _INSTANT, nullable=False, comment="Within a few minutes."),
    sa.Column("expires_at", _INSTANT, nullable=False, index=True),
    sa.Column("user_agent", sa.Text, nullable=False),
    sa.Column("network_address", sa.Text, nullable=False),
    sa.Column("joining_command_id", _ID, comment="An acceptance whose outcome the person has not been told yet."),
    comment="Browsers that are signed in, or about to prove a mailbox.",
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("token_id", _ID, primary_key=True),
    sa.Column("token_digest", sa.LargeBinary, nullable=False, unique=True, comment="SHA-256 of the token."),
    sa.Column("account_id", _ID, sa.ForeignKey("accounts.account_id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.Text, nullable=False, comment="What its owner calls it."),
    sa.Column("scopes", ARRAY(sa.Text), nullable=False),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("expires_at", _INSTANT),
    sa.Column("used_at", _INSTANT, comment="Within a few minutes."),
    comment="Programs that may act for a person.",
)

challenges = sa.Table(
    "challenges",
    metadata,
    sa.Column("challenge_id", _ID, primary_key=True, comment="The code, or the link, is derived from it."),
    sa.Column("account_id", _ID, sa.ForeignKey("accounts.account_id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("code_digest", sa.Text, unique=True, comment="Of a reset link. None of six digits: it would be as good."),
    sa.Column("attempts", sa.Integer, nullable=False, comment="Wrong codes so far."),
    sa.Column("created_at", _INSTANT, nullable=False),
    sa.Column("expires_at", _INSTANT, nullable=False, index=True),
    sa.CheckConstraint("kind IN ('mailbox', 'password_reset')", name="known_kind"),
    sa.CheckConstraint("(code_digest IS NOT NULL) = (kind = 'password_reset')", name="only_links_have_digests"),
    comment="Proofs of a mailbox that are asked for. One that was given is deleted.",
)

allowances = sa.Table(
    "allowances",
    metadata,
    sa.Column("subject", sa.LargeBinary, primary_key=True, comment="A digest: what is counted, and of whom."),
    sa.Column("spent_until", _INSTANT, nullable=False, index=True),
    comment="Rate limits (GCRA): until when an allowance is spent. Who has it all back needs no row.",
)

# --- commands

commands = sa.Table(
    "commands",
    metadata,
    sa.Column("command_id", _ID, primary_key=True, comment="Its CloudEvents id."),
    sa.Column("ce_type", sa.Text, nullable=False),
    sa.Column("organization_id", _ID, nullable=False),
    sa.Column("actor_id", _ID, comment="None where somebody without an account declined."),
    sa.Column("invitation_id", _ID, comment="The invitation that is accepted, revoked or declined."),
    sa.Column("sent_at", _INSTANT, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, comment="The reason code of a refusal."),
    sa.Column("message", sa.Text, comment="The refusal, for the person who asked."),
    sa.Column("result", JSONB, comment="What the outcome says, for the answer to the request."),
    sa.Column("ended_at", _INSTANT),
    sa.CheckConstraint("state IN ('waiting', 'done', 'refused')", name="known_state"),
    sa.CheckConstraint("(ended_at IS NULL) = (state = 'waiting')", name="an_end_has_its_time"),
    sa.Index("commands_waiting", "actor_id", postgresql_where=sa.text("state = 'waiting'")),
    sa.Index("commands_by_age", "sent_at"),
    comment="What was asked of other services, and what became of it.",
)

idempotency_keys = sa.Table(
    "idempotency_keys",
    metadata,
    sa.Column("owner_id", _ID, primary_key=True, comment="The account; for who has none, derived from the visitor."),
    sa.Column("key_digest", sa.LargeBinary, primary_key=True, comment="SHA-256 of the Idempotency-Key."),
    sa.Column("request_digest", sa.LargeBinary, nullable=False, comment="SHA-256 of method, path and body."),
    sa.Column("command_ids", ARRAY(_ID), nullable=False, comment="What the request has sent."),
    sa.Column("status", sa.Integer, comment="Of an answer that does not depend on commands."),
    sa.Column("body", JSONB, comment="That answer, without what is shown once."),
    sa.Column("created_at", _INSTANT, nullable=False, index=True),
    comment="POSTs that may come again, for a day.",
)

# --- a view of the topics

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("organization_id", _ID, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, comment="Empty while only facts about its members have come."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The newest that membership has told."),
    sa.Column("revision", sa.BigInteger, nullable=False, comment="Grows with every change that a page could show."),
    sa.Column("created_at", _INSTANT),
    comment="Organizations, as membership tells of them.",
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("organization_id", _ID, primary_key=True),
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("membership_id", _ID, nullable=False),
    sa.Column("role", sa.Text, comment="None for somebody who is not in it any more."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The organization's, when this was so."),
    sa.Column("joined_at", _INSTANT, nullable=False),
    sa.Column("ended_at", _INSTANT),
    sa.Index("members_of_account", "account_id", postgresql_where=sa.text("role IS NOT NULL")),
    sa.Index(
        "members_in_order",
        "organization_id",
        "joined_at",
        "account_id",
        postgresql_where=sa.text("role IS NOT NULL"),
    ),
    sa.Index("members_former", "ended_at", postgresql_where=sa.text("ended_at IS NOT NULL")),
    comment="Who is, or was, in which organization, as membership tells.",
)

invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("invitation_id", _ID, primary_key=True),
    sa.Column("organization_id", _ID, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("address", sa.Text, nullable=False, comment="Empty while only facts that come after its issue have."),
    sa.Column("address_normalized", sa.Text, nullable=False),
    sa.Column("code_digest", sa.Text, nullable=False, index=True),
    sa.Column("organization_name", sa.Text, nullable=False),
    sa.Column("inviter_id", _ID, nullable=False),
    sa.Column("inviter_name", sa.Text, nullable=False),
    sa.Column("issued_at", _INSTANT, nullable=False),
    sa.Column("expires_at", _INSTANT, nullable=False),
    sa.Column("ended_at", _INSTANT),
    sa.Column("delivery", sa.Text, nullable=False, comment="Of the letter with the link."),
    sa.CheckConstraint(
        "state IN ('pending', 'accepting', 'accepted', 'superseded', 'revoked', 'declined', 'expired')",
        name="known_state",
    ),
    sa.CheckConstraint("delivery IN ('queued', 'sent', 'bounced', 'failed')", name="known_delivery"),
    sa.Index(
        "invitations_in_order",
        "organization_id",
        "issued_at",
        "invitation_id",
        postgresql_where=sa.text("state IN ('pending', 'accepting', 'expired')"),
    ),
    sa.Index("invitations_ended", "ended_at", postgresql_where=sa.text("ended_at IS NOT NULL")),
    comment="Invitations, as invites tells of them.",
)

# --- a view of money, as billing tells of it; in micro-dollars

balances = sa.Table(
    "balances",
    metadata,
    sa.Column("payer_id", _ID, primary_key=True, comment="An organization, or an account."),
    sa.Column("kind", sa.Text, primary_key=True, comment="Of the source."),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="Of a card, what it was charged and is not used up."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The payer's, when this was so."),
    sa.CheckConstraint(
        "kind IN ('organization_credit', 'organization_card', 'member_credit', 'member_card')", name="known_kind"
    ),
    comment="What sources hold.",
)

burn_rates = sa.Table(
    "burn_rates",
    metadata,
    sa.Column("payer_id", _ID, primary_key=True),
    sa.Column("per_hour", sa.BigInteger, nullable=False),
    sa.Column("told_at", _INSTANT, nullable=False, comment="When it was so."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The payer's, when this was so."),
    comment="How fast money is used: an organization's by all its members, an account's by itself.",
)

cards = sa.Table(
    "cards",
    metadata,
    sa.Column("payer_id", _ID, primary_key=True),
    sa.Column("card_id", sa.Text, comment="The payment provider's reference; none while no card is on file."),
    sa.Column("brand", sa.Text, nullable=False),
    sa.Column("last4", sa.Text, nullable=False),
    sa.Column("expiry_month", sa.Integer, nullable=False),
    sa.Column("expiry_year", sa.Integer, nullable=False),
    sa.Column("declined", sa.Text, comment="Why its bank said no; none while it is counted on."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The payer's, when this was so."),
    comment="Cards on file: what people know them by. Nobody can pay with it.",
)

funds = sa.Table(
    "funds",
    metadata,
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("at", _INSTANT, nullable=False, comment="When nothing was left; of low funds, when nothing will be."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The account's, when this was so."),
    sa.CheckConstraint("state IN ('ok', 'low', 'exhausted')", name="known_state"),
    comment="Whether anything can pay for what accounts use.",
)

spend_caps = sa.Table(
    "spend_caps",
    metadata,
    sa.Column("organization_id", _ID, primary_key=True),
    sa.Column("account_id", _ID, primary_key=True),
    sa.Column("cap", sa.BigInteger, comment="For a calendar month (UTC); none where there is no limit any more."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The organization's, when this was so."),
    comment="What organizations pay at most for a member.",
)

spend = sa.Table(
    "spend",
    metadata,
    sa.Column("account_id", _ID, nullable=False),
    sa.Column("day", sa.Date, nullable=False, comment="On which the usage began (UTC)."),
    sa.Column("organization_id", _ID, comment="In which the account was then; none where it was in none."),
    sa.Column("organization_credit", sa.BigInteger, nullable=False),
    sa.Column("organization_card", sa.BigInteger, nullable=False),
    sa.Column("member_credit", sa.BigInteger, nullable=False),
    sa.Column("member_card", sa.BigInteger, nullable=False),
    sa.Column("written_off", sa.BigInteger, nullable=False, comment="What no source could pay."),
    sa.Index(
        "spend_of_accounts", "account_id", "day", "organization_id", unique=True, postgresql_nulls_not_distinct=True
    ),
    sa.Index(
        "spend_of_organizations", "organization_id", "day", postgresql_where=sa.text("organization_id IS NOT NULL")
    ),
    comment="What was charged for usage, by source, and what was not; reversals are taken off.",
)

receipts = sa.Table(
    "receipts",
    metadata,
    sa.Column("receipt_id", _ID, primary_key=True, comment="Of a payment by card the payment's."),
    sa.Column("payer_id", _ID, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("at", _INSTANT, nullable=False),
    sa.Column("card_brand", sa.Text, nullable=False, comment="Empty where the card is not known, or there was none."),
    sa.Column("card_last4", sa.Text, nullable=False),
    sa.Column("bought_by", _ID, comment="The account that bought; none where nobody did."),
    sa.CheckConstraint("kind IN ('top_up', 'card_charge', 'trial_credit')", name="known_kind"),
    sa.Index("receipts_of_payers", "payer_id", "at", "receipt_id"),
    comment="Money that came in.",
)
