"""A new month renews the caps, and whose instances have stopped for a cap is told."""

from datetime import timedelta

from billing_world import ACME, ADMIN, MEMBER
from sqlalchemy.ext.asyncio import AsyncEngine
from test_payments import Till, top_up

from billing.app import build
from billing.domain.terms import DOLLAR
from billing.settings import Settings
from contracts import FundsExhausted, FundsRestored, SetSpendCap
from postroom.timers import Timers
from postroom.transaction import PostgresTransactions


async def tell_time(till: Till) -> int:
    """The timers of the service, once."""
    settings = Settings.model_validate(
        {"kafka_bootstrap_servers": "nowhere:9092", "database_url": "postgresql://nowhere/billing"}
    )
    service = build(settings, till.clock)
    transactions = PostgresTransactions(till.engine, wake_relay=lambda: None, relay_is_here=lambda: True)
    timers = Timers(service.reactions, transactions, till.clock)
    return sum([await timers.run(timer) for timer in service.timers])


async def test_funds_that_a_cap_has_exhausted_are_restored_when_the_month_turns(engine: AsyncEngine) -> None:
    till = Till(engine)
    await till.founded()
    await till.ask(top_up())
    cap = SetSpendCap(
        payer_kind="organization",
        payer_id=ACME,
        actor_id=ADMIN,
        seen_organization_version=None,
        account_id=MEMBER,
        cap=5 * DOLLAR,
    )
    await till.ask(cap)
    await till.uses(6 * DOLLAR)
    assert len(await till.told(FundsExhausted)) == 1
    await tell_time(till)
    assert await till.told(FundsRestored) == []
    till.clock.passes(timedelta(days=1))
    await tell_time(till)

    (restored,) = await till.told(FundsRestored)
    assert isinstance(restored, FundsRestored)
    assert restored.account_id == MEMBER
    await tell_time(till)
    assert len(await till.told(FundsRestored)) == 1
