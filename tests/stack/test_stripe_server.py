"""The stand-in for Stripe, asked by Stripe's own library over real HTTP: what is charged, what is declined, and what is
answered to a key that was used before."""

import http.client
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import psutil
import pytest
import stripe

from stack.loopback import request
from stack.ports import LOOPBACK
from stack.stripe.memory import Answer, Memory
from stack.stripe.server import StripeServer

CHARGED_LATER_AND_DECLINED = "4000000000000341"
ASKS_FOR_THE_CARDHOLDER = "4000002500003155"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeServer]:
    server = StripeServer(tmp_path_factory.mktemp("stripe"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running: StripeServer) -> StripeServer:
    """It does what it should."""
    running.start()
    running.back()
    running.decline({})
    return running


class Shop:
    """Who is paid through it: a customer with a card on file."""

    def __init__(self, server: StripeServer, card: str = "4242424242424242", *, retries: int = 0) -> None:
        self.server = server
        self.api = stripe.StripeClient(
            server.keys.api, base_addresses={"api": server.address}, max_network_retries=retries
        ).v1
        self.customer = self.api.customers.create({"metadata": {"payer_id": "4711"}}).id
        self.card = server.payment_method(card)
        self.api.payment_methods.attach(self.card, {"customer": self.customer})

    def charge(self, key: str, amount: int = 1_000, *, card: str | None = None) -> stripe.PaymentIntent:
        return self.api.payment_intents.create(
            {
                "amount": amount,
                "currency": "usd",
                "customer": self.customer,
                "payment_method": card or self.card,
                "confirm": True,
                "off_session": True,
                "metadata": {"payment_id": key},
            },
            {"idempotency_key": f"{self.customer}-{key}"},
        )

    @property
    def charged(self) -> list[int]:
        """The amounts that this customer really paid."""
        return [charge.amount for charge in self.server.charges() if charge.customer == self.customer]


# --- idempotency keys


def test_who_never_hears_the_answer_and_asks_five_times_is_charged_once(server: StripeServer) -> None:
    shop = Shop(server)
    server.lose_answers(4)
    for _ in range(4):
        with pytest.raises(stripe.APIConnectionError):
            shop.charge("top-up")
    intent = shop.charge("top-up")

    assert intent.status == "succeeded"
    assert shop.charged == [1_000]


def test_a_replayed_answer_is_the_first_one_and_says_so(server: StripeServer) -> None:
    shop = Shop(server)
    first, second = shop.charge("top-up"), shop.charge("top-up")

    assert first.id == second.id
    assert shop.charged == [1_000]
    assert [_is_replayed(intent) for intent in (first, second)] == [False, True]


def test_a_key_is_good_for_one_request_alone(server: StripeServer) -> None:
    shop = Shop(server)
    shop.charge("top-up")
    with pytest.raises(stripe.IdempotencyError):
        shop.charge("top-up", amount=2_000)

    assert shop.charged == [1_000]


def test_another_key_is_another_charge(server: StripeServer) -> None:
    shop = Shop(server)
    shop.charge("first")
    shop.charge("second")

    assert shop.charged == [1_000, 1_000]


def test_twenty_at_once_with_one_key_move_money_once(server: StripeServer) -> None:
    shop = Shop(server, retries=10)
    server.delay(0.2)
    with ThreadPoolExecutor(20) as pool:
        intents = list(pool.map(lambda _: shop.charge("top-up"), range(20)))

    assert len({intent.id for intent in intents}) == 1
    assert shop.charged == [1_000]


def test_a_request_whose_key_is_under_way_is_a_conflict(server: StripeServer) -> None:
    shop = Shop(server)
    server.delay(1.0)
    refused = server.counts()["refused"]
    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(shop.charge, "top-up") for _ in range(4)]
        errors = [each.exception() for each in asked]

    assert [error.http_status for error in errors if isinstance(error, stripe.APIError)] == [409] * 3
    assert server.counts()["refused"] - refused == 3
    assert shop.charged == [1_000]


def test_a_decline_is_replayed_as_well(server: StripeServer) -> None:
    shop = Shop(server, CHARGED_LATER_AND_DECLINED)
    intents = set()
    for _ in range(2):
        with pytest.raises(stripe.CardError) as declined:
            shop.charge("top-up")
        intents.add(_intent_of(declined.value).id)

    assert len(intents) == 1
    assert shop.charged == []


def test_what_was_refused_before_it_began_may_be_asked_again_with_the_same_key(server: StripeServer) -> None:
    shop = Shop(server)
    for _ in range(2):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            shop.charge("top-up", amount=-1)
        assert refused.value.http_status == 400
    shop.charge("top-up")

    assert shop.charged == [1_000]


def test_keys_charges_and_customers_outlive_a_killed_server(server: StripeServer) -> None:
    shop = Shop(server)
    before = shop.charge("top-up")
    server.kill()
    server.start()
    after = shop.charge("top-up")
    shop.charge("another")

    assert after.id == before.id
    assert shop.charged == [1_000, 1_000]


def test_a_key_that_is_forgotten_is_a_new_one(server: StripeServer) -> None:
    shop = Shop(server)
    shop.charge("top-up")
    server.forget_keys()
    shop.charge("top-up")

    assert shop.charged == [1_000, 1_000]


def test_an_answer_that_cannot_be_kept_changes_no_objects_either(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "stripe.sqlite", lambda _: None)
    answers = {"key": Answer("digest", 200, b"{}")}
    memory.keep({"charge:1": 1}, ["charge:1"], answers)
    with pytest.raises(sqlite3.IntegrityError):
        memory.keep({"charge:1": 1, "charge:2": 2}, ["charge:2"], answers)

    assert memory.objects() == {"charge:1": 1}
    memory.close()


def test_what_was_two_references_to_one_object_is_so_again(tmp_path: Path) -> None:
    charge: list[object] = ["charge"]
    intent = ["intent", charge]
    objects = {"charge:1": charge, "intent:1": intent}
    memory = Memory(
        tmp_path / "stripe.sqlite", lambda thing: next((name for name, each in objects.items() if each is thing), None)
    )
    memory.keep(objects, ["intent:1"], {})
    read = memory.objects()
    memory.close()

    assert read == objects
    assert read["intent:1"][1] is read["charge:1"]


# --- cards


@pytest.mark.parametrize(
    ("number", "code", "decline_code"),
    [
        ("4000000000000002", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000000069", "expired_card", None),
    ],
)
def test_a_card_that_is_no_good_is_not_put_on_file(
    server: StripeServer, number: str, code: str, decline_code: str | None
) -> None:
    with pytest.raises(stripe.CardError) as declined:
        Shop(server, number)

    assert declined.value.code == code
    assert declined.value.error is not None
    assert getattr(declined.value.error, "decline_code", None) == decline_code


def test_a_card_on_file_may_be_declined_when_it_is_charged(server: StripeServer) -> None:
    shop = Shop(server, CHARGED_LATER_AND_DECLINED)
    with pytest.raises(stripe.CardError) as declined:
        shop.charge("block")

    assert declined.value.error is not None
    assert declined.value.error.decline_code == "generic_decline"
    assert _intent_of(declined.value).status == "requires_payment_method"
    assert shop.charged == []


def test_a_card_that_asks_for_a_cardholder_who_is_not_there_is_declined(server: StripeServer) -> None:
    shop = Shop(server, ASKS_FOR_THE_CARDHOLDER)
    with pytest.raises(stripe.CardError) as declined:
        shop.charge("block")

    assert declined.value.code == "authentication_required"
    assert shop.charged == []


def test_a_good_card_is_declined_where_a_test_wants_it_and_good_again_after_it(server: StripeServer) -> None:
    shop = Shop(server)
    server.decline({shop.card: "insufficient_funds"})
    with pytest.raises(stripe.CardError) as declined:
        shop.charge("first")
    server.decline({})
    shop.charge("second")

    assert declined.value.error is not None
    assert declined.value.error.decline_code == "insufficient_funds"
    assert shop.charged == [1_000]


def test_a_card_is_checked_with_its_bank_and_not_charged(server: StripeServer) -> None:
    shop = Shop(server)
    intent = shop.api.setup_intents.create({"customer": shop.customer, "usage": "off_session"})

    assert shop.api.setup_intents.confirm(intent.id, {"payment_method": shop.card}).status == "succeeded"
    assert shop.charged == []


def test_a_card_of_another_customer_pays_nothing(server: StripeServer) -> None:
    shop, other = Shop(server), Shop(server)
    with pytest.raises(stripe.InvalidRequestError):
        shop.charge("block", card=other.card)

    assert shop.charged == other.charged == []


def test_an_unknown_card_is_said_to_be_missing(server: StripeServer) -> None:
    with pytest.raises(stripe.InvalidRequestError) as refused:
        Shop(server).charge("block", card="pm_unknown")

    assert refused.value.code == "resource_missing"


# --- keys, pages and events


def test_another_key_opens_nothing(server: StripeServer) -> None:
    for key in ("sk_test_another", server.keys.publishable):
        api = stripe.StripeClient(key, base_addresses={"api": server.address})
        with pytest.raises(stripe.AuthenticationError):
            api.v1.customers.create({})


def test_a_page_elsewhere_can_load_the_script(server: StripeServer) -> None:
    connection = http.client.HTTPConnection(LOOPBACK, server.port, timeout=10)
    connection.request(
        "GET", server.script_url.removeprefix(server.address), headers={"Origin": "http://pages.example"}
    )
    response = connection.getresponse()
    script = response.read().decode()
    connection.close()

    assert response.status == 200
    assert "createPaymentMethod" in script
    assert response.headers["Content-Type"].startswith("text/javascript")
    assert response.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_while_it_is_away_nothing_is_carried_out(server: StripeServer) -> None:
    shop = Shop(server)
    server.away()
    with pytest.raises(stripe.APIError) as refused:
        shop.charge("block")
    assert refused.value.http_status == 503
    server.back()

    assert shop.charged == []


def test_events_are_told_and_signed(tmp_path: Path) -> None:
    with _Listener() as listener:
        server = StripeServer(tmp_path, webhook_url=f"http://{LOOPBACK}:{listener.port}/webhooks/stripe")
        server.start()
        try:
            Shop(server).charge("block")
            event = listener.event("payment_intent.succeeded", server.keys.webhook)
        finally:
            server.stop()

    assert event["data"]["object"]["metadata"] == {"payment_id": "block"}


def test_nothing_listens_beyond_loopback(server: StripeServer) -> None:
    sockets = psutil.Process(server.pid).net_connections("inet")

    assert {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN} == {LOOPBACK}


def test_it_is_ready_when_it_says_so(server: StripeServer) -> None:
    assert request(server.port, "GET", "/readyz") == (200, b"ok\n")


def _intent_of(error: stripe.CardError) -> stripe.PaymentIntent:
    assert error.error is not None
    assert error.error.payment_intent is not None
    return error.error.payment_intent


def _is_replayed(intent: stripe.PaymentIntent) -> bool:
    assert intent.last_response is not None
    return "Idempotent-Replayed" in intent.last_response.headers


class _Listener:
    """Hears webhooks."""

    def __enter__(self) -> "_Listener":
        heard: list[tuple[bytes, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.append((body, self.headers["Stripe-Signature"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._heard = heard
        self._server = HTTPServer((LOOPBACK, 0), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def event(self, kind: str, secret: str) -> dict[str, Any]:
        """The first of this kind, its signature checked. Fails where none comes in time."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for body, signature in list(self._heard):
                stripe.Webhook.construct_event(body, signature, secret)
                event: dict[str, Any] = json.loads(body)
                if event["type"] == kind:
                    return event
            time.sleep(0.05)
        raise AssertionError(f"No {kind} came, but {[json.loads(body)['type'] for body, _ in self._heard]}.")
