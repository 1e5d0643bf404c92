"""A second version of a message beside the first: the example that docs/changing-a-message.md goes through, and quotes.

Organizations shall have guests. `role` of MemberJoined knows three values, and readers refuse a fourth, so that a guest
cannot be told by v1.
"""

from dataclasses import dataclass, field
from typing import ClassVar
from uuid import UUID

from contracts import MemberJoined
from contracts.membership import OrganizationFact
from contracts.message import AccountId, Instant, MembershipId


class MemberJoinedV2(OrganizationFact):
    """An account is in the organization from now on, perhaps as a guest. MemberJoined tells the same to readers that do
    not know this type yet."""

    ce_type: ClassVar[str] = "io.carolinacloud.member.joined.v2"

    account_id: AccountId
    membership_id: MembershipId
    role: str
    """`owner`, `admin`, `member` or `guest`. New roles may appear: one that is not known may do what a guest may."""
    invitation_id: UUID | None
    """The accepted invitation; none for the owner who created the organization."""
    inviter_id: UUID | None
    """The account that invited; none for the owner."""
    joined_at: Instant

    @classmethod
    def of(cls, first: MemberJoined) -> "MemberJoinedV2":
        """What a record of v1 says, in the terms of v2."""
        return cls.model_validate(first.model_dump())


def in_both_versions(fact: MemberJoinedV2) -> tuple[MemberJoinedV2, MemberJoined]:
    """What the writer hands to its outbox, in one transaction, for one fact.

    Both have the same key, and so stay in this order. v1 says what is nearest to the truth."""
    nearest = fact.role if fact.role in ("owner", "admin", "member") else "member"
    return fact, MemberJoined.model_validate(fact.model_dump() | {"role": nearest})


@dataclass
class Members:
    """A reader that has moved. It takes both versions: records of v1 alone are still kept, from before v2."""

    joined: dict[UUID, MemberJoinedV2] = field(default_factory=dict)
    """By membership: one stay of one account, whichever version tells of it. A reader with a database has a row here,
    and a unique key."""

    def take(self, fact: MemberJoined | MemberJoinedV2) -> bool:
        """Whether it is news: the moment to do what shall be done once. Any order and any repetition end alike."""
        news = fact.membership_id not in self.joined
        if isinstance(fact, MemberJoinedV2):
            self.joined[fact.membership_id] = fact
        elif news:
            self.joined[fact.membership_id] = MemberJoinedV2.of(fact)
        return news
