"""What a person is told who asked for something that cannot be done.

None of them says anything about other organizations, or about people whom the asker does not know. Who holds a link has
it from a letter; still, whether its address belongs to an account is told to nobody.
"""

from datetime import datetime

from contracts import Reason

UNKNOWN_ORGANIZATION = "There is no such organization."
UNKNOWN_INVITATION = "There is no such invitation. Check that the link is complete, or ask for a new invitation."
UNKNOWN_ACCOUNT = "Your account is not known here yet. Try again in a minute."
MAILBOX_NOT_PROVEN = "Confirm your e-mail address first: enter the code that was sent to it."
LINK_IS_USED = "This invitation has been used already. Ask for a new one if you need it."
TOO_LATE_TO_REVOKE = "The invitation has been accepted already. You can remove the member instead."
ALREADY_A_MEMBER = "This person is a member of your organization already."
ACCEPTANCE_IN_PROGRESS = "An invitation of this address is being accepted at this moment."


def not_an_admin(doing: str) -> str:
    """`doing` as in "invite people". It does not name the organization: the asker may be a stranger to it."""
    return f"Only the owner and admins of an organization can {doing}."


def address_differs(invited: str, own: str) -> str:
    """Names both addresses: the one of the letter that the asker followed, and the asker's own."""
    return f"This invitation is for {invited}, and you are signed in as {own}. Sign out and continue as {invited}."


def dead_link(reason: Reason, ended_at: datetime) -> str:
    """For whoever holds the link of an invitation that ended at `ended_at`."""
    day = f"{ended_at.day} {ended_at:%B %Y}"
    match reason:
        case Reason.SUPERSEDED:
            return f"A newer invitation was sent on {day}. Use the link in the latest e-mail."
        case Reason.REVOKED:
            return "This invitation was revoked. Ask an admin of the organization for a new one."
        case Reason.DECLINED:
            return "This invitation was declined. Ask for a new one if that was a mistake."
        case _:
            return f"This invitation expired on {day}. Ask for a new one."


def nothing_to_revoke(reason: Reason) -> str:
    """For the admin who wants to revoke an invitation that has ended already."""
    match reason:
        case Reason.SUPERSEDED:
            return "A newer invitation has replaced this one. Revoke the newer one."
        case Reason.REVOKED:
            return "The invitation was revoked already."
        case Reason.DECLINED:
            return "The invitation was declined already."
        case _:
            return "The invitation has expired already."
