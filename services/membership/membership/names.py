"""What an organization may be called, and when two names are one."""

import unicodedata
from dataclasses import dataclass
from typing import Self

MIN_LENGTH = 2
MAX_LENGTH = 255

_NOT_IN_A_NAME = frozenset({"Cc", "Zl", "Zp"})
"""Unicode's control characters, and its line and paragraph separators: no page shows them as part of a name, and one of
them (NUL) PostgreSQL could not even store."""


@dataclass(frozen=True, slots=True)
class OrganizationName:
    """A name that is allowed."""

    text: str
    """As people see it: NFC, without space around it, 2 to 255 characters."""
    folded: str
    """Equal for names that differ in nothing but case, or in how their accents are encoded."""

    @classmethod
    def parse(cls, raw: str) -> Self | None:
        """The name that `raw` means; none where it is malformed."""
        text = unicodedata.normalize("NFC", raw.strip())
        if not MIN_LENGTH <= len(text) <= MAX_LENGTH:
            return None
        if any(unicodedata.category(character) in _NOT_IN_A_NAME for character in text):
            return None
        return cls(text, fold(text))


def fold(text: str) -> str:
    """Canonical caseless matching: The Unicode Standard, section 3.13, D145."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())
