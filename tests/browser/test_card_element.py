"""The stand-in for Stripe's card element, on a page of another origin whose policy allows nothing but what Stripe asks
for."""

import re
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from tabs import violations

from stack.ports import LOOPBACK
from stack.stripe.server import StripeServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HTML = """
<!doctype html><html lang="en"><title>Card</title>
<script src="{stripe}" defer></script><script src="/page.js" defer></script>
<main><h1>Card</h1><div id="card"></div><button>Save</button><p id="said"></p></main>
"""
JAVASCRIPT = """
const stripe = Stripe("{key}");
const look = {{ base: {{ fontSize: "18px", "::placeholder": {{ color: "#555" }} }} }};
const card = stripe.elements().create("card", {{ style: look }});
const say = (words) => (document.querySelector("#said").textContent = words);
card.mount("#card");
card.on("change", ({{ error, complete }}) => say(error ? error.message : complete ? "complete" : ""));
document.querySelector("button").addEventListener("click", async () => {{
  const {{ paymentMethod, error }} = await stripe.createPaymentMethod({{ type: "card", card }});
  say(error ? error.message : paymentMethod.id);
}});
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StripeServer]:
    server = StripeServer(tmp_path_factory.mktemp("stripe"))
    server.start()
    yield server
    server.stop()


@dataclass
class CardPage:
    """A page with the element, and what the browser has complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    async def type(self, *, number: str, expiry: str, cvc: str) -> None:
        """As a person does, who is led from field to field."""
        await self.page.get_by_label("Card number").click()
        await self.page.keyboard.type(number + expiry + cvc)

    async def save(self) -> None:
        await self.page.get_by_role("button", name="Save").click()

    async def says(self, words: str | re.Pattern[str]) -> None:
        """Waits for these words."""
        await expect(self.page.locator("#said")).to_have_text(words)


@pytest.fixture(scope="module")
def page_url(server: StripeServer) -> Iterator[str]:
    """Where the page is: on the same machine, and of another origin."""
    policy = f"default-src 'none'; script-src 'self' {server.address}; connect-src {server.address}; style-src 'self'"
    texts = {
        "/card": ("text/html", HTML.format(stripe=server.script_url)),
        "/page.js": ("text/javascript", JAVASCRIPT.format(key=server.keys.publishable)),
    }

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, text = texts.get(self.path, ("text/plain", ""))
            self.send_response(200 if text else 204)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Security-Policy", policy)
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((LOOPBACK, 0), Pages) as pages:
        threading.Thread(target=pages.serve_forever, daemon=True).start()
        yield f"http://{LOOPBACK}:{pages.server_port}/card"
        pages.shutdown()


@pytest_asyncio.fixture(loop_scope="session")
async def card_page(browser: Browser, page_url: str) -> AsyncIterator[CardPage]:
    context = await browser.new_context()
    shown = CardPage(await context.new_page())
    context.on("console", lambda message: shown.complaints.append(message.text))
    context.on("weberror", lambda error: shown.complaints.append(str(error.error)))
    await shown.page.goto(page_url)
    yield shown
    await context.close()


async def test_what_is_typed_becomes_a_payment_method_and_stays_between_browser_and_stripe(card_page: CardPage) -> None:
    await card_page.type(number="4242424242424242", expiry="1240", cvc="123")
    await card_page.says("complete")
    await card_page.save()

    await card_page.says(re.compile("pm_[A-Za-z0-9]+"))
    assert card_page.complaints == []


@pytest.mark.parametrize(
    ("number", "expiry", "words"),
    [
        ("4242424242424241", "1240", "Your card number is invalid."),
        ("4242424242424242", "1340", "Your card's expiration date is invalid."),
        ("4242424242424242", "0120", "Your card's expiration year is in the past."),
    ],
)
async def test_what_cannot_be_right_is_said_while_it_is_typed(
    card_page: CardPage, number: str, expiry: str, words: str
) -> None:
    await card_page.type(number=number, expiry=expiry, cvc="123")

    await card_page.says(words)


async def test_what_is_missing_is_said_when_it_is_wanted(card_page: CardPage) -> None:
    await card_page.type(number="4242424242424242", expiry="1240", cvc="")
    await card_page.save()

    await card_page.says("Your card's security code is incomplete.")


async def test_it_can_be_used_by_everybody(card_page: CardPage) -> None:
    assert await violations(card_page.page) == []


async def test_that_stripe_is_away_is_said(card_page: CardPage, server: StripeServer) -> None:
    await card_page.type(number="4242424242424242", expiry="1240", cvc="123")
    server.away()
    try:
        await card_page.save()
        await card_page.says(re.compile("away"))
    finally:
        server.back()
