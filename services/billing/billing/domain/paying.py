"""What follows from a payment: when the provider has said yes or no, and not before."""

from collections.abc import Iterator

from billing.domain import sentences
from billing.domain.books import Books, Cause
from billing.domain.drawing import settle_waiting, waiting_for
from billing.domain.funds import judge
from billing.domain.ledger import CARD_CLEARING
from billing.domain.payers import CARD, CREDIT, Payer
from billing.domain.payments import NOT_ON_FILE, Failed, Payment, Settled, Succeeded
from contracts import (
    AttachCard,
    CardAttached,
    CardCharged,
    CardDeclined,
    CommandRefused,
    CreditToppedUp,
    Fact,
    Reason,
    TopUpCredit,
)


def conclude(books: Books, settled: Settled, cause: Cause) -> Iterator[Fact]:
    """Books what has become of a payment, tells of it, and goes on with what waited for it."""
    payment = settled.payment
    payer = books.payer(payment.payer_id, payment.payer_kind)
    if isinstance(settled, Succeeded) and settled.card is not None and payer.attaching_id != payment.payment_id:
        settled = Failed(payment, sentences.OVERTAKEN, is_unknown=True)
    if isinstance(settled, Failed):
        yield from _fail(payer, settled, cause)
    else:
        yield from _succeed(books, payer, settled, cause)
    if payer.charging_id == payment.payment_id:
        payer.charging_id, payer.is_changed = None, True
    if payer.attaching_id == payment.payment_id:
        payer.attaching_id, payer.is_changed = None, True
    yield from resume(books, payer, cause)


def resume(books: Books, payer: Payer, cause: Cause) -> Iterator[Fact]:
    """Goes on with what waits for this payer, now that it can pay more, or less, than before."""
    waited = {charge.account_id for charge in waiting_for(books, payer)}
    yield from settle_waiting(books, payer, cause)
    for account in [each for each in books.payers.values() if each.kind == "account"]:
        is_its = payer.payer_id in (account.payer_id, books.chains.payer_at(account.payer_id, cause.now))
        if account.payer_id in waited or (is_its and account.funds != "ok"):
            yield from judge(books, account.payer_id, cause)


def _succeed(books: Books, payer: Payer, settled: Succeeded, cause: Cause) -> Iterator[Fact]:
    payment = settled.payment
    if settled.card is not None:
        payer.card = settled.card
        yield CardAttached(
            **payer.next_fact(),
            card_id=settled.card.card_id,
            brand=settled.card.brand,
            last4=settled.card.last4,
            expiry_month=settled.card.expiry_month,
            expiry_year=settled.card.expiry_year,
            attached_by=settled.card.attached_by,
            attached_at=cause.now,
        )
        return
    is_top_up = payment.purpose == "top_up"
    kind = (CREDIT if is_top_up else CARD)[payer.kind]
    payer.put(kind, payment.amount)
    books.ledger.move(
        payment.amount,
        CARD_CLEARING,
        payer.account(kind),
        kind="top_up" if is_top_up else "card_charge",
        cause_id=payment.payment_id,
        subject_id=payment.payment_id,
        now=cause.now,
    )
    yield _topped_up(payer, payment, cause) if is_top_up else _card_charged(payer, payment, cause)


def _fail(payer: Payer, failed: Failed, cause: Cause) -> Iterator[Fact]:
    payment = failed.payment
    if payment.purpose != "block":
        yield _refused(failed)
    elif failed.reason != NOT_ON_FILE and payer.card is not None and payer.card.card_id == payment.card_id:
        payer.card.declined = failed.reason
        yield CardDeclined(
            **payer.next_fact(),
            card_id=payment.card_id,
            amount=payment.amount,
            reason=failed.reason,
            attached_by=payer.card.attached_by,
            declined_at=cause.now,
        )


def _topped_up(payer: Payer, payment: Payment, cause: Cause) -> CreditToppedUp:
    assert payment.asked_by is not None
    return CreditToppedUp(
        **payer.next_fact(),
        payment_id=payment.payment_id,
        amount=payment.amount,
        balance=payer.credit,
        topped_up_by=payment.asked_by,
        topped_up_at=cause.now,
    )


def _card_charged(payer: Payer, payment: Payment, cause: Cause) -> CardCharged:
    return CardCharged(
        **payer.next_fact(),
        payment_id=payment.payment_id,
        card_id=payment.card_id,
        amount=payment.amount,
        left=payer.block,
        charged_at=cause.now,
    )


def _refused(failed: Failed) -> CommandRefused:
    payment, reason = failed.payment, _reason(failed)
    command = TopUpCredit if payment.purpose == "top_up" else AttachCard
    return CommandRefused(
        command_type=command.ce_type,
        command_id=payment.cause_id,
        command_key=payment.payer_id,
        actor_id=payment.asked_by,
        reason=reason,
        message=sentences.WHY_NOT.get(failed.reason) or sentences.WHY_NOT[reason],
    )


def _reason(failed: Failed) -> Reason:
    if failed.reason == NOT_ON_FILE:
        return Reason.NO_CARD
    if failed.is_unknown:
        return Reason.UNKNOWN_CARD
    return Reason.CARD_NEEDS_CARDHOLDER if failed.needs_cardholder else Reason.CARD_DECLINED
