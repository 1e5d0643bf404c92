"""Idempotency-Key: a POST that comes again has its effect once, and gets the answer of the first.

A key belongs to who sent it. It is claimed in the transaction that sends the commands, so that either both are there
or neither is, whatever crashes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

KEPT = timedelta(days=1)
"""How long a key is remembered."""
_FORGOTTEN_AT_A_TIME = 2000

# The update that changes nothing takes the lock: who comes second waits for the first, and then reads what it wrote.
_CLAIM = text("""
    INSERT INTO idempotency_keys (owner_id, key_digest, request_digest, command_ids, created_at)
    VALUES (:owner_id, :key_digest, :request_digest, CAST(:command_ids AS uuid[]), :now)
    ON CONFLICT (owner_id, key_digest) DO UPDATE SET owner_id = excluded.owner_id
    RETURNING request_digest, command_ids, status, body, (xmax = 0) AS is_new
""")

_KEEP = text("""
    UPDATE idempotency_keys SET status = :status, body = CAST(:body AS jsonb)
    WHERE owner_id = :owner_id AND key_digest = :key_digest
""")

_GIVE_BACK = text("DELETE FROM idempotency_keys WHERE owner_id = :owner_id AND key_digest = :key_digest")

_FORGET = text("""
    DELETE FROM idempotency_keys
    WHERE (owner_id, key_digest) IN (SELECT owner_id, key_digest FROM idempotency_keys WHERE created_at < :before
                                     ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


class KeyReused(Exception):
    """The key came with another request before. A new request needs a new key."""


@dataclass(frozen=True, slots=True)
class RequestKey:
    """An Idempotency-Key, and the request that it came with."""

    owner_id: UUID
    key_digest: bytes
    request_digest: bytes

    @classmethod
    def of(cls, owner_id: UUID, key: str, method: str, path: str, body: bytes) -> "RequestKey":
        """The same for the same request, whatever the instance."""
        request = hashlib.sha256(b"\x00".join((method.encode(), path.encode(), body))).digest()
        return cls(owner_id, hashlib.sha256(key.encode()).digest(), request)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the first request with this key did."""

    command_ids: Sequence[UUID]
    status: int | None
    """Of its answer, where that does not depend on commands."""
    body: Any


async def claim(
    connection: AsyncConnection,
    key: RequestKey,
    now: datetime,
    *,
    command_ids: Sequence[UUID] = (),
) -> Earlier | None:
    """Takes the key for what this transaction does, or answers what an earlier request with it did; then do nothing.
    Waits for a request with the same key that is being handled. Raises KeyReused."""
    claimed = (
        await connection.execute(
            _CLAIM,
            {
                "owner_id": key.owner_id,
                "key_digest": key.key_digest,
                "request_digest": key.request_digest,
                "command_ids": list(command_ids),
                "now": now,
            },
        )
    ).one()
    return None if claimed.is_new else _earlier(claimed, key)


async def keep(connection: AsyncConnection, key: RequestKey, status: int, body: str | None) -> None:
    """Remembers the answer of a request whose key was claimed before it was known. `body` is JSON."""
    await connection.execute(
        _KEEP, {"owner_id": key.owner_id, "key_digest": key.key_digest, "status": status, "body": body}
    )


async def give_back(connection: AsyncConnection, key: RequestKey) -> None:
    """Forgets a key that was claimed for a request which has changed nothing, so that it may come again."""
    await connection.execute(_GIVE_BACK, {"owner_id": key.owner_id, "key_digest": key.key_digest})


async def forget(connection: AsyncConnection, now: datetime) -> int:
    """Deletes keys whose time is over, a bounded number, and answers how many."""
    return (await connection.execute(_FORGET, {"before": now - KEPT, "limit": _FORGOTTEN_AT_A_TIME})).rowcount


def _earlier(row: Any, key: RequestKey) -> Earlier:
    if bytes(row.request_digest) != key.request_digest:
        raise KeyReused
    return Earlier(tuple(row.command_ids), row.status, row.body)
