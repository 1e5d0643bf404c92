"""Money as people read and type it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.accounts.domain import Malformed
from console.web.amounts import dollars, exact_dollars, is_rounded, micro_dollars


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (0, "$0.00"),
        (12_340_000, "$12.34"),
        (1_234_500_000, "$1,234.50"),
        (12_345_678, "$12.35"),
        (500_000, "$0.50"),
        (423_700, "$0.42"),
        (42_370, "$0.0424"),
        (125, "$0.000125"),
        (1, "$0.000001"),
        (999_999, "$1.00"),
        (-1_500_000, "\N{MINUS SIGN}$1.50"),
    ],
)
def test_amounts_are_shown_in_cents_and_small_ones_with_the_figures_that_matter(amount: int, shown: str) -> None:
    assert dollars(amount) == shown


@given(st.integers(min_value=1, max_value=10**15))
def test_what_is_not_nothing_never_reads_as_nothing(amount: int) -> None:
    assert dollars(amount).strip("$0.,") != ""


@given(st.integers(min_value=0, max_value=10**15 - 1))
def test_all_of_an_amount_is_read_back_as_it_was(amount: int) -> None:
    assert micro_dollars(exact_dollars(amount)) == amount
    assert is_rounded(amount) or micro_dollars(dollars(amount)) == amount


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("25", 25_000_000),
        ("$1,250.50", 1_250_500_000),
        (" 25.5 USD ", 25_500_000),
        ("0.000125", 125),
        (".5", 500_000),
        ("5.", 5_000_000),
        ("007", 7_000_000),
        ("0.1", 100_000),
        ("999999999.999999", 999_999_999_999_999),
    ],
)
def test_amounts_may_be_typed_as_people_write_them(typed: str, amount: int) -> None:
    assert micro_dollars(typed) == amount


@pytest.mark.parametrize(
    "typed", ["", "$", ".", "-5", "1e5", "1,5", "1,2345", "12.34.56", "five", "25 EUR", "٣", "NaN", "Infinity", "0x10"]
)
def test_what_is_no_amount_is_refused_with_an_example(typed: str) -> None:
    with pytest.raises(Malformed) as refused:
        micro_dollars(typed, "cap")
    assert refused.value.field == "cap"
    assert "such as 25 or 25.50" in refused.value.message


@pytest.mark.parametrize("typed", ["1000000000", "1" * 5000])
def test_more_than_anybody_has_is_refused(typed: str) -> None:
    with pytest.raises(Malformed, match="more than we can take"):
        micro_dollars(typed)


def test_what_no_card_can_be_charged_exactly_is_refused() -> None:
    assert micro_dollars("25.500", cents_only=True) == 25_500_000
    with pytest.raises(Malformed, match="whole cents"):
        micro_dollars("25.505", cents_only=True)
    with pytest.raises(Malformed, match="six decimals"):
        micro_dollars("0.0000001")
