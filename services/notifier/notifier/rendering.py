"""Letters as they go out: Jinja2 templates, one folder for each kind, made into messages of RFC 5322.

Links and codes are derived here, and nowhere else, while the letter is written for the mail server. Whoever holds a
Mail can join an organization, or get into an account: it is neither stored nor logged.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.headerregistry import Address
from typing import Final
from uuid import UUID

import idna
from jinja2 import Environment, PackageLoader, StrictUndefined, Template, select_autoescape

from contracts import CardDeclined, CreditToppedUp, FundsExhausted, FundsLow, link_code, mailbox_code, reset_code
from notifier.domain import Claim, Kind, Letter
from notifier.messages import Letterhead, as_bytes
from notifier.money import card_in_words, in_dollars, why_declined
from notifier.names import clean_address, clean_name

_UNFIT: Final = re.compile(r"[\s<>\x00-\x1f\x7f-\x9f]")
"""What no address may hold that is written into an SMTP command or a header."""


class Unwritable(Exception):
    """No letter can be written to this address."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A message and its envelope."""

    sender: str
    recipient: str
    content: bytes = field(repr=False)
    """RFC 5322, lines ended by CRLF. It may hold a usable link or code."""
    needs_smtputf8: bool = False
    """Whether the address is of the kind that only RFC 6531 carries."""


@dataclass(frozen=True, slots=True)
class _Templates:
    subject: Template
    text: Template
    html: Template


class Renderer:
    """Writes letters. The same letter, written again, is the same, byte by byte, unless a name has changed since."""

    def __init__(self, *, console_url: str, link_key: bytes, accounts_key: bytes, sender: Address) -> None:
        self._console_url = console_url.rstrip("/")
        self._link_key = link_key
        self._accounts_key = accounts_key
        self._sender = sender
        self._letterhead = Letterhead(sender)
        environment = Environment(
            loader=PackageLoader("notifier", "letters"),
            autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        environment.globals |= {"brand": sender.display_name or sender.domain, "console_url": f"{self._console_url}/"}
        self._templates: Mapping[Kind, _Templates] = {
            kind: _Templates(
                environment.get_template(f"{kind}/subject.txt.j2"),
                environment.get_template(f"{kind}/body.txt.j2"),
                environment.get_template(f"{kind}/body.html.j2"),
            )
            for kind in Kind
        }

    def write(self, claim: Claim) -> Mail:
        """The letter, ready for the mail server. Raises Unwritable."""
        letter = claim.letter
        recipient = _envelope_address(claim.address or "")
        templates = self._templates[letter.kind]
        words = self._words(claim)
        headers = {
            "To": recipient,
            "Subject": " ".join(templates.subject.render(words).split()),
            "Date": letter.created_at,
            # Both are the same at each attempt: by them a letter that is offered twice can be recognized.
            "Message-ID": f"<{letter.letter_id}@{self._sender.domain}>",
            "Idempotency-Key": str(letter.letter_id),
        }
        message = self._letterhead.message(
            headers, templates.text.render(words), templates.html.render(words), letter.letter_id
        )
        needs_smtputf8 = not recipient.addr_spec.isascii()
        content = as_bytes(message, utf8=needs_smtputf8)
        return Mail(self._sender.addr_spec, recipient.addr_spec, content, needs_smtputf8)

    def _words(self, claim: Claim) -> dict[str, object]:
        """What the templates are given; names of people and organizations only after cleaning."""
        letter = claim.letter
        words: dict[str, object] = {
            "speaks_of_organization": letter.organization_id is not None,
            "organization": clean_name(claim.organization_name) or "an organization",
            "recipient": clean_name(claim.recipient_name),
            "person": clean_name(claim.person_name),
            "person_address": clean_address(claim.person_address),
            "to_address": clean_address(claim.address),
        }
        if letter.expires_at is not None:
            words["expires_on"], words["expires_at"] = in_words(letter.expires_at)
        return words | _money(claim) | self._usable(letter)

    def _usable(self, letter: Letter) -> dict[str, str]:
        """The link or code that the letter is there for."""
        match letter:
            case Letter(kind=Kind.INVITATION | Kind.REMINDER, invitation_id=UUID() as invitation_id):
                return {"link": f"{self._console_url}/org-invite/{link_code(self._link_key, invitation_id)}/"}
            case Letter(kind=Kind.MAILBOX_CODE, challenge_id=UUID() as challenge_id):
                return {"code": mailbox_code(self._accounts_key, challenge_id)}
            case Letter(kind=Kind.PASSWORD_RESET, challenge_id=UUID() as challenge_id):
                return {"link": f"{self._console_url}/password-reset/{reset_code(self._accounts_key, challenge_id)}/"}
        return {}


def _money(claim: Claim) -> dict[str, str]:
    """What a letter about money tells of its fact."""
    match claim.letter.fact:
        case FundsLow() as low:
            return {"left": in_dollars(low.left), "exhausted_by": in_words(low.exhausted_by)[1]}
        case FundsExhausted() as exhausted:
            return {"exhausted_at": in_words(exhausted.exhausted_at)[1]}
        case CardDeclined() as declined:
            return {
                "card": card_in_words(claim.card.brand, claim.card.last4) if claim.card else "",
                "amount": in_dollars(declined.amount),
                "why": why_declined(declined.reason),
                "declined_at": in_words(declined.declined_at)[1],
            }
        case CreditToppedUp() as topped_up:
            return {
                "amount": in_dollars(topped_up.amount),
                "balance": in_dollars(topped_up.balance),
                "payment_id": str(topped_up.payment_id),
                "paid_at": in_words(topped_up.topped_up_at)[1],
            }
    return {}


def in_words(moment: datetime) -> tuple[str, str]:
    """The day, and the day with the time, for people: `Monday, 9 March 2026` and `... at 09:00 UTC`."""
    utc = moment.astimezone(UTC)
    day = f"{utc:%A}, {utc.day} {utc:%B %Y}"
    return day, f"{day} at {utc:%H:%M} UTC"


def _envelope_address(address: str) -> Address:
    """The address with its domain in ASCII (IDNA 2008). Raises Unwritable."""
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain or _UNFIT.search(address):
        raise Unwritable
    try:
        ascii_domain = domain if domain.isascii() else idna.encode(domain, uts46=True).decode("ascii")
        return Address(username=local, domain=ascii_domain)
    except (idna.IDNAError, ValueError):
        raise Unwritable from None
