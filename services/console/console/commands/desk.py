"""Sends what people ask of the other services, and waits for the truth.

A command is committed together with its outbox row before anybody waits: an instance that is killed loses none. Those
that come while others are being committed share the next transaction, unless they have a key to claim in it. The
outcome is written by whichever instance reads it from the topics; those who wait are woken by `Changes`.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from operator import attrgetter
from typing import Any
from uuid import UUID

from prometheus_client import CollectorRegistry

from console import limits
from console.accounts.domain import Account
from console.changes import Changes
from console.commands import allowances, idempotency, store
from console.commands.counts import CommandCounts
from console.commands.idempotency import Earlier, RequestKey
from console.commands.outcome import Outcome
from console.limits import Allowance
from console.settings import Settings
from console.together import Together
from console.view.nouns import Invitation
from console.view.queries import View
from contracts import (
    AcceptInvitation,
    AttachCard,
    Command,
    CreateOrganization,
    DeclineInvitation,
    DemoteMember,
    DetachCard,
    InviteMember,
    LeaveOrganization,
    PromoteMember,
    RemoveMember,
    RetryCard,
    RevokeInvitation,
    SetSpendCap,
    TopUpCredit,
)
from contracts.billing import PayerKind
from postroom import Room, WorkTransaction, tracing
from postroom.ids import uuid7


@dataclass(frozen=True, slots=True)
class _Asked:
    command: Command
    invitation_id: UUID | None = None
    spends: Allowance | None = None
    """What it takes from, if it is sent."""
    command_id: UUID = field(default_factory=uuid7)
    traceparent: str | None = field(default_factory=tracing.current)
    """Of the request."""


class Commands:
    """Each method sends durably, and answers the outcome: decided, or still `waiting` after the time-out. With a `key`
    that came before, nothing is sent, and the outcome of the first request is answered. Raises KeyReused."""

    def __init__(
        self, settings: Settings, room: Room, view: View, changes: Changes, counts: CommandCounts | None = None
    ) -> None:
        """Without `counts`, nobody learns what was counted."""
        self._settings = settings
        self._timeout = settings.outcome_timeout.total_seconds()
        self._room = room
        self._view = view
        self._changes = changes
        self._counts = counts or CommandCounts(CollectorRegistry())
        self._sent = Together(self._send_together)
        self._outcomes = Together(self._read_together)

    # --- organizations and members

    async def create_organization(self, actor: Account, name: str, *, key: RequestKey | None = None) -> Outcome:
        """An organization of this name, owned by the actor."""
        command = CreateOrganization(organization_id=uuid7(), actor_id=actor.account_id, name=name)
        return await self._ask_one(_Asked(command), key)

    async def promote(
        self, actor: Account, organization_id: UUID, account_id: UUID, *, key: RequestKey | None = None
    ) -> Outcome:
        """Makes a member an admin."""
        command = PromoteMember(organization_id=organization_id, actor_id=actor.account_id, account_id=account_id)
        return await self._ask_one(_Asked(command), key)

    async def demote(
        self, actor: Account, organization_id: UUID, account_id: UUID, *, key: RequestKey | None = None
    ) -> Outcome:
        """Makes an admin a plain member."""
        command = DemoteMember(organization_id=organization_id, actor_id=actor.account_id, account_id=account_id)
        return await self._ask_one(_Asked(command), key)

    async def remove(
        self, actor: Account, organization_id: UUID, account_id: UUID, *, key: RequestKey | None = None
    ) -> Outcome:
        """Puts a member out."""
        command = RemoveMember(organization_id=organization_id, actor_id=actor.account_id, account_id=account_id)
        return await self._ask_one(_Asked(command), key)

    async def leave(self, actor: Account, organization_id: UUID, *, key: RequestKey | None = None) -> Outcome:
        """The actor leaves."""
        command = LeaveOrganization(organization_id=organization_id, actor_id=actor.account_id)
        return await self._ask_one(_Asked(command), key)

    # --- invitations

    async def invite(
        self, actor: Account, organization_id: UUID, addresses: Sequence[str], *, key: RequestKey | None = None
    ) -> list[Outcome]:
        """Invites addresses, all in one transaction; the outcomes are in the order of the addresses."""
        seen = await self._view.version(organization_id)
        asked = [
            _Asked(
                InviteMember(
                    organization_id=organization_id,
                    actor_id=actor.account_id,
                    address=address,
                    seen_profile_version=actor.version,
                    seen_organization_version=seen,
                )
            )
            for address in addresses
        ]
        return await self._ask(asked, key)

    async def revoke(
        self, actor: Account, organization_id: UUID, invitation_id: UUID, *, key: RequestKey | None = None
    ) -> Outcome:
        """Kills the link of a pending invitation. While it is being accepted, the outcome waits for membership's."""
        command = RevokeInvitation(
            organization_id=organization_id,
            actor_id=actor.account_id,
            invitation_id=invitation_id,
            seen_organization_version=await self._view.version(organization_id),
        )
        return await self._ask_one(_Asked(command, invitation_id), key)

    async def accept(self, actor: Account, code_digest: str, *, key: RequestKey | None = None) -> Outcome | None:
        """Accepts by the link, of which only the digest is known. None where there is no such link. Done when the
        membership is there."""
        invitation = await self._view.invitation_by_digest(code_digest)
        return None if invitation is None else await self.accept_invitation(actor, invitation, key=key)

    async def accept_invitation(
        self, actor: Account, invitation: Invitation, *, key: RequestKey | None = None
    ) -> Outcome:
        """As accept, of an invitation that was found by its link already."""
        command = AcceptInvitation(
            organization_id=invitation.organization_id,
            actor_id=actor.account_id,
            code_digest=invitation.code_digest,
            seen_profile_version=actor.version,
            seen_organization_version=invitation.organization_version,
        )
        return await self._ask_one(_Asked(command, invitation.invitation_id), key)

    async def decline(
        self, actor: Account | None, code_digest: str, *, key: RequestKey | None = None
    ) -> Outcome | None:
        """Says no by the link; an account is not needed for it. None where there is no such link."""
        invitation = await self._view.invitation_by_digest(code_digest)
        if invitation is None:
            return None
        command = DeclineInvitation(
            organization_id=invitation.organization_id,
            actor_id=actor.account_id if actor else None,
            code_digest=code_digest,
        )
        return await self._ask_one(_Asked(command, invitation.invitation_id), key)

    # --- money, in micro-dollars; RateLimited for whoever has banks asked too often

    async def top_up(
        self, actor: Account, organization_id: UUID, amount: int, *, key: RequestKey | None = None
    ) -> Outcome:
        """Buys credit for an organization, with its card. Waits for the card's bank: it may take a while, and then the
        outcome is still `waiting`."""
        command = TopUpCredit(**await self._about(actor, "organization", organization_id), amount=amount)
        return await self._ask_one(_Asked(command, spends=self._question(actor)), key)

    async def attach_card(
        self, actor: Account, payer_kind: PayerKind, payer_id: UUID, card_id: str, *, key: RequestKey | None = None
    ) -> Outcome:
        """Puts a card on file, in the place of an earlier one. `card_id` is the payment provider's reference, made in
        the person's browser; no number of a card ever comes here."""
        command = AttachCard(**await self._about(actor, payer_kind, payer_id), card_id=card_id)
        return await self._ask_one(_Asked(command, spends=self._question(actor)), key)

    async def detach_card(
        self, actor: Account, payer_kind: PayerKind, payer_id: UUID, *, key: RequestKey | None = None
    ) -> Outcome:
        """Takes the card off file."""
        return await self._ask_one(_Asked(DetachCard(**await self._about(actor, payer_kind, payer_id))), key)

    async def retry_card(
        self, actor: Account, payer_kind: PayerKind, payer_id: UUID, *, key: RequestKey | None = None
    ) -> Outcome:
        """Counts on a card again that was declined."""
        command = RetryCard(**await self._about(actor, payer_kind, payer_id))
        return await self._ask_one(_Asked(command, spends=self._question(actor)), key)

    async def set_spend_cap(
        self,
        actor: Account,
        organization_id: UUID,
        account_id: UUID,
        cap: int | None,
        *,
        key: RequestKey | None = None,
    ) -> Outcome:
        """Limits what a member may draw from the organization in a month; None takes the limit away."""
        about = await self._about(actor, "organization", organization_id)
        return await self._ask_one(_Asked(SetSpendCap(**about, account_id=account_id, cap=cap)), key)

    def _question(self, actor: Account) -> Allowance:
        """A bank is asked for them."""
        return allowances.cards(self._settings, actor.account_id)

    async def _about(self, actor: Account, payer_kind: PayerKind, payer_id: UUID) -> dict[str, Any]:
        """What every command about money says. Who is an admin is told of organizations alone."""
        seen = await self._view.version(payer_id) if payer_kind == "organization" else None
        return {
            "payer_kind": payer_kind,
            "payer_id": payer_id,
            "actor_id": actor.account_id,
            "seen_organization_version": seen,
        }

    # --- outcomes

    async def outcome(self, command_id: UUID, *, wait: bool = False) -> Outcome | None:
        """What is known of a command; None where it is not known. With `wait`, as soon as it is decided."""
        found = await (self._decided([command_id], self._timeout) if wait else self._read([command_id]))
        return found[0] if found else None

    async def outcomes(self, command_ids: Sequence[UUID]) -> list[Outcome]:
        """As soon as all are decided, or after the time-out; in the order of the ids."""
        return await self._decided(command_ids, self._timeout)

    async def _ask_one(self, asked: _Asked, key: RequestKey | None) -> Outcome:
        return (await self._ask([asked], key))[0]

    async def _ask(self, asked: Sequence[_Asked], key: RequestKey | None) -> list[Outcome]:
        if not asked:
            return []
        ids = [each.command_id for each in asked]
        began = time.perf_counter()
        # The watch begins before the commit, so that no answer is too quick for it.
        with self._changes.watch(*ids) as watch:
            if key is None and not any(each.spends for each in asked):
                await self._sent.ask(asked)
            elif earlier := await self._send_once(asked, key):
                return await self.outcomes(earlier.command_ids)
            deadline = asyncio.get_running_loop().time() + self._timeout
            while True:
                woken = await watch.changed(deadline - asyncio.get_running_loop().time())
                outcomes = await self._read(ids)
                if not woken or not any(outcome.is_waiting for outcome in outcomes):
                    self._counts.answer(outcomes, time.perf_counter() - began)
                    return outcomes

    async def _decided(self, ids: Sequence[UUID], timeout: float) -> list[Outcome]:
        deadline = asyncio.get_running_loop().time() + timeout
        with self._changes.watch(*ids) as watch:
            while True:
                outcomes = await self._read(ids)
                if not any(outcome.is_waiting for outcome in outcomes):
                    return outcomes
                if not await watch.changed(deadline - asyncio.get_running_loop().time()):
                    return await self._read(ids)

    async def _send_together(self, asked: Sequence[Sequence[_Asked]]) -> list[None]:
        """Commits what several requests have asked for."""
        async with self._room.transaction() as transaction:
            await self._send(transaction, [each for of_one in asked for each in of_one])
        return [None] * len(asked)

    async def _send_once(self, asked: Sequence[_Asked], key: RequestKey | None) -> Earlier | None:
        """Commits by itself what a request with a key, or one that spends, has asked for; or answers what it did when
        it came before. Raises RateLimited."""
        ids, now = [each.command_id for each in asked], self._room.clock()
        async with self._room.transaction() as transaction:
            earlier = key and await idempotency.claim(transaction.connection, key, now, command_ids=ids)
            if not earlier:
                spends = [each.spends for each in asked if each.spends is not None]
                await limits.spend(transaction.connection, spends, now)
                await self._send(transaction, asked)
        return earlier or None

    async def _send(self, transaction: WorkTransaction, asked: Sequence[_Asked]) -> None:
        now = self._room.clock()
        sent = [(each.command_id, each.command) for each in asked]
        await store.insert(transaction.connection, sent, [each.invitation_id for each in asked], now)
        # They may be of several requests, each with a trace of its own; where there are no traces, they are one group.
        for traceparent, of_one in groupby(asked, attrgetter("traceparent")):
            with tracing.continued(traceparent):
                await transaction.send([(each.command_id, each.command) for each in of_one], now=now)

    async def _read(self, ids: Sequence[UUID]) -> list[Outcome]:
        """What is known of them, in the order of the ids; those that are not known are left out."""
        return await self._outcomes.ask(ids)

    async def _read_together(self, asked: Sequence[Sequence[UUID]]) -> list[list[Outcome]]:
        async with self._room.reading() as connection:
            found = await store.read(connection, {each for ids in asked for each in ids})
        return [[found[each] for each in ids if each in found] for ids in asked]
