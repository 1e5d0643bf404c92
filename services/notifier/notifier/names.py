"""Names that people gave themselves, made harmless: what strangers write must not become a link, a line or a disguise.

Anybody can call their organization "Pay at evil.example" and have us mail that to anybody. So a name is shown, and
nothing in it can be clicked: mail clients turn into links what looks like an address, a domain or a URL.
"""

import re
import unicodedata
from typing import Final

LONGEST_NAME: Final = 60
"""Characters of a name that a letter shows."""

_REMOVED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Categories of Unicode that no name needs: control, format (bidi overrides, zero width), surrogates, private use, and
what is not assigned."""
_ELLIPSIS: Final = "…"
_DOTS: Final = ".\u3002"  # the ideographic full stop is a dot to whoever resolves domains (UTS 46)

_REMOTE: Final = re.compile(r"[/\\]{2,}")
_SCHEME: Final = re.compile(r":(?=\S)")
_DOMAIN: Final = re.compile(rf"(?<=\S)([{_DOTS}])(?=[^\s{_DOTS}])")
_ADDRESS: Final = re.compile(r"\s*@(?=\S)")
_SPACES: Final = re.compile(r"\s+")


def clean_name(name: str | None) -> str:
    """The name on one line, at most 60 characters, without controls, bidi overrides and anything that could be clicked;
    empty where nothing is left. Cleaning a clean name changes nothing."""
    plain = "".join(_plain(character) for character in unicodedata.normalize("NFC", name or ""))
    plain = _REMOTE.sub(" ", plain)
    plain = _SCHEME.sub(": ", plain)
    plain = _DOMAIN.sub(r"\1 ", plain)
    plain = _ADDRESS.sub(" at ", plain)
    plain = unicodedata.normalize("NFC", _SPACES.sub(" ", plain).strip())
    if len(plain) <= LONGEST_NAME:
        return plain
    return plain[: LONGEST_NAME - 1].rstrip() + _ELLIPSIS


def clean_address(address: str | None) -> str:
    """An e-mail address for reading, on one line, without controls and bidi overrides; at most 254 characters, which
    is as long as one can be (RFC 5321, 4.5.3.1.3)."""
    plain = "".join(c for c in address or "" if unicodedata.category(c) not in _REMOVED and not c.isspace())
    return plain[:254]


def _plain(character: str) -> str:
    """The character; nothing, a space, or what it stands for where it disguises one that makes links."""
    if character.isspace():
        return " "
    if unicodedata.category(character) in _REMOVED:
        return ""
    if character.isascii() or character == _ELLIPSIS:
        return character
    folded = unicodedata.normalize("NFKC", character)
    return folded if any(sign in folded for sign in ".\u3002:/\\@") else character
