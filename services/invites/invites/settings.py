"""What invites is told by its environment, beside what postroom asks of every service."""

import base64
import binascii
from datetime import timedelta

from pydantic import Field, SecretStr, field_validator

from postroom import ServiceSettings

_SHORTEST_KEY = 32
"""Bytes: a key as long as the output of HMAC-SHA256 (RFC 2104, section 3)."""


class Settings(ServiceSettings):
    """LINK_KEY and the durations of an invitation's life. Durations are seconds, or ISO 8601 (`P7D`)."""

    link_key: SecretStr
    """The key of the links' codes: at least 32 random bytes in base64url, the same as notifier's. Whoever has it can
    make every link, so it is a secret of these two services."""

    invitation_lifetime: timedelta = Field(default=timedelta(days=7), gt=timedelta(0))
    """For how long a link is live."""
    reminder_lead: timedelta = Field(default=timedelta(days=2), ge=timedelta(0))
    """How long before its end an invitation is reminded of, once. No reminder where this is 0, or as long as
    the lifetime."""
    closed_retention: timedelta = Field(default=timedelta(days=30), ge=timedelta(0))
    """How long invitations stay after they have ended (and former members after they left); then they are deleted."""

    organization_invitations_per_day: int = Field(default=1000, ge=0)
    """Invitations of one organization in a day: enough to take a company aboard, too few to send spam by. 0: no limit.
    As with the two below, a burst up to the limit is fine, and the allowance comes back steadily."""
    inviter_invitations_per_hour: int = Field(default=200, ge=0)
    """Invitations by one admin in an hour: a pasted list, but no stolen session that writes to the world. 0: no
    limit."""
    recipient_invitations_per_day: int = Field(default=20, ge=0)
    """Invitations to one mailbox in a day, whoever sends them, with dots and plus tags folded: mistakes and second
    tries, but nobody's mailbox is flooded through us. 0: no limit."""

    timer_interval: timedelta = Field(default=timedelta(seconds=5), gt=timedelta(0))
    """How often is looked for invitations that are to be reminded of or have ended. A link is dead at its instant, not
    only when this has noticed."""

    @field_validator("link_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr) -> SecretStr:
        if len(_decoded(value)) < _SHORTEST_KEY:
            raise ValueError(f"at least {_SHORTEST_KEY} random bytes in base64url are needed")
        return value

    @property
    def link_key_bytes(self) -> bytes:
        """The key as contracts.link_code takes it."""
        return _decoded(self.link_key)


def _decoded(key: SecretStr) -> bytes:
    text = key.get_secret_value().rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64url") from None
