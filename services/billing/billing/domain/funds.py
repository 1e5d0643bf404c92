"""Whether an account's sources can pay, for how long at the present rate, and what is told when that changes."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from billing.domain.books import Books, Cause
from contracts import Fact, FundsExhausted, FundsLow, FundsRestored

_ENDLESS = math.inf
_NO_MORE_LOW = 2.0
"""How many times as far as what is low funds have to reach, to be low no more: the rate is an estimate, and wavers."""


@dataclass(frozen=True, slots=True)
class Runway:
    """How far an account's sources reach."""

    can_pay: bool
    left: int
    """Micro-dollars that are there without a card being charged."""
    hours: float
    """Until nothing is left, at the present rate; infinite where a card goes on, or nothing is used."""


def runway(books: Books, account_id: UUID, cause: Cause) -> Runway:
    """Of the sources that the account has now."""
    organization_id = books.chains.payer_at(account_id, cause.now)
    own = books.payer(account_id, "account")
    rate = own.burning.per_hour(cause.now)
    can_pay, left, hours = own.held > 0 or own.card_pays, own.held, _hours(own.held, rate)
    if own.card_pays:
        hours = _ENDLESS
    if organization_id is not None:
        organization = books.payer(organization_id, "organization")
        allowance = books.spending.allowance(organization_id, account_id, cause.now)
        limit = math.inf if allowance is None else allowance
        held = min(organization.held, limit)
        shared = max(rate, organization.burning.per_hour(cause.now))
        reaches = _ENDLESS if organization.card_pays else _hours(organization.held, shared)
        can_pay = can_pay or (limit > 0 and (organization.held > 0 or organization.card_pays))
        left, hours = left + int(held), hours + min(reaches, _hours(limit, rate))
    return Runway(can_pay, left, hours)


def judge(books: Books, account_id: UUID, cause: Cause) -> Iterator[Fact]:
    """What has changed of the account's funds since that was told last."""
    own = books.payer(account_id, "account")
    organization_id = books.chains.payer_at(account_id, cause.now)
    reach = runway(books, account_id, cause)
    if not reach.can_pay:
        if own.funds != "exhausted":
            own.funds = "exhausted"
            yield FundsExhausted(
                account_id=account_id,
                version=own.next_version(),
                organization_id=organization_id,
                exhausted_at=cause.now,
            )
        return
    if own.funds == "exhausted":
        own.funds = "ok"
        yield FundsRestored(account_id=account_id, version=own.next_version(), restored_at=cause.now)
    reach_within = reach.hours * 3600 / books.terms.low_within.total_seconds()
    is_low = reach_within < 1
    if is_low and own.funds == "ok":
        own.funds = "low"
        yield FundsLow(
            account_id=account_id,
            version=own.next_version(),
            organization_id=organization_id,
            left=reach.left,
            burn_rate=own.burning.per_hour(cause.now),
            exhausted_by=cause.now + timedelta(hours=reach.hours),
            noticed_at=cause.now,
        )
    elif reach_within > _NO_MORE_LOW and own.funds == "low":
        own.funds, own.is_changed = "ok", True


def _hours(amount: float, rate: int) -> float:
    return amount / rate if rate else _ENDLESS
