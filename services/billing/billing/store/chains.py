"""Chains in the database."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from billing.domain.chains import Chain, Chains, End

_PURGED_AT_A_TIME = 1000

_CHAINS = text("""
    SELECT chain_id, membership_id, organization_id, account_id, version, sources, effective_at, established_at,
           end_reason, ends_at, closed_at
    FROM chains
    WHERE membership_id = ANY(CAST(:membership_ids AS uuid[])) OR account_id = ANY(CAST(:account_ids AS uuid[]))
""")

# unnest would flatten an array of arrays, so each chain's sources come as one text.
_INSERT_CHAINS = text("""
    INSERT INTO chains (chain_id, membership_id, organization_id, account_id, version, sources, effective_at,
                        established_at, end_reason, ends_at, closed_at)
    SELECT chain_id, membership_id, organization_id, account_id, version, string_to_array(sources, ' '), effective_at,
           established_at, end_reason, ends_at, closed_at
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:membership_ids AS uuid[]), CAST(:organization_ids AS uuid[]),
        CAST(:account_ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:sources AS text[]),
        CAST(:effective_at AS timestamptz[]), CAST(:established_at AS timestamptz[]), CAST(:end_reasons AS text[]),
        CAST(:ends_at AS timestamptz[]), CAST(:closed_at AS timestamptz[]))
        AS opened (chain_id, membership_id, organization_id, account_id, version, sources, effective_at,
                   established_at, end_reason, ends_at, closed_at)
""")

_UPDATE_CHAINS = text("""
    UPDATE chains
    SET version = changed.version, sources = string_to_array(changed.sources, ' '),
        effective_at = changed.effective_at, established_at = changed.established_at,
        end_reason = changed.end_reason, ends_at = changed.ends_at, closed_at = changed.closed_at
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:sources AS text[]),
        CAST(:effective_at AS timestamptz[]), CAST(:established_at AS timestamptz[]), CAST(:end_reasons AS text[]),
        CAST(:ends_at AS timestamptz[]), CAST(:closed_at AS timestamptz[]))
        AS changed (chain_id, version, sources, effective_at, established_at, end_reason, ends_at, closed_at)
    WHERE chains.chain_id = changed.chain_id
""")

_PURGE_ENDED_CHAINS = text("""
    DELETE FROM chains
    WHERE chain_id IN (SELECT chain_id FROM chains WHERE ends_at < :before ORDER BY ends_at LIMIT :limit
                       FOR UPDATE SKIP LOCKED)
""")


async def load_chains(
    connection: AsyncConnection, chains: Chains, membership_ids: Collection[UUID], account_ids: Collection[UUID]
) -> None:
    """Those of these memberships, and all of these accounts. Whoever changes a chain has locked its account."""
    if not membership_ids and not account_ids:
        return
    rows = await connection.execute(_CHAINS, {"membership_ids": list(membership_ids), "account_ids": list(account_ids)})
    for row in rows:
        chains.add(
            Chain(
                chain_id=row.chain_id,
                membership_id=row.membership_id,
                organization_id=row.organization_id,
                account_id=row.account_id,
                version=row.version,
                sources=tuple(row.sources),
                effective_at=row.effective_at,
                established_at=row.established_at,
                end=End(row.end_reason, row.ends_at) if row.ends_at is not None else None,
                closed_at=row.closed_at,
                is_new=False,
            )
        )


async def save_chains(connection: AsyncConnection, chains: Chains) -> None:
    """Writes new and changed chains."""
    changed = [chain for chain in chains.by_membership.values() if chain.is_changed]
    await _update_chains(connection, [chain for chain in changed if not chain.is_new])
    await _insert_chains(connection, [chain for chain in changed if chain.is_new])


class EndedChains:
    """The purge of chains that ended long ago."""

    def __init__(self, keep: timedelta) -> None:
        self._keep = keep

    async def purge(self, connection: AsyncConnection, now: datetime) -> int:
        """Deletes a bounded number of them and answers how many."""
        parameters = {"before": now - self._keep, "limit": _PURGED_AT_A_TIME}
        return (await connection.execute(_PURGE_ENDED_CHAINS, parameters)).rowcount


async def _insert_chains(connection: AsyncConnection, chains: Sequence[Chain]) -> None:
    if not chains:
        return
    # In the order of the unique index, so that two instances do not wait for each other in a circle.
    in_order = sorted(chains, key=lambda chain: chain.membership_id)
    await connection.execute(
        _INSERT_CHAINS,
        _state_of(in_order)
        | {
            "membership_ids": [chain.membership_id for chain in in_order],
            "organization_ids": [chain.organization_id for chain in in_order],
            "account_ids": [chain.account_id for chain in in_order],
        },
    )


async def _update_chains(connection: AsyncConnection, chains: Sequence[Chain]) -> None:
    if chains:
        await connection.execute(_UPDATE_CHAINS, _state_of(chains))


def _state_of(chains: Collection[Chain]) -> dict[str, list[object]]:
    """What may change of a chain, as arrays, and whose it is."""
    return {
        "ids": [chain.chain_id for chain in chains],
        "versions": [chain.version for chain in chains],
        "sources": [" ".join(chain.sources) for chain in chains],
        "effective_at": [chain.effective_at for chain in chains],
        "established_at": [chain.established_at for chain in chains],
        "end_reasons": [chain.end.reason if chain.end else None for chain in chains],
        "ends_at": [chain.end.at if chain.end else None for chain in chains],
        "closed_at": [chain.closed_at for chain in chains],
    }
