"""DESIGN §2: an address is compared case-folded, NFC and IDN-normalized, with no Gmail dot or plus folding."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.accounts.addresses import fold_aliases, parse_address
from console.accounts.domain import Malformed


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Max@Example.COM", "max@example.com"),
        ("max@BÜCHER.example", "max@xn--bcher-kva.example"),
        ("rené@example.com", "rene\u0301@example.com"),
        ("STRASSE@example.com", "straße@example.com"),
        ("  max@example.com\n", "max@example.com"),
    ],
)
def test_these_are_the_same(one: str, other: str) -> None:
    assert parse_address(one).normalized == parse_address(other).normalized


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("m.ax@gmail.com", "max@gmail.com"),
        ("max+tag@example.com", "max@example.com"),
        ("rene@example.com", "rené@example.com"),
    ],
)
def test_these_are_not(one: str, other: str) -> None:
    assert parse_address(one).normalized != parse_address(other).normalized


def test_letters_are_sent_to_what_was_typed() -> None:
    assert parse_address(" Max.Power@Bücher.example ").typed == "Max.Power@Bücher.example"


@pytest.mark.parametrize("typed", ["", "max", "@example.com", "max@", "max@@example.com", "max@a..com"])
def test_these_are_no_addresses(typed: str) -> None:
    with pytest.raises(Malformed) as refusal:
        parse_address(typed)
    assert refusal.value.field == "address"


@pytest.mark.parametrize(
    ("alias", "mailbox"),
    [("m.a.x+tag@example.com", "max@example.com"), ("+tag@example.com", "+tag@example.com")],
)
def test_aliases_are_folded_to_count_letters(alias: str, mailbox: str) -> None:
    assert fold_aliases(alias) == mailbox


LOCAL_PARTS = st.text(
    st.characters(categories=["L", "N", "M"]) | st.sampled_from("!#$%&'*+-/=?^_`{|}~. "), min_size=1, max_size=20
)
DOMAINS = st.sampled_from(["example.com", "EXAMPLE.com", "bücher.example", "xn--bcher-kva.example", "a.test"])
ADDRESSES = st.builds("{}@{}".format, LOCAL_PARTS, DOMAINS)


@settings(derandomize=True)
@given(ADDRESSES)
def test_how_accents_are_encoded_makes_no_other_address(typed: str) -> None:
    try:
        address = parse_address(typed)
    except Malformed:
        return
    for form in ("NFC", "NFD"):
        assert parse_address(unicodedata.normalize(form, typed)).normalized == address.normalized
