"""What billing does about each message. The map of the service."""

from collections.abc import Mapping, Sequence

from billing.domain import Chains
from contracts import Fact, MemberJoined, MemberLeft, MemberRemoved
from postroom import Context, Handler, Message
from postroom.ids import uuid7


def establish_chain(joined: MemberJoined, chains: Chains, context: Context) -> Sequence[Fact]:
    """A new member has a billing chain."""
    return chains.open(joined, uuid7(), context.now)


def close_chain(gone: MemberLeft | MemberRemoved, chains: Chains, context: Context) -> Sequence[Fact]:
    """Who is no member any more costs the organization nothing any more."""
    return chains.close(gone, uuid7(), context.now)


REACTIONS: Mapping[type[Message], Handler[Chains]] = {
    MemberJoined: establish_chain,
    MemberLeft: close_chain,
    MemberRemoved: close_chain,
}
