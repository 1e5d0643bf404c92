"""What billing does about each message. The map of the service."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from billing.domain import drawing, paying, sentences, trials
from billing.domain.books import Books, Cause
from billing.domain.funds import judge
from billing.domain.payers import Card, Payer
from billing.domain.payments import Payment, Purpose
from contracts import (
    AccountProfile,
    AttachCard,
    CardDetached,
    CardRetried,
    DetachCard,
    Fact,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    OrganizationCreated,
    Reason,
    Refused,
    RetryCard,
    SetSpendCap,
    SpendCapSet,
    TopUpCredit,
    UsageRecorded,
)
from contracts.billing import PayerCommand
from postroom import Context, Deferred, Handler, Message
from postroom.ids import uuid7

Facts = Iterable[Fact]

_CENT = 10_000

# --- what membership says: who is in which organization, and as what


def note_organization(fact: OrganizationCreated, books: Books, context: Context) -> Facts:
    """Its owner may decide about its money at once."""
    books.staff.note(fact.organization_id, fact.owner_id, "owner", fact.version)
    return ()


def establish_chain(joined: MemberJoined, books: Books, context: Context) -> Facts:
    """A new member has a billing chain, and the organization pays from the moment of joining on."""
    books.staff.note(joined.organization_id, joined.account_id, joined.role, joined.version)
    opened = books.chains.open(joined, uuid7(), context.now)
    return [*opened, *_changed_sources(joined, books, context)] if opened else ()


def close_chain(gone: MemberLeft | MemberRemoved, books: Books, context: Context) -> Facts:
    """Who is no member any more costs the organization nothing from that moment on."""
    books.staff.note(gone.organization_id, gone.account_id, None, gone.version)
    closed = books.chains.close(gone, uuid7(), context.now)
    if not closed:
        return ()
    organization = books.payer(gone.organization_id, "organization")
    # What is given back to the organization may be what others of its members wait for.
    others = paying.resume(books, organization, _cause(context))
    return [*closed, *_changed_sources(gone, books, context), *others]


def note_role(fact: MemberPromoted | MemberDemoted, books: Books, context: Context) -> Facts:
    """From now on they may decide about the organization's money, or not any more."""
    books.staff.note(fact.organization_id, fact.account_id, fact.role, fact.version)
    return ()


# --- what console says of accounts


def grant_trial_credit(profile: AccountProfile, books: Books, context: Context) -> Facts:
    """A proven mailbox has a trial credit, once."""
    return trials.grant_trial_credit(books, profile, _cause(context))


# --- what is asked for


def top_up(command: TopUpCredit, books: Books, context: Context) -> Facts:
    """Has the organization's card charged; the credit is there when it was."""
    payer = _payer(command, books, context)
    if payer.kind != "organization":
        raise Refused(Reason.NOT_THE_PAYER, sentences.NO_CREDIT_OF_ONES_OWN)
    least, most = books.terms.top_up_least, books.terms.top_up_most
    if not least <= command.amount <= most or command.amount % _CENT:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, sentences.amount_out_of_range(least, most))
    card = _card(payer)
    if card.declined is not None:
        raise Refused(Reason.CARD_DECLINED, sentences.DECLINED_BEFORE)
    books.ask(_payment("top_up", command, card.card_id, command.amount, context))
    return ()


def attach_card(command: AttachCard, books: Books, context: Context) -> Facts:
    """Has the provider check the card; it is on file when it is good."""
    payer, payment = _payer(command, books, context), _payment("card", command, command.card_id, 0, context)
    books.ask(payment)
    payer.attaching_id, payer.is_changed = payment.payment_id, True
    return ()


def detach_card(command: DetachCard, books: Books, context: Context) -> Facts:
    """Takes the card off file. What it was charged already is still used up."""
    payer = _payer(command, books, context)
    card_id = _card(payer).card_id
    payer.card = payer.attaching_id = None
    detached = CardDetached(**payer.next_fact(), card_id=card_id, detached_at=context.now)
    return [detached, *paying.resume(books, payer, _cause(context))]


def retry_card(command: RetryCard, books: Books, context: Context) -> Facts:
    """Counts on a declined card again."""
    payer = _payer(command, books, context)
    card = _card(payer)
    if card.declined is None:
        raise Refused(Reason.CARD_NOT_DECLINED, sentences.CARD_NOT_DECLINED)
    card.declined = None
    retried = CardRetried(**payer.next_fact(), card_id=card.card_id, retried_at=context.now)
    return [retried, *paying.resume(books, payer, _cause(context))]


def set_spend_cap(command: SetSpendCap, books: Books, context: Context) -> Facts:
    """Limits what a member may draw from the organization's sources in a month."""
    payer = _payer(command, books, context)
    if payer.kind != "organization" or not books.staff.is_member(payer.payer_id, command.account_id):
        raise Refused(Reason.NOT_A_MEMBER, sentences.NOT_A_MEMBER)
    if command.cap is not None and command.cap < 0:
        raise Refused(Reason.AMOUNT_OUT_OF_RANGE, sentences.NOT_A_CAP)
    books.spending.set_cap(payer.payer_id, command.account_id, command.cap)
    fact = SpendCapSet(
        **payer.next_fact(),
        account_id=command.account_id,
        cap=command.cap,
        set_by=command.actor_id,
        set_at=context.now,
    )
    return [fact, *_judged_if_told(command.account_id, books, context)]


# --- what meters say


def charge_usage(usage: UsageRecorded, books: Books, context: Context) -> Facts:
    """Charges it to the sources in their order."""
    return drawing.charge_usage(books, usage, _cause(context))


# --- time


def restore_funds(books: Books, context: Context) -> Facts:
    """Time has passed, and somebody may be paid for again. The books hold the accounts that it matters to."""
    for account in [payer for payer in books.payers.values() if payer.kind == "account"]:
        yield from judge(books, account.payer_id, _cause(context))


# --- what they have in common


def _cause(context: Context) -> Cause:
    return Cause(context.message_id, context.ce_id, context.correlation_id, context.now, context.traceparent)


def _changed_sources(fact: MemberJoined | MemberLeft | MemberRemoved, books: Books, context: Context) -> Facts:
    """The account's sources are others than before, perhaps since long ago."""
    yield from drawing.recharge(books, fact.account_id, _cause(context))
    yield from _judged_if_told(fact.account_id, books, context)


def _judged_if_told(account_id: UUID, books: Books, context: Context) -> Facts:
    """Who uses nothing, and was told nothing, is not told that there is nothing."""
    own = books.payer(account_id, "account")
    if own.funds != "ok" or own.burning.per_hour(context.now):
        yield from judge(books, account_id, _cause(context))


def _payer(command: PayerCommand, books: Books, context: Context) -> Payer:
    """Whose money it is. Raises Refused where the actor may not decide about it."""
    if command.payer_kind == "account":
        if command.actor_id != command.payer_id:
            raise Refused(Reason.NOT_THE_PAYER, sentences.NOT_THE_PAYER)
        return books.payer(command.payer_id, "account")
    version = books.staff.versions.get(command.payer_id, 0)
    if context.may_wait and version < (command.seen_organization_version or 1):
        raise Deferred("the organization is not known as the client has seen it")
    if not version:
        raise Refused(Reason.UNKNOWN_ORGANIZATION, sentences.UNKNOWN_ORGANIZATION)
    if not books.staff.is_admin(command.payer_id, command.actor_id):
        raise Refused(Reason.NOT_AN_ADMIN, sentences.NOT_AN_ADMIN)
    return books.payer(command.payer_id, "organization")


def _card(payer: Payer) -> Card:
    if payer.card is None:
        raise Refused(Reason.NO_CARD, sentences.NO_CARD)
    return payer.card


def _payment(purpose: Purpose, command: PayerCommand, card_id: str, amount: int, context: Context) -> Payment:
    return Payment(
        payment_id=uuid7(),
        purpose=purpose,
        payer_kind=command.payer_kind,
        payer_id=command.payer_id,
        card_id=card_id,
        amount=amount,
        asked_by=command.actor_id,
        cause_id=context.ce_id,
        correlation_id=context.correlation_id,
        asked_at=context.now,
        traceparent=context.traceparent,
    )


REACTIONS: Mapping[type[Message], Handler[Books]] = {
    OrganizationCreated: note_organization,
    MemberJoined: establish_chain,
    MemberLeft: close_chain,
    MemberRemoved: close_chain,
    MemberPromoted: note_role,
    MemberDemoted: note_role,
    AccountProfile: grant_trial_credit,
    TopUpCredit: top_up,
    AttachCard: attach_card,
    DetachCard: detach_card,
    RetryCard: retry_card,
    SetSpendCap: set_spend_cap,
    UsageRecorded: charge_usage,
}
