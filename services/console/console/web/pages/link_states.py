"""What somebody sees who follows the link of an invitation: the table in the design, "Clicking the link". Pure."""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum, auto

from console.accounts.domain import Account
from console.view.nouns import Invitation, InvitationState, Membership
from contracts import Reason


class Step(Enum):
    """Where following a link leads."""

    SIGN_UP = auto()
    """Nobody is signed in: an account, or a sign-in, is needed."""
    PROVE = auto()
    """The mailbox of the account is still to be proven."""
    JOIN = auto()
    """The right person has clicked: join at once."""
    ASK = auto()
    """The right person may have clicked: ask first."""
    MEMBER = auto()
    """They are in the organization already: success again."""
    ELSEWHERE = auto()
    """They are in another organization, and are never moved."""
    DIFFERS = auto()
    """The invitation is for another address."""
    SUPERSEDED = auto()
    REVOKED = auto()
    EXPIRED = auto()
    DECLINED = auto()
    USED = auto()
    UNKNOWN = auto()
    REFUSED = auto()
    """For a reason of which there is no page."""


_ENDS: Mapping[InvitationState, Step] = {
    "superseded": Step.SUPERSEDED,
    "revoked": Step.REVOKED,
    "expired": Step.EXPIRED,
    "declined": Step.DECLINED,
    "accepted": Step.USED,
}

_REFUSALS: Mapping[str, Step] = {
    Reason.SUPERSEDED: Step.SUPERSEDED,
    Reason.REVOKED: Step.REVOKED,
    Reason.EXPIRED: Step.EXPIRED,
    Reason.DECLINED: Step.DECLINED,
    Reason.ALREADY_ACCEPTED: Step.USED,
    Reason.UNKNOWN_INVITATION: Step.UNKNOWN,
    Reason.ADDRESS_DIFFERS: Step.DIFFERS,
    Reason.IN_ANOTHER_ORGANIZATION: Step.ELSEWHERE,
    Reason.ALREADY_A_MEMBER: Step.MEMBER,
}


def how_it_ended(invitation: Invitation, now: datetime) -> Step | None:
    """The page of a link that works no more; none where it works."""
    return _ENDS.get(invitation.state_at(now))


def what_to_show(
    invitation: Invitation,
    account: Account | None,
    membership: Membership | None,
    now: datetime,
    *,
    by_person: bool,
) -> Step:
    """`account` is that of the session, and `membership` its place in an organization; `by_person`: whether the
    browser says that a person has clicked. Of the account that the invited address may have, nothing is asked."""
    is_invited = account is not None and account.proven and _is_for(invitation, account)
    if is_invited and membership is not None and membership.organization_id == invitation.organization_id:
        return Step.MEMBER
    ended = how_it_ended(invitation, now)
    if ended is not None:
        return ended
    if account is None:
        return Step.SIGN_UP
    if not account.proven:
        return Step.PROVE
    if not is_invited:
        return Step.DIFFERS
    if membership is not None:
        return Step.ELSEWHERE
    return Step.JOIN if by_person else Step.ASK


def why_not(reason: str | None) -> Step:
    """What the refusal of a command leads to."""
    return _REFUSALS.get(reason or "", Step.REFUSED)


def _is_for(invitation: Invitation, account: Account) -> bool:
    return invitation.address_normalized == account.address_normalized
