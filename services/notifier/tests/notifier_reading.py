"""Letters for tests to read: their two alternatives, and what people see of a page."""

import email
import email.policy
from email.message import EmailMessage
from html.parser import HTMLParser

from notifier.rendering import Mail


class Page(HTMLParser):
    """The links and the visible words of an HTML page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self._texts: list[str] = []
        self._is_style = False
        self.feed(page)
        self.words = " ".join("".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_style = tag == "style"
        if tag == "a":
            self.links.append(dict(attrs)["href"] or "")

    def handle_data(self, data: str) -> None:
        if not self._is_style:
            self._texts.append(data)


def read(mail: Mail) -> EmailMessage:
    message = email.message_from_bytes(mail.content, policy=email.policy.SMTPUTF8)
    assert isinstance(message, EmailMessage)
    return message


def text_of(message: EmailMessage) -> str:
    return _content(message, "plain")


def html_of(message: EmailMessage) -> str:
    return _content(message, "html")


def words_of(page: str) -> str:
    return Page(page).words


def _content(message: EmailMessage, kind: str) -> str:
    body = message.get_body((kind,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n")
