"""Books on a real PostgreSQL, with several processes at them at once: exact to the micro-dollar."""

import asyncio
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from billing_desk import HOUR, NOON, agreed, of_type, shares_of, usage
from billing_world import ACME, ADMIN, GLOBEX, JOINED_AT, Clock, Instances, Stay
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from billing.domain.books import Cause
from billing.domain.charges import amount_of, usage_id_of
from billing.domain.paying import conclude
from billing.domain.payments import Failed, Payment, Settled, Succeeded
from billing.domain.terms import DOLLAR, Terms
from billing.handlers import REACTIONS
from billing.store import payments as rows
from billing.store.books import BookStore
from billing.store.ledger import balances, differences
from contracts import (
    AccountProfile,
    AttachCard,
    FundsRestored,
    MemberJoined,
    MemberLeft,
    OrganizationCreated,
    SetSpendCap,
    TopUpCredit,
    UsageCharged,
    UsageRecorded,
)
from postroom import Context, Message
from postroom.ids import uuid7

STORE = BookStore(Terms(), Clock(NOON))
# In this database: others, on the same server, wait for locks of their own.
_WAITING = text("""
    SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (
        SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE datname = current_database()
    )
""")


class Bank:
    """Concludes payments in the database, as billing's worker does, without asking anybody."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def says(self, settled: Settled) -> list[Message]:
        async with self._engine.begin() as connection:
            return await self.says_over(connection, settled)

    async def says_over(self, connection: AsyncConnection, settled: Settled) -> list[Message]:
        await rows.end(connection, settled, NOON)
        books = await STORE.load(connection, [settled])
        payment = settled.payment
        facts = list(conclude(books, settled, Cause(payment.payment_id, payment.cause_id, "", NOON)))
        await STORE.save(connection, books)
        return list(facts)

    async def agrees_to_all(self, chance: random.Random | None = None) -> int:
        """Answers what it is asked, and says how many that was. With a `chance` it declines a third."""
        async with self._engine.begin() as connection:
            claimed = await rows.claim(connection, NOON, lease=HOUR, limit=100)
        for each in claimed:
            declines = chance is not None and chance.random() < 0.3
            await self.says(Failed(each.payment, "insufficient_funds") if declines else agreed(each.payment))
        return len(claimed)

    async def gives(self, organization_id: UUID, amount: int) -> None:
        """Credit that was bought."""
        nobody = uuid7()
        await self.says(
            Succeeded(
                Payment(
                    payment_id=uuid7(),
                    purpose="top_up",
                    payer_kind="organization",
                    payer_id=organization_id,
                    card_id="pm_of_then",
                    amount=amount,
                    asked_by=nobody,
                    cause_id=str(nobody),
                    correlation_id=str(nobody),
                    asked_at=NOON,
                )
            )
        )


@pytest.fixture
def bank(engine: AsyncEngine) -> Bank:
    return Bank(engine)


@pytest.fixture
def instances(engine: AsyncEngine) -> Instances:
    return Instances(engine, Clock(NOON))


async def payers(engine: AsyncEngine) -> dict[UUID, tuple[str, int, int]]:
    """Kind, credit, and rest of a block, as they stand in the database."""
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT payer_id, kind, credit, block FROM payers"))
        return {row.payer_id: (row.kind, row.credit, row.block) for row in found}


async def look_at_the_books(engine: AsyncEngine, recorded: Sequence[UsageRecorded]) -> None:
    """They balance, and every usage is charged once: paid, waiting, or written off."""
    async with engine.connect() as connection:
        assert await differences(connection) == []
        held = await balances(connection)
        assert sum(held.values()) == 0
        charged = await connection.execute(
            text("SELECT usage_id, sum(amount) AS amount, sum(waiting) AS waiting FROM charges GROUP BY usage_id")
        )
        charges = {row.usage_id: (int(row.amount), int(row.waiting)) for row in charged}
    assert {usage_id: amount for usage_id, (amount, _) in charges.items()} == {
        usage_id_of(each): amount_of(each) for each in recorded
    }
    assert held.get("revenue", 0) == sum(amount - waiting for amount, waiting in charges.values())


def created(organization_id: UUID = ACME, owner_id: UUID = ADMIN) -> OrganizationCreated:
    return OrganizationCreated(
        organization_id=organization_id, version=1, name="Acme", owner_id=owner_id, created_at=JOINED_AT
    )


def hourly(account_id: UUID, amount: int, number: int) -> UsageRecorded:
    return usage(account_id, amount, NOON - HOUR, NOON, meter_id=f"{account_id} {number}")


async def test_who_joins_and_uses_in_one_batch_draws_from_what_there_is(
    engine: AsyncEngine, instances: Instances, bank: Bank
) -> None:
    await bank.gives(ACME, 50 * DOLLAR)
    stay = Stay(uuid7())
    recorded = hourly(stay.account_id, 2 * DOLLAR, 1)
    await instances.hand_in(stay.joined(), recorded)
    (fact,) = of_type(await instances.facts(), UsageCharged)
    assert shares_of(fact) == {"organization_credit": 2 * DOLLAR}
    assert (await payers(engine))[ACME] == ("organization", 48 * DOLLAR, 0)
    await look_at_the_books(engine, [recorded])


async def test_who_joins_late_is_charged_anew_from_what_there_is(
    engine: AsyncEngine, instances: Instances, bank: Bank
) -> None:
    await bank.gives(ACME, 50 * DOLLAR)
    stay = Stay(uuid7())
    recorded = hourly(stay.account_id, 2 * DOLLAR, 1)
    await instances.hand_in(recorded)
    await instances.hand_in(stay.joined())
    assert (await payers(engine))[ACME] == ("organization", 48 * DOLLAR, 0)
    await look_at_the_books(engine, [recorded])


async def test_an_id_in_a_wish_makes_no_payer(engine: AsyncEngine, instances: Instances) -> None:
    nobody, account_id = uuid7(), uuid7()
    await instances.hand_in(created())
    said = {"payer_kind": "organization", "actor_id": ADMIN, "seen_organization_version": None}
    await instances.hand_in(
        TopUpCredit(**said, payer_id=nobody, amount=50 * DOLLAR),  # type: ignore[arg-type]
        SetSpendCap(**said, payer_id=ACME, account_id=account_id, cap=0),  # type: ignore[arg-type]
        AttachCard(
            payer_kind="account", payer_id=nobody, actor_id=ADMIN, seen_organization_version=None, card_id="pm_1"
        ),
    )
    assert (await payers(engine)).keys() == {ACME}


async def test_one_usage_that_is_told_of_two_accounts_is_charged_once(
    engine: AsyncEngine, instances: Instances
) -> None:
    one = usage(uuid7(), 2 * DOLLAR, NOON - HOUR, NOON, meter_id="shared")
    other = one.model_copy(update={"account_id": uuid7()})
    await instances.hand_in_at_once([one, other, one, other])
    assert len(of_type(await instances.facts(), UsageCharged)) == 1
    await look_at_the_books(engine, [one])


async def test_who_comes_to_wait_while_a_payment_is_concluded_is_not_forgotten(
    engine: AsyncEngine, instances: Instances, bank: Bank
) -> None:
    stays = [Stay(uuid7()), Stay(uuid7())]
    await instances.hand_in(created(), *(stay.joined() for stay in stays))
    await instances.hand_in(
        AttachCard(
            payer_kind="organization", payer_id=ACME, actor_id=ADMIN, seen_organization_version=None, card_id="pm_1"
        )
    )
    await bank.agrees_to_all()
    early, late = (hourly(stay.account_id, 1 * DOLLAR, 1) for stay in stays)
    await instances.hand_in(early)
    async with engine.begin() as connection:
        (claimed,) = await rows.claim(connection, NOON, lease=HOUR, limit=10)
    async with engine.connect() as connection:
        books = await STORE.load(connection, [late])
        message_id = uuid7()
        assert not list(REACTIONS[UsageRecorded](late, books, Context(message_id, "", "", "", NOON))), "it waits"
        await STORE.save(connection, books)
        concluding = asyncio.create_task(bank.says(agreed(claimed.payment)))
        await _until_somebody_waits_for_a_lock(connection)
        await connection.commit()
    assert len(of_type(await concluding, UsageCharged)) == 2
    await look_at_the_books(engine, [early, late])


async def test_who_has_stopped_while_credit_is_bought_is_told_to_go_on(
    engine: AsyncEngine, instances: Instances, bank: Bank
) -> None:
    stay = Stay(uuid7())
    await instances.hand_in(created(), stay.joined())
    recorded = hourly(stay.account_id, 1 * DOLLAR, 1)
    async with engine.connect() as connection:
        books = await STORE.load(connection, [recorded])
        list(REACTIONS[UsageRecorded](recorded, books, Context(uuid7(), "", "", "", NOON)))
        await STORE.save(connection, books)
        buying = asyncio.create_task(
            bank.says(
                Succeeded(
                    Payment(uuid7(), "top_up", "organization", ACME, "pm", 10 * DOLLAR, ADMIN, "cause", "wish", NOON)
                )
            )
        )
        await _until_somebody_waits_for_a_lock(connection)
        await connection.commit()
    assert [fact.account_id for fact in of_type(await buying, FundsRestored)] == [stay.account_id]


async def test_two_hundred_members_that_draw_at_once_from_one_credit_draw_it_exactly(
    engine: AsyncEngine, instances: Instances, bank: Bank
) -> None:
    members = [Stay(uuid7()) for _ in range(200)]
    await instances.hand_in(*(stay.joined() for stay in members))
    await bank.gives(ACME, 1000 * DOLLAR + 7)
    # Each uses 5.123456 dollars: together more than there is.
    recorded = [hourly(stay.account_id, 1_280_864, number) for stay in members for number in range(4)]
    batches = [recorded[start::20] for start in range(20)]
    await asyncio.gather(*(instances.hand_in(*batch) for batch in batches))
    facts = of_type(await instances.facts(), UsageCharged)
    assert sum(share.amount for fact in facts for share in fact.shares) == 1000 * DOLLAR + 7
    assert sum(fact.written_off for fact in facts) == 200 * 4 * 1_280_864 - 1000 * DOLLAR - 7
    assert (await payers(engine))[ACME] == ("organization", 0, 0)
    assert sorted({share.payer_version for fact in facts for share in fact.shares}) == list(
        range(2, 2 + sum(bool(fact.shares) for fact in facts))
    ), "each draw is a version of its own"
    await look_at_the_books(engine, recorded)


@pytest.mark.parametrize("seed", range(6))
async def test_the_books_balance_whatever_batches_several_processes_take_at_once(
    engine: AsyncEngine, instances: Instances, bank: Bank, seed: int
) -> None:
    chance = random.Random(seed)
    accounts = [uuid7() for _ in range(12)]
    await instances.hand_in(created(ACME), created(GLOBEX))
    stays = [Stay(account_id, chance.choice([ACME, GLOBEX])) for account_id in accounts[:10]]
    recorded = [
        usage(
            chance.choice(accounts),
            chance.choice([0, 1, 333_333, 2 * DOLLAR, 25 * DOLLAR + 1]),
            begin,
            begin + chance.choice([timedelta(0), HOUR, 3 * HOUR]),
            meter_id=str(number),
        )
        for number in range(120)
        for begin in [JOINED_AT + chance.randint(-5, 5) * HOUR]
    ]
    messages: list[Message] = [
        *recorded,
        *chance.choices(recorded, k=40),
        *(stay.joined() for stay in stays),
        *(stay.left(JOINED_AT + chance.randint(0, 6) * HOUR) for stay in stays if chance.random() < 0.5),
        *(
            AccountProfile(account_id=each, version=1, address=f"{each}@example.com", name="", verified=True)
            for each in accounts
            if chance.random() < 0.7
        ),
        *(_card(ACME, ADMIN, "organization") for _ in range(2)),
        *(_card(each, each, "account") for each in accounts[:6]),
        *(_cap(chance.choice(stays), chance.choice([None, 0, 1 * DOLLAR])) for _ in range(5)),
    ]
    chance.shuffle(messages)
    told = list(messages)
    await bank.gives(GLOBEX, 30 * DOLLAR + 1)
    batches = []
    while messages:
        size = chance.choice([1, 2, 5, 30])
        batches.append(messages[:size])
        messages = messages[size:]
    for start in range(0, len(batches), 4):
        await asyncio.gather(
            bank.agrees_to_all(chance), *(instances.hand_in(*batch) for batch in batches[start : start + 4])
        )
    while await bank.agrees_to_all(chance):
        pass
    await instances.facts()
    await look_at_the_books(engine, recorded)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM charges WHERE waiting > 0"))).scalar_one() == 0
        for row in await connection.execute(text("SELECT account_id, organization_id, used_from FROM charges")):
            assert row.organization_id == _truth(told, row.account_id, row.used_from)


def _truth(told: Sequence[Message], account_id: UUID, instant: datetime) -> UUID | None:
    """Which organization the account was in, as membership told."""
    ends = {fact.membership_id: fact.left_at for fact in of_type(told, MemberLeft)}
    for stay in of_type(told, MemberJoined):
        end = ends.get(stay.membership_id)
        if stay.account_id == account_id and stay.joined_at <= instant and (end is None or instant < end):
            return stay.organization_id
    return None


def _card(payer_id: UUID, actor_id: UUID, kind: str) -> AttachCard:
    return AttachCard(
        payer_kind=kind,  # type: ignore[arg-type]
        payer_id=payer_id,
        actor_id=actor_id,
        seen_organization_version=None,
        card_id="pm_1",
    )


def _cap(stay: Stay, cap: int | None) -> SetSpendCap:
    return SetSpendCap(
        payer_kind="organization",
        payer_id=stay.organization_id,
        actor_id=ADMIN,
        seen_organization_version=None,
        account_id=stay.account_id,
        cap=cap,
    )


async def _until_somebody_waits_for_a_lock(connection: AsyncConnection) -> None:
    async with asyncio.timeout(20):
        while not (await connection.execute(_WAITING)).scalar_one():
            await asyncio.sleep(0.01)
