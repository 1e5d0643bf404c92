"""Names that people gave themselves cannot become links, lines or disguises, whatever they are."""

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifier.names import LONGEST_NAME, clean_address, clean_name

_LINKS = (
    re.compile(r"\S[.\u3002\uff0e\uff61\u2024]\w"),  # what has a dot inside may be a domain
    re.compile(r"\w:\S"),  # mailto:, tel:, javascript:
    re.compile(r"[/\\]{2}"),  # what follows may be a host
    re.compile(r"\S@\S"),  # what surrounds it may be an address
)
"""What mail clients turn into links, and a little more."""
_HOSTILE = st.text(
    alphabet=st.one_of(
        st.sampled_from(
            "abzé1. @:/\\\u3002\uff0e\uff61\u2024\uff20\ufe6b\uff1a\uff0f…\u202e\u200b\u2028\r\n\t\x00-_()<>\"'"
        ),
        st.characters(max_codepoint=0x1FFFF),
    ),
    max_size=150,
)


@pytest.mark.parametrize(
    "name",
    [
        "Ada Lovelace",
        "Zoë Kravitz-O'Neill",
        "Société Générale S.A",
        "AT&T",
        "株式会社アクメ",
        "محمد",
        "Жанна",
        "Amazon Web Services, Inc.",
        "St. Mary's",
        "50% off <b>everything</b>",
    ],
)
def test_an_honest_name_is_shown_as_it_is(name: str) -> None:
    assert clean_name(name).replace(". ", ".") == name.replace(". ", ".")


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("evil.example", "evil. example"),
        ("Click www.evil.example/pay now", "Click www. evil. example/pay now"),
        ("https://evil.example/a?b", "https: evil. example/a?b"),
        ("http://localhost", "http: localhost"),
        ("me@evil.example", "me at evil. example"),
        ("mailto:me", "mailto: me"),
        ("javascript:alert(1)", "javascript: alert(1)"),
        ("evil\u3002example", "evil\u3002 example"),
        ("\uff45\uff56\uff49\uff4c\uff0eexample", "\uff45\uff56\uff49\uff4c. example"),
        ("evil\u2024example", "evil. example"),
        ("me\uff20evil", "me at evil"),
        (r"\\host\share", r"host\share"),
        ("evil.\u200bexample", "evil. example"),
    ],
)
def test_what_could_be_clicked_is_taken_apart(name: str, shown: str) -> None:
    assert clean_name(name) == shown


def test_a_name_cannot_turn_the_text_around() -> None:
    assert clean_name("\u202eemca\u202c \u2066x\u2069") == "emca x"


def test_a_name_is_one_line() -> None:
    assert clean_name("Acme\r\nBcc: everybody\u2028and\u0085more") == "Acme Bcc: everybody and more"


def test_a_long_name_is_cut() -> None:
    assert clean_name("A" * 255) == "A" * 59 + "…"


@given(_HOSTILE)
@example("a.b.c.d@e.f")
@example("…" * 61)
@example("a" * 58 + ".bc")
@example("e\u0301.\u0301a")
def test_no_name_can_be_clicked(name: str) -> None:
    shown = clean_name(name)
    assert not [pattern.pattern for pattern in _LINKS if pattern.search(shown)], shown


@given(_HOSTILE)
def test_every_name_is_one_short_line_of_visible_characters(name: str) -> None:
    shown = clean_name(name)
    assert len(shown) <= LONGEST_NAME
    assert shown == " ".join(shown.split(" ")).strip()
    assert {unicodedata.category(character) for character in shown}.isdisjoint(
        {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    )
    assert unicodedata.normalize("NFC", shown) == shown


@given(_HOSTILE)
def test_cleaning_a_clean_name_changes_nothing(name: str) -> None:
    assert clean_name(clean_name(name)) == clean_name(name)


def test_a_name_of_which_nothing_is_left_is_empty() -> None:
    assert clean_name("\u202e\u200b \n") == clean_name("") == clean_name(None) == ""


def test_an_address_is_shown_whole_and_on_one_line() -> None:
    assert clean_address("new.member@example.com") == "new.member@example.com"
    assert clean_address("new\u202e@exam\r\nple.com") == "new@example.com"
