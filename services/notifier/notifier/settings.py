"""What notifier is told by its environment, beside what postroom asks of every service."""

import base64
import binascii
from datetime import timedelta
from email.headerregistry import Address
from email.utils import parseaddr
from enum import StrEnum
from typing import Self

from pydantic import Field, FilePath, HttpUrl, SecretStr, field_validator, model_validator

from notifier.domain import Patience
from postroom import ServiceSettings

_SHORTEST_KEY = 32
"""Bytes: a key as long as the output of HMAC-SHA256 (RFC 2104, section 3)."""
_PATIENCE = Patience()
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Tls(StrEnum):
    """How the connection to the mail server is kept secret."""

    NONE = "none"
    STARTTLS = "starttls"
    """It begins in the clear and must be upgraded, or nothing is sent (usually port 587)."""
    IMPLICIT = "implicit"
    """TLS from the first byte (usually port 465)."""


class Settings(ServiceSettings):
    """LINK_KEY, ACCOUNTS_KEY, CONSOLE_URL, the mail server, and how patient to be. Durations are seconds, or ISO 8601
    (`P7D`)."""

    link_key: SecretStr
    """The key of the links' codes: at least 32 random bytes in base64url, the same as invites'. Whoever has it can make
    every link."""
    accounts_key: SecretStr
    """The key of accounts' codes: as long, the same as console's, and another than the link key, which console must not
    have. Whoever has it can prove any mailbox, and reset any password."""
    console_url: HttpUrl
    """Where the links of letters lead."""

    batch_interval: timedelta = Field(default=timedelta(seconds=0.05), ge=timedelta(0))
    """The least time between two batches; letters take longer than that on their way anyway."""

    smtp_host: str = Field(min_length=1)
    """The mail server."""
    smtp_port: int = Field(default=25, ge=1, le=65535)
    """The mail server's port."""
    smtp_tls: Tls = Tls.NONE
    """`none`, `starttls` or `implicit`; certificates are always checked."""
    smtp_ca_file: FilePath | None = None
    """A file of certificate authorities, where the system's own do not know the mail server."""
    smtp_username: str | None = None
    """How to sign in at the mail server, where it asks for that; only over TLS, or on this machine."""
    smtp_password: SecretStr = SecretStr("")
    """The password, where there is a user name."""
    smtp_hostname: str | None = None
    """What this machine calls itself in EHLO; its own name where not set."""
    smtp_connections: int = Field(default=4, ge=1, le=100)
    """Letters that one process sends at the same time, each over a connection of its own."""
    smtp_timeout: timedelta = Field(default=timedelta(seconds=60), gt=timedelta(0))
    """The longest that the server may take for one letter, and to be connected to."""
    smtp_idle: timedelta = Field(default=timedelta(seconds=10), gt=timedelta(0))
    """After this long without a letter a connection is closed."""
    mail_from: str
    """Who writes, as in `Latchkey <invitations@example.com>`. The name signs the letters."""

    lease: timedelta = Field(default=timedelta(seconds=15), ge=timedelta(seconds=1))
    """How long a claimed letter is nobody else's; renewed while it is on the wire. After a crash it is sent again when
    this is over, with the same Message-ID and Idempotency-Key."""
    claim_size: int = Field(default=20, ge=1, le=1000)
    """The most letters that a connection claims, and reports, at a time."""
    delivery_interval: timedelta = Field(default=timedelta(seconds=1), gt=timedelta(0))
    """How often is looked for letters that nobody has woken the process for: those that were put off."""

    wait_for: timedelta = Field(default=_PATIENCE.wait_for, ge=timedelta(0))
    """How long a letter waits for a profile or an organization's name; then it has failed."""
    try_for: timedelta = Field(default=_PATIENCE.try_for, gt=timedelta(0))
    """How long delivery is tried, above all while the server cannot be reached; then the letter has failed."""
    attempts_per_letter: int = Field(default=_PATIENCE.attempts, ge=1)
    """How often a letter is tried that the server puts off."""
    first_pause: timedelta = Field(default=_PATIENCE.first_pause, gt=timedelta(0))
    """How long is waited before the second attempt at a letter; it doubles from one to the next, and is spread."""
    longest_pause: timedelta = Field(default=_PATIENCE.longest_pause, gt=timedelta(0))
    """The longest wait between two attempts at a letter."""
    news_for: timedelta = Field(default=_PATIENCE.news_for, gt=timedelta(0))
    """Nobody is told what happened longer ago than this (somebody joined, a password was changed): after a long outage,
    or with a new database."""
    keep_ended: timedelta = Field(default=timedelta(days=35), ge=timedelta(0))
    """How long ended letters (ids, no addresses) and ended invitations are remembered: longer than a dead letter of
    their topics can be handed in again (30 days)."""

    @field_validator("link_key", "accounts_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        if len(_decoded(value)) < _SHORTEST_KEY:
            raise ValueError(f"at least {_SHORTEST_KEY} random bytes in base64url are needed")
        return value

    @field_validator("mail_from")
    @classmethod
    def _is_a_sender(cls, value: str) -> str:
        sender = _sender(value)
        if not sender.addr_spec.isascii() or not sender.username or not sender.domain:
            raise ValueError("an address is needed, as in Latchkey <invitations@example.com>")
        return value

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.smtp_username and self.smtp_tls is Tls.NONE and self.smtp_host not in _LOOPBACK:
            raise ValueError("SMTP_USERNAME and its password are not sent in the clear: set SMTP_TLS")
        if self.link_key_bytes == self.accounts_key_bytes:
            raise ValueError("ACCOUNTS_KEY is LINK_KEY: console, which has it, could make every invitation's link")
        return self

    @property
    def link_key_bytes(self) -> bytes:
        """The key as contracts.link_code takes it."""
        return _decoded(self.link_key)

    @property
    def accounts_key_bytes(self) -> bytes:
        """The key as contracts.mailbox_code and contracts.reset_code take it."""
        return _decoded(self.accounts_key)

    @property
    def sender(self) -> Address:
        """Who writes."""
        return _sender(self.mail_from)

    @property
    def patience(self) -> Patience:
        """How long a letter is worth an effort."""
        return Patience(
            wait_for=self.wait_for,
            try_for=self.try_for,
            attempts=self.attempts_per_letter,
            first_pause=self.first_pause,
            longest_pause=self.longest_pause,
            news_for=self.news_for,
        )


def _sender(text: str) -> Address:
    name, address = parseaddr(text)
    username, _, domain = address.rpartition("@")
    return Address(name, username, domain)


def _decoded(key: SecretStr) -> bytes:
    text = key.get_secret_value().rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64url") from None
