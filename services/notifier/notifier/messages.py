"""RFC 5322 messages, quickly: the standard library's EmailMessage, spared what it does anew for every letter.

Left to itself it spends more time on the headers of a letter than everything else takes together.
"""

from binascii import b2a_qp
from collections.abc import Mapping
from email.header import Header
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import EmailPolicy
from functools import cache, lru_cache
from typing import Any
from uuid import UUID


class _Headers(HeaderRegistry):
    """Remembers the class of each header, where the original makes a new one for each header of each message."""

    @cache  # noqa: B019  there is one of it
    def __getitem__(self, name: str) -> type:
        return super().__getitem__(name)


class _Policy(EmailPolicy):
    """SMTP's line ends; headers that are the same in every letter are folded once."""

    @lru_cache(maxsize=64)  # noqa: B019  there are two of it
    def _fold_fixed(self, name: str, value: Any) -> bytes:
        return super().fold_binary(name, value)

    def fold_binary(self, name: str, value: Any) -> bytes:
        if name in _FIXED:
            return self._fold_fixed(name, value)
        if name == "Subject" and not value.isascii():
            # The newer folding loses spaces between encoded words (seen with Python 3.11); the older one does not.
            encoded = Header(str(value), "utf-8", maxlinelen=76, header_name=name).encode(linesep=self.linesep)
            return f"{name}: {encoded}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


_FIXED = frozenset({"From", "MIME-Version", "Auto-Submitted", "X-Auto-Response-Suppress", "Content-Transfer-Encoding"})
_HEADERS = _Headers()
_ASCII = _Policy(linesep="\r\n", header_factory=_HEADERS)
_UTF8 = _ASCII.clone(utf8=True)
_QUOTED_PRINTABLE = _HEADERS("Content-Transfer-Encoding", "quoted-printable")
_TEXT = _HEADERS("Content-Type", 'text/plain; charset="utf-8"')
_HTML = _HEADERS("Content-Type", 'text/html; charset="utf-8"')


class Letterhead:
    """What is the same on every letter of a sender."""

    def __init__(self, sender: Address) -> None:
        fixed = {
            "From": sender,
            "MIME-Version": "1.0",
            "Auto-Submitted": "auto-generated",  # RFC 3834: no holiday notices, please
            "X-Auto-Response-Suppress": "All",
        }
        self._fixed = {name: _HEADERS(name, value) for name, value in fixed.items()}

    def message(self, headers: Mapping[str, object], text: str, html: str, boundary: UUID) -> EmailMessage:
        """A letter with two alternatives. Everything in it follows from what is given: written again, it is the same
        byte by byte."""
        message = EmailMessage(policy=_ASCII)
        for name, value in (*self._fixed.items(), *headers.items()):
            message[name] = value
        message["Content-Type"] = f'multipart/alternative; boundary="{boundary.hex}"'
        message.set_payload([_part(_TEXT, text), _part(_HTML, html)])
        return message


def as_bytes(message: EmailMessage, *, utf8: bool) -> bytes:
    """The message as it goes over the wire: lines end with CRLF and are short, and it is ASCII, unless `utf8`
    (RFC 6532) lets headers hold addresses that ASCII cannot write."""
    return message.as_bytes(policy=_UTF8 if utf8 else _ASCII)


def _part(content_type: Any, content: str) -> EmailMessage:
    part = EmailMessage(policy=_ASCII)
    part["Content-Type"] = content_type
    part["Content-Transfer-Encoding"] = _QUOTED_PRINTABLE
    # Quoted-printable survives every server. This encoder is in C; the one behind set_content is not.
    part.set_payload(b2a_qp(content.encode("utf-8"), istext=True).decode("ascii"))
    return part
