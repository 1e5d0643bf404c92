"""The billing chain: who pays for a member's usage, in which order, from when until when (DESIGN section 2).

A chain has two ends, told by two facts: the member joined, the member has gone. They may come in either order, since
one of them may have been a dead letter for a while. Where the end comes first it is kept, and when the beginning comes
the chain is established and closed in one go, so that whoever keeps a ledger sees every stay.

Versions: BillingChainEstablished is version 1 of its chain, BillingChainClosed version 2.
"""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Literal
from uuid import UUID

from billing.domain.charges import Piece
from billing.domain.spending import Place
from contracts import (
    BillingChainClosed,
    BillingChainEstablished,
    ChainSource,
    MemberJoined,
    MemberLeft,
    MemberRemoved,
)
from contracts.billing import PayerKind, SourceKind

DRAW_ORDER: tuple[SourceKind, ...] = ("organization_credit", "organization_card", "member_credit", "member_card")
"""A member's own sources are untouched while either of the organization's can pay."""

_PAYER_KINDS: dict[SourceKind, PayerKind] = {
    "organization_credit": "organization",
    "organization_card": "organization",
    "member_credit": "account",
    "member_card": "account",
}

EndReason = Literal["left", "removed"]


@dataclass(frozen=True, slots=True)
class End:
    """How and when a member has gone."""

    reason: EndReason
    at: datetime


@dataclass(slots=True)
class Chain:
    """The billing chain of one membership, that is of one stay of an account in an organization."""

    chain_id: UUID
    membership_id: UUID
    organization_id: UUID
    account_id: UUID
    version: int = 0
    """Of its last fact; 0 while nothing is told of it, because only its end is known."""
    sources: tuple[SourceKind, ...] = ()
    """In the order in which they are drawn from; the payers are the chain's own organization and account."""
    effective_at: datetime | None = None
    """When the member joined: from then on the sources pay."""
    established_at: datetime | None = None
    """When billing set it up."""
    end: End | None = None
    """From when on the organization pays nothing more."""
    closed_at: datetime | None = None
    """When billing closed it."""
    is_new: bool = True
    """Not in the database yet."""
    is_changed: bool = False
    """Otherwise in the database."""

    def covers(self, instant: datetime) -> bool:
        """Whether the organization pays for what is used then."""
        begun = self.effective_at is not None and self.effective_at <= instant
        return begun and (self.end is None or instant < self.end.at)

    def establish(self, joined_at: datetime, now: datetime) -> BillingChainEstablished:
        """The sources pay from `joined_at` on."""
        self.is_changed = True
        self.version += 1
        self.sources = DRAW_ORDER
        self.effective_at = joined_at
        self.established_at = now
        return BillingChainEstablished(
            organization_id=self.organization_id,
            account_id=self.account_id,
            membership_id=self.membership_id,
            chain_id=self.chain_id,
            version=self.version,
            sources=_with_payers(self),
            effective_at=joined_at,
            established_at=now,
        )

    def close(self, end: End, now: datetime) -> BillingChainClosed:
        """The organization pays nothing from the end on."""
        self.is_changed = True
        self.version += 1
        # Two instances of membership have two clocks; a stay has no negative length for all that.
        self.end = End(end.reason, max(end.at, self.effective_at or end.at))
        self.closed_at = now
        return BillingChainClosed(
            organization_id=self.organization_id,
            account_id=self.account_id,
            membership_id=self.membership_id,
            chain_id=self.chain_id,
            version=self.version,
            reason=self.end.reason,
            effective_at=self.end.at,
            closed_at=now,
        )

    def expect(self, end: End) -> None:
        """Keeps the end until the beginning comes."""
        self.is_changed = True
        self.end = end


@dataclass(slots=True)
class Chains:
    """The chains that a batch of messages mentions."""

    by_membership: dict[UUID, Chain] = field(default_factory=dict)
    _by_account: dict[UUID, list[Chain]] = field(default_factory=dict)

    def open(
        self, joined: MemberJoined, chain_id: UUID, now: datetime
    ) -> tuple[BillingChainEstablished | BillingChainClosed, ...]:
        """The member's chain is established; and closed at once, where the member is known to have gone. Nothing to
        tell where it has been established before. `chain_id` is for a chain that does not exist yet."""
        chain = self._chain_of(joined, chain_id)
        if chain.established_at is not None:
            return ()
        established = chain.establish(joined.joined_at, now)
        return (established, chain.close(chain.end, now)) if chain.end is not None else (established,)

    def close(self, gone: MemberLeft | MemberRemoved, chain_id: UUID, now: datetime) -> tuple[BillingChainClosed, ...]:
        """The member's chain is closed; or its end is kept, where its beginning has not come. Nothing to tell where the
        end was known before. `chain_id` is for a chain that does not exist yet."""
        chain = self._chain_of(gone, chain_id)
        if chain.end is not None:
            return ()
        if chain.established_at is None:
            chain.expect(_end(gone))
            return ()
        return (chain.close(_end(gone), now),)

    def add(self, chain: Chain) -> None:
        """Takes a chain in, loaded or new."""
        self.by_membership[chain.membership_id] = chain
        self._by_account.setdefault(chain.account_id, []).append(chain)

    def of(self, account_id: UUID) -> list[Chain]:
        """The account's chains, established or not."""
        return self._by_account.get(account_id, [])

    @property
    def places(self) -> set[Place]:
        """Which accounts were, or are, in which organizations."""
        return {(chain.organization_id, chain.account_id) for chain in self.by_membership.values()}

    def payer_at(self, account_id: UUID, instant: datetime) -> UUID | None:
        """The organization that pays first for what the account uses at an instant; none where its own sources alone
        do. Of two stays that overlap, since clocks differ, the later one counts."""
        covering = [chain for chain in self.of(account_id) if chain.covers(instant)]
        return max(covering, key=_begin).organization_id if covering else None

    def pieces(self, account_id: UUID, used_from: datetime, used_until: datetime) -> list[Piece]:
        """An interval, cut where the account joined or left."""
        cuts: set[datetime] = set()
        for chain in self.of(account_id):
            ends = (chain.effective_at, chain.end.at if chain.end is not None else None)
            cuts |= {end for end in ends if end is not None and used_from < end < used_until}
        if not cuts:
            return [Piece(self.payer_at(account_id, used_from), used_from, used_until)]
        pieces: list[Piece] = []
        for start, end in pairwise([used_from, *sorted(cuts), used_until]):
            organization_id = self.payer_at(account_id, start)
            if pieces and pieces[-1].organization_id == organization_id:
                pieces[-1] = Piece(organization_id, pieces[-1].used_from, end)
            else:
                pieces.append(Piece(organization_id, start, end))
        return pieces

    def _chain_of(self, fact: MemberJoined | MemberLeft | MemberRemoved, chain_id: UUID) -> Chain:
        chain = self.by_membership.get(fact.membership_id)
        if chain is None:
            chain = Chain(chain_id, fact.membership_id, fact.organization_id, fact.account_id)
            self.add(chain)
        return chain


def _begin(chain: Chain) -> tuple[datetime, int]:
    assert chain.effective_at is not None
    return chain.effective_at, chain.chain_id.int


def _end(gone: MemberLeft | MemberRemoved) -> End:
    return End("left", gone.left_at) if isinstance(gone, MemberLeft) else End("removed", gone.removed_at)


def _with_payers(chain: Chain) -> tuple[ChainSource, ...]:
    payers = {"organization": chain.organization_id, "account": chain.account_id}
    return tuple(
        ChainSource(position=turn, kind=kind, payer_kind=_PAYER_KINDS[kind], payer_id=payers[_PAYER_KINDS[kind]])
        for turn, kind in enumerate(chain.sources, start=1)
    )
