"""The mailbox's SMTP side. Some addresses answer with a fault, so that a sender's handling of it can be seen."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable

from aiosmtpd.smtp import SMTP, Envelope, Session

from stack.mailbox.letters import Letters

_BOUNCE = re.compile(r"bounce", re.IGNORECASE)
_TEMPFAIL = re.compile(r"tempfail(?:-(?P<times>\d+))?(?![a-z0-9])", re.IGNORECASE)
_SLOW = re.compile(r"slow(?![a-z0-9])", re.IGNORECASE)
_SLOWNESS = 3.0
_SIZE_LIMIT = 10 * 1024 * 1024


class Postman:
    """Takes letters; aiosmtpd calls it. By the beginning of the local part of an address:

    - `bounce...@` is refused for good (550);
    - `tempfail@` is put off every time (451), `tempfail-3@` the first three times;
    - `slow@` is accepted, and the answer takes three seconds.
    """

    def __init__(self, letters: Letters, slowness: float = _SLOWNESS) -> None:
        """`slowness` in seconds."""
        self._letters = letters
        self._slowness = slowness
        self._put_off: Counter[str] = Counter()
        self.bounced = 0
        """Recipients refused for good."""
        self.deferred = 0
        """Recipients put off."""

    async def handle_RCPT(  # noqa: N802  aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if _BOUNCE.match(address):
            self.bounced += 1
            return "550 5.1.1 No such mailbox"
        if self._puts_off(address):
            self.deferred += 1
            return "451 4.2.1 The mailbox is busy, try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        raw = content.encode() if isinstance(content, str) else content or b""
        for address in envelope.rcpt_tos:
            self._letters.add(envelope.mail_from or "", address, raw)
        # The letter is here; a sender who does not wait for the answer will send it again.
        if any(_SLOW.match(address) for address in envelope.rcpt_tos):
            await asyncio.sleep(self._slowness)
        return "250 2.0.0 Accepted"

    def _puts_off(self, address: str) -> bool:
        found = _TEMPFAIL.match(address)
        if found is None:
            return False
        self._put_off[address.casefold()] += 1
        return found["times"] is None or self._put_off[address.casefold()] <= int(found["times"])


def smtp_protocol(postman: Postman) -> Callable[[], SMTP]:
    """What asyncio's create_server is given."""
    return lambda: SMTP(
        postman,
        hostname="mailbox.localhost",
        ident="Latchkey mailbox",
        data_size_limit=_SIZE_LIMIT,
        enable_SMTPUTF8=True,
        loop=asyncio.get_running_loop(),
    )
