"""What is kept for how long: housekeeping, in bounded pieces. That an account is forgotten is told."""

import asyncio
from datetime import datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import AccountErased
from postroom import Room, Worker
from postroom.ids import uuid7

log = structlog.get_logger()

_DELETED_AT_A_TIME = 1000
_INTERVAL = 60.0
"""Seconds after which is looked for sign-ups that are too old."""

_FORGET_SESSIONS = text("""
    DELETE FROM sessions
    WHERE session_id IN (SELECT session_id FROM sessions WHERE expires_at <= :now OR seen_at <= :idle_since
                         LIMIT :limit FOR UPDATE SKIP LOCKED)
""")

_FORGET_CHALLENGES = text("""
    DELETE FROM challenges
    WHERE challenge_id IN (SELECT challenge_id FROM challenges WHERE expires_at <= :now
                           LIMIT :limit FOR UPDATE SKIP LOCKED)
""")

_FORGET_UNPROVEN = text("""
    DELETE FROM accounts
    WHERE account_id IN (SELECT account_id FROM accounts WHERE proven_at IS NULL AND created_at <= :before
                         LIMIT :limit FOR UPDATE SKIP LOCKED)
    RETURNING account_id, version
""")


async def forget_sessions(connection: AsyncConnection, now: datetime, *, idle: timedelta) -> int:
    """Deletes some of the sessions that have ended; returns how many."""
    values = {"now": now, "idle_since": now - idle, "limit": _DELETED_AT_A_TIME}
    return (await connection.execute(_FORGET_SESSIONS, values)).rowcount


async def forget_challenges(connection: AsyncConnection, now: datetime) -> int:
    """Deletes some of the challenges whose time is over; returns how many."""
    return (await connection.execute(_FORGET_CHALLENGES, {"now": now, "limit": _DELETED_AT_A_TIME})).rowcount


async def forget_unproven(room: Room, *, kept: timedelta) -> int:
    """Deletes some of the accounts that have not proven their mailbox for so long, with whatever is theirs, and tells
    those who know their profiles to forget them (AccountErased); returns how many."""
    now = room.clock()
    async with room.transaction() as transaction:
        values = {"before": now - kept, "limit": _DELETED_AT_A_TIME}
        forgotten = (await transaction.connection.execute(_FORGET_UNPROVEN, values)).all()
        # Of one that was told of to nobody (version 0, see Accounts.sign_up) there is nothing to erase.
        erased = [AccountErased(account_id=row.account_id) for row in forgotten if row.version > 0]
        await transaction.send([(uuid7(), each) for each in erased], now=now)
    if forgotten:
        log.info("sign-ups forgotten", count=len(forgotten))
    return len(forgotten)


def forgetting_unproven(kept: timedelta) -> Worker:
    """A worker that forgets them until the service stops."""

    async def forget_sign_ups(room: Room) -> None:
        while not room.stopping.is_set():
            if not await forget_unproven(room, kept=kept):
                try:
                    async with asyncio.timeout(_INTERVAL):
                        await room.stopping.wait()
                except TimeoutError:
                    pass

    return forget_sign_ups
