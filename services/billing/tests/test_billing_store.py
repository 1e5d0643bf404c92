"""billing on a real PostgreSQL: what a ledger will find, and who wins when several are at it at once."""

from datetime import timedelta

import pytest
from billing_world import ACME, GLOBEX, GONE_AT, JOINED_AT, MEMBER, NOW, Instances, Stay, context
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from billing.domain.chains import DRAW_ORDER
from billing.domain.terms import Terms
from billing.handlers import REACTIONS
from billing.store.books import BookStore
from contracts import BillingChainClosed, BillingChainEstablished
from postroom import Message
from postroom.ids import uuid7


def book_store() -> BookStore:
    return BookStore(Terms(), lambda: NOW)


async def test_a_chain_is_kept_with_its_sources_version_and_times(instances: Instances) -> None:
    stay = Stay()
    await instances.hand_in(stay.joined())
    (fact,) = await instances.facts()
    assert isinstance(fact, BillingChainEstablished)
    chain = (await instances.chains())[stay.membership_id]
    assert (chain.chain_id, chain.organization_id, chain.account_id) == (fact.chain_id, ACME, MEMBER)
    assert tuple(chain.sources) == DRAW_ORDER
    assert (chain.version, chain.effective_at, chain.established_at) == (1, JOINED_AT, NOW)
    assert (chain.end_reason, chain.ends_at, chain.closed_at) == (None, None, None)


@pytest.mark.parametrize("one_batch", [True, False], ids=["in one batch", "in two batches"])
async def test_a_closed_chain_keeps_when_and_why_it_ended(instances: Instances, one_batch: bool) -> None:
    stay = Stay()
    if one_batch:
        await instances.hand_in(stay.joined(), stay.removed())
    else:
        await instances.hand_in(stay.joined())
        await instances.hand_in(stay.removed())
    chain = (await instances.chains())[stay.membership_id]
    assert (chain.version, chain.end_reason, chain.ends_at, chain.closed_at) == (2, "removed", GONE_AT, NOW)
    assert [type(fact) for fact in await instances.facts()] == [BillingChainEstablished, BillingChainClosed]


async def test_an_end_that_comes_first_waits_in_the_database(instances: Instances) -> None:
    stay = Stay()
    await instances.hand_in(stay.left())
    assert await instances.facts() == []
    waiting = (await instances.chains())[stay.membership_id]
    assert (waiting.version, waiting.established_at, waiting.ends_at) == (0, None, GONE_AT)
    await instances.hand_in(stay.joined())
    chain = (await instances.chains())[stay.membership_id]
    assert (chain.chain_id, chain.version) == (waiting.chain_id, 2)
    assert (chain.effective_at, chain.ends_at, chain.end_reason) == (JOINED_AT, GONE_AT, "left")
    assert tuple(chain.sources) == DRAW_ORDER
    assert [type(fact) for fact in await instances.facts()] == [BillingChainEstablished, BillingChainClosed]


async def test_a_joining_that_is_told_again_under_another_id_makes_no_second_chain(instances: Instances) -> None:
    stay = Stay()
    await instances.hand_in(stay.joined(), stay.joined())
    await instances.hand_in(stay.joined())
    assert len(await instances.facts()) == 1


async def test_two_open_chains_of_one_account_are_no_error(instances: Instances) -> None:
    here, there = Stay(MEMBER, ACME), Stay(MEMBER, GLOBEX)
    await instances.hand_in(here.joined())
    await instances.hand_in(there.joined())
    await instances.hand_in(here.left())
    chains = await instances.chains()
    assert chains[there.membership_id].ends_at is None
    assert chains[here.membership_id].ends_at == GONE_AT


async def test_who_opens_a_chain_second_waits_for_the_first_and_finds_it_open(engine: AsyncEngine) -> None:
    store, joined = book_store(), Stay().joined()
    async with engine.connect() as here, engine.connect() as there:
        mine = await store.load(here, [joined])
        assert len(list(REACTIONS[type(joined)](joined, mine, context()))) == 1
        await store.save(here, mine)
        await there.execute(text("SET lock_timeout = '1ms'"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await store.load(there, [joined])
        await there.rollback()
        await here.commit()
        assert REACTIONS[type(joined)](joined, await store.load(there, [joined]), context()) == ()


async def test_twenty_deliveries_at_once_make_one_chain(instances: Instances) -> None:
    stay = Stay()
    await instances.hand_in_at_once(stay.joined() for _ in range(20))
    assert [type(fact) for fact in await instances.facts()] == [BillingChainEstablished]


async def test_who_ends_a_chain_second_waits_for_the_first_and_finds_it_ended(
    instances: Instances, engine: AsyncEngine
) -> None:
    store, stay = book_store(), Stay()
    await instances.hand_in(stay.joined())
    left, removed = stay.left(), stay.removed()
    async with engine.connect() as here, engine.connect() as there:
        mine = await store.load(here, [left])
        assert len(list(REACTIONS[type(left)](left, mine, context()))) == 1
        await store.save(here, mine)
        await there.execute(text("SET lock_timeout = '1ms'"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await store.load(there, [removed])
        await there.rollback()
        await here.commit()
        assert REACTIONS[type(removed)](removed, await store.load(there, [removed]), context()) == ()


async def test_beginning_and_end_at_once_make_one_closed_chain(instances: Instances) -> None:
    stays = [Stay() for _ in range(10)]
    await instances.hand_in_at_once(message for stay in stays for message in (stay.joined(), stay.left()))
    facts = await instances.facts()
    for stay in stays:
        of_stay = [
            fact
            for fact in facts
            if isinstance(fact, BillingChainEstablished | BillingChainClosed)
            and fact.membership_id == stay.membership_id
        ]
        assert [fact.version for fact in of_stay] == [1, 2]
        assert len({fact.chain_id for fact in of_stay}) == 1


async def test_a_batch_costs_the_same_statements_whatever_its_size(engine: AsyncEngine) -> None:
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    store, costs = book_store(), []
    for size in (1, 1, 200):
        statements.clear()
        batch: list[Message] = [Stay(uuid7()).joined() for _ in range(size)]
        async with engine.begin() as connection:
            books = await store.load(connection, batch)
            for message in batch:
                list(REACTIONS[type(message)](message, books, context()))
            await store.save(connection, books)
        costs.append(len(statements))
    assert costs[1] == costs[2], "what is the first of its kind costs more"


async def test_ended_chains_are_forgotten_after_400_days(instances: Instances) -> None:
    ended, waiting, open_ = Stay(), Stay(), Stay()
    await instances.hand_in(ended.joined(), ended.left(), waiting.left(), open_.joined())
    instances.clock.passes(timedelta(days=399))
    await instances.clean_up()
    assert set(await instances.chains()) == {stay.membership_id for stay in (ended, waiting, open_)}
    instances.clock.passes(timedelta(days=2))
    await instances.clean_up()
    assert set(await instances.chains()) == {open_.membership_id}
