"""The scenes of the demo about money: a member's instance runs, and one source after another pays for it."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from contracts import (
    CardCharged,
    CardDeclined,
    CreditToppedUp,
    FundsExhausted,
    FundsRestored,
    LetterSent,
    UsageCharged,
)
from stack.meters import Meter

if TYPE_CHECKING:
    from stack.story import Story

_DOLLAR = 1_000_000
_HOURLY = 60 * _DOLLAR
"""A dollar a minute."""
_GOOD, _WORN = "4242424242424242", "4000000000000341"
"""Test cards: one that pays, and one that is good until it is charged."""
_SOON = 5.0


class Charge(Protocol):
    """Money that was taken from a card."""

    @property
    def amount(self) -> int:
        """In cents."""
        ...

    @property
    def metadata(self) -> Mapping[str, str]: ...


class Bank(Protocol):
    """What stands in for Stripe, and for whoever types a card's number into its page."""

    def payment_method(self, number: str) -> str: ...

    def charges(self) -> Sequence[Charge]: ...


class WhoPays:
    """Played after the member has joined; leaves the organization with credit and a card."""

    def __init__(self, story: "Story", bank: Bank) -> None:
        self._story = story
        self._bank = bank

    async def play(self) -> None:
        """As Story.play."""
        story = self._story
        self._meter = Meter(story.member.account_id, _HOURLY)
        self._used_until = datetime.now(UTC)
        await self._credit_first()
        await self._then_the_card()
        await self._then_one_s_own()
        await self._restored()

    async def _credit_first(self) -> None:
        story, owner = self._story, self._story.owner
        story.narrator.scene("Who pays", "The organization's prepaid credit first, and only what its card was charged.")
        await owner.console.set_card(await self._card(_GOOD), story.organization_id)
        balance = await owner.console.top_up(story.organization_id, 20 * _DOLLAR)
        story.claim(f"{owner.address} buys {_dollars(20 * _DOLLAR)} of credit with a card", balance == 20 * _DOLLAR)
        charged = await self._runs(15)
        story.claim(
            f"the instance of {story.member.address} runs for 15 minutes at a dollar each: {_said(charged)}",
            _by(charged) == {"organization_credit": 15 * _DOLLAR},
        )
        chain = await self._chain_when(lambda chain: chain["sources"][0]["left"] == 5 * _DOLLAR)
        story.claim(
            "their page says what is left, and until when: "
            f"{_dollars(chain['sources'][0]['left'])}, to {(chain['until'] or '')[11:16]} UTC at the present rate",
            chain["paying"] == "organization_credit" and chain["until"] is not None,
        )

    async def _then_the_card(self) -> None:
        story = self._story
        story.narrator.scene("A charge is split", "Credit drains to the last cent; a card is charged in blocks of $10.")
        charged = await self._runs(10)
        story.claim(
            f"10 minutes more: {_said(charged)}",
            _by(charged) == {"organization_credit": 5 * _DOLLAR, "organization_card": 5 * _DOLLAR},
        )
        block = await story.watcher.fact(CardCharged, payer_id=story.organization_id)
        story.claim(f"its card was charged {_dollars(block.amount)} for it, ahead", block.amount == 10 * _DOLLAR)
        charged = await self._runs(5)
        story.claim(
            f"what is left of the block pays for the next 5 minutes: {_said(charged)}",
            _by(charged) == {"organization_card": 5 * _DOLLAR} and len(await self._taken()) == 2,
        )

    async def _then_one_s_own(self) -> None:
        story, member = self._story, self._story.member
        story.narrator.scene("Exhausted", "One's own sources come last; then instances stop, and the rest is nobody's.")
        await story.owner.console.set_card(await self._card(_WORN), story.organization_id)
        charged = await self._runs(8)
        await story.watcher.fact(CardDeclined, payer_id=story.organization_id)
        story.claim(
            f"the organization's new card is declined, and the trial credit pays: {_said(charged)}",
            _by(charged) == {"member_credit": 5 * _DOLLAR},
        )
        story.claim(
            f"nobody will ever be charged for the rest, {_dollars(charged.written_off)}",
            charged.written_off == 3 * _DOLLAR,
        )
        await story.watcher.fact(FundsExhausted, account_id=member.account_id)
        await story.watcher.fact(LetterSent, kind="funds_exhausted", cause_key=member.account_id)
        chain = await self._chain_when(lambda chain: chain["funds"] == "exhausted")
        story.claim("their instances are told to stop, and they are told why", chain["paying"] is None)

    async def _restored(self) -> None:
        story = self._story
        story.narrator.scene("Restored", "Money that comes back restores; what was used before stays paid for.")
        await story.owner.console.set_card(await self._card(_GOOD), story.organization_id)
        await story.owner.console.top_up(story.organization_id, 50 * _DOLLAR)
        await story.watcher.fact(FundsRestored, account_id=story.member.account_id)
        charged = await self._runs(12)
        story.claim(
            f"another card, {_dollars(50 * _DOLLAR)} of credit, and the instance goes on: {_said(charged)}",
            _by(charged) == {"organization_credit": 12 * _DOLLAR},
        )
        taken = await self._taken()
        story.claim(
            f"all that cards were ever charged: {', '.join(_dollars(cents * 10_000) for cents in taken)}",
            taken == [2000, 1000, 5000],
        )

    # --- what happens, and what is looked at

    async def _card(self, number: str) -> str:
        """What a page makes of it. The number goes to Stripe alone."""
        return await asyncio.to_thread(self._bank.payment_method, number)

    async def _runs(self, minutes: int) -> UsageCharged:
        """The member's instance runs for so many minutes, which pass at once; who paid for it."""
        begun, self._used_until = self._used_until, self._used_until + timedelta(minutes=minutes)
        await self._story.watcher.send(self._meter.usage(begun, self._used_until))
        return await self._story.watcher.fact(UsageCharged, account_id=self._story.member.account_id, used_from=begun)

    async def _chain_when(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The member's page, which follows the topics by some milliseconds."""
        deadline = asyncio.get_running_loop().time() + _SOON
        while True:
            chain = await self._story.member.console.billing_chain()
            if wanted(chain) or asyncio.get_running_loop().time() > deadline:
                return chain
            await asyncio.sleep(0.05)

    async def _taken(self) -> list[int]:
        """What the organization's cards were charged, in cents, as the bank says."""
        facts = self._story.watcher.facts
        blocks, top_ups = facts(CardCharged), facts(CreditToppedUp)
        payments = {fact.payment_id: fact.payer_id for fact in blocks}
        payments |= {fact.payment_id: fact.payer_id for fact in top_ups}
        mine = {str(payment) for payment, payer_id in payments.items() if payer_id == self._story.organization_id}
        charges = await asyncio.to_thread(self._bank.charges)
        return [charge.amount for charge in charges if charge.metadata.get("payment_id") in mine]


def _by(charged: UsageCharged) -> dict[str, int]:
    return {share.kind: share.amount for share in charged.shares}


def _said(charged: UsageCharged) -> str:
    return ", ".join(f"{_dollars(share.amount)} by {share.kind.replace('_', ' ')}" for share in charged.shares)


def _dollars(amount: int) -> str:
    return f"${amount / _DOLLAR:,.2f}"
