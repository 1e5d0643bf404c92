"""postroom's three tables, which stand in every service's own database, beside its own."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import UUID

postroom_metadata = sa.MetaData()

inbox = sa.Table(
    "postroom_inbox",
    postroom_metadata,
    sa.Column("message_id", UUID(as_uuid=True), primary_key=True),
    # A day, not an instant: equal keys make the index small and cheap to fill.
    sa.Column("forget_on", sa.Date, nullable=False, index=True),
    comment="What this service has handled, kept for longer than the topics keep it: the memory behind 'exactly once'.",
)

outbox = sa.Table(
    "postroom_outbox",
    postroom_metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("key", sa.LargeBinary),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("value", sa.LargeBinary),
    sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    comment="What is decided and not yet acknowledged by Kafka, in the order of the decisions.",
)

deferred = sa.Table(
    "postroom_deferred",
    postroom_metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("topic", sa.Text, nullable=False),
    sa.Column("partition", sa.Integer, nullable=False),
    sa.Column("offset", sa.BigInteger, nullable=False),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.Column("key", sa.LargeBinary),
    sa.Column("headers", sa.JSON, nullable=False),
    sa.Column("value", sa.LargeBinary),
    sa.Column("arrived_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("next_at", sa.DateTime(timezone=True), nullable=False, index=True),
    sa.Column("attempts", sa.Integer, nullable=False),
    comment="Messages that wait for another one which has not come yet.",
)
