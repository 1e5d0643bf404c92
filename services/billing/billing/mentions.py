"""What a batch of messages is about, and so has to be loaded."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from billing.domain.charges import usage_id_of
from billing.domain.payments import Failed, Settled, Succeeded
from billing.domain.spending import Place
from billing.domain.trials import digest_of
from contracts import (
    AccountProfile,
    DetachCard,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    OrganizationCreated,
    RetryCard,
    SetSpendCap,
    UsageRecorded,
)
from contracts.billing import PayerCommand
from postroom import Message


@dataclass(slots=True)
class Mentions:
    """Ids, by what is done with them."""

    accounts: set[UUID] = field(default_factory=set)
    organizations: set[UUID] = field(default_factory=set)
    """Whose money may change, and that there are."""
    asked: set[UUID] = field(default_factory=set)
    """Organizations that somebody wants to decide about; there may be none of such an id."""
    stirred: set[UUID] = field(default_factory=set)
    """Payers that may be able to pay more, or less, afterwards."""
    memberships: set[UUID] = field(default_factory=set)
    usages: set[UUID] = field(default_factory=set)
    turned: dict[UUID, datetime] = field(default_factory=dict)
    """Accounts, and from when on their stays may be others than was known."""
    known: set[UUID] = field(default_factory=set)
    """Organizations that have to be known, or become known."""
    staff: set[Place] = field(default_factory=set)
    to_be_capped: set[Place] = field(default_factory=set)
    mailboxes: set[str] = field(default_factory=set)
    """Digests of addresses that may be given a trial credit."""


def mentions_of(messages: Iterable[Message | Settled]) -> Mentions:
    """What all of them mention."""
    found = Mentions()
    for message in messages:
        match message:
            case UsageRecorded():
                found.accounts.add(message.account_id)
                found.usages.add(usage_id_of(message))
            case MemberJoined():
                _stay(found, message, message.joined_at)
            case MemberLeft():
                _stay(found, message, message.left_at)
                found.stirred.add(message.organization_id)
            case MemberRemoved():
                _stay(found, message, message.removed_at)
                found.stirred.add(message.organization_id)
            case OrganizationCreated():
                found.organizations.add(message.organization_id)
                _role(found, message.organization_id, message.owner_id)
            case MemberPromoted() | MemberDemoted():
                _role(found, message.organization_id, message.account_id)
            case AccountProfile(verified=True):
                found.accounts.add(message.account_id)
                found.mailboxes.add(digest_of(message.address))
            case PayerCommand():
                _command(found, message)
            case Succeeded() | Failed():
                payment = message.payment
                (found.organizations if payment.payer_kind == "organization" else found.accounts).add(payment.payer_id)
                found.stirred.add(payment.payer_id)
    return found


def _stay(found: Mentions, fact: MemberJoined | MemberLeft | MemberRemoved, instant: datetime) -> None:
    found.accounts.add(fact.account_id)
    found.organizations.add(fact.organization_id)
    found.memberships.add(fact.membership_id)
    found.turned[fact.account_id] = min(instant, found.turned.get(fact.account_id, instant))
    _role(found, fact.organization_id, fact.account_id)


def _role(found: Mentions, organization_id: UUID, account_id: UUID) -> None:
    found.known.add(organization_id)
    found.staff.add((organization_id, account_id))


def _command(found: Mentions, command: PayerCommand) -> None:
    if command.payer_kind == "organization":
        found.asked.add(command.payer_id)
        _role(found, command.payer_id, command.actor_id)
    elif command.actor_id == command.payer_id:
        found.accounts.add(command.payer_id)
    if isinstance(command, DetachCard | RetryCard):
        found.stirred.add(command.payer_id)
    if isinstance(command, SetSpendCap):
        found.staff.add((command.payer_id, command.account_id))
        found.to_be_capped.add((command.payer_id, command.account_id))
