"""The billing chain in words: what each source is called and can do, and who pays until when. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from console.view.money import ORGANIZATION_SOURCES, BillingChain, Card, Source
from console.view.nouns import Membership
from contracts.billing import SourceKind

StepState = Literal["paying", "ready", "capped", "declined", "empty", "absent", "hidden"]

SOURCE_NAMES: Mapping[SourceKind, str] = {
    "organization_credit": "Organization credit",
    "organization_card": "Organization card",
    "member_credit": "Trial credit",
    "member_card": "Own card",
}
"""Whoever reads it."""
_OWN_NAMES: Mapping[SourceKind, str] = {"member_credit": "your trial credit", "member_card": "your card"}
_SHORT_NAMES: Mapping[SourceKind, str] = {
    "organization_credit": "Prepaid credit",
    "organization_card": "Card",
    "member_credit": "Trial credit",
    "member_card": "Card",
}
_TAGS: Mapping[StepState, tuple[str, str]] = {
    "paying": ("Pays next", "accent"),
    "ready": ("Ready", "neutral"),
    "capped": ("Limit reached", "warning"),
    "declined": ("Declined", "danger"),
    "empty": ("Used up", "neutral"),
    "absent": ("No card", "neutral"),
    "hidden": ("Cannot pay", "neutral"),
}
_DECLINES: Mapping[str, str] = {
    "insufficient_funds": "There is not enough money on it.",
    "expired_card": "It has expired.",
    "authentication_required": "Its bank wants to hear from the cardholder each time.",
    "card_needs_cardholder": "Its bank wants to hear from the cardholder each time.",
    "incorrect_cvc": "Its security code is not right.",
    "processing_error": "Its bank could not be reached.",
}
"""Other reasons are between cardholders and their banks."""


@dataclass(frozen=True, slots=True)
class Step:
    """One source of the chain, as the picture shows it."""

    kind: SourceKind
    owner: str
    name: str
    left: int
    state: StepState
    """`hidden`: a card of which the reader is not told whether it is there, and whether it was declined."""
    tag: str
    tag_kind: str
    is_card: bool
    card: Card | None

    @property
    def rest(self) -> str:
        """Said of a card of which nothing is left that was charged."""
        if self.card is not None or self.state in ("paying", "ready"):
            return "On file"
        return "None on file" if self.state == "absent" else "Not in use"


def chain_steps(chain: BillingChain, membership: Membership | None) -> list[Step]:
    """The sources in the order in which they are drawn from."""
    steps = []
    for source in chain.sources:
        state = _state(source, chain, is_admin=membership is not None and membership.is_admin)
        tag, tag_kind = _TAGS[state]
        steps.append(
            Step(
                kind=source.kind,
                owner=_organization(membership) if source.kind in ORGANIZATION_SOURCES else "You",
                name=_SHORT_NAMES[source.kind],
                left=source.left,
                state=state,
                tag="Pays now" if state == "paying" and chain.burn_rate else tag,
                tag_kind=tag_kind,
                is_card=_is_card(source),
                card=source.card,
            )
        )
    return steps


def who_pays(chain: BillingChain, membership: Membership | None) -> str:
    """The one that pays, as a sentence begins with it."""
    if chain.paying is None:
        return "Nothing can pay"
    name = _name(chain.paying, membership)
    return f"{name[0].upper()}{name[1:]} pays {'now' if chain.burn_rate else 'next'}"


def who_pays_then(chain: BillingChain, membership: Membership | None) -> str | None:
    """The one that pays when the present one cannot any more, as a sentence holds it."""
    kinds = [source.kind for source in chain.sources]
    after = kinds.index(chain.paying) + 1 if chain.paying in kinds else len(kinds)
    return next((_name(source.kind, membership) for source in chain.sources[after:] if source.can_pay), None)


def about(at: datetime, now: datetime) -> str:
    """An instant to come, as exactly as one wants to know it: `16:40 UTC`, `26 Nov, 03:10 UTC`, `5 Jan 2027`."""
    day = f"{at.day} {at:%b}"
    if at.date() == now.date():
        return f"{at:%H:%M} UTC"
    if at - now < timedelta(days=7):
        return f"{day}, {at:%H:%M} UTC"
    return day if at.year == now.year else f"{day} {at.year}"


def why_declined(card: Card) -> str:
    """What its bank has said, as far as that is for others to know."""
    return _DECLINES.get(card.declined or "", "Its bank did not say why.")


def has_expired(card: Card, now: datetime) -> bool:
    """Whether the last month in which the card is good is over."""
    return (card.expiry_year, card.expiry_month) < (now.year, now.month)


def _state(source: Source, chain: BillingChain, *, is_admin: bool) -> StepState:
    if source.kind == chain.paying:
        return "paying"
    if source.can_pay:
        return "ready"
    if source.card is not None and source.card.declined is not None and not source.left:
        return "declined"
    if source.kind in ORGANIZATION_SOURCES and chain.cap is not None and chain.spent >= chain.cap:
        return "capped"
    if source.kind == "organization_card" and not is_admin:
        return "hidden"
    return "absent" if _is_card(source) else "empty"


def _is_card(source: Source) -> bool:
    return source.kind in ("organization_card", "member_card")


def _name(kind: SourceKind, membership: Membership | None) -> str:
    if kind in _OWN_NAMES:
        return _OWN_NAMES[kind]
    return f"the {_SHORT_NAMES[kind].lower()} of {_organization(membership)}"


def _organization(membership: Membership | None) -> str:
    # The chain may know of an organization a moment before or after the table of members does.
    return membership.organization_name if membership is not None else "your organization"
