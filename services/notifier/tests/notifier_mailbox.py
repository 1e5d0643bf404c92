"""A mail server for tests: aiosmtpd on a real socket, with the faults that real ones have."""

import asyncio
import email
import email.policy
import ssl
from email.message import EmailMessage
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

DROP = "drop"
"""In the place of an answer: the connection is broken."""
HANG = "hang"
"""In the place of an answer: nothing, until the server ends."""


class Mailbox:
    """Takes letters. What stands in `to_mail`, `to_rcpt` and `to_data` are its next answers there; then it says 250."""

    def __init__(
        self,
        *,
        smtputf8: bool = True,
        starttls: ssl.SSLContext | None = None,
        implicit_tls: ssl.SSLContext | None = None,
        credentials: tuple[str, str] | None = None,
    ) -> None:
        self.letters: list[EmailMessage] = []
        self.recipients: list[str] = []
        """The envelope's recipient of each letter."""
        self.secret: list[bool] = []
        """Whether each letter came over TLS."""
        self.to_mail: list[str] = []
        self.to_rcpt: list[str] = []
        self.to_data: list[str] = []
        self.connections = 0
        self.taken = asyncio.Event()
        """Set when a letter has been taken, before its answer."""
        self.may_answer = asyncio.Event()
        """While it is not set, letters are taken and the answer is held back."""
        self.may_answer.set()
        self._credentials = credentials
        self._hanging = asyncio.Event()
        self._options: dict[str, Any] = {"enable_SMTPUTF8": smtputf8, "hostname": "mailbox.localhost"}
        if starttls is not None:
            self._options |= {"tls_context": starttls, "require_starttls": True}
        if credentials is not None:
            self._options |= {"authenticator": self._sign_in, "auth_required": True}
        self._implicit_tls = implicit_tls
        self._server: asyncio.Server | None = None
        self._protocols: list[SMTP] = []
        self.port = 0

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.may_answer.set()
        self._hanging.set()
        await self.close()

    async def open(self) -> None:
        """Listens, on the same port as before."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port, ssl=self._implicit_tls)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Does not listen any more."""
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def idempotency_keys(self) -> list[str]:
        """Of each letter that was taken; a provider delivers each key once."""
        return [letter["Idempotency-Key"] for letter in self.letters]

    def hang_up(self) -> None:
        """Breaks all connections."""
        for protocol in self._protocols:
            _break(protocol)

    # --- what aiosmtpd calls

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return await self._answer(self.to_mail, server)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.rcpt_tos.append(address)
        return await self._answer(self.to_rcpt, server)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = await self._answer(self.to_data, server)
        if answer.startswith("250"):
            self._take(envelope)
            self.secret.append(session.ssl is not None)
            await self.may_answer.wait()
        return answer

    def _take(self, envelope: Envelope) -> None:
        content = envelope.content
        raw = content.encode() if isinstance(content, str) else content or b""
        letter = email.message_from_bytes(raw, policy=email.policy.default)
        assert isinstance(letter, EmailMessage)
        self.letters.append(letter)
        self.recipients.extend(envelope.rcpt_tos)
        self.taken.set()

    async def _answer(self, planned: list[str], server: SMTP) -> str:
        answer = planned.pop(0) if planned else "250 OK"
        if answer == HANG:
            await self._hanging.wait()
        if answer in (DROP, HANG):
            _break(server)
            raise ConnectionResetError
        return answer

    def _sign_in(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        is_right = (data.login.decode(), data.password.decode()) == self._credentials
        return AuthResult(success=is_right, handled=False)

    def _protocol(self) -> SMTP:
        self.connections += 1
        self._protocols.append(SMTP(self, loop=asyncio.get_running_loop(), **self._options))
        return self._protocols[-1]


def _break(protocol: SMTP) -> None:
    if isinstance(protocol.transport, asyncio.WriteTransport):
        protocol.transport.abort()
