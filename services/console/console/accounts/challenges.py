"""Proofs of a mailbox that are asked for: six digits from a letter, or a link. Both are derived from the challenge."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from console.accounts.domain import Account
from console.accounts.store import COLUMNS, account_of

_INSERT_CODE = text("""
    INSERT INTO challenges (challenge_id, account_id, kind, attempts, created_at, expires_at)
    VALUES (:challenge_id, :account_id, 'mailbox', 0, :now, :expires_at)
""")

# The row is locked and looked at again, so that attempts at the same moment are counted one after the other.
_TAKE_ATTEMPT = text("""
    UPDATE challenges SET attempts = attempts + 1
    WHERE challenge_id = (SELECT challenge_id FROM challenges
                          WHERE account_id = :account_id AND kind = 'mailbox'
                          ORDER BY created_at DESC, challenge_id DESC LIMIT 1)
      AND attempts < :limit AND expires_at > :now
    RETURNING challenge_id, attempts
""")

_MEET = text("DELETE FROM challenges WHERE challenge_id = :challenge_id")

# One statement for addresses that have an account and for those that have none.
_INSERT_RESET = text("""
    INSERT INTO challenges (challenge_id, account_id, kind, code_digest, attempts, created_at, expires_at)
    SELECT CAST(:challenge_id AS uuid), account_id, 'password_reset', :code_digest, 0,
           CAST(:now AS timestamptz), CAST(:expires_at AS timestamptz)
    FROM accounts
    WHERE address_normalized = :address AND proven_at IS NOT NULL
    RETURNING account_id
""")

_RESET = text(f"""
    SELECT {COLUMNS} FROM challenges JOIN accounts AS a USING (account_id)
    WHERE code_digest = :code_digest AND expires_at > :now
""")  # noqa: S608

_MEET_RESET = text("DELETE FROM challenges WHERE code_digest = :code_digest AND expires_at > :now")

_FORGET_OF_ACCOUNT = text("DELETE FROM challenges WHERE account_id = :account_id")


async def insert_code(
    connection: AsyncConnection, challenge_id: UUID, account_id: UUID, now: datetime, expires_at: datetime
) -> None:
    """A new challenge for six digits, with all its attempts. The newest of an account is the only one that counts."""
    await connection.execute(
        _INSERT_CODE,
        {"challenge_id": challenge_id, "account_id": account_id, "now": now, "expires_at": expires_at},
    )


async def take_attempt(
    connection: AsyncConnection, account_id: UUID, *, limit: int, now: datetime
) -> tuple[UUID, int] | None:
    """Counts an attempt at the newest challenge of the account, and answers which that is and how many attempts there
    were, with this one; none where none holds, or all attempts are made. Commit this before the code is compared:
    then no number of guesses at the same moment is more than `limit`."""
    row = (
        await connection.execute(_TAKE_ATTEMPT, {"account_id": account_id, "limit": limit, "now": now})
    ).one_or_none()
    return None if row is None else (row.challenge_id, row.attempts)


async def meet(connection: AsyncConnection, challenge_id: UUID) -> bool:
    """Deletes a challenge that was met; returns whether it was still there."""
    return (await connection.execute(_MEET, {"challenge_id": challenge_id})).rowcount > 0


async def insert_reset(
    connection: AsyncConnection, challenge_id: UUID, address: str, code_digest: str, now: datetime, expires_at: datetime
) -> UUID | None:
    """A challenge for who has proven the (normalized) address, whose id is answered; none where nobody has."""
    values: dict[str, Any] = {
        "challenge_id": challenge_id,
        "address": address,
        "code_digest": code_digest,
        "now": now,
        "expires_at": expires_at,
    }
    account_id: UUID | None = (await connection.execute(_INSERT_RESET, values)).scalar_one_or_none()
    return account_id


async def find_reset(connection: AsyncConnection, code_digest: str, now: datetime) -> Account | None:
    """Whose password the link resets; none where it is unknown, used or too old."""
    row = (await connection.execute(_RESET, {"code_digest": code_digest, "now": now})).one_or_none()
    return None if row is None else account_of(row)


async def meet_reset(connection: AsyncConnection, code_digest: str, now: datetime) -> bool:
    """Uses the link; returns whether it still held."""
    return (await connection.execute(_MEET_RESET, {"code_digest": code_digest, "now": now})).rowcount > 0


async def forget_of_account(connection: AsyncConnection, account_id: UUID) -> None:
    """Whatever was asked for holds no more."""
    await connection.execute(_FORGET_OF_ACCOUNT, {"account_id": account_id})
