"""People and how they got in, as the edge sees them."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who sends a request, as far as the network tells."""

    network_address: str
    """Of the client, or of the proxy that is not to be trusted."""
    user_agent: str
    """At most 200 characters of what the browser calls itself."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody who has signed up."""

    account_id: UUID
    address: str
    """As its owner wrote it."""
    address_normalized: str
    name: str
    version: int
    """That of the newest AccountProfile."""
    created_at: datetime
    proven: bool
    """Whether the mailbox is proven. Until then the account may do nothing but prove it."""
    invitation_digest: str | None = None
    """The link that the person came by, until it is used."""


class Scope(StrEnum):
    """What a token may be used for. Sessions may do everything."""

    READ = "read"
    """Everything that changes nothing."""
    ORGANIZATION = "organization"
    """Organizations, members and invitations: create, invite, revoke, accept, promote, remove, leave."""
    BILLING = "billing"
    """Cards, top-ups and spend caps: what costs money, or decides who pays."""
    ACCOUNT = "account"
    """The caller's own name and sessions. Passwords and tokens are changed by a signed-in person alone."""


@dataclass(frozen=True, slots=True)
class Session:
    """A browser that is signed in, or about to prove a mailbox."""

    session_id: UUID
    account: Account
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    user_agent: str
    network_address: str
    joining_command_id: UUID | None = None
    """An acceptance whose outcome the person has not been told yet."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session that has just begun."""

    token: str
    """For the cookie; it is stored nowhere."""
    session: Session


@dataclass(frozen=True, slots=True)
class Token:
    """A program that may act for a person."""

    token_id: UUID
    name: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token that has just been made."""

    secret: str
    """Shown once; it is stored nowhere."""
    token: Token


class Malformed(Exception):
    """Something that a person typed cannot be taken. `field` says what, and the text says why and what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message


class WrongPassword(Exception):
    """The address and the password do not belong together. Whether there is such an account is not told."""


class WrongCode(Exception):
    """The six digits are not the ones in the newest letter, or they hold no more; `attempts_left` more may be tried."""

    def __init__(self, attempts_left: int) -> None:
        super().__init__("That code is not right, or it does not hold any more.")
        self.attempts_left = attempts_left


class DeadLink(Exception):
    """The link for a new password is unknown, used, or too old."""
