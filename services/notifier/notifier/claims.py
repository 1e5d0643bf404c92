"""notifier's SQL for delivery: processes claim letters, for the time of a lease, and report what became of them.

A claim counts up `attempts`, and a report names the attempt that it is about. Where a lease ran out and another process
has claimed the letter since, the report finds another number and changes nothing: each letter ends once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import Fact
from notifier.domain import Card, Claim
from notifier.store import LETTER_COLUMNS, letter_of
from postroom import WorkTransaction
from postroom.tracing import continued

_IS_ANY_DUE = text("""
    SELECT EXISTS (SELECT 1 FROM letters WHERE state IN ('queued', 'sending') AND due_at <= :now)
""")

# `sending` and due: its lease is over. The links and codes of letters in overtime are dead, or their time is.
_CLAIM = text(f"""
    WITH due AS (
        SELECT letter_id
        FROM letters
        WHERE state IN ('queued', 'sending') AND due_at <= :now AND overtime_at > :now
        ORDER BY due_at
        LIMIT :limit
        FOR UPDATE SKIP LOCKED
    ), claimed AS (
        UPDATE letters SET state = 'sending', due_at = :lease_until, attempts = attempts + 1
        FROM due WHERE letters.letter_id = due.letter_id
        RETURNING letters.*
    )
    SELECT {LETTER_COLUMNS}, organizations.name AS organization_name,
           CASE WHEN recipient_id IS NULL THEN letters.address ELSE recipient.address END AS to_address,
           recipient.name AS recipient_name,
           CASE WHEN person.account_id IS NULL THEN person_name ELSE person.name END AS known_person_name,
           person.address AS person_address, cards.payer_id AS card_payer_id, cards.version AS card_version,
           cards.card_id, cards.brand, cards.last4
    FROM claimed AS letters
    LEFT JOIN organizations USING (organization_id)
    LEFT JOIN profiles AS recipient ON recipient.account_id = recipient_id
    LEFT JOIN profiles AS person ON person.account_id = person_id
    LEFT JOIN cards ON kind = 'card_declined' AND cards.payer_id = CAST(fact ->> 'payer_id' AS uuid)
    ORDER BY created_at
""")  # noqa: S608

_RENEW = text("""
    UPDATE letters SET due_at = :lease_until
    FROM unnest(CAST(:ids AS uuid[]), CAST(:claimed_attempts AS int[])) AS held (letter_id, claimed_attempt)
    WHERE letters.letter_id = held.letter_id AND attempts = claimed_attempt AND state = 'sending'
    RETURNING letters.letter_id
""")

# Of a letter that was withdrawn while it was on its way, only what cannot be undone is noted.
_RECORD = text("""
    WITH reported AS (
        SELECT * FROM unnest(
            CAST(:ids AS uuid[]), CAST(:claimed_attempts AS int[]), CAST(:states AS text[]), CAST(:attempts AS int[]),
            CAST(:due_at AS timestamptz[]), CAST(:ended_at AS timestamptz[]))
            AS r (letter_id, claimed_attempt, new_state, new_attempts, new_due_at, new_ended_at)
    ), reportable AS (
        SELECT reported.*
        FROM letters JOIN reported USING (letter_id)
        WHERE attempts = claimed_attempt
          AND (state = 'sending' OR (state = 'withdrawn' AND new_state IN ('sent', 'bounced')))
        ORDER BY letter_id
        FOR UPDATE OF letters
    )
    UPDATE letters
    SET state = new_state, attempts = new_attempts, due_at = new_due_at, ended_at = new_ended_at,
        address = CASE WHEN new_ended_at IS NULL THEN address END,
        person_name = CASE WHEN new_ended_at IS NULL THEN person_name END
    FROM reportable WHERE letters.letter_id = reportable.letter_id
    RETURNING letters.letter_id
""")


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a claimed letter, and the fact that is to be told of it."""

    claim: Claim
    """Its letter is in the new state."""
    fact: Fact | None
    traceparent: str | None = None
    """Of the attempt, in a trace: what is told hangs below it."""
    was_tried: bool = True
    """False where the letter is given back, and there was no attempt."""


async def is_any_due(connection: AsyncConnection, now: datetime) -> bool:
    """Whether there is a letter to claim."""
    return bool((await connection.execute(_IS_ANY_DUE, {"now": now})).scalar_one())


async def claim(connection: AsyncConnection, now: datetime, *, lease: timedelta, limit: int) -> list[Claim]:
    """Takes up to `limit` letters that are due, or whose lease is over, the longest due first."""
    parameters = {"now": now, "lease_until": now + lease, "limit": limit}
    return [_claim_of(row, now + lease) for row in await connection.execute(_CLAIM, parameters)]


async def renew(connection: AsyncConnection, held: Sequence[Claim], now: datetime, *, lease: timedelta) -> None:
    """Extends the leases of letters that are on the wire, unless somebody else has claimed them since."""
    parameters = {
        "ids": [claim.letter.letter_id for claim in held],
        "claimed_attempts": [claim.attempt for claim in held],
        "lease_until": now + lease,
    }
    renewed = set((await connection.execute(_RENEW, parameters)).scalars())
    for claim in held:
        if claim.letter.letter_id in renewed:
            claim.lease_until = now + lease


async def record(transaction: WorkTransaction, reports: Sequence[Report], now: datetime) -> set[UUID]:
    """Writes down what became of letters, and tells it, in one transaction; answers the ids of these letters. A report
    whose lease is somebody else's by now changes and tells nothing, and its letter is not among them."""
    if not reports:
        return set()
    letters = [report.claim.letter for report in reports]
    recorded = await transaction.connection.execute(
        _RECORD,
        {
            "ids": [letter.letter_id for letter in letters],
            "claimed_attempts": [report.claim.attempt for report in reports],
            "states": [letter.state.value for letter in letters],
            "attempts": [letter.attempts for letter in letters],
            "due_at": [letter.due_at for letter in letters],
            "ended_at": [letter.ended_at for letter in letters],
        },
    )
    ids: set[UUID] = set(recorded.scalars())
    told = [report for report in reports if report.fact is not None and report.claim.letter.letter_id in ids]
    for (correlation_id, cause_id, traceparent), group in groupby(sorted(told, key=_chain), key=_chain):
        facts = [report.fact for report in group if report.fact is not None]
        with continued(traceparent or None):
            await transaction.publish(facts, correlation_id=correlation_id, causation_id=cause_id, now=now)
    return ids


def _chain(report: Report) -> tuple[str, str, str]:
    letter = report.claim.letter
    return letter.correlation_id, letter.cause_id, report.traceparent or ""


def _claim_of(row: Row[Any], lease_until: datetime) -> Claim:
    return Claim(
        letter=letter_of(row),
        attempt=row.attempts,
        lease_until=lease_until,
        organization_name=row.organization_name or "",
        address=row.to_address,
        recipient_name=row.recipient_name,
        person_name=row.known_person_name,
        person_address=row.person_address,
        card=_card_of(row),
    )


def _card_of(row: Row[Any]) -> Card | None:
    if row.card_payer_id is None:
        return None
    return Card(row.card_payer_id, row.card_version, row.card_id, row.brand, row.last4)
