"""DESIGN §2: an address is compared case-folded, NFC and IDN-normalized, with no Gmail dot or plus folding."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts import Reason, Refused
from invites.domain.addresses import fold_aliases, normalize_address, parse_address


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Max@Example.COM", "max@example.com"),
        ("max@BÜCHER.example", "max@xn--bcher-kva.example"),
        ("rené@example.com", "rene\u0301@example.com"),
        ("STRASSE@example.com", "straße@example.com"),
        ("ΟΔΟΣ@example.com", "οδος@example.com"),
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
        ("max@gmail.com", "max@googlemail.com"),
        ("rene@example.com", "rené@example.com"),
    ],
)
def test_these_are_not(one: str, other: str) -> None:
    assert parse_address(one).normalized != parse_address(other).normalized


def test_letters_are_sent_to_what_was_typed() -> None:
    assert parse_address(" Max.Power@Bücher.example ").typed == "Max.Power@Bücher.example"


@pytest.mark.parametrize("address", ["max@acme.test", "max@acme.example", "max@example.org"])
def test_reserved_names_do_for_trials(address: str) -> None:
    assert parse_address(address).normalized == address


@pytest.mark.parametrize("typed", ["max", "@example.com", "max@", "max@@example.com", "max@[10.0.0.1]", "max@a..com"])
def test_these_are_no_addresses(typed: str) -> None:
    with pytest.raises(Refused) as refusal:
        parse_address(typed)
    assert refusal.value.reason is Reason.MALFORMED_ADDRESS


@pytest.mark.parametrize(
    ("alias", "mailbox"),
    [
        ("m.a.x+tag@example.com", "max@example.com"),
        ("max@exam.ple.com", "max@exam.ple.com"),
        ("+tag@example.com", "+tag@example.com"),
    ],
)
def test_aliases_are_folded_to_count_letters(alias: str, mailbox: str) -> None:
    assert fold_aliases(alias) == mailbox


LOCAL_PARTS = st.text(
    st.characters(categories=["L", "N"]) | st.sampled_from("!#$%&'*+-/=?^_`{|}~."), min_size=1, max_size=20
)
DOMAINS = st.sampled_from(["example.com", "EXAMPLE.com", "bücher.example", "xn--bcher-kva.example", "ドメイン.example"])
ADDRESSES = st.builds("{}@{}".format, LOCAL_PARTS, DOMAINS)


@settings(derandomize=True)
@given(ADDRESSES | st.text(max_size=60))
def test_normalizing_twice_is_normalizing_once(address: str) -> None:
    once = normalize_address(address)
    assert normalize_address(once) == once


@settings(derandomize=True)
@given(ADDRESSES)
def test_neither_case_nor_composition_makes_another_address(address: str) -> None:
    normalized = normalize_address(address)
    for form in ("NFC", "NFD"):
        assert normalize_address(unicodedata.normalize(form, address)) == normalized
    local_part, _, domain = address.rpartition("@")
    assert normalize_address(f"{local_part}@{domain.upper()}") == normalized
    if local_part.isascii():
        assert normalize_address(f"{local_part.swapcase()}@{domain}") == normalized


@settings(derandomize=True)
@given(st.text(max_size=60))
def test_whatever_is_typed_is_read_or_refused(typed: str) -> None:
    try:
        address = parse_address(typed)
    except Refused:
        return
    assert address.normalized == normalize_address(typed)


@settings(derandomize=True)
@given(ADDRESSES)
def test_folding_aliases_keeps_the_domain_and_is_done_once(address: str) -> None:
    folded = fold_aliases(address)
    assert folded.rpartition("@")[2] == address.rpartition("@")[2]
    assert fold_aliases(folded) == folded
