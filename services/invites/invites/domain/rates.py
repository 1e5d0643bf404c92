"""How many invitations are decent: by organization, by inviter, by recipient.

The generic cell rate algorithm (GCRA, ITU-T I.371) keeps one instant for each subject: until when its allowance is
spent. So a burst up to the limit is fine, the allowance comes back steadily, and a subject that has it all back needs
no row.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from contracts import Reason, Refused
from invites.domain.addresses import fold_aliases


class Scope(StrEnum):
    """Whose allowance it is."""

    ORGANIZATION = "organization"
    INVITER = "inviter"
    RECIPIENT = "recipient"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` in each `period`; a limit of 0 is none."""

    limit: int
    period: timedelta

    @property
    def cost(self) -> timedelta:
        """How long the allowance for one takes to come back."""
        return self.period // self.limit  # rounded down, so that `limit` of them always fit


@dataclass(frozen=True, slots=True)
class RateLimits:
    """The allowances for invitations."""

    organization: Rate
    inviter: Rate
    recipient: Rate


Subject = tuple[Scope, str]


def subjects(
    limits: RateLimits, organization_id: UUID, inviter_id: UUID, address_normalized: str
) -> dict[Subject, Rate]:
    """Whose allowances an invitation takes from, in the order in which they are asked."""
    rates = {
        (Scope.ORGANIZATION, str(organization_id)): limits.organization,
        (Scope.INVITER, str(inviter_id)): limits.inviter,
        (Scope.RECIPIENT, fold_aliases(address_normalized)): limits.recipient,
    }
    return {subject: rate for subject, rate in rates.items() if rate.limit}


@dataclass(slots=True)
class Spending:
    """What has been spent of the allowances that are in question."""

    spent_until: dict[Subject, datetime] = field(default_factory=dict)
    added: dict[Subject, timedelta] = field(default_factory=dict)
    """What was spent since it was loaded, and is still to be saved."""
    at: datetime | None = None
    """When that was."""

    def spend(self, rates: dict[Subject, Rate], now: datetime) -> None:
        """Takes one from each allowance, or nothing: raises Refused(RATE_LIMITED_...)."""
        for (scope, subject), rate in rates.items():
            free_at = self._from((scope, subject), now) + rate.cost - rate.period
            if free_at > now:
                raise _refused(scope, free_at - now)
        self.at = now
        for key, rate in rates.items():
            self.spent_until[key] = self._from(key, now) + rate.cost
            self.added[key] = self.added.get(key, timedelta()) + rate.cost

    def _from(self, key: Subject, now: datetime) -> datetime:
        return max(self.spent_until.get(key, now), now)


def _refused(scope: Scope, wait: timedelta) -> Refused:
    match scope:
        case Scope.ORGANIZATION:
            who = "Your organization has sent as many invitations as it may for now."
            return Refused(Reason.RATE_LIMITED_ORGANIZATION, f"{who} Try again in {_in_words(wait)}.")
        case Scope.INVITER:
            who = "You have sent as many invitations as you may for now."
            return Refused(Reason.RATE_LIMITED_INVITER, f"{who} Try again in {_in_words(wait)}.")
        case Scope.RECIPIENT:
            # No figure and no time: they would tell how much others have written to this person, and when.
            return Refused(
                Reason.RATE_LIMITED_RECIPIENT,
                "No more invitations can be sent to this address for now. Try again later.",
            )


def _in_words(wait: timedelta) -> str:
    minutes = max(1, -(-int(wait.total_seconds()) // 60))
    if minutes < 120:
        return "a minute" if minutes == 1 else f"{minutes} minutes"
    return f"{-(-minutes // 60)} hours"
