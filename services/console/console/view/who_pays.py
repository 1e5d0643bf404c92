"""Who pays for what an account uses, and until when at the present rate. Pure.

Sources are used up one after another: the organization's credit, its card, the account's trial credit, its card. What
belongs to the organization is used by all its members, at the organization's rate; the account's own only by itself. A
card that is counted on has no end. A spend cap takes the organization's sources away until the month turns.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from console.view.money import (
    MEMBER_SOURCES,
    ORGANIZATION_SOURCES,
    BillingChain,
    Card,
    Funds,
    Source,
    month_after,
    month_of,
)
from contracts.billing import SourceKind

_PRESENT = timedelta(minutes=90)
"""A rate that was told longer ago is over: whatever uses something is charged for it at least once an hour."""
_HORIZON = timedelta(days=36500)
"""What lasts longer has no end."""
_LOW_SLACK = timedelta(hours=1)
"""Billing does not tell when funds are low no more; they are not when they last so much longer than was told."""


@dataclass(frozen=True, slots=True)
class Purse:
    """What an organization, or an account, pays by, as it was told last."""

    payer_id: UUID
    credit: int = 0
    card_left: int = 0
    """What its card was charged and is not used up yet."""
    card: Card | None = None
    burn_rate: int = 0
    """What was drawn from it in an hour."""
    burning_at: datetime | None = None
    """When that was so; none where nothing was ever drawn."""

    @property
    def card_can_pay(self) -> bool:
        """Whether a card is on file that is counted on."""
        return self.card is not None and self.card.declined is None

    def rate_at(self, now: datetime) -> int:
        """What is drawn from it in an hour."""
        return self.burn_rate if self.burning_at is not None and self.burning_at > now - _PRESENT else 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What was told last of an account's funds, and what limits it in its organization."""

    funds: Funds = "ok"
    funds_at: datetime | None = None
    """Since when nothing is left; of low funds, when nothing will be."""
    cap: int | None = None
    spent: int = 0
    """By the organization for the account, this month."""

    @property
    def is_capped(self) -> bool:
        """Whether the organization pays no more this month."""
        return self.cap is not None and self.spent >= self.cap


@dataclass(frozen=True, slots=True)
class _Leg:
    """A source pays until `end`; for ever where that is none."""

    kind: SourceKind
    end: datetime | None


def billing_chain(own: Purse, organization: Purse | None, standing: Standing, now: datetime) -> BillingChain:
    """The chain of the account whose purse is `own`."""
    rate = own.rate_at(now)
    legs = list(_legs(own, organization, standing, now))
    if legs:
        exhausted_at = _not_before(now, legs[-1].end)
    else:
        exhausted_at = standing.funds_at if standing.funds == "exhausted" else (now if rate else None)
    return BillingChain(
        account_id=own.payer_id,
        organization_id=organization.payer_id if organization is not None else None,
        sources=_sources(own, organization, standing, now),
        paying=legs[0].kind if legs else None,
        until=_not_before(now, legs[0].end) if legs else None,
        exhausted_at=exhausted_at,
        funds=_funds(standing, exhausted_at),
        burn_rate=rate,
        cap=standing.cap if organization is not None else None,
        spent=standing.spent,
    )


def _legs(own: Purse, organization: Purse | None, standing: Standing, now: datetime) -> Iterator[_Leg]:
    """Who pays after whom, as far as can be told: the last one ends when nothing is left, or has no end."""
    at, back_at = own.burning_at or now, None
    if organization is not None:
        capped_at, turn = _cap_reached(own, standing, now), _first_instant(month_after(month_of(now)))
        # Who has just joined has drawn nothing from the organization yet.
        shared = max(own.rate_at(now), organization.rate_at(now))
        for leg in _in_turn(organization, ORGANIZATION_SOURCES, shared, organization.burning_at or at):
            if capped_at is not None and capped_at < turn and (leg.end is None or leg.end > capped_at):
                back_at, at = turn, max(at, capped_at)
                if not standing.is_capped:
                    yield _Leg(leg.kind, capped_at)
                break
            yield leg
            if leg.end is None:
                return
            at = leg.end
    for leg in _in_turn(own, MEMBER_SOURCES, own.rate_at(now), at):
        if back_at is not None and (leg.end is None or leg.end > back_at):
            yield _Leg(leg.kind, back_at)
            yield _Leg("organization_credit", None)  # Or its card. How long is for the next month to tell.
            return
        yield leg


def _in_turn(purse: Purse, kinds: Sequence[SourceKind], rate: int, start: datetime) -> Iterator[_Leg]:
    """The two sources of a purse, from `start` on."""
    at = start
    for kind, left in zip(kinds, (purse.credit, purse.card_left), strict=True):
        if kind == kinds[1] and purse.card_can_pay:
            yield _Leg(kind, None)
        elif left > 0:
            end = _lasts(left, rate, at)
            yield _Leg(kind, end)
            if end is None:
                return
            at = end


def _cap_reached(own: Purse, standing: Standing, now: datetime) -> datetime | None:
    """When the organization's sources will have paid what they may; none where they go on."""
    if standing.cap is None:
        return None
    if standing.is_capped:
        return _first_instant(month_of(now))
    return _lasts(standing.cap - standing.spent, own.rate_at(now), own.burning_at or now)


def _lasts(amount: int, rate: int, start: datetime) -> datetime | None:
    """Until when; none where that is for ever, or as good as."""
    seconds = amount * 3600 // rate if rate else None
    if seconds is None or seconds > _HORIZON.total_seconds():
        return None
    return start + timedelta(seconds=seconds)


def _sources(own: Purse, organization: Purse | None, standing: Standing, now: datetime) -> tuple[Source, ...]:
    sources = []
    for purse, kinds in ((organization, ORGANIZATION_SOURCES), (own, MEMBER_SOURCES)):
        if purse is not None:
            may = purse is own or not standing.is_capped
            rate, (credit, card) = purse.rate_at(now), kinds
            can = may and purse.credit > 0, may and (purse.card_left > 0 or purse.card_can_pay)
            sources.append(Source(credit, purse.payer_id, purse.credit, rate, None, can[0]))
            sources.append(Source(card, purse.payer_id, purse.card_left, rate, purse.card, can[1]))
    return tuple(sources)


def _funds(standing: Standing, exhausted_at: datetime | None) -> Funds:
    if standing.funds == "low" and standing.funds_at is not None:
        is_low = exhausted_at is not None and exhausted_at <= standing.funds_at + _LOW_SLACK
        return "low" if is_low else "ok"
    return standing.funds


def _not_before(now: datetime, instant: datetime | None) -> datetime | None:
    """What should be over by now is: what was used since has not been told."""
    return None if instant is None else max(now, instant)


def _first_instant(month: date) -> datetime:
    return datetime(month.year, month.month, 1, tzinfo=UTC)
