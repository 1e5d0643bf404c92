"""What somebody types or pastes into the field for addresses, and what is taken for an address in it."""

import time

import pytest

from console.web.pages.rows import LONGEST_ADDRESS, addresses_in

ONE, TWO, THREE = "one@example.com", "two@example.com", "three@example.com"


@pytest.mark.parametrize(
    ("pasted", "separated_by"),
    [
        (f"{ONE},{TWO},{THREE}", "commas"),
        (f"{ONE}; {TWO}; {THREE};", "semicolons"),
        (f"{ONE} {TWO}\t{THREE}", "spaces"),
        (f"{ONE}\n{TWO}\r\n\n{THREE}\n", "lines"),
        (f"  {ONE} ,\n{TWO},, ;{THREE}  ", "anything, and too much of it"),
    ],
)
def test_addresses_are_separated_by(pasted: str, separated_by: str) -> None:
    assert addresses_in(pasted) == [ONE, TWO, THREE], separated_by


@pytest.mark.parametrize(
    ("pasted", "as_written_by"),
    [
        (f"One <{ONE}>, The Two <{TWO}>, <{THREE}>", "most mail programs"),
        (f"One, The <{ONE}>; Two, The <{TWO}>; Three <{THREE}>", "those that put the surname first"),
        (f'"One, The" <{ONE}>, "{TWO}" <{TWO}>, "Three; @home" <{THREE}>', "those that quote names"),
        (f"One <{ONE}> {TWO}, Three < {THREE} >", "people in a hurry"),
        (f"{ONE}, Two <{TWO}>\n{THREE}", "several of them"),
    ],
)
def test_names_around_addresses_are_left_out(pasted: str, as_written_by: str) -> None:
    assert addresses_in(pasted) == [ONE, TWO, THREE], as_written_by


def test_each_address_counts_once_as_it_was_written_first() -> None:
    assert addresses_in(f"One@Example.com, {TWO}, one@example.COM, One <{ONE}>") == ["One@Example.com", TWO]


@pytest.mark.parametrize("typed", ["no address", "the one@example.com", "one", "Name <>", "one@example.com at work"])
def test_what_is_no_address_stays_whole_to_be_refused(typed: str) -> None:
    assert addresses_in(f" {typed} ") == [typed]


def test_beside_what_is_no_address_the_others_are_found() -> None:
    assert addresses_in(f"{ONE}\nno address\nTwo <{TWO}>, one more") == [ONE, "no address", TWO, "one more"]


@pytest.mark.parametrize("typed", ["", "  ", "\n\n", ",;, ;"])
def test_where_nothing_was_typed_there_is_no_address(typed: str) -> None:
    assert addresses_in(typed) == []


def test_an_address_without_end_is_cut() -> None:
    assert [len(address) for address in addresses_in("x" * 5000)] == [LONGEST_ADDRESS]


@pytest.mark.parametrize("pasted", ["a," * 50_000 + "<", '"a",' * 25_000 + "<", "<" * 100_000, '"' * 100_000])
def test_no_text_takes_long_to_read(pasted: str) -> None:
    begun = time.process_time()
    addresses_in(pasted)

    assert time.process_time() - begun < 5
