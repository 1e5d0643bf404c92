"""What a person is told whom membership has not admitted: its AdmissionRefused is no answer to a command, and so has a
reason and no sentence."""

from contracts import Reason


def not_admitted(reason: str) -> str:
    """For whoever accepted an invitation."""
    match reason:
        case Reason.IN_ANOTHER_ORGANIZATION:
            return "You are in another organization. Leave it first, then use the link again: the invitation is kept."
        case Reason.ALREADY_ACCEPTED:
            return "This invitation has been used already. Ask for a new one if you need it."
        case Reason.ALREADY_A_MEMBER:
            return "You are a member of this organization already."
        case Reason.UNKNOWN_ORGANIZATION:
            return "There is no such organization any more."
        case _:
            return "You could not be added to the organization. Ask one of its admins."
