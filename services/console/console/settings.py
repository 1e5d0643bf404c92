"""What console is told by its environment, beside what postroom asks of every service."""

import base64
import binascii
from datetime import timedelta
from urllib.parse import urlsplit

from pydantic import Field, HttpUrl, SecretStr, field_validator

from postroom import ServiceSettings

_SHORTEST_KEY = 32
"""Bytes: a key as long as the output of HMAC-SHA256 (RFC 2104, section 3)."""


class Settings(ServiceSettings):
    """CONSOLE_URL, ACCOUNTS_KEY, where the pages are served, and how long things hold. Durations are seconds, or ISO
    8601 (`P7D`). Limits of 0 are none."""

    console_url: HttpUrl
    """Where people find the console, and where the links of letters lead. With `https`, cookies are sent over HTTPS
    only, and are bound to this host (`__Host-`)."""
    web_host: str = "127.0.0.1"
    """Where the pages and the API listen."""
    web_port: int = Field(default=8000, ge=0, le=65535)
    """The port of the pages and the API; 0 takes a free one."""
    trusted_proxies: str = ""
    """Addresses, with commas, of proxies whose X-Forwarded-For is believed. Nobody else's is."""
    hsts: timedelta = Field(default=timedelta(0), ge=timedelta(0))
    """For how long browsers are told to use HTTPS only (Strict-Transport-Security); 0 tells them nothing."""

    accounts_key: SecretStr
    """The key of the six-digit codes and the reset links: at least 32 random bytes in base64url, the same as
    notifier's. It is not the key of the invitations' links, which console never learns."""

    stripe_publishable_key: str = ""
    """Stripe's key for browsers (`pk_...`), with which cards are given to Stripe and to nobody else. Without it no card
    can be added."""
    stripe_js: HttpUrl = HttpUrl("https://js.stripe.com/v3/")
    """Stripe's script with the card form, or that of a stand-in. Only the pages with that form allow its origin."""

    database_pool_size: int = Field(default=12, ge=2)
    """Connections to the database, beside those of the relay and of the news."""
    outcome_timeout: timedelta = Field(default=timedelta(seconds=3), gt=timedelta(0))
    """How long a request waits for the outcome of its command before it answers 202."""
    command_retention: timedelta = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long the outcomes of commands, and Idempotency-Keys (a day at most), are remembered."""
    closed_retention: timedelta = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long invitations that have ended are kept, and expired ones shown."""

    session_lifetime: timedelta = Field(default=timedelta(days=30), gt=timedelta(0))
    """A session ends after this long, however busy it is."""
    session_idle: timedelta = Field(default=timedelta(days=7), gt=timedelta(0))
    """A session ends when nothing was heard of it for this long."""
    code_lifetime: timedelta = Field(default=timedelta(minutes=15), gt=timedelta(0))
    """How long a six-digit code holds."""
    code_attempts: int = Field(default=5, ge=1)
    """How many wrong codes are taken before a new one has to be asked for."""
    reset_lifetime: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0))
    """How long a link for a new password holds."""
    sign_up_lifetime: timedelta = Field(default=timedelta(days=1), gt=timedelta(0))
    """An account whose mailbox is not proven by then is forgotten."""

    sign_ins_per_address_per_hour: int = Field(default=20, ge=0)
    """Failed sign-ins at one e-mail address, from wherever."""
    sign_ins_per_network_per_hour: int = Field(default=100, ge=0)
    """Failed sign-ins from one network address, at whatever accounts."""
    sign_ups_per_network_per_hour: int = Field(default=50, ge=0)
    """Sign-ups from one network address."""
    codes_per_address_per_hour: int = Field(default=6, ge=0)
    """Letters with a code, or about a sign-up, to one mailbox (dots and plus tags folded)."""
    resets_per_address_per_hour: int = Field(default=4, ge=0)
    """Letters with a reset link to one mailbox (dots and plus tags folded)."""
    resets_per_network_per_hour: int = Field(default=50, ge=0)
    """Requests for a reset link from one network address."""
    invitations_per_network_per_hour: int = Field(default=600, ge=0)
    """Invitations sent from one network address. Those of an organization, an inviter and a recipient are counted by
    invites, whoever the client is."""

    cards_per_account_per_hour: int = Field(default=30, ge=0)
    """How often an account may have the bank of a card asked: put one on file, retry one, top up."""

    max_body: int = Field(default=256 * 1024, ge=1024)
    """The most bytes of a request's body."""

    @field_validator("accounts_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        if len(_decoded(value)) < _SHORTEST_KEY:
            raise ValueError(f"at least {_SHORTEST_KEY} random bytes in base64url are needed")
        return value

    @property
    def accounts_key_bytes(self) -> bytes:
        """The key as contracts.mailbox_code and contracts.reset_code take it."""
        return _decoded(self.accounts_key)

    @property
    def is_https(self) -> bool:
        """Whether people come by HTTPS."""
        return self.console_url.scheme == "https"

    @property
    def stripe_js_origin(self) -> str:
        """The origin of Stripe's script, as policies name it."""
        parts = urlsplit(str(self.stripe_js))
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def origin(self) -> str:
        """The console's own origin, as browsers write it."""
        return str(self.console_url).rstrip("/")


def _decoded(key: SecretStr) -> bytes:
    text = key.get_secret_value().rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64url") from None
