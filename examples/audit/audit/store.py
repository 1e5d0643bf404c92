"""audit's SQL: one statement, however many facts a batch has."""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audit.handlers import Entry
from postroom import Message

_APPEND = text("""
    INSERT INTO facts (ce_id, ce_type, key, correlation_id, causation_id, recorded_at, data)
    SELECT ce_id, ce_type, key, correlation_id, causation_id, recorded_at, CAST(data AS jsonb)
    FROM unnest(
        CAST(:ce_id AS text[]), CAST(:ce_type AS text[]), CAST(:key AS uuid[]), CAST(:correlation_id AS text[]),
        CAST(:causation_id AS text[]), CAST(:recorded_at AS timestamptz[]), CAST(:data AS text[]))
        AS entry (ce_id, ce_type, key, correlation_id, causation_id, recorded_at, data)
    ON CONFLICT (ce_id) DO NOTHING  -- the inbox forgets after a month what a compacted topic keeps for ever
""")


class AuditStore:
    """Only appends."""

    async def load(self, connection: AsyncConnection, messages: Sequence[Message]) -> list[Entry]:
        return []

    async def save(self, connection: AsyncConnection, entries: list[Entry]) -> None:
        columns = dict(zip(Entry._fields, map(list, zip(*entries, strict=True)), strict=True))
        await connection.execute(_APPEND, columns)
