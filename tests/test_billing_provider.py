"""The payment provider, by Stripe's library, against the stand-in: what it says is understood, and nothing is made
twice."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from uuid import UUID

import pytest

from billing.domain.payments import NOT_ON_FILE, Failed, Payment, Purpose, Succeeded
from billing.domain.terms import DOLLAR
from billing.provider import ProviderAway, Stripe
from postroom.ids import uuid7
from stack.stripe.server import StripeServer

pytestmark = [pytest.mark.platform, pytest.mark.timeout(60)]

DECLINED_AT_ONCE, DECLINED_LATER, ASKS_FOR_ITS_HOLDER = "4000000000000002", "4000000000000341", "4000002500003155"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeServer]:
    server = StripeServer(tmp_path_factory.mktemp("stripe"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def provider(server: StripeServer) -> AsyncIterator[Stripe]:
    server.back()
    server.decline({})
    provider = Stripe(server.keys.api, server.address)
    yield provider
    await provider.close()


def payment(purpose: Purpose, card_id: str, *, payer_id: UUID | None = None, amount: int = 0) -> Payment:
    return Payment(
        payment_id=uuid7(),
        purpose=purpose,
        payer_kind="organization",
        payer_id=payer_id or uuid7(),
        card_id=card_id,
        amount=amount,
        asked_by=uuid7(),
        cause_id="cause",
        correlation_id="correlation",
        asked_at=datetime.now(UTC),
    )


async def make(provider: Stripe, asked: Payment) -> Succeeded | Failed:
    """As the worker does, from the beginning."""
    customer_id = await provider.customer(asked.payer_id, asked.payer_kind)
    if asked.purpose == "card":
        return await provider.check(asked, customer_id)
    prepared = await provider.prepare(asked, customer_id)
    return prepared if isinstance(prepared, Failed) else await provider.confirm(asked, prepared)


async def intent_of(provider: Stripe, asked: Payment, customer_id: str) -> str:
    """One that was made."""
    prepared = await provider.prepare(asked, customer_id)
    assert isinstance(prepared, str)
    return prepared


async def on_file(provider: Stripe, server: StripeServer, number: str = "4242424242424242") -> Payment:
    """A card that is on file, by the payment that put it there."""
    asked = payment("card", server.payment_method(number))
    assert isinstance(await make(provider, asked), Succeeded)
    return asked


def paid_by(server: StripeServer, asked: Payment) -> list[int]:
    """What was charged for a payment, in cents."""
    return [each.amount for each in server.charges() if each.metadata.get("payment_id") == str(asked.payment_id)]


async def test_a_card_that_is_good_is_kept_and_described(provider: Stripe, server: StripeServer) -> None:
    asked = payment("card", server.payment_method())
    settled = await make(provider, asked)

    assert isinstance(settled, Succeeded)
    assert settled.card is not None
    assert (settled.card.brand, settled.card.last4, settled.card.expiry_month) == ("visa", "4242", 12)
    assert settled.card.attached_by == asked.asked_by
    assert await make(provider, asked) == settled


@pytest.mark.parametrize("number", [DECLINED_AT_ONCE, ASKS_FOR_ITS_HOLDER])
async def test_a_card_whose_bank_does_not_agree_is_not_kept(
    provider: Stripe, server: StripeServer, number: str
) -> None:
    settled = await make(provider, payment("card", server.payment_method(number)))

    assert isinstance(settled, Failed)
    assert settled.needs_cardholder == (number == ASKS_FOR_ITS_HOLDER)


async def test_a_card_that_nobody_knows_or_that_is_somebody_elses_is_unknown(
    provider: Stripe, server: StripeServer
) -> None:
    theirs = await on_file(provider, server)

    for card_id in ("pm_nobody_knows_this", theirs.card_id):
        settled = await make(provider, payment("card", card_id))
        assert isinstance(settled, Failed)
        assert settled.is_unknown


async def test_a_payment_is_charged_once_though_what_came_of_it_is_lost(provider: Stripe, server: StripeServer) -> None:
    card = await on_file(provider, server)
    asked = payment("block", card.card_id, payer_id=card.payer_id, amount=10 * DOLLAR)
    intent_id = await intent_of(provider, asked, await provider.customer(asked.payer_id, asked.payer_kind))
    server.lose_answers(1)
    with pytest.raises(ProviderAway):
        await provider.confirm(asked, intent_id)
    assert paid_by(server, asked) == [1000], "it was charged, and nobody was told"
    for _ in range(3):
        assert await provider.confirm(asked, intent_id) == Succeeded(asked)

    assert paid_by(server, asked) == [1000]


async def test_what_stripe_can_never_charge_is_over_at_once(provider: Stripe, server: StripeServer) -> None:
    card = await on_file(provider, server)
    unknown = payment("block", "pm_nobody_knows_this", payer_id=card.payer_id, amount=10 * DOLLAR)
    somebody_elses = payment("block", card.card_id, amount=10 * DOLLAR)

    assert await make(provider, unknown) == Failed(unknown, "resource_missing", is_unknown=True)
    assert isinstance(await make(provider, somebody_elses), Failed)
    assert paid_by(server, somebody_elses) == []


async def test_an_intent_charges_once_though_its_key_is_long_forgotten(provider: Stripe, server: StripeServer) -> None:
    card = await on_file(provider, server)
    asked = payment("top_up", card.card_id, payer_id=card.payer_id, amount=25 * DOLLAR)
    intent_id = await intent_of(provider, asked, await provider.customer(asked.payer_id, asked.payer_kind))
    assert paid_by(server, asked) == []
    server.forget_keys()
    another = await intent_of(provider, asked, await provider.customer(asked.payer_id, asked.payer_kind))
    assert another != intent_id, "the key is forgotten, and another intent is made"
    for _ in range(3):
        assert await provider.confirm(asked, intent_id) == Succeeded(asked)

    assert paid_by(server, asked) == [2500]


async def test_a_canceled_intent_charges_no_more_and_one_that_has_charged_is_not_canceled(
    provider: Stripe, server: StripeServer
) -> None:
    card = await on_file(provider, server)
    customer_id = await provider.customer(card.payer_id, card.payer_kind)
    given_up = payment("block", card.card_id, payer_id=card.payer_id, amount=10 * DOLLAR)
    intent_id = await intent_of(provider, given_up, customer_id)
    assert await provider.cancel(given_up, intent_id) == Failed(given_up, NOT_ON_FILE)
    assert isinstance(await provider.confirm(given_up, intent_id), Failed)
    paid = payment("block", card.card_id, payer_id=card.payer_id, amount=10 * DOLLAR)
    intent_id = await intent_of(provider, paid, customer_id)
    await provider.confirm(paid, intent_id)

    assert await provider.cancel(paid, intent_id) == Succeeded(paid)
    assert (paid_by(server, given_up), paid_by(server, paid)) == ([], [1000])


async def test_a_card_that_asks_for_its_holder_when_it_is_charged_fails(provider: Stripe, server: StripeServer) -> None:
    card_id, payer_id = server.payment_method(ASKS_FOR_ITS_HOLDER), uuid7()
    await make(provider, payment("card", card_id, payer_id=payer_id))
    settled = await make(provider, payment("block", card_id, payer_id=payer_id, amount=10 * DOLLAR))

    assert isinstance(settled, Failed)
    assert settled.needs_cardholder


async def test_a_card_that_is_declined_when_it_is_charged_says_why(provider: Stripe, server: StripeServer) -> None:
    card = await on_file(provider, server)
    asked = payment("block", card.card_id, payer_id=card.payer_id, amount=10 * DOLLAR)
    server.decline({card.card_id: "insufficient_funds"})

    assert await make(provider, asked) == Failed(asked, "insufficient_funds")
    assert paid_by(server, asked) == []


async def test_a_card_that_fails_only_when_it_is_charged_is_declined_then(
    provider: Stripe, server: StripeServer
) -> None:
    card = await on_file(provider, server, DECLINED_LATER)
    asked = payment("block", card.card_id, payer_id=card.payer_id, amount=10 * DOLLAR)
    settled = await make(provider, asked)

    assert isinstance(settled, Failed)
    assert not settled.needs_cardholder
    assert isinstance(await make(provider, asked), Failed), "asked again, it says so again"
    assert paid_by(server, asked) == []


async def test_while_the_provider_is_away_nothing_is_known(provider: Stripe, server: StripeServer) -> None:
    card = await on_file(provider, server)
    asked = payment("block", card.card_id, payer_id=card.payer_id, amount=10 * DOLLAR)
    server.away()
    with pytest.raises(ProviderAway):
        await make(provider, asked)
    server.back()

    assert await make(provider, asked) == Succeeded(asked)
    assert paid_by(server, asked) == [1000]
