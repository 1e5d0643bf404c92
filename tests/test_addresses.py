"""Two services compare addresses, and neither imports the other: both must find the same ones equal."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.accounts import addresses as those_of_console
from console.accounts.domain import Malformed
from contracts import Refused
from invites.domain import addresses as those_of_invites

LOCAL_PARTS = st.text(
    st.characters(categories=["L", "N", "M"]) | st.sampled_from("!#$%&'*+-/=?^_`{|}~. "), min_size=1, max_size=20
)
DOMAINS = st.sampled_from(["example.com", "EXAMPLE.com", "bücher.example", "xn--bcher-kva.example", "a.test"])
ADDRESSES = st.builds("{}@{}".format, LOCAL_PARTS, DOMAINS)
ANYTHING = st.text(st.characters(exclude_categories=[]), max_size=40)


@settings(derandomize=True)
@given(ADDRESSES | ANYTHING)
def test_an_account_is_recognized_by_the_address_that_was_invited(typed: str) -> None:
    try:
        invited = those_of_invites.parse_address(typed)
    except Refused:
        with pytest.raises(Malformed):
            those_of_console.parse_address(typed)
        return
    address = those_of_console.parse_address(typed)
    assert (address.typed, address.normalized) == (invited.typed, invited.normalized)
    assert those_of_console.fold_aliases(address.normalized) == those_of_invites.fold_aliases(invited.normalized)
