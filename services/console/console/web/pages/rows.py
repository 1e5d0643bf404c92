"""The members table: what each row says, and what its reader may do there. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from console.view.nouns import Delivery, Invitation, Member, Membership, Role

# The name of `Doe, The <the.doe@example.com>` may hold commas. Names are bounded, so that no text takes long to read.
_ADDRESSES = re.compile(
    r"""
    (?: "[^"\n]{0,100}" | [^<>@;"\n] ){0,100} < (?P<named> [^<>\n]+ ) >
    | (?P<other> [^,;\n]+ )
    """,
    re.VERBOSE,
)
MOST_ADDRESSES = 100
"""That are invited at once."""
LONGEST_ADDRESS = 1000

_DELIVERY: dict[Delivery, str] = {
    "queued": "Letter queued",
    "sent": "Letter sent",
    "bounced": "Letter bounced",
    "failed": "Letter failed",
}
_HINTS: dict[Delivery, str] = {
    "bounced": "The mail server refused this address. Check it, and invite the right one.",
    "failed": "The letter could not be delivered. Invite again to send another.",
}


@dataclass(frozen=True, slots=True)
class MemberRow:
    """Somebody who is in the organization."""

    key: str
    account_id: UUID
    name: str
    address: str
    role: Role
    joined_at: datetime
    is_reader: bool
    may_promote: bool
    may_demote: bool
    may_remove: bool
    may_leave: bool


@dataclass(frozen=True, slots=True)
class InvitationRow:
    """Somebody who is invited, or was."""

    key: str
    invitation_id: UUID
    address: str
    inviter_name: str
    state: Literal["pending", "accepting", "expired"]
    tag: str
    """As in `Pending · 5d`."""
    expires_at: datetime
    issued_at: datetime
    delivery: str
    delivery_hint: str | None
    is_undelivered: bool
    may_revoke: bool
    may_invite_again: bool


def member_rows(members: Iterable[Member], reader: UUID, membership: Membership) -> list[MemberRow]:
    """Members, as the account `reader` sees them, whose place in the organization is `membership`."""
    return [
        MemberRow(
            key=f"member-{member.account_id}",
            account_id=member.account_id,
            name=member.name or "Unknown",
            address=member.address,
            role=member.role,
            joined_at=member.joined_at,
            is_reader=member.account_id == reader,
            may_promote=membership.is_admin and member.role == "member",
            may_demote=membership.is_admin and member.role == "admin",
            may_remove=membership.is_admin and member.role != "owner" and member.account_id != reader,
            may_leave=member.account_id == reader and member.role != "owner",
        )
        for member in members
    ]


def invitation_rows(invitations: Iterable[Invitation], membership: Membership, now: datetime) -> list[InvitationRow]:
    """Invitations, as somebody with this place in the organization sees them at this moment."""
    rows = []
    for invitation in invitations:
        state = invitation.state_at(now)
        if state not in ("pending", "accepting", "expired"):
            continue
        is_undelivered = state == "pending" and invitation.delivery in ("bounced", "failed")
        rows.append(
            InvitationRow(
                key=f"invitation-{invitation.invitation_id}",
                invitation_id=invitation.invitation_id,
                address=invitation.address,
                inviter_name=invitation.inviter_name,
                state=state,
                tag=_tag(state, invitation, now),
                expires_at=invitation.expires_at,
                issued_at=invitation.issued_at,
                delivery=_DELIVERY[invitation.delivery],
                delivery_hint=_HINTS.get(invitation.delivery),
                is_undelivered=is_undelivered,
                may_revoke=membership.is_admin and state == "pending",
                may_invite_again=membership.is_admin and (state == "expired" or is_undelivered),
            )
        )
    return rows


def addresses_in(text: str) -> list[str]:
    """The addresses that somebody has typed or pasted, once each, in their order: separated by commas, semicolons,
    spaces or lines, alone or as in `The Name <name@example.com>`. What is no address stays, to be refused."""
    found: dict[str, str] = {}
    for match in _ADDRESSES.finditer(text):
        for address in [match["named"].strip()] if match["named"] else _words(match["other"]):
            found.setdefault(address.casefold(), address[:LONGEST_ADDRESS])
    return list(found.values())


def _words(text: str) -> list[str]:
    """Spaces separate addresses from each other, but `the name@example.com` is none of `name@example.com`."""
    words = text.split()
    return words if all("@" in word for word in words) else [text.strip()]


def _tag(state: Literal["pending", "accepting", "expired"], invitation: Invitation, now: datetime) -> str:
    match state:
        case "pending":
            return f"Pending · {invitation.days_left(now)}d"
        case "accepting":
            return "Joining…"
        case "expired":
            return "Expired"
