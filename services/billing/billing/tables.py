"""billing's tables."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID

metadata = sa.MetaData()

# One row for a chain and its sources, not five. A chain's sources are set once, and always read together with it, in
# their order, to find who pays for a usage; and their payers are the chain's own organization and account. What has a
# life of its own, a balance or a card on file, belongs to the payer (its kind and id) and not to the source. The order
# is kept with each chain, so that a new order of tomorrow does not change who paid yesterday.
#
# There is no unique index over "the open chain of an account": facts of different organizations come in any order, so
# a person who has moved may have two open chains for a moment. Which one pays at an instant, the times tell.
chains = sa.Table(
    "chains",
    metadata,
    sa.Column("chain_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("membership_id", UUID(as_uuid=True), nullable=False),
    sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
    sa.Column("account_id", UUID(as_uuid=True), nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, comment="Of the last fact; 0 while only the end is known."),
    sa.Column("sources", ARRAY(sa.Text), nullable=False, comment="Kinds of source, in the order they are drawn from."),
    sa.Column("effective_at", sa.DateTime(timezone=True), comment="When the member joined: the sources pay from here."),
    sa.Column("established_at", sa.DateTime(timezone=True), comment="When billing set it up."),
    sa.Column("end_reason", sa.Text, comment="left, or removed; none while the member is one."),
    sa.Column("ends_at", sa.DateTime(timezone=True), comment="When the member went: nothing is paid from here."),
    sa.Column("closed_at", sa.DateTime(timezone=True), comment="When billing closed it."),
    sa.CheckConstraint("end_reason IN ('left', 'removed')", name="known_end_reason"),
    sa.CheckConstraint("(end_reason IS NULL) = (ends_at IS NULL)", name="an_end_has_a_reason"),
    sa.Index("one_chain_per_membership", "membership_id", unique=True),
    sa.Index("chains_of_account", "account_id"),
    sa.Index("ended_chains", "ends_at", postgresql_where=sa.text("ends_at IS NOT NULL")),
    comment="Who pays for a member's usage, in which order, from when until when.",
)

payers = sa.Table(
    "payers",
    metadata,
    sa.Column("payer_id", UUID(as_uuid=True), primary_key=True, comment="An organization's or an account's id."),
    sa.Column("kind", sa.Text, nullable=False, comment="organization, or account."),
    sa.Column("version", sa.BigInteger, nullable=False, server_default="0", comment="Of the last fact about it."),
    sa.Column("credit", sa.BigInteger, nullable=False, server_default="0", comment="Prepaid, or trial: micro-dollars."),
    sa.Column("block", sa.BigInteger, nullable=False, server_default="0", comment="Charged to cards and not used up."),
    sa.Column("card_id", sa.Text, comment="The payment provider's reference of the card on file."),
    sa.Column("card_brand", sa.Text),
    sa.Column("card_last4", sa.Text),
    sa.Column("card_expiry_month", sa.Integer),
    sa.Column("card_expiry_year", sa.Integer),
    sa.Column("card_attached_by", UUID(as_uuid=True), comment="Who put it on file."),
    sa.Column("card_declined", sa.Text, comment="Why its bank said no; none while it is counted on."),
    sa.Column("customer_id", sa.Text, comment="Who it is to the payment provider."),
    sa.Column("charging_id", UUID(as_uuid=True), comment="The payment by which its card is being charged a block."),
    sa.Column("attaching_id", UUID(as_uuid=True), comment="The payment by which another card is being put on file."),
    sa.Column("burning_weight", sa.Double, nullable=False, server_default="0", comment="See domain/burning.py."),
    sa.Column("burning_since", sa.DateTime(timezone=True)),
    sa.Column("burning_until", sa.DateTime(timezone=True)),
    sa.Column("funds", sa.Text, nullable=False, server_default="ok", comment="What was told last: ok, low, exhausted."),
    sa.CheckConstraint("credit >= 0 AND block >= 0", name="never_below_zero"),
    sa.CheckConstraint("kind IN ('organization', 'account')", name="known_kind"),
    sa.CheckConstraint("funds IN ('ok', 'low', 'exhausted')", name="known_funds"),
    sa.Index("payers_in_need", "payer_id", postgresql_where=sa.text("funds <> 'ok'")),
    comment="What organizations and accounts pay by. What they hold is what the ledger's entries sum up to.",
)

charges = sa.Table(
    "charges",
    metadata,
    sa.Column("usage_id", UUID(as_uuid=True), primary_key=True, comment="Of meter and interval (UUIDv5)."),
    sa.Column("part", sa.Integer, primary_key=True, comment="Pieces of a usage lie in different stays."),
    sa.Column("account_id", UUID(as_uuid=True), nullable=False),
    sa.Column("organization_id", UUID(as_uuid=True), comment="That pays first; none outside any."),
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
    sa.Column("forgiven", sa.BigInteger, nullable=False, comment="Was written off once; its account never pays it."),
    sa.Column("is_told", sa.Boolean, nullable=False),
    sa.CheckConstraint(
        "amount = organization_credit + organization_card + member_credit + member_card + written_off + waiting",
        name="nothing_is_lost",
    ),
    sa.Index("charges_of_account", "account_id", "used_until"),
    sa.Index("charges_waiting_for_organization", "organization_id", postgresql_where=sa.text("waiting > 0")),
    sa.Index("charges_waiting_for_account", "account_id", postgresql_where=sa.text("waiting > 0")),
    sa.Index("charges_by_time", "used_until", postgresql_using="brin"),
    comment="What each usage cost, and which source has paid how much of it.",
)

entries = sa.Table(
    "entries",
    metadata,
    sa.Column("cause_id", UUID(as_uuid=True), primary_key=True, comment="The message, or payment, that caused it."),
    sa.Column("turn", sa.Integer, primary_key=True, comment="Each of a cause's entries is booked once."),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("source_kind", sa.Text, nullable=False, comment="The account that it was taken from,"),
    sa.Column("source_owner_id", UUID(as_uuid=True), nullable=False, comment="of this payer, or of the house (zeros);"),
    sa.Column("target_kind", sa.Text, nullable=False, comment="and the one that it went to."),
    sa.Column("target_owner_id", UUID(as_uuid=True), nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="Micro-dollars, more than zero."),
    sa.Column("subject_id", UUID(as_uuid=True), nullable=False, comment="A usage, a payment, or an account."),
    sa.Column("booked_at", sa.DateTime(timezone=True), nullable=False),
    sa.CheckConstraint("amount > 0", name="something_moved"),
    comment="The ledger, append-only: each entry moves an amount between two accounts, so that all sum to zero.",
)

payments = sa.Table(
    "payments",
    metadata,
    sa.Column(
        "payment_id", UUID(as_uuid=True), primary_key=True, comment="Its key at the provider, while that remembers it."
    ),
    sa.Column("purpose", sa.Text, nullable=False, comment="block, top_up, or card (put on file, nothing charged)."),
    sa.Column("payer_kind", sa.Text, nullable=False),
    sa.Column("payer_id", UUID(as_uuid=True), nullable=False),
    sa.Column("card_id", sa.Text, nullable=False),
    sa.Column("amount", sa.BigInteger, nullable=False, comment="Micro-dollars, whole cents."),
    sa.Column("asked_by", UUID(as_uuid=True)),
    sa.Column("cause_id", sa.Text, nullable=False),
    sa.Column("correlation_id", sa.Text, nullable=False),
    sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("state", sa.Text, nullable=False, comment="asked, sent (it may have been made), succeeded, or failed."),
    sa.Column("due_at", sa.DateTime(timezone=True), comment="When it is asked for (again); none when over."),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("intent_id", sa.Text, comment="The one thing at the provider that can be confirmed for it, once."),
    sa.Column("reason", sa.Text, comment="Why it failed, in the provider's code."),
    sa.Column("ended_at", sa.DateTime(timezone=True)),
    sa.Column("traceparent", sa.Text, comment="What making it goes on from, where traces are on."),
    sa.CheckConstraint("state IN ('asked', 'sent', 'succeeded', 'failed')", name="known_state"),
    sa.CheckConstraint("(due_at IS NULL) = (state IN ('succeeded', 'failed'))", name="over_or_due"),
    sa.Index("payments_due", "due_at", postgresql_where=sa.text("due_at IS NOT NULL")),
    comment="What the payment provider was asked for.",
)

spend_caps = sa.Table(
    "spend_caps",
    metadata,
    sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("account_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("cap", sa.BigInteger, comment="Micro-dollars in a calendar month (UTC); none where there is no limit."),
    comment="What members may draw from their organization's sources.",
)

spending = sa.Table(
    "spending",
    metadata,
    sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("account_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("month", sa.Date, primary_key=True, comment="Its first day."),
    sa.Column("spent", sa.BigInteger, nullable=False, comment="Micro-dollars."),
    comment="What members have drawn from their organization's sources.",
)

trial_grants = sa.Table(
    "trial_grants",
    metadata,
    sa.Column("address_digest", sa.Text, primary_key=True, comment="SHA-256 of the mailbox; no address is kept."),
    sa.Column("account_id", UUID(as_uuid=True), nullable=False, unique=True),
    sa.Column("granted_at", sa.DateTime(timezone=True), nullable=False),
    comment="Which mailboxes have had their trial credit.",
)

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The newest that membership has told."),
    comment="What is known of organizations.",
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("account_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("role", sa.Text, comment="owner, admin, or member; none for who has gone."),
    sa.Column("version", sa.BigInteger, nullable=False),
    comment="Who may decide about an organization's money.",
)

heard_webhooks = sa.Table(
    "heard_webhooks",
    metadata,
    sa.Column("event_id", sa.Text, primary_key=True, comment="The payment provider's id of what it told."),
    sa.Column("heard_at", sa.DateTime(timezone=True), nullable=False),
    sa.Index("heard_webhooks_by_time", "heard_at"),
    comment="Which webhooks were taken: each is once.",
)
