"""The letters that have arrived, in memory and on disk."""

import email
import email.policy
import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.parser import BytesHeaderParser
from functools import cached_property
from pathlib import Path
from typing import Any

_SEPARATOR = b"\r\n"


@dataclass(frozen=True)
class Letter:
    """One letter to one person."""

    id: int
    received: datetime
    sender: str
    """Of the envelope, as `to`."""
    to: str
    raw: bytes
    """The message as it was sent, headers and all (RFC 5322)."""

    @cached_property
    def message(self) -> EmailMessage:
        message = email.message_from_bytes(self.raw, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        return message

    @property
    def headers(self) -> dict[str, str]:
        return {name: str(value) for name, value in self.message.items()}

    @property
    def subject(self) -> str:
        return self.header("Subject") or "(no subject)"

    @cached_property
    def text(self) -> str:
        """The plain text alternative, or nothing."""
        return self._part("plain")

    @cached_property
    def html(self) -> str:
        """The HTML alternative, or nothing."""
        return self._part("html")

    def header(self, name: str) -> str:
        value = self.message[name]
        return "" if value is None else str(value)

    def as_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "received": self.received.isoformat(),
            "to": self.to,
            "sender": self.sender,
            "from": self.header("From"),
            "subject": self.subject,
            "date": self.header("Date"),
            "message_id": self.header("Message-ID"),
            "idempotency_key": self.header("Idempotency-Key"),
            "text": self.text,
            "html": self.html,
        }

    def _part(self, kind: str) -> str:
        part = self.message.get_body((kind,))
        if part is None:
            return ""
        try:
            return str(part.get_content()).replace("\r\n", "\n")
        except (LookupError, UnicodeError):  # A character set that nobody knows, or that is not kept to.
            payload = part.get_payload(decode=True)
            return payload.decode("utf-8", "replace") if isinstance(payload, bytes) else ""


class Letters:
    """All letters of a folder, one file each, oldest first. What is in the folder when it is opened is here again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._letters: dict[int, Letter] = {}
        self._by_recipient: defaultdict[str, list[Letter]] = defaultdict(list)
        self._keys: set[tuple[str, str]] = set()
        self.suppressed = 0
        """Letters that were accepted and not delivered, since their idempotency key had been seen. Of this process."""
        self.version = 0
        """Another one after each change."""
        folder.mkdir(parents=True, exist_ok=True)
        for file in sorted(folder.glob("*.eml")):
            self._remember(_read(file))
        self._ids = itertools.count(max(self._letters, default=0) + 1)

    def __len__(self) -> int:
        return len(self._letters)

    def add(self, sender: str, to: str, raw: bytes) -> Letter | None:
        """Keeps a letter; None where one with its Idempotency-Key is there already for this person."""
        key = _idempotency_key(raw)
        if key and (key, _folded(to)) in self._keys:
            self.suppressed += 1
            return None
        letter = Letter(next(self._ids), datetime.now(UTC), sender, to, raw)
        _write(self._folder / f"{letter.id:08}.eml", letter)
        self._remember(letter)
        return letter

    def get(self, letter_id: int) -> Letter | None:
        return self._letters.get(letter_id)

    def select(self, to: str | None = None) -> Sequence[Letter]:
        """Those to one address, or all; oldest first."""
        return list(self._letters.values()) if to is None else list(self._by_recipient.get(_folded(to), ()))

    def search(self, words: str) -> Sequence[Letter]:
        """Those whose recipient or subject holds the words."""
        wanted = words.strip().casefold()
        return [
            letter
            for letter in self._letters.values()
            if wanted in letter.to.casefold() or wanted in letter.subject.casefold()
        ]

    def clear(self) -> None:
        """Deletes all. Their idempotency keys are forgotten, too."""
        for letter_id in self._letters:
            (self._folder / f"{letter_id:08}.eml").unlink(missing_ok=True)
        self._letters.clear()
        self._by_recipient.clear()
        self._keys.clear()
        self.suppressed = 0
        self.version += 1

    def _remember(self, letter: Letter) -> None:
        self._letters[letter.id] = letter
        self._by_recipient[_folded(letter.to)].append(letter)
        key = _idempotency_key(letter.raw)
        if key:
            self._keys.add((key, _folded(letter.to)))
        self.version += 1


def _folded(address: str) -> str:
    return address.strip().casefold()


def _idempotency_key(raw: bytes) -> str:
    return str(BytesHeaderParser().parsebytes(raw).get("Idempotency-Key", "")).strip()


def _write(file: Path, letter: Letter) -> None:
    """As mail servers keep letters: the envelope in trace headers of its own, before the message (RFC 5321, 4.4)."""
    trace = (
        f"Return-Path: <{letter.sender}>",
        f"Delivered-To: {letter.to}",
        f"X-Received-At: {letter.received.isoformat()}",
    )
    unfinished = file.with_suffix(".part")
    unfinished.write_bytes(b"".join(line.encode() + _SEPARATOR for line in trace) + letter.raw)
    unfinished.replace(file)


def _read(file: Path) -> Letter:
    sender, to, received, raw = file.read_bytes().split(_SEPARATOR, 3)
    return Letter(
        id=int(file.stem),
        received=datetime.fromisoformat(_value(received)),
        sender=_value(sender).strip("<>"),
        to=_value(to),
        raw=raw,
    )


def _value(header: bytes) -> str:
    return header.decode().partition(": ")[2]
