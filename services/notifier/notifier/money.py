"""Money, cards, and why a bank says no, in words for people."""

from collections.abc import Mapping
from typing import Final

_MICROS: Final = 1_000_000
_BRANDS: Final[Mapping[str, str]] = {
    "amex": "American Express",
    "cartes_bancaires": "Cartes Bancaires",
    "diners": "Diners Club",
    "discover": "Discover",
    "jcb": "JCB",
    "mastercard": "Mastercard",
    "unionpay": "UnionPay",
    "visa": "Visa",
}

_NO_REASON: Final = "Its bank has not said why; it may tell the cardholder."
_TOO_LITTLE: Final = "There is not enough on the account behind it, or its limit is reached."
_CARDHOLDER: Final = "Its bank asks the cardholder to confirm the payment, and nobody was there who could."
_MISTYPED: Final = "Its number, expiry date or security code is not what its bank knows."
_NOT_FOR_THIS: Final = "Its bank does not allow payments of this kind with it."
_NOT_NOW: Final = "Its bank could not decide at that moment. Trying again may help."
_DECLINES: Final[Mapping[str, str]] = {
    "insufficient_funds": _TOO_LITTLE,
    "card_velocity_exceeded": _TOO_LITTLE,
    "withdrawal_count_limit_exceeded": _TOO_LITTLE,
    "authentication_required": _CARDHOLDER,
    "authentication_not_handled": _CARDHOLDER,
    "offline_pin_required": _CARDHOLDER,
    "online_or_offline_pin_required": _CARDHOLDER,
    "expired_card": "It has expired.",
    "incorrect_cvc": _MISTYPED,
    "incorrect_number": _MISTYPED,
    "invalid_account": _MISTYPED,
    "invalid_cvc": _MISTYPED,
    "invalid_expiry_month": _MISTYPED,
    "invalid_expiry_year": _MISTYPED,
    "invalid_number": _MISTYPED,
    "card_not_supported": _NOT_FOR_THIS,
    "currency_not_supported": _NOT_FOR_THIS,
    "service_not_allowed": _NOT_FOR_THIS,
    "transaction_not_allowed": _NOT_FOR_THIS,
    "issuer_not_available": _NOT_NOW,
    "processing_error": _NOT_NOW,
    "reenter_transaction": _NOT_NOW,
    "try_again_later": _NOT_NOW,
}
"""By decline code. That a bank takes a card for lost, stolen or used in fraud is not for us to tell, since who reads it
may be who took it: such codes are not here, and read as those that we do not know."""


def in_dollars(micro_dollars: int) -> str:
    """The exact amount: dollars and cents, such as `$1,234.50`, and as much of a cent as there is: `$0.000001`."""
    dollars, micros = divmod(abs(micro_dollars), _MICROS)
    sign = "-" if micro_dollars < 0 else ""
    return f"{sign}${dollars:,}.{f'{micros:06}'.rstrip('0'):0<2}"


def card_in_words(brand: str | None, last4: str | None) -> str:
    """As people know their cards, `Visa ending in 4242`; empty where the digits are not known."""
    return f"{_BRANDS.get(brand or '', 'card')} ending in {last4}" if last4 else ""


def why_declined(code: str) -> str:
    """A sentence, or two, about a card that was declined with this code of the payment provider."""
    return _DECLINES.get(code, _NO_REASON)
