"""What people, and their tokens, may be called."""

import unicodedata

from console.accounts.domain import Malformed

MAX_LENGTH = 255

_NOT_IN_A_NAME = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's control characters, halves of characters, and line and paragraph separators: no page shows them as part of
a name, and some of them PostgreSQL could not even store."""


def parse_name(typed: str) -> str:
    """The name that was typed: NFC, without space around it, 1 to 255 characters on one line. Raises Malformed."""
    name = unicodedata.normalize("NFC", typed.strip())
    if not name:
        raise Malformed("name", "A name is needed.")
    if len(name) > MAX_LENGTH:
        raise Malformed("name", f"That name is too long. Use at most {MAX_LENGTH} characters.")
    if any(unicodedata.category(character) in _NOT_IN_A_NAME for character in name):
        raise Malformed("name", "A name has to fit on one line, without control characters.")
    return name
