"""E-mail addresses: which are well-formed, and which are the same. The rule is that of invites, so that an account is
recognized by the address that was invited."""

import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from console.accounts.domain import Malformed


@dataclass(frozen=True, slots=True)
class MailAddress:
    """A well-formed address."""

    typed: str
    """As somebody typed it, without the spaces around it: what letters are sent to."""
    normalized: str
    """What it is compared by: case-folded, NFC, its domain in ASCII (IDNA). Dots and plus tags stay, since only the
    owner of a domain knows whether they mean anything."""


def parse_address(typed: str) -> MailAddress:
    """Reads what a person typed. Raises Malformed.

    Syntax alone decides (RFC 5321, 5322, 6531 and IDNA 2008, by email-validator); DNS is never asked. Names below
    `.test`, which are reserved (RFC 6761) and reach nobody, are let through for trials.
    """
    stripped = typed.strip()
    try:
        valid = validate_email(stripped, check_deliverability=False, test_environment=True)
    except EmailNotValidError:
        raise Malformed(
            "address", "That is not a valid e-mail address. Check it for typing errors and try again."
        ) from None
    return MailAddress(stripped, f"{_caseless(valid.local_part)}@{valid.ascii_domain}")


def normalize_address(address: str) -> str:
    """What the address is compared by. Never raises: one that somebody else has found to be good is compared as text
    where email-validator disagrees."""
    try:
        return parse_address(address).normalized
    except Malformed:
        return _caseless(address.strip())


def fold_aliases(normalized: str) -> str:
    """Who probably reads it: without dots and plus tag. Good enough to count letters by, not to tell people apart."""
    local_part, _, domain = normalized.rpartition("@")
    folded = local_part.partition("+")[0].replace(".", "")
    return f"{folded or local_part}@{domain}"


def _caseless(text: str) -> str:
    """The canonical caseless form (Unicode, D145), composed. Case folding wants decomposed text."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
