"""Payments in the database, from being asked for to their end.

Processes claim them, each for the time of a lease. One that is `sent` has an intent at the provider, the only one that
is ever confirmed for it, and so charged once, whoever asks for it and however often.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.domain.payments import Failed, Payment, Settled

_PURGED_AT_A_TIME = 1000

_COLUMNS = """
    payment_id, purpose, payer_kind, payer_id, card_id, amount, asked_by, cause_id, correlation_id, asked_at,
    traceparent
"""

_ASK = text(f"""
    INSERT INTO payments ({_COLUMNS}, state, due_at)
    SELECT *, 'asked', asked_at FROM unnest(
        CAST(:ids AS uuid[]), CAST(:purposes AS text[]), CAST(:payer_kinds AS text[]), CAST(:payer_ids AS uuid[]),
        CAST(:card_ids AS text[]), CAST(:amounts AS bigint[]), CAST(:asked_by AS uuid[]), CAST(:cause_ids AS text[]),
        CAST(:correlation_ids AS text[]), CAST(:asked_at AS timestamptz[]), CAST(:traceparents AS text[]))
        AS p ({_COLUMNS})
""")  # noqa: S608

_DUE = text("SELECT EXISTS (SELECT 1 FROM payments WHERE due_at <= :now)")

_CLAIM = text(f"""
    WITH due AS (
        SELECT payment_id AS due_id FROM payments WHERE due_at <= :now ORDER BY due_at LIMIT :limit
        FOR UPDATE SKIP LOCKED
    )
    UPDATE payments SET due_at = :lease_until, attempts = attempts + 1
    FROM due WHERE payment_id = due_id
    RETURNING {_COLUMNS}, attempts
""")  # noqa: S608

_LOCK = text("SELECT intent_id FROM payments WHERE payment_id = :payment_id AND due_at IS NOT NULL FOR UPDATE")

_SEND = text("UPDATE payments SET state = 'sent', intent_id = :intent_id WHERE payment_id = :payment_id")

_PUT_OFF = text("UPDATE payments SET due_at = :due_at WHERE payment_id = :payment_id AND due_at IS NOT NULL")

_END = text("""
    UPDATE payments SET state = :state, reason = :reason, due_at = NULL, ended_at = :now
    WHERE payment_id = :payment_id AND due_at IS NOT NULL
""")

_LOOK_AGAIN = text("UPDATE payments SET due_at = :now WHERE payment_id = :payment_id AND due_at > :now")

_PURGE = text("""
    DELETE FROM payments
    WHERE payment_id IN (SELECT payment_id FROM payments WHERE ended_at < :before LIMIT :limit FOR UPDATE SKIP LOCKED)
""")


@dataclass(frozen=True, slots=True)
class ClaimedPayment:
    """A payment that is in this process's hands for a while."""

    payment: Payment
    attempts: int


@dataclass(frozen=True, slots=True)
class LockedPayment:
    """What is known of a payment that is not over."""

    intent_id: str | None
    """By which it is being made; none while nothing could have been charged for it."""


async def ask(connection: AsyncConnection, payments: Sequence[Payment]) -> None:
    """Has them made, once this transaction is committed."""
    if not payments:
        return
    await connection.execute(
        _ASK,
        {
            "ids": [payment.payment_id for payment in payments],
            "purposes": [payment.purpose for payment in payments],
            "payer_kinds": [payment.payer_kind for payment in payments],
            "payer_ids": [payment.payer_id for payment in payments],
            "card_ids": [payment.card_id for payment in payments],
            "amounts": [payment.amount for payment in payments],
            "asked_by": [payment.asked_by for payment in payments],
            "cause_ids": [payment.cause_id for payment in payments],
            "correlation_ids": [payment.correlation_id for payment in payments],
            "asked_at": [payment.asked_at for payment in payments],
            "traceparents": [payment.traceparent for payment in payments],
        },
    )


async def is_any_due(connection: AsyncConnection, now: datetime) -> bool:
    """Whether there is a payment to claim."""
    return bool((await connection.execute(_DUE, {"now": now})).scalar_one())


async def claim(connection: AsyncConnection, now: datetime, *, lease: timedelta, limit: int) -> list[ClaimedPayment]:
    """Takes up to `limit` payments that are due, or whose lease is over, the longest due first."""
    rows = await connection.execute(_CLAIM, {"now": now, "lease_until": now + lease, "limit": limit})
    return [ClaimedPayment(_payment(row), row.attempts) for row in rows]


async def lock(connection: AsyncConnection, payment_id: UUID) -> LockedPayment | None:
    """The payment as it is now, and nobody else's until the transaction ends; none where it is over."""
    row = (await connection.execute(_LOCK, {"payment_id": payment_id})).one_or_none()
    return None if row is None else LockedPayment(row.intent_id)


async def send(connection: AsyncConnection, payment_id: UUID, intent_id: str) -> None:
    """Notes by which intent it is being made, if it is made at all."""
    await connection.execute(_SEND, {"payment_id": payment_id, "intent_id": intent_id})


async def put_off(connection: AsyncConnection, payment_id: UUID, until: datetime) -> None:
    """Has it asked for again then."""
    await connection.execute(_PUT_OFF, {"payment_id": payment_id, "due_at": until})


async def end(connection: AsyncConnection, settled: Settled, now: datetime) -> bool:
    """Notes what became of it; answers whether that was not known before. Who is told so books it."""
    failed = isinstance(settled, Failed)
    ended = await connection.execute(
        _END,
        {
            "payment_id": settled.payment.payment_id,
            "state": "failed" if failed else "succeeded",
            "reason": settled.reason if isinstance(settled, Failed) else None,
            "now": now,
        },
    )
    return ended.rowcount > 0


async def look_again(connection: AsyncConnection, payment_ids: Collection[UUID], now: datetime) -> None:
    """The provider has news of them."""
    for payment_id in payment_ids:
        await connection.execute(_LOOK_AGAIN, {"payment_id": payment_id, "now": now})


class EndedPayments:
    """The purge of payments that ended long ago. The ledger's entries stay."""

    def __init__(self, keep: timedelta) -> None:
        self._keep = keep

    async def purge(self, connection: AsyncConnection, now: datetime) -> int:
        """Deletes a bounded number of them and answers how many."""
        return (await connection.execute(_PURGE, {"before": now - self._keep, "limit": _PURGED_AT_A_TIME})).rowcount


def _payment(row: Row[Any]) -> Payment:
    return Payment(
        payment_id=row.payment_id,
        purpose=row.purpose,
        payer_kind=row.payer_kind,
        payer_id=row.payer_id,
        card_id=row.card_id,
        amount=row.amount,
        asked_by=row.asked_by,
        cause_id=row.cause_id,
        correlation_id=row.correlation_id,
        asked_at=row.asked_at,
        traceparent=row.traceparent,
    )
