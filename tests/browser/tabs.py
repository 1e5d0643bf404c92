"""Tabs of a browser, each in a profile of its own, and what they do that no page of ours may do."""

from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from people import Person
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from stack.platform import Platform

_SECONDS = 15
_EXPECTED = "Failed to load resource: the server responded with a status of 4"
"""What Chromium writes about a page that answers with a status of its own, such as that of a dead link."""
_WITH_CARD_FORM = ("/billing/payment", "/billing/organization/payment")
_RULES = {"resultTypes": ["violations"], "rules": {"target-size": {"enabled": True}}}
"""The rule that came with WCAG 2.2 has to be asked for."""


class Tabs:
    """Everybody's tabs in a test."""

    def __init__(self, browser: Browser, address: str, host: str, card_host: str) -> None:
        """`card_host` has the script of the card form, which the pages with that form may ask for, and no others."""
        self._browser = browser
        self._host = host
        self._card_host = card_host
        self._contexts: list[BrowserContext] = []
        self.address = address
        """Of the console."""
        self.expected: list[str] = []
        """Words of messages that a test brings about on purpose."""
        self.offences: list[str] = []
        """Errors, breaches of the policy, and requests to other hosts."""

    async def open(self, path: str = "/", *, person: Person | None = None, **options: Any) -> Page:
        """A tab in a new profile, at a page; `person` is signed in there already. `options` are those of a profile:
        viewport, color_scheme, java_script_enabled, ..."""
        context = await self._browser.new_context(base_url=self.address, **options)
        context.set_default_timeout(_SECONDS * 1000)
        self._contexts.append(context)
        context.on("request", self._note_request)
        context.on("console", self._note_message)
        context.on("weberror", lambda error: self.offences.append(f"error: {error.error}"))
        if person is not None:
            await self.sign_in(context, person)
        page = await context.new_page()
        await page.goto(path)
        return page

    async def sign_in(self, context: BrowserContext, person: Person) -> None:
        """Gives a profile the session that the person has already."""
        cookies = [(name, value) for name, value in person.browser.cookies.items()]
        await context.add_cookies([{"name": name, "value": value, "url": self.address} for name, value in cookies])

    async def close(self) -> None:
        for context in self._contexts:
            await context.close()

    def _note_request(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme in ("data", "blob", "about") or address.netloc == self._host:
            return
        if address.netloc != self._card_host or not urlsplit(request.frame.url).path.startswith(_WITH_CARD_FORM):
            self.offences.append(f"a request to {address.netloc}")

    def _note_message(self, message: ConsoleMessage) -> None:
        is_expected = message.text.startswith(_EXPECTED) or any(words in message.text for words in self.expected)
        if message.type in ("error", "warning") and not is_expected:
            self.offences.append(f"{message.type}: {message.text}")


def tabs_of(browser: Browser, platform: Platform) -> Tabs:
    """Tabs at the console of a platform."""
    address = platform.service("console").web_address
    return Tabs(browser, address, urlsplit(address).netloc, urlsplit(platform.stripe.address).netloc)


async def violations(page: Page, *rules: str) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA, and against its best practices; or by these of its rules alone."""
    results = await Axe().run(page, options={"runOnly": list(rules)} if rules else None)
    return [
        f"{violation['id']}: {violation['help']}: {[node['html'][:200] for node in violation['nodes']]}"
        for violation in results.response["violations"]
    ]
