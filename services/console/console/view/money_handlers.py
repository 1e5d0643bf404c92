"""What console does about each fact of billing: it keeps the view of money, and learns what became of its commands."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from console.view.money import ORGANIZATION_SOURCES
from console.view.money_news import CapNews, CardOnFile, FundsNews, MoneyNews, ReceiptNews
from console.view.verdicts import done
from console.view.working_set import News
from contracts import (
    AttachCard,
    CardAttached,
    CardCharged,
    CardDeclined,
    CardDetached,
    CardRetried,
    ChargeReversed,
    CreditGranted,
    CreditToppedUp,
    DetachCard,
    Fact,
    FundsExhausted,
    FundsLow,
    FundsRestored,
    RetryCard,
    SetSpendCap,
    SpendCapSet,
    TopUpCredit,
    UsageCharged,
)
from contracts.billing import AccountFact, Charge, PayerKind, SourceKind
from postroom import Context, Handler, Message

Told = Iterable[Fact]
_NOTHING: tuple[Fact, ...] = ()
_CREDIT: Mapping[PayerKind, SourceKind] = {"organization": "organization_credit", "account": "member_credit"}
_CARD: Mapping[PayerKind, SourceKind] = {"organization": "organization_card", "account": "member_card"}

# --- credit


def note_top_up(fact: CreditToppedUp, news: News, context: Context) -> Told:
    """An organization has more credit, and a receipt; the outcome of who topped up."""
    money = news.money
    money.hear_of_balance(fact.payer_id, _CREDIT[fact.payer_kind], fact.version, fact.balance)
    money.receive(
        ReceiptNews(
            receipt_id=fact.payment_id,
            payer_id=fact.payer_id,
            kind="top_up",
            amount=fact.amount,
            at=fact.topped_up_at,
            bought_by=fact.topped_up_by,
        )
    )
    money.changed.add(fact.payer_id)
    result = {
        "payment_id": str(fact.payment_id),
        "amount": fact.amount,
        "balance": fact.balance,
        "topped_up_at": fact.topped_up_at.isoformat(),
    }
    return _done(news, context, TopUpCredit, result)


def note_grant(fact: CreditGranted, news: News, context: Context) -> Told:
    """An account has its trial credit, and a receipt for it."""
    money = news.money
    money.hear_of_balance(fact.payer_id, _CREDIT[fact.payer_kind], fact.version, fact.balance)
    money.receive(ReceiptNews(context.message_id, fact.payer_id, "trial_credit", fact.amount, fact.granted_at))
    money.changed.add(fact.payer_id)
    return _NOTHING


# --- cards


def note_attached_card(fact: CardAttached, news: News, context: Context) -> Told:
    """Another card is on file; the outcome of who put it there."""
    card = CardOnFile(fact.card_id, fact.brand, fact.last4, fact.expiry_month, fact.expiry_year)
    news.money.hear_of_card(fact.payer_id, fact.version, card)
    news.money.changed.add(fact.payer_id)
    result = {
        "card_id": fact.card_id,
        "brand": fact.brand,
        "last4": fact.last4,
        "expiry_month": fact.expiry_month,
        "expiry_year": fact.expiry_year,
    }
    return _done(news, context, AttachCard, result)


def note_detached_card(fact: CardDetached, news: News, context: Context) -> Told:
    """No card is on file any more; the outcome of who took it off."""
    news.money.hear_of_card(fact.payer_id, fact.version, None)
    news.money.changed.add(fact.payer_id)
    return _done(news, context, DetachCard, {"card_id": fact.card_id})


def note_charged_card(fact: CardCharged, news: News, context: Context) -> Told:
    """A block was paid for, and there is a receipt for it."""
    money = news.money
    money.hear_of_balance(fact.payer_id, _CARD[fact.payer_kind], fact.version, fact.left)
    money.receive(
        ReceiptNews(
            receipt_id=fact.payment_id,
            payer_id=fact.payer_id,
            kind="card_charge",
            amount=fact.amount,
            at=fact.charged_at,
            card_id=fact.card_id,
        )
    )
    money.changed.add(fact.payer_id)
    return _NOTHING


def note_declined_card(fact: CardDeclined, news: News, context: Context) -> Told:
    """The card is not counted on."""
    news.money.hear_of_decline(fact.payer_id, fact.version, fact.card_id, fact.reason)
    news.money.changed.add(fact.payer_id)
    return _NOTHING


def note_retried_card(fact: CardRetried, news: News, context: Context) -> Told:
    """The card is counted on again; the outcome of who asked for that."""
    news.money.hear_of_decline(fact.payer_id, fact.version, fact.card_id, None)
    news.money.changed.add(fact.payer_id)
    return _done(news, context, RetryCard, {"card_id": fact.card_id})


# --- spending, and its limits


def note_cap(fact: SpendCapSet, news: News, context: Context) -> Told:
    """A member may draw so much; the outcome of who decided it."""
    news.money.hear_of_cap(fact.payer_id, fact.account_id, CapNews(fact.version, fact.cap))
    news.money.changed |= {fact.payer_id, fact.account_id}
    return _done(news, context, SetSpendCap, {"account_id": str(fact.account_id), "cap": fact.cap})


def note_charge(fact: UsageCharged, news: News, context: Context) -> Told:
    """So much more was spent, and so much less is left."""
    news.money.hear_of_rate(fact.account_id, fact.version, fact.burn_rate, fact.charged_at)
    return _book(fact, 1, fact.charged_at, news.money)


def note_reversal(fact: ChargeReversed, news: News, context: Context) -> Told:
    """So much was not spent after all, and is there again."""
    return _book(fact, -1, fact.reversed_at, news.money)


# --- funds


def note_low_funds(fact: FundsLow, news: News, context: Context) -> Told:
    """The account's instances will stop before long."""
    return _judge(fact, FundsNews(fact.version, "low", fact.exhausted_by), news.money)


def note_exhausted_funds(fact: FundsExhausted, news: News, context: Context) -> Told:
    """The account's instances stop."""
    return _judge(fact, FundsNews(fact.version, "exhausted", fact.exhausted_at), news.money)


def note_restored_funds(fact: FundsRestored, news: News, context: Context) -> Told:
    """The account's instances may go on."""
    return _judge(fact, FundsNews(fact.version, "ok", fact.restored_at), news.money)


MONEY_REACTIONS: Mapping[type[Message], Handler[News]] = {
    CreditToppedUp: note_top_up,
    CreditGranted: note_grant,
    CardAttached: note_attached_card,
    CardDetached: note_detached_card,
    CardCharged: note_charged_card,
    CardDeclined: note_declined_card,
    CardRetried: note_retried_card,
    SpendCapSet: note_cap,
    UsageCharged: note_charge,
    ChargeReversed: note_reversal,
    FundsLow: note_low_funds,
    FundsExhausted: note_exhausted_funds,
    FundsRestored: note_restored_funds,
}


# --- what they have in common


def _done(news: News, context: Context, command: Any, result: Mapping[str, Any]) -> Told:
    done(news, context, command, result)
    return _NOTHING


def _book(fact: Charge, sign: int, at: datetime, money: MoneyNews) -> Told:
    spent = money.spend((fact.account_id, fact.used_from.astimezone(UTC).date(), fact.organization_id))
    spent.written_off += sign * fact.written_off
    for share in fact.shares:
        spent.by_source[share.kind] = spent.by_source.get(share.kind, 0) + sign * share.amount
        money.hear_of_balance(share.payer_id, share.kind, share.payer_version, share.left)
        if share.kind in ORGANIZATION_SOURCES:  # An account's own rate is told with each charge.
            money.hear_of_rate(share.payer_id, share.payer_version, share.burn_rate, at)
    money.used.add(fact.account_id)
    if fact.organization_id is not None:
        money.used.add(fact.organization_id)
    return _NOTHING


def _judge(fact: AccountFact, funds: FundsNews, money: MoneyNews) -> Told:
    money.hear_of_funds(fact.account_id, funds)
    money.changed.add(fact.account_id)
    return _NOTHING
