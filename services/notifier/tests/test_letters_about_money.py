"""Letters about money as people get them: exact amounts, plain reasons, and the way to what can be done."""

from collections.abc import Callable
from datetime import timedelta
from email.headerregistry import Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifier_facts import (
    ACCOUNTS_KEY,
    ACME,
    CARD,
    LINK_KEY,
    MEMBER,
    MONEY,
    NOW,
    PAYMENT,
    card_declined,
    claim,
    claim_about_money,
    exhausted,
    low,
    topped_up,
)
from notifier_reading import Page, html_of, read, text_of, words_of

from notifier.domain import Card, Kind, MoneyFact
from notifier.money import card_in_words, in_dollars, why_declined
from notifier.rendering import Renderer

CONSOLE = "https://console.example.com"
USAGE = f"{CONSOLE}/billing/usage"
OWN_CARD = f"{CONSOLE}/billing/payment"
CARD_OF_ACME = f"{CONSOLE}/billing/organization/payment"
RENDERER = Renderer(
    console_url=f"{CONSOLE}/",
    link_key=LINK_KEY,
    accounts_key=ACCOUNTS_KEY,
    sender=Address("Latchkey", "invitations", "latchkey.example"),
)
FUNDS = (low, exhausted)
MONEY_LETTERS = tuple(MONEY)
_OWN_CARD_DECLINED = card_declined(payer_kind="account", payer_id=MEMBER, attached_by=MEMBER)


@pytest.mark.parametrize(
    ("fact", "links"),
    [
        (low(), [OWN_CARD, USAGE]),
        (exhausted(), [OWN_CARD, USAGE]),
        (card_declined(), [CARD_OF_ACME]),
        (_OWN_CARD_DECLINED, [OWN_CARD]),
        (topped_up(), [USAGE]),
    ],
)
def test_both_alternatives_lead_to_the_pages_where_something_can_be_done(fact: MoneyFact, links: list[str]) -> None:
    message = read(RENDERER.write(claim_about_money(fact)))
    assert Page(html_of(message)).links == links
    assert [line for line in text_of(message).splitlines() if line.startswith("https:")] == links


def test_a_warning_says_until_when_and_what_is_left() -> None:
    for said in _alternatives(low(left=1_234_567_890, exhausted_by=NOW + timedelta(minutes=42))):
        assert "At the present rate" in said
        assert "used up by Monday, 2 March 2026 at 09:42 UTC" in said
        assert "$1,234.56789 is left" in said
        assert "your instances will be told to stop" in said


def test_who_is_told_to_stop_is_told_that_nothing_more_will_be_charged() -> None:
    for said in _alternatives(exhausted(exhausted_at=NOW + timedelta(hours=2))):
        assert "Since Monday, 2 March 2026 at 11:00 UTC nothing is left" in said
        assert "told to stop" in said
        assert "you will never be charged for it" in said


@pytest.mark.parametrize("fact", FUNDS)
def test_a_member_may_also_ask_an_admin(fact: Callable[..., MoneyFact]) -> None:
    for said in _alternatives(fact()):
        assert "an admin of Acme can top up its credit, or you can put a card of your own on file" in said
        assert "You are never charged without a card of your own on file." in said


@pytest.mark.parametrize("fact", FUNDS)
def test_who_is_in_no_organization_is_told_of_none(fact: Callable[..., MoneyFact]) -> None:
    for said in _alternatives(fact(organization_id=None), organization_name=""):
        assert "you can put a card on file" in said
        assert "You are never charged without a card of your own on file." in said
        assert "organization" not in said
        assert "admin" not in said


def test_a_declined_card_is_told_with_its_digits_the_reason_and_the_amount() -> None:
    message = read(RENDERER.write(claim_about_money(card_declined(amount=10_000_000))))
    assert message["Subject"] == "The card of Acme was declined"
    for said in (" ".join(text_of(message).split()), words_of(html_of(message))):
        assert "Visa ending in 4242" in said
        assert "to be charged $10.00" in said
        assert "Monday, 2 March 2026 at 09:00 UTC" in said
        assert "There is not enough on the account behind it, or its limit is reached." in said
        assert "Until you replace the card, or have it tried again, it is not charged." in said


def test_a_declined_card_of_one_s_own_is_called_so() -> None:
    own = claim_about_money(_OWN_CARD_DECLINED, card=Card(MEMBER, 3, CARD, "mastercard", "4444"), organization_name="")
    message = read(RENDERER.write(own))
    assert message["Subject"] == "Your card was declined"
    assert text_of(message).startswith("Your card (Mastercard ending in 4444) was declined on")
    assert "rganization" not in message.as_string()


def test_where_the_card_is_not_known_its_digits_are_left_out() -> None:
    message = read(RENDERER.write(claim_about_money(card_declined(), card=None)))
    assert text_of(message).startswith("The card of Acme was declined on")
    for said in (text_of(message), words_of(html_of(message))):
        assert "ending in" not in said
        assert "None" not in said


def test_a_receipt_has_the_amount_the_credit_the_date_and_its_number() -> None:
    message = read(RENDERER.write(claim_about_money(topped_up(amount=50_000_000, balance=1_062_000_001))))
    assert message["Subject"] == "Receipt: $50.00 of credit for Acme"
    for said in (text_of(message), words_of(html_of(message))):
        assert "$50.00" in said
        assert "$1,062.000001" in said
        assert "Monday, 2 March 2026 at 09:00 UTC" in said
        assert str(PAYMENT) in said


@pytest.mark.parametrize("kind", MONEY_LETTERS)
def test_markup_in_the_name_of_an_organization_is_text(kind: Kind) -> None:
    message = read(RENDERER.write(claim(kind, organization_name='<b>Acme</b> & "Co" <img src=x>')))
    page = html_of(message)
    assert "<b>" not in page
    assert "<img" not in page
    assert '<b>Acme</b> & "Co"' in words_of(page)
    assert '<b>Acme</b> & "Co"' in text_of(message)


@pytest.mark.parametrize("kind", MONEY_LETTERS)
def test_a_name_that_is_an_address_cannot_be_clicked(kind: Kind) -> None:
    message = read(RENDERER.write(claim(kind, organization_name="Pay at https://evil.example/now")))
    for said in (text_of(message), html_of(message), str(message["Subject"])):
        assert "evil.example" not in said
        assert "https://evil" not in said


@pytest.mark.parametrize("card", ["visa", "<b>visa</b>", "a brand of tomorrow", ""])
def test_a_brand_is_named_only_where_we_know_it(card: str) -> None:
    of_acme = claim(Kind.CARD_DECLINED, card=Card(ACME, 3, CARD, card, "4242"))
    shown = "Visa ending in 4242" if card == "visa" else "card ending in 4242"
    assert shown in words_of(html_of(read(RENDERER.write(of_acme))))


@pytest.mark.parametrize(
    ("micro_dollars", "shown"),
    [
        (0, "$0.00"),
        (1, "$0.000001"),
        (10_000, "$0.01"),
        (9_999, "$0.009999"),
        (100_000, "$0.10"),
        (999_999, "$0.999999"),
        (1_000_000, "$1.00"),
        (12_345_678, "$12.345678"),
        (12_340_000, "$12.34"),
        (50_000_000_000, "$50,000.00"),
        (9_007_199_254_740_993, "$9,007,199,254.740993"),
        (-500_000, "-$0.50"),
    ],
)
def test_an_amount_is_shown_exactly(micro_dollars: int, shown: str) -> None:
    assert in_dollars(micro_dollars) == shown


@given(st.integers(-(2**63), 2**63))
def test_no_amount_loses_or_gains_a_micro_dollar(micro_dollars: int) -> None:
    shown = in_dollars(micro_dollars)
    whole, _, part = shown.replace("$", "").replace(",", "").partition(".")
    assert 2 <= len(part) <= 6
    assert int(whole + part.ljust(6, "0")) == micro_dollars


def test_what_a_bank_suspects_of_a_card_is_not_told() -> None:
    """Who reads it may be who took it."""
    unknown = why_declined("a code of tomorrow")
    assert {why_declined(code) for code in ("lost_card", "stolen_card", "pickup_card", "fraudulent")} == {unknown}
    assert "bank" in unknown


@pytest.mark.parametrize(
    "code",
    [
        "insufficient_funds",
        "authentication_required",
        "expired_card",
        "incorrect_cvc",
        "currency_not_supported",
        "processing_error",
        "",
    ],
)
def test_every_reason_is_a_sentence(code: str) -> None:
    sentence = why_declined(code)
    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert "_" not in sentence


def test_a_card_without_digits_is_not_called_anything() -> None:
    assert card_in_words("visa", None) == card_in_words(None, None) == ""


def _alternatives(fact: MoneyFact, **fields: object) -> list[str]:
    """What the two alternatives of the letter about this fact say."""
    message = read(RENDERER.write(claim_about_money(fact, **fields)))
    return [" ".join(text_of(message).split()), words_of(html_of(message))]
