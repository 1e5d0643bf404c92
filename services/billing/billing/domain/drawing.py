"""Drawing: a usage is charged to the sources in their order, waits for a card where one has to be charged first, and is
written off where none can pay. And charged anew, where it is known by now that another order would have been right.
"""

from collections.abc import Iterator
from datetime import UTC, date
from typing import Any
from uuid import UUID

from billing.domain.books import Books, Cause
from billing.domain.charges import Charge, amount_of, parts_of, usage_id_of
from billing.domain.funds import judge
from billing.domain.ledger import REVENUE, WRITE_OFF
from billing.domain.payers import CARD, CREDIT, Payer
from billing.domain.payments import Payment
from billing.domain.spending import month_of
from contracts import ChargeReversed, Fact, SourceShare, UsageCharged, UsageRecorded
from contracts.billing import SourceKind


def charge_usage(books: Books, usage: UsageRecorded, cause: Cause) -> Iterator[Fact]:
    """Charges a usage that was not charged before."""
    usage_id = usage_id_of(usage)
    if usage_id in books.known_usages:
        return
    books.known_usages.add(usage_id)
    amount = amount_of(usage)
    # In UTC, as all that is kept: instants of one zone are compared many times faster.
    used_from, used_until = usage.used_from.astimezone(UTC), usage.used_until.astimezone(UTC)
    whole = Charge(
        usage_id=usage_id,
        part=1,
        account_id=usage.account_id,
        organization_id=None,
        resource=usage.resource,
        instance_id=usage.instance_id,
        used_from=used_from,
        used_until=max(used_from, used_until),
        amount=amount,
        waiting=amount,
    )
    for part in parts_of(whole, books.chains.pieces(whole.account_id, whole.used_from, whole.used_until)):
        books.add(part)
        for payer in books.payers_of(part.account_id, part.organization_id):
            payer.burning.add(part.amount, part.used_from, part.used_until, cause.now)
            payer.is_changed = True
        yield from settle(books, part, cause)
    yield from judge(books, usage.account_id, cause)


def settle(books: Books, charge: Charge, cause: Cause) -> Iterator[Fact]:
    """Draws what is not paid yet. Tells of it when nothing waits any more."""
    for payer in books.payers_of(charge.account_id, charge.organization_id):
        for kind in (CREDIT[payer.kind], CARD[payer.kind]):
            _draw(books, charge, payer, kind, cause)
        if _allowed(books, charge, payer) and payer.card_pays:
            _charge_card(books, payer, cause)
            return
    books.ledger.move(
        charge.waiting,
        WRITE_OFF,
        REVENUE,
        kind="write_off",
        cause_id=cause.id,
        subject_id=charge.usage_id,
        now=cause.now,
    )
    charge.written_off, charge.waiting, charge.is_changed = charge.written_off + charge.waiting, 0, True
    yield _charged(books, charge, cause)


def settle_waiting(books: Books, payer: Payer, cause: Cause) -> Iterator[Fact]:
    """Goes on with the charges that wait, and may draw from this payer."""
    for charge in sorted(waiting_for(books, payer), key=lambda each: each.order):
        yield from settle(books, charge, cause)


def recharge(books: Books, account_id: UUID, cause: Cause) -> Iterator[Fact]:
    """Charges anew what lies otherwise than was known, now that the account is known to have joined or left."""
    settled = []
    usages: dict[UUID, list[Charge]] = {}
    for charge in books.charges_of(account_id):
        usages.setdefault(charge.usage_id, []).append(charge)
    for usage_id, parts in usages.items():
        pieces = books.chains.pieces(account_id, parts[0].used_from, parts[-1].used_until)
        if [part.piece for part in parts] == pieces:
            continue
        for part in parts:
            yield from _reverse(books, part, cause)
            part.is_gone = True
        for part in parts_of(_whole(parts), pieces):
            part.is_new = (usage_id, part.part) not in books.charges or books.charges[usage_id, part.part].is_new
            books.add(part)
            settled.append(part)
    for part in settled:
        yield from settle(books, part, cause)


def _whole(parts: list[Charge]) -> Charge:
    first, amount = parts[0], sum(part.amount for part in parts)
    return Charge(
        usage_id=first.usage_id,
        part=1,
        account_id=first.account_id,
        organization_id=None,
        resource=first.resource,
        instance_id=first.instance_id,
        used_from=first.used_from,
        used_until=parts[-1].used_until,
        amount=amount,
        waiting=amount,
        forgiven=sum(max(part.written_off, part.forgiven) for part in parts),
    )


def _draw(books: Books, charge: Charge, payer: Payer, kind: SourceKind, cause: Cause) -> None:
    amount = min(charge.waiting, payer.holds(kind), _allowed(books, charge, payer))
    if not amount:
        return
    payer.put(kind, -amount)
    books.ledger.move(
        amount,
        payer.account(kind),
        REVENUE,
        kind="usage",
        cause_id=cause.id,
        subject_id=charge.usage_id,
        now=cause.now,
    )
    charge.waiting, charge.is_changed = charge.waiting - amount, True
    charge.paid[kind] = charge.paid.get(kind, 0) + amount
    _count(books, charge, payer, amount)


def _reverse(books: Books, charge: Charge, cause: Cause) -> Iterator[Fact]:
    """Gives back what a charge has drawn, source by source."""
    for kind, amount in charge.paid.items():
        payer = _payer_of(books, charge, kind)
        payer.put(kind, amount)
        books.ledger.move(
            amount,
            REVENUE,
            payer.account(kind),
            kind="reversal",
            cause_id=cause.id,
            subject_id=charge.usage_id,
            now=cause.now,
        )
        _count(books, charge, payer, -amount)
    books.ledger.move(
        charge.written_off,
        REVENUE,
        WRITE_OFF,
        kind="reversal",
        cause_id=cause.id,
        subject_id=charge.usage_id,
        now=cause.now,
    )
    if charge.is_told:
        yield ChargeReversed(**_said(books, charge, cause), reversed_at=cause.now)


def _allowed(books: Books, charge: Charge, payer: Payer) -> int:
    """How much of what waits the payer may be asked for."""
    if payer.kind == "account":
        return max(0, charge.waiting - charge.forgiven)
    allowance = books.spending.allowance(payer.payer_id, charge.account_id, charge.used_from)
    return charge.waiting if allowance is None else min(charge.waiting, allowance)


def waiting_for(books: Books, payer: Payer) -> list[Charge]:
    """The charges that wait, and may draw from this payer."""
    return [
        each
        for each in books.charges.values()
        if each.waiting and not each.is_gone and payer.payer_id in (each.organization_id, each.account_id)
    ]


def _count(books: Books, charge: Charge, payer: Payer, amount: int) -> None:
    if payer.kind == "organization":
        books.spending.add(payer.payer_id, charge.account_id, charge.used_from, amount)


def _charge_card(books: Books, payer: Payer, cause: Cause) -> None:
    """Has the card charged as many blocks as all that wait for it need, one payment at a time."""
    if payer.charging_id is not None or payer.card is None:
        return
    block, needed = books.terms.card_block, _needed(books, payer)
    payment = Payment(
        payment_id=books.new_id(),
        purpose="block",
        payer_kind=payer.kind,
        payer_id=payer.payer_id,
        card_id=payer.card.card_id,
        amount=-(-needed // block) * block,
        asked_by=None,
        cause_id=cause.ce_id,
        correlation_id=cause.correlation_id,
        asked_at=cause.now,
        traceparent=cause.traceparent,
    )
    books.ask(payment)
    payer.charging_id, payer.is_changed = payment.payment_id, True


def _needed(books: Books, payer: Payer) -> int:
    """What all that wait for the payer's card need of it, and no more: within caps, and without what somebody before
    it pays."""
    by_month: dict[tuple[UUID, date], int] = {}
    most: dict[tuple[UUID, date], int] = {}
    for charge in waiting_for(books, payer):
        if books.payers_of(charge.account_id, charge.organization_id)[0] is not payer and _waits_before(books, charge):
            continue
        key = charge.account_id, month_of(charge.used_from)
        allowed = _allowed(books, charge, payer)
        by_month[key] = by_month.get(key, 0) + allowed
        if payer.kind == "organization":
            allowance = books.spending.allowance(payer.payer_id, charge.account_id, charge.used_from)
            most[key] = by_month[key] if allowance is None else allowance
    return sum(min(amount, most.get(key, amount)) for key, amount in by_month.items())


def _waits_before(books: Books, charge: Charge) -> bool:
    """Whether an organization's card comes before the account's own."""
    organization = books.payer(charge.organization_id, "organization") if charge.organization_id else None
    return organization is not None and organization.card_pays and _allowed(books, charge, organization) > 0


def _charged(books: Books, charge: Charge, cause: Cause) -> UsageCharged:
    charge.is_told = True
    own = books.payer(charge.account_id, "account")
    said = _said(books, charge, cause)
    return UsageCharged(**said, burn_rate=own.burning.per_hour(cause.now), charged_at=cause.now)


def _said(books: Books, charge: Charge, cause: Cause) -> dict[str, Any]:
    """What is said of a charge and of its reversal. The versions of those who have a share in it go up."""
    payers = {id(payer): payer for kind in charge.paid if (payer := _payer_of(books, charge, kind))}
    for payer in payers.values():
        payer.next_version()
    own = books.payer(charge.account_id, "account")
    version = own.version if id(own) in payers else own.next_version()
    shares: tuple[SourceShare, ...] = tuple(
        _payer_of(books, charge, kind).share(kind, amount, cause.now) for kind, amount in charge.paid.items()
    )
    return {
        "account_id": charge.account_id,
        "version": version,
        "usage_id": charge.usage_id,
        "part": charge.part,
        "organization_id": charge.organization_id,
        "resource": charge.resource,
        "instance_id": charge.instance_id,
        "used_from": charge.used_from,
        "used_until": charge.used_until,
        "amount": charge.amount,
        "shares": shares,
        "written_off": charge.written_off,
    }


def _payer_of(books: Books, charge: Charge, kind: SourceKind) -> Payer:
    if kind in (CREDIT["account"], CARD["account"]):
        return books.payer(charge.account_id, "account")
    assert charge.organization_id is not None
    return books.payer(charge.organization_id, "organization")
