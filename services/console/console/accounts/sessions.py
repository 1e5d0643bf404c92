"""Sessions: browsers that are signed in, or about to prove a mailbox. Their tokens are stored as digests."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from console.accounts.digests import digest_of
from console.accounts.domain import Account, NewSession, Session, Visitor
from console.accounts.store import COLUMNS, account_of
from postroom.ids import uuid7

_NOTED_EVERY = timedelta(minutes=5)
"""How exactly is known when a session was last seen: a write for each request would be too many."""

_SESSION = f"""s.session_id, s.created_at, s.seen_at, s.expires_at, s.user_agent, s.network_address,
               s.joining_command_id, {COLUMNS}"""

_INSERT = text("""
    INSERT INTO sessions (session_id, token_digest, account_id, created_at, seen_at, expires_at, user_agent,
                          network_address, joining_command_id)
    VALUES (:session_id, :token_digest, :account_id, :now, :now, :expires_at, :user_agent, :network_address,
            :joining_command_id)
""")

_FIND = text(f"""
    SELECT s.token_digest, {_SESSION} FROM sessions AS s JOIN accounts AS a USING (account_id)
    WHERE s.token_digest = ANY(CAST(:digests AS bytea[])) AND s.expires_at > :now AND s.seen_at > :idle_since
""")  # noqa: S608

_LIST = text(f"""
    SELECT {_SESSION} FROM sessions AS s JOIN accounts AS a USING (account_id)
    WHERE s.account_id = :account_id AND s.expires_at > :now AND s.seen_at > :idle_since
    ORDER BY s.seen_at DESC, s.session_id DESC
""")  # noqa: S608

# Nobody waits for a note: who has the row is noting it, too, or ends the session.
_NOTE = text("""
    UPDATE sessions SET seen_at = :now
    WHERE session_id IN (SELECT session_id FROM sessions
                         WHERE session_id = ANY(CAST(:ids AS uuid[])) AND seen_at < :now FOR UPDATE SKIP LOCKED)
""")

_SET_JOINING = text("UPDATE sessions SET joining_command_id = :command_id WHERE session_id = :session_id")

_END = text("DELETE FROM sessions WHERE account_id = :account_id AND session_id = :session_id")

_END_ALL = text("""
    DELETE FROM sessions WHERE account_id = :account_id AND session_id IS DISTINCT FROM CAST(:but AS uuid)
""")


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long sessions last."""

    longest: timedelta
    """However busy they are."""
    idle: timedelta
    """When nothing is heard of them."""


async def begin(
    connection: AsyncConnection,
    account: Account,
    visitor: Visitor,
    now: datetime,
    lifetime: Lifetime,
    *,
    joining_command_id: UUID | None = None,
) -> NewSession:
    """A session with a token of its own, 32 random bytes in base64url."""
    token = secrets.token_urlsafe(32)
    session = Session(
        session_id=uuid7(),
        account=account,
        created_at=now,
        seen_at=now,
        expires_at=now + lifetime.longest,
        user_agent=visitor.user_agent,
        network_address=visitor.network_address,
        joining_command_id=joining_command_id,
    )
    await connection.execute(
        _INSERT,
        {
            "session_id": session.session_id,
            "token_digest": digest_of(token),
            "account_id": account.account_id,
            "now": now,
            "expires_at": session.expires_at,
            "user_agent": session.user_agent,
            "network_address": session.network_address,
            "joining_command_id": joining_command_id,
        },
    )
    return NewSession(token, session)


async def find(
    connection: AsyncConnection, tokens: Sequence[str], now: datetime, lifetime: Lifetime
) -> list[Session | None]:
    """The session of each token; none where it is unknown or has ended. A session of which it is time to note that it
    was seen is `seen_at` now."""
    digests = [digest_of(token) for token in tokens]
    rows = await connection.execute(_FIND, {"digests": digests, "now": now, "idle_since": now - lifetime.idle})
    found = {bytes(row.token_digest): _seen(_session(row), now) for row in rows}
    return [found.get(digest) for digest in digests]


async def note(connection: AsyncConnection, session_ids: Sequence[UUID], now: datetime) -> None:
    """Notes that they were seen."""
    await connection.execute(_NOTE, {"ids": list(session_ids), "now": now})


async def list_of(connection: AsyncConnection, account_id: UUID, now: datetime, lifetime: Lifetime) -> list[Session]:
    """Those of an account that have not ended, the one last seen first."""
    values = {"account_id": account_id, "now": now, "idle_since": now - lifetime.idle}
    return [_session(row) for row in await connection.execute(_LIST, values)]


async def set_joining(connection: AsyncConnection, session_id: UUID, command_id: UUID | None) -> None:
    """Which acceptance the person is still to be told of."""
    await connection.execute(_SET_JOINING, {"session_id": session_id, "command_id": command_id})


async def end(connection: AsyncConnection, account_id: UUID, session_id: UUID) -> bool:
    """Ends a session of the account; returns whether it has this one."""
    return (await connection.execute(_END, {"account_id": account_id, "session_id": session_id})).rowcount > 0


async def end_all(connection: AsyncConnection, account_id: UUID, *, but: UUID | None = None) -> int:
    """Ends all sessions of the account, but for one; returns how many."""
    return (await connection.execute(_END_ALL, {"account_id": account_id, "but": but})).rowcount


def _seen(session: Session, now: datetime) -> Session:
    return session if now - session.seen_at < _NOTED_EVERY else replace(session, seen_at=now)


def _session(row: Any) -> Session:
    return Session(
        session_id=row.session_id,
        account=account_of(row),
        created_at=row.created_at,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        user_agent=row.user_agent,
        network_address=row.network_address,
        joining_command_id=row.joining_command_id,
    )
