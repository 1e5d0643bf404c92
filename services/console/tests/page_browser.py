"""Somebody who looks at console's pages with a browser, and fills in what is there."""

from collections.abc import Mapping
from html.parser import HTMLParser
from types import TracebackType
from typing import Self
from urllib.parse import urljoin

import httpx
from console_world import PASSWORD, ConsoleWorld

CLICK = {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "sec-fetch-user": "?1"}
"""What browsers send when a person has clicked a link."""


class Seen(HTMLParser):
    """What is on a page: its text, its links, and its forms with what is in them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.headings: list[str] = []
        self.links: dict[str, str] = {}
        """Where they lead, by their text."""
        self.forms: dict[str, dict[str, str]] = {}
        """Values of fields by name, by the path that the form is sent to."""
        self.toasts: list[tuple[str, str]] = []
        """Kind and text."""
        self.described: dict[str, str] = {}
        """The ids that describe a field that is marked as wrong, by its name."""
        self._open: list[tuple[str, dict[str, str]]] = []
        self._form: dict[str, str] = {}
        self.feed(html)
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = self.forms.setdefault(values["action"], {})
        elif tag == "input":
            self._note_field(values)
        elif tag not in ("meta", "link", "br"):
            self._open.append((tag, values))
        if tag == "option" and "selected" in values:
            select = next(values for tag, values in reversed(self._open) if tag == "select")
            self._form[select["name"]] = values["value"]
        if tag == "h1":
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        tags = [tag for tag, _ in self._open]
        if "title" in tags or "script" in tags:
            return
        self.text += data
        for tag, values in self._open:
            if tag == "h1":
                self.headings[-1] = " ".join((self.headings[-1] + data).split())
            if tag == "a" and data.strip():
                self.links[" ".join(data.split())] = values["href"]
            if "toast" in values.get("class", "").split() and data.strip():
                self.toasts.append((values["data-toast"], data.strip()))

    def _note_field(self, values: Mapping[str, str]) -> None:
        is_box = values.get("type") == "checkbox"
        if not is_box or "checked" in values:
            self._form[values["name"]] = values.get("value", "")
        if "aria-invalid" in values:
            self.described[values["name"]] = values.get("aria-describedby", "")

    @property
    def heading(self) -> str:
        """The one heading of the page."""
        (heading,) = self.headings
        return heading


class PageBrowser:
    """Goes from page to page as a person does: with clicks, and with the fields that the page has."""

    def __init__(self, console: ConsoleWorld) -> None:
        self.console = console
        self.http = console.browser(headers={"user-agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/148.0"})
        self.answer = httpx.Response(200)
        self.page = Seen("")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        trace: TracebackType | None = None,
    ) -> None:
        await self.http.aclose()

    @property
    def path(self) -> str:
        return self.answer.url.path

    async def go(self, path: str, *, method: str = "GET", headers: Mapping[str, str] = CLICK) -> Self:
        """Clicks a link, unless `headers` say something else."""
        return self._see(await self.http.request(method, path, headers=headers, follow_redirects=True))

    async def send(self, action: str, **typed: str | list[str]) -> Self:
        """Sends a form of the page, filled in, as a button of it does."""
        filled = self.page.forms[action] | typed
        url = urljoin(str(self.answer.url), action)
        headers = {**CLICK, "sec-fetch-site": "same-origin", "origin": "null"}
        return self._see(await self.http.post(url, data=filled, headers=headers, follow_redirects=True))

    async def click(self, link: str) -> Self:
        """A link of the page, by its text."""
        return await self.go(self.page.links[link])

    async def sign_in(self, address: str) -> Self:
        """Somebody who has an account."""
        await self.go("/sign-in")
        await self.send("/sign-in", address=address, password=PASSWORD)
        assert self.answer.status_code == 200, self.page.text
        return self

    def _see(self, answer: httpx.Response) -> Self:
        self.answer = answer
        self.page = Seen(answer.text)
        return self
