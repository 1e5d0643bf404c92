"""invites' tables; the migrations lead to exactly these. Nothing refers to anything by foreign key: organizations,
members and accounts are copies of what others say, in whatever order it comes."""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, UUID

metadata = sa.MetaData()


def _instant(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


invitations = sa.Table(
    "invitations",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("organization_id", UUID(as_uuid=True), nullable=False),
    sa.Column("address", sa.Text, nullable=False, comment="As the inviter typed it. Personal data."),
    sa.Column("address_normalized", sa.Text, nullable=False, comment="What it is compared by. Personal data."),
    sa.Column("code_digest", sa.Text, nullable=False, comment="SHA-256 of the link's code, which is stored nowhere."),
    sa.Column("inviter_id", UUID(as_uuid=True), nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    _instant("issued_at"),
    _instant("expires_at"),
    sa.Column(
        "due_at",
        sa.DateTime(timezone=True),
        comment="When time alone changes something next: the reminder, then the end.",
    ),
    sa.Column("accepted_by", UUID(as_uuid=True), comment="Whom it is, or was, reserved for."),
    _instant("ended_at", nullable=True),
    sa.Column("waiting", JSONB, comment="Revocations that wait until membership has spoken; null for none."),
    sa.CheckConstraint(
        "state IN ('pending', 'accepting', 'accepted', 'superseded', 'revoked', 'declined', 'expired')",
        name="invitations_state",
    ),
    sa.Index("invitations_code_digest", "code_digest", unique=True),
    # DESIGN §2: the only live link of an organization and address is this index, not a check.
    sa.Index(
        "invitations_one_live_link",
        "organization_id",
        "address_normalized",
        unique=True,
        postgresql_where=sa.text("state IN ('pending', 'accepting')"),
    ),
    sa.Index("invitations_due", "due_at", postgresql_where=sa.text("state = 'pending'")),
    sa.Index("invitations_ended", "ended_at", postgresql_where=sa.text("ended_at IS NOT NULL")),
)

organizations = sa.Table(
    "organizations",
    metadata,
    sa.Column("id", UUID(as_uuid=True), primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The newest that membership was heard to speak of."),
    comment="Copied from membership.events. Whoever changes anything of an organization locks its row first.",
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("organization_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("account_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("role", sa.Text, comment="owner, admin or member; null for somebody who left or was removed."),
    sa.Column("version", sa.BigInteger, nullable=False, comment="The organization's, when this was so."),
    sa.Column("invitation_id", UUID(as_uuid=True), comment="What they joined by."),
    _instant("ended_at", nullable=True),
    sa.Index("members_ended", "ended_at", postgresql_where=sa.text("ended_at IS NOT NULL")),
    comment="Copied from membership.events.",
)

profiles = sa.Table(
    "profiles",
    metadata,
    sa.Column("account_id", UUID(as_uuid=True), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
    sa.Column("address", sa.Text, comment="Null where the person was erased. Personal data."),
    sa.Column("address_normalized", sa.Text, comment="What it is compared by. Personal data."),
    sa.Column("name", sa.Text, nullable=False, comment="Personal data."),
    sa.Column("verified", sa.Boolean, nullable=False),
    sa.Index("profiles_address", "address_normalized", postgresql_where=sa.text("address_normalized IS NOT NULL")),
    comment="Copied from accounts.profiles.",
)

allowances = sa.Table(
    "allowances",
    metadata,
    sa.Column("scope", sa.Text, primary_key=True, comment="organization, inviter or recipient."),
    sa.Column("subject", sa.Text, primary_key=True, comment="An id, or an address without aliases (personal data)."),
    _instant("spent_until"),
    sa.Index("allowances_spent_until", "spent_until"),
    comment="Rate limits (GCRA): a subject whose instant is over has all of its allowance, and needs no row.",
)
