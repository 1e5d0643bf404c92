"""Tokens: programs that may act for a person. They are shown once, and stored as digests."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from console.accounts.digests import digest_of
from console.accounts.domain import Account, Malformed, NewToken, Scope, Token
from console.accounts.names import parse_name
from console.accounts.store import COLUMNS, account_of
from postroom.ids import uuid7

MOST = 50
"""Tokens of one account."""
LONGEST_LIFETIME = timedelta(days=3650)

_PREFIX = "lk_"
"""By which people, and programs that look for leaked secrets, recognize one."""
_NOTED_EVERY = timedelta(minutes=5)
"""How exactly is known when a token was last used."""

_TOKEN = "t.token_id, t.name AS token_name, t.scopes, t.created_at, t.expires_at, t.used_at"  # noqa: S105

# Tokens that are made at the same moment do not count each other. That is good enough.
_INSERT = text("""
    INSERT INTO tokens (token_id, token_digest, account_id, name, scopes, created_at, expires_at)
    SELECT CAST(:token_id AS uuid), CAST(:token_digest AS bytea), CAST(:account_id AS uuid), :name,
           CAST(:scopes AS text[]), CAST(:now AS timestamptz), CAST(:expires_at AS timestamptz)
    WHERE (SELECT count(*) FROM tokens WHERE account_id = CAST(:account_id AS uuid)) < :most
""")

_FIND = text(f"""
    SELECT t.token_digest, {_TOKEN}, {COLUMNS} FROM tokens AS t JOIN accounts AS a USING (account_id)
    WHERE t.token_digest = ANY(CAST(:digests AS bytea[])) AND (t.expires_at IS NULL OR t.expires_at > :now)
""")  # noqa: S608

# Nobody waits for a note: who has the row is noting it, too, or revokes the token.
_NOTE = text("""
    UPDATE tokens SET used_at = :now
    WHERE token_id IN (SELECT token_id FROM tokens
                       WHERE token_id = ANY(CAST(:ids AS uuid[])) AND (used_at IS NULL OR used_at < :now)
                       FOR UPDATE SKIP LOCKED)
""")

_LIST = text(f"""
    SELECT {_TOKEN} FROM tokens AS t WHERE t.account_id = :account_id ORDER BY t.created_at, t.token_id
""")  # noqa: S608

_REVOKE = text("DELETE FROM tokens WHERE account_id = :account_id AND token_id = :token_id")

_REVOKE_ALL = text("DELETE FROM tokens WHERE account_id = :account_id")


async def create(
    connection: AsyncConnection,
    account_id: UUID,
    name: str,
    scopes: Collection[Scope],
    lifetime: timedelta | None,
    now: datetime,
) -> NewToken:
    """A token that holds for so long, or until it is revoked. Raises Malformed."""
    if not scopes:
        raise Malformed("scopes", "A token that may do nothing is of no use. Choose what it may do.")
    if lifetime is not None and not timedelta(0) < lifetime <= LONGEST_LIFETIME:
        raise Malformed("lifetime", f"A token holds for 1 to {LONGEST_LIFETIME.days} days, or until it is revoked.")
    secret = _PREFIX + secrets.token_urlsafe(32)
    token = Token(
        token_id=uuid7(),
        name=parse_name(name),
        scopes=frozenset(scopes),
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        used_at=None,
    )
    inserted = await connection.execute(
        _INSERT,
        {
            "token_id": token.token_id,
            "token_digest": digest_of(secret),
            "account_id": account_id,
            "name": token.name,
            "scopes": sorted(token.scopes),
            "now": now,
            "expires_at": token.expires_at,
            "most": MOST,
        },
    )
    if not inserted.rowcount:
        raise Malformed("name", f"There are {MOST} tokens already. Revoke one that is not needed any more.")
    return NewToken(secret, token)


async def find(
    connection: AsyncConnection, secrets: Sequence[str], now: datetime
) -> list[tuple[Account, Token] | None]:
    """The token with each secret and whose it is; none where it is unknown, revoked or too old. A token of which it is
    time to note that it was used is `used_at` now."""
    digests = [digest_of(secret) for secret in secrets]
    rows = await connection.execute(_FIND, {"digests": digests, "now": now})
    found = {bytes(row.token_digest): (account_of(row), _used(_token(row), now)) for row in rows}
    return [found.get(digest) for digest in digests]


async def note(connection: AsyncConnection, token_ids: Sequence[UUID], now: datetime) -> None:
    """Notes that they were used."""
    await connection.execute(_NOTE, {"ids": list(token_ids), "now": now})


async def list_of(connection: AsyncConnection, account_id: UUID) -> list[Token]:
    """Those of an account that are not revoked, the oldest first; they may be too old to be used."""
    return [_token(row) for row in await connection.execute(_LIST, {"account_id": account_id})]


async def revoke(connection: AsyncConnection, account_id: UUID, token_id: UUID) -> bool:
    """Ends a token of the account; returns whether it has this one."""
    return (await connection.execute(_REVOKE, {"account_id": account_id, "token_id": token_id})).rowcount > 0


async def revoke_all(connection: AsyncConnection, account_id: UUID) -> None:
    """Ends all tokens of the account."""
    await connection.execute(_REVOKE_ALL, {"account_id": account_id})


def _used(token: Token, now: datetime) -> Token:
    noted = token.used_at is not None and now - token.used_at < _NOTED_EVERY
    return token if noted else replace(token, used_at=now)


def _token(row: Any) -> Token:
    return Token(
        token_id=row.token_id,
        name=row.token_name,
        scopes=frozenset(Scope(each) for each in row.scopes),
        created_at=row.created_at,
        expires_at=row.expires_at,
        used_at=row.used_at,
    )
