"""billing's tables."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, UUID

metadata = sa.MetaData()

# One row for a chain and its sources, not five. A chain's sources are set once, and always read together with it, in
# their order, to find who pays for a usage; and their payers are the chain's own organization and account. What has a
# life of its own, a balance or a card on file, belongs to the payer (its kind and id) and not to the source, so the
# ledger keys that by the payer and its entries by chain and position, and needs no row here to point to. The order is
# kept with each chain, so that a new order of tomorrow does not change who paid yesterday.
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
    sa.Index("ended_chains", "ends_at", postgresql_where=sa.text("ends_at IS NOT NULL")),
    comment="Who pays for a member's usage, in which order, from when until when.",
)
