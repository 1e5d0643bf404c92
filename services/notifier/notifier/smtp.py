"""One connection to the mail server, and what its answers mean for a letter."""

import asyncio
import ssl
import time
from dataclasses import dataclass, field

import aiosmtplib

from notifier.domain import Impossible, Outcome, PutOff, Rejected, Taken
from notifier.rendering import Mail

_GOODBYE = 421
"""With this reply the server ends the connection."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where letters go."""

    host: str
    port: int
    local_hostname: str
    timeout: float
    """Seconds that connecting, or one letter, may take."""
    implicit_tls: bool = False
    starttls: bool = False
    tls_context: ssl.SSLContext | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)


class Unreachable(Exception):
    """The mail server does not let us in: no letter was offered to it."""


class Carrier:
    """Brings letters to the mail server, one at a time, over a connection that is kept."""

    def __init__(self, server: MailServer, *, probe_after: float = 1.0) -> None:
        """After `probe_after` seconds without a letter, the connection is asked whether it is still there."""
        self._server = server
        self._probe_after = probe_after
        self._smtp: aiosmtplib.SMTP | None = None
        self._used_at = 0.0
        self._is_busy = False

    @property
    def is_connected(self) -> bool:
        return self._smtp is not None and self._smtp.is_connected

    async def connect(self) -> None:
        """Has a connection that is good for a letter. Raises Unreachable."""
        if self._smtp is not None and await self._is_alive(self._smtp):
            return
        self.close()
        server = self._server
        smtp = aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=server.local_hostname,
            timeout=server.timeout,
            use_tls=server.implicit_tls,
            start_tls=server.starttls,
            tls_context=server.tls_context,
            username=server.username,
            password=server.password,
        )
        try:
            async with asyncio.timeout(server.timeout):
                await smtp.connect()
                await smtp.ehlo()
        except (aiosmtplib.SMTPException, OSError) as error:
            smtp.close()
            raise Unreachable(_describe(error)) from None
        self._smtp = smtp
        self._used_at = time.monotonic()

    async def send(self, mail: Mail) -> Outcome:
        """Offers a letter, and says what the server made of it. After anything but a clear answer the connection is
        closed."""
        assert self._smtp is not None, "connect() comes first"
        self._is_busy = True
        try:
            async with asyncio.timeout(self._server.timeout):
                await self._smtp.sendmail(mail.sender, mail.recipient, mail.content, mail_options=self._options(mail))
        except aiosmtplib.SMTPNotSupported:
            return Impossible("The mail server does not carry addresses of this kind (SMTPUTF8).")
        except aiosmtplib.SMTPSenderRefused as refusal:
            # This is about us, not about the recipient: somebody must mend it, and then the letter can go.
            return PutOff(f"The mail server did not take us as the sender ({refusal.code}).")
        except aiosmtplib.SMTPRecipientsRefused as refusal:
            return self._meaning(refusal.recipients[0].code)
        except aiosmtplib.SMTPResponseException as answer:
            return self._meaning(answer.code)
        except TimeoutError:
            self.close()
            return PutOff("The mail server did not answer in time.")
        except (aiosmtplib.SMTPException, OSError):
            self.close()
            return PutOff("The connection to the mail server was lost.")
        finally:
            self._is_busy = False
            self._used_at = time.monotonic()
        return Taken()

    async def rest(self, idle: float) -> None:
        """Says goodbye to the server where no letter has gone over the connection for `idle` seconds."""
        if self._smtp is None or self._is_busy or time.monotonic() - self._used_at < idle:
            return
        await self.leave()

    async def leave(self) -> None:
        """Says goodbye to the server, briefly."""
        smtp, self._smtp = self._smtp, None
        if smtp is None:
            return
        try:
            async with asyncio.timeout(1):
                await smtp.quit()
        except (aiosmtplib.SMTPException, OSError):
            pass
        finally:
            smtp.close()

    def close(self) -> None:
        """Hangs up."""
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None

    async def _is_alive(self, smtp: aiosmtplib.SMTP) -> bool:
        """Servers close connections that are idle; the letter that would find out first should not suffer for it."""
        if not smtp.is_connected:
            return False
        if time.monotonic() - self._used_at < self._probe_after:
            return True
        try:
            async with asyncio.timeout(self._server.timeout):
                await smtp.rset()
        except (aiosmtplib.SMTPException, OSError):
            return False
        return smtp.is_connected

    def _meaning(self, code: int) -> Outcome:
        """Of a reply to RCPT or DATA (RFC 5321, 4.2.1). What the server says beside the code is not kept: it quotes
        addresses."""
        if code == _GOODBYE:
            self.close()
        return Rejected(code) if 500 <= code <= 599 else PutOff(f"The mail server put the letter off ({code}).")

    def _options(self, mail: Mail) -> list[str]:
        if not mail.needs_smtputf8:
            return []
        assert self._smtp is not None
        return ["SMTPUTF8", "BODY=8BITMIME"] if self._smtp.supports_extension("8bitmime") else ["SMTPUTF8"]


def _describe(error: Exception) -> str:
    """For the log, without what the server says."""
    code = getattr(error, "code", None)
    return f"{type(error).__name__} {code}" if code is not None else type(error).__name__
