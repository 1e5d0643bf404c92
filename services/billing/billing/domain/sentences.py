"""What is said to people whose wish is refused. Nobody is named: the topic holds ids only."""

from collections.abc import Mapping

from billing.domain.payments import NOT_ON_FILE
from contracts import Reason

NOT_AN_ADMIN = "Only the owner and admins of an organization can decide about its money."
UNKNOWN_ORGANIZATION = "There is no such organization."
NOT_A_MEMBER = "That account is no member of this organization."
NOT_THE_PAYER = "A card of one's own can only be changed by its owner."
NO_CARD = "No card is on file. Add one first."
DECLINED_BEFORE = "The card was declined before. Replace it, or try it again, first."
CARD_NOT_DECLINED = "The card was not declined. It is charged when it is its turn."
NO_CREDIT_OF_ONES_OWN = "Prepaid credit is an organization's. Your own usage is paid by your trial credit and card."
NOT_A_CAP = "A limit is nothing, or more."


def amount_out_of_range(least: int, most: int) -> str:
    """For micro-dollars."""
    return f"Between ${least / 1_000_000:,.2f} and ${most / 1_000_000:,.2f} can be bought at once, in whole cents."


OVERTAKEN = "overtaken"
"""Why a card is not put on file that its bank agrees to: by now something else is wished."""
WHY_NOT: Mapping[str, str] = {
    NOT_ON_FILE: "The card was taken off file, or replaced, before it was charged. Try again with the one on file.",
    OVERTAKEN: "Another card was put on file, or the card was taken off file, in the meantime.",
    Reason.UNKNOWN_CARD: "The payment provider does not know this card. Enter it once more.",
    Reason.CARD_NEEDS_CARDHOLDER: "The card's bank asks for its holder. Use another card.",
    Reason.CARD_DECLINED: "The card was declined by its bank. Use another card, or ask the bank.",
}
