"""Payers in the database. Their rows are the locks of billing: who changes anything of an account, or of an
organization's money, holds its payer's row; accounts are locked before organizations, and each in the order of the ids.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.domain.books import Books
from billing.domain.burning import Burning
from billing.domain.payers import Card, Payer
from billing.domain.spending import month_of
from contracts.billing import PayerKind

_RESTORED_AT_A_TIME = 200

_LOCK = text("""
    SELECT payer_id, kind, version, credit, block, card_id, card_brand, card_last4, card_expiry_month,
           card_expiry_year, card_attached_by, card_declined, customer_id, charging_id, attaching_id, burning_weight,
           burning_since, burning_until, funds
    FROM payers
    WHERE payer_id = ANY(CAST(:ids AS uuid[]))
    ORDER BY payer_id
    FOR UPDATE
""")

_INSERT = text("""
    INSERT INTO payers (payer_id, kind)
    SELECT payer_id, :kind FROM unnest(CAST(:ids AS uuid[])) AS new (payer_id) ORDER BY payer_id
    ON CONFLICT (payer_id) DO NOTHING
""")

_UPDATE = text("""
    UPDATE payers
    SET version = changed.version, credit = changed.credit, block = changed.block, card_id = changed.card_id,
        card_brand = changed.card_brand, card_last4 = changed.card_last4,
        card_expiry_month = changed.card_expiry_month, card_expiry_year = changed.card_expiry_year,
        card_attached_by = changed.card_attached_by, card_declined = changed.card_declined,
        customer_id = changed.customer_id, charging_id = changed.charging_id, attaching_id = changed.attaching_id,
        burning_weight = changed.burning_weight, burning_since = changed.burning_since,
        burning_until = changed.burning_until, funds = changed.funds
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:credits AS bigint[]), CAST(:blocks AS bigint[]),
        CAST(:card_ids AS text[]), CAST(:brands AS text[]), CAST(:last4s AS text[]), CAST(:months AS int[]),
        CAST(:years AS int[]), CAST(:attached_by AS uuid[]), CAST(:declined AS text[]), CAST(:customers AS text[]),
        CAST(:charging_ids AS uuid[]), CAST(:attaching_ids AS uuid[]), CAST(:weights AS double precision[]),
        CAST(:since AS timestamptz[]), CAST(:until AS timestamptz[]), CAST(:funds AS text[]))
        AS changed (payer_id, version, credit, block, card_id, card_brand, card_last4, card_expiry_month,
                    card_expiry_year, card_attached_by, card_declined, customer_id, charging_id, attaching_id,
                    burning_weight, burning_since, burning_until, funds)
    WHERE payers.payer_id = changed.payer_id
""")

# Accounts that a change of these payers may matter to: whose charges wait for them, and who were told that there is
# little, or nothing, left while the organization pays for them.
_IN_NEED = text("""
    SELECT account_id FROM charges
    WHERE waiting > 0
      AND (organization_id = ANY(CAST(:payer_ids AS uuid[])) OR account_id = ANY(CAST(:payer_ids AS uuid[])))
    UNION
    SELECT account_id FROM chains JOIN payers ON payer_id = account_id
    WHERE organization_id = ANY(CAST(:payer_ids AS uuid[])) AND ends_at IS NULL AND funds <> 'ok'
""")

# Their organization can pay, and no cap of this month is in the way: nobody else has told them so.
_RESTORABLE = text("""
    SELECT payers.payer_id
    FROM payers
    CROSS JOIN LATERAL (
        SELECT organization_id FROM chains
        WHERE account_id = payers.payer_id AND ends_at IS NULL AND effective_at <= :now
        ORDER BY effective_at DESC, chain_id DESC LIMIT 1) AS stay
    JOIN payers AS organization ON organization.payer_id = stay.organization_id
    LEFT JOIN spend_caps ON spend_caps.organization_id = stay.organization_id
                        AND spend_caps.account_id = payers.payer_id
    LEFT JOIN spending ON spending.organization_id = stay.organization_id
                      AND spending.account_id = payers.payer_id AND month = :month
    WHERE payers.funds = 'exhausted' AND (cap IS NULL OR cap > coalesce(spent, 0))
      AND (organization.credit > 0 OR organization.block > 0 OR organization.charging_id IS NOT NULL
           OR (organization.card_id IS NOT NULL AND organization.card_declined IS NULL))
    LIMIT :limit
""")

_LOCK_CARD = text("SELECT card_id, card_declined, customer_id FROM payers WHERE payer_id = :payer_id FOR UPDATE")

_KEEP_CUSTOMER = text("UPDATE payers SET customer_id = :customer_id WHERE payer_id = :payer_id")


@dataclass(frozen=True, slots=True)
class LockedCard:
    """What is on file of a payer, who stays locked until the transaction ends."""

    card_id: str | None
    is_declined: bool
    customer_id: str | None


async def lock_card(connection: AsyncConnection, payer_id: UUID) -> LockedCard:
    """The card of a payer that there is."""
    row = (await connection.execute(_LOCK_CARD, {"payer_id": payer_id})).one()
    return LockedCard(row.card_id, row.card_declined is not None, row.customer_id)


async def keep_customer(connection: AsyncConnection, payer_id: UUID, customer_id: str) -> None:
    """Notes who the payer is to the payment provider."""
    await connection.execute(_KEEP_CUSTOMER, {"payer_id": payer_id, "customer_id": customer_id})


async def lock_payers(connection: AsyncConnection, books: Books, ids: Collection[UUID], kind: PayerKind) -> None:
    """Takes them in, locked; those that there are not are made."""
    missing = await _lock(connection, books, sorted(set(ids) - books.payers.keys()))
    if missing:
        await connection.execute(_INSERT, {"ids": missing, "kind": kind})
        await _lock(connection, books, missing)


async def accounts_in_need(connection: AsyncConnection, payer_ids: Collection[UUID]) -> set[UUID]:
    """The accounts that something may change for when these payers can pay more, or less."""
    if not payer_ids:
        return set()
    return set((await connection.execute(_IN_NEED, {"payer_ids": list(payer_ids)})).scalars())


async def restorable_accounts(connection: AsyncConnection, now: datetime) -> set[UUID]:
    """Some of the accounts that are said to have no funds, and whose organization may pay for them again."""
    parameters = {"now": now, "month": month_of(now), "limit": _RESTORED_AT_A_TIME}
    return set((await connection.execute(_RESTORABLE, parameters)).scalars())


async def save_payers(connection: AsyncConnection, payers: Collection[Payer]) -> None:
    """Writes what has changed of those that are locked."""
    changed = [payer for payer in payers if payer.is_changed]
    if not changed:
        return
    cards = [payer.card for payer in changed]
    await connection.execute(
        _UPDATE,
        {
            "ids": [payer.payer_id for payer in changed],
            "versions": [payer.version for payer in changed],
            "credits": [payer.credit for payer in changed],
            "blocks": [payer.block for payer in changed],
            "card_ids": [card and card.card_id for card in cards],
            "brands": [card and card.brand for card in cards],
            "last4s": [card and card.last4 for card in cards],
            "months": [card and card.expiry_month for card in cards],
            "years": [card and card.expiry_year for card in cards],
            "attached_by": [card and card.attached_by for card in cards],
            "declined": [card and card.declined for card in cards],
            "customers": [payer.customer_id for payer in changed],
            "charging_ids": [payer.charging_id for payer in changed],
            "attaching_ids": [payer.attaching_id for payer in changed],
            "weights": [payer.burning.weight for payer in changed],
            "since": [payer.burning.since for payer in changed],
            "until": [payer.burning.until for payer in changed],
            "funds": [payer.funds for payer in changed],
        },
    )


async def _lock(connection: AsyncConnection, books: Books, ids: Sequence[UUID]) -> list[UUID]:
    """Answers which there are not."""
    if not ids:
        return []
    for row in await connection.execute(_LOCK, {"ids": list(ids)}):
        books.payers[row.payer_id] = _payer(row)
    return [each for each in ids if each not in books.payers]


def _payer(row: Row[Any]) -> Payer:
    return Payer(
        payer_id=row.payer_id,
        kind=row.kind,
        version=row.version,
        credit=row.credit,
        block=row.block,
        card=_card(row) if row.card_id is not None else None,
        customer_id=row.customer_id,
        charging_id=row.charging_id,
        attaching_id=row.attaching_id,
        burning=Burning(row.burning_weight, row.burning_since, row.burning_until),
        funds=row.funds,
    )


def _card(row: Row[Any]) -> Card:
    return Card(
        card_id=row.card_id,
        brand=row.card_brand,
        last4=row.card_last4,
        expiry_month=row.card_expiry_month,
        expiry_year=row.card_expiry_year,
        attached_by=row.card_attached_by,
        declined=row.card_declined,
    )
