"""invites' SQL. A batch costs the same few statements, whatever its size.

Every invitation and every member belongs to one organization, and whoever changes anything of an organization locks
its row first, in the order of the ids. The statements after it see what was committed before the lock was granted
(READ COMMITTED), so that what two transactions decide about one organization is as if one had come after the other.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from invites.domain.accounts import Profile
from invites.domain.invitations import Invitation, Revocation, State
from invites.domain.organizations import Member, Organization
from invites.domain.rates import RateLimits, Scope, Spending, subjects
from invites.mentions import Mentions
from invites.working_set import WorkingSet
from postroom import Message

_DUE_AT_A_TIME = 500

_LOCK_ORGANIZATIONS = text("""
    SELECT id, name, version
    FROM organizations
    WHERE id = ANY(CAST(:ids AS uuid[]))
    ORDER BY id
    FOR UPDATE
""")

_PROFILES = text("""
    SELECT account_id, version, address, address_normalized, name, verified
    FROM profiles
    WHERE account_id = ANY(CAST(:ids AS uuid[])) OR address_normalized = ANY(CAST(:addresses AS text[]))
""")

_MEMBERS = text("""
    SELECT organization_id, account_id, role, version, invitation_id, ended_at
    FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[])) AS asked (organization_id, account_id)
    JOIN members USING (organization_id, account_id)
""")

_COLUMNS = """
    i.id, i.organization_id, i.address, i.address_normalized, i.code_digest, i.inviter_id, i.state, i.version,
    i.issued_at, i.expires_at, i.due_at, i.accepted_by, i.ended_at, CAST(i.waiting AS text)
"""

# One branch for each index, since no index serves an OR of all of them.
_INVITATIONS = text(f"""
    SELECT {_COLUMNS} FROM invitations AS i WHERE i.id = ANY(CAST(:ids AS uuid[]))
    UNION ALL
    SELECT {_COLUMNS} FROM invitations AS i WHERE i.code_digest = ANY(CAST(:digests AS text[]))
    UNION ALL
    SELECT {_COLUMNS}
    FROM unnest(CAST(:place_organization_ids AS uuid[]), CAST(:place_addresses AS text[]))
         AS place (organization_id, address_normalized)
    JOIN invitations AS i USING (organization_id, address_normalized)
    WHERE i.state IN ('pending', 'accepting')
    UNION ALL
    SELECT {_COLUMNS}
    FROM invitations AS i
    WHERE i.organization_id = ANY(CAST(:emptied_organization_ids AS uuid[])) AND i.state IN ('pending', 'accepting')
""")  # noqa: S608

_ALLOWANCES = text("""
    SELECT scope, subject, spent_until
    FROM unnest(CAST(:scopes AS text[]), CAST(:subjects AS text[])) AS asked (scope, subject)
    JOIN allowances USING (scope, subject)
""")

_LOCK_ORGANIZATIONS_WITH_DUE = text("""
    SELECT id, name, version
    FROM organizations
    WHERE id IN (SELECT organization_id FROM invitations
                 WHERE state = 'pending' AND due_at <= :now ORDER BY due_at LIMIT :limit)
    ORDER BY id
    FOR UPDATE SKIP LOCKED
""")

_DUE = text(f"""
    SELECT {_COLUMNS}
    FROM invitations AS i
    WHERE i.state = 'pending' AND i.due_at <= :now AND i.organization_id = ANY(CAST(:organization_ids AS uuid[]))
    ORDER BY i.due_at, i.id
    LIMIT :limit
""")  # noqa: S608

_SAVE_ORGANIZATIONS = text("""
    INSERT INTO organizations (id, name, version)
    SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:versions AS bigint[]))
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, version = excluded.version
    WHERE organizations.version <= excluded.version
""")

_SAVE_MEMBERS = text("""
    INSERT INTO members (organization_id, account_id, role, version, invitation_id, ended_at)
    SELECT * FROM unnest(
        CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:roles AS text[]),
        CAST(:versions AS bigint[]), CAST(:invitation_ids AS uuid[]), CAST(:ended_at AS timestamptz[]))
    ON CONFLICT (organization_id, account_id) DO UPDATE
    SET role = excluded.role, version = excluded.version,
        invitation_id = excluded.invitation_id, ended_at = excluded.ended_at
    WHERE members.version < excluded.version
""")

_SAVE_PROFILES = text("""
    INSERT INTO profiles (account_id, version, address, address_normalized, name, verified)
    SELECT * FROM unnest(
        CAST(:account_ids AS uuid[]), CAST(:versions AS bigint[]), CAST(:addresses AS text[]),
        CAST(:normalized AS text[]), CAST(:names AS text[]), CAST(:verified AS boolean[]))
    ON CONFLICT (account_id) DO UPDATE
    SET version = excluded.version, address = excluded.address, address_normalized = excluded.address_normalized,
        name = excluded.name, verified = excluded.verified
    WHERE profiles.version < excluded.version
       OR (profiles.version = excluded.version AND excluded.address IS NULL)
""")

_UPDATE_INVITATIONS = text("""
    UPDATE invitations
    SET state = changed.state, version = changed.version, due_at = changed.due_at,
        accepted_by = changed.accepted_by, ended_at = changed.ended_at, waiting = CAST(changed.waiting AS jsonb)
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:states AS text[]), CAST(:versions AS int[]), CAST(:due_at AS timestamptz[]),
        CAST(:accepted_by AS uuid[]), CAST(:ended_at AS timestamptz[]), CAST(:waiting AS text[]))
        AS changed (id, state, version, due_at, accepted_by, ended_at, waiting)
    WHERE invitations.id = changed.id
""")

_INSERT_INVITATIONS = text("""
    INSERT INTO invitations
        (id, organization_id, address, address_normalized, code_digest, inviter_id, issued_at, expires_at,
         state, version, due_at, accepted_by, ended_at, waiting)
    SELECT id, organization_id, address, address_normalized, code_digest, inviter_id, issued_at, expires_at,
           state, version, due_at, accepted_by, ended_at, CAST(waiting AS jsonb)
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:organization_ids AS uuid[]), CAST(:addresses AS text[]),
        CAST(:normalized AS text[]), CAST(:digests AS text[]), CAST(:inviter_ids AS uuid[]),
        CAST(:issued_at AS timestamptz[]), CAST(:expires_at AS timestamptz[]),
        CAST(:states AS text[]), CAST(:versions AS int[]), CAST(:due_at AS timestamptz[]),
        CAST(:accepted_by AS uuid[]), CAST(:ended_at AS timestamptz[]), CAST(:waiting AS text[]))
        AS new (id, organization_id, address, address_normalized, code_digest, inviter_id, issued_at, expires_at,
                state, version, due_at, accepted_by, ended_at, waiting)
""")

# What was spent is added to what stands there now. An allowance is not locked between its loading and this: two
# transactions that write to one recipient at the same moment may exceed it by what they write, and no later one will.
_SAVE_ALLOWANCES = text("""
    INSERT INTO allowances (scope, subject, spent_until)
    SELECT * FROM unnest(CAST(:scopes AS text[]), CAST(:subjects AS text[]), CAST(:from_now AS timestamptz[]))
    ON CONFLICT (scope, subject) DO UPDATE
    SET spent_until = greatest(allowances.spent_until, CAST(:now AS timestamptz))
                      + (excluded.spent_until - CAST(:now AS timestamptz))
""")


class InvitesStore:
    """Loads and saves the working set of a batch."""

    def __init__(self, limits: RateLimits) -> None:
        """`limits` say which allowances are needed; those without a limit are neither loaded nor saved."""
        self._limits = limits

    async def load(self, connection: AsyncConnection, messages: Sequence[Message]) -> WorkingSet:
        """What the messages mention, with the organizations locked. At most five statements."""
        known = WorkingSet()
        mentions = Mentions.of(messages, known)
        await _load_organizations(connection, mentions.organizations, known)
        await _load_profiles(connection, mentions.accounts, mentions.invited_addresses, known)
        await _load_members(connection, mentions, known)
        await _load_invitations(connection, mentions, known)
        await self._load_allowances(connection, mentions, known)
        return known

    async def save(self, connection: AsyncConnection, working_set: WorkingSet) -> None:
        """What has changed. At most five statements. Invitations that end are written before new ones, which may take
        their places in the index of live links."""
        await _save_organizations(connection, _changed(working_set.organizations))
        await _save_profiles(connection, _changed(working_set.profiles))
        await _save_members(connection, _changed(working_set.members))
        invitations = _changed(working_set.invitations)
        await _update_invitations(connection, [each for each in invitations if not each.is_new])
        await _insert_invitations(connection, [each for each in invitations if each.is_new])
        await _save_allowances(connection, working_set.spending)

    async def _load_allowances(self, connection: AsyncConnection, mentions: Mentions, known: WorkingSet) -> None:
        asked = {subject for invited in mentions.invited for subject in subjects(self._limits, *invited)}
        if asked:
            keys = {"scopes": [scope for scope, _ in asked], "subjects": [subject for _, subject in asked]}
            for scope, subject, spent_until in await connection.execute(_ALLOWANCES, keys):
                known.spending.spent_until[Scope(scope), subject] = spent_until


async def load_due(connection: AsyncConnection, now: datetime) -> WorkingSet | None:
    """Pending invitations that are to be reminded of or have ended, some at a time, with their organizations and
    inviters; none where nothing is due that nobody else has in hand."""
    known = WorkingSet()
    for row in await connection.execute(_LOCK_ORGANIZATIONS_WITH_DUE, {"now": now, "limit": _DUE_AT_A_TIME}):
        known.organizations[row[0]] = Organization(*row)
    if not known.organizations:
        return None
    keys = {"now": now, "organization_ids": list(known.organizations), "limit": _DUE_AT_A_TIME}
    for row in await connection.execute(_DUE, keys):
        known.add_invitation(_invitation(row))
    if not known.invitations:
        return None
    await _load_profiles(connection, {each.inviter_id for each in known.invitations.values()}, set(), known)
    return known


# --- loading


async def _load_organizations(connection: AsyncConnection, ids: set[UUID], known: WorkingSet) -> None:
    if ids:
        for row in await connection.execute(_LOCK_ORGANIZATIONS, {"ids": list(ids)}):
            known.organizations[row[0]] = Organization(*row)


async def _load_profiles(connection: AsyncConnection, ids: set[UUID], addresses: set[str], known: WorkingSet) -> None:
    if ids or addresses:
        for row in await connection.execute(_PROFILES, {"ids": list(ids), "addresses": list(addresses)}):
            known.add_profile(Profile(*row))


async def _load_members(connection: AsyncConnection, mentions: Mentions, known: WorkingSet) -> None:
    asked = mentions.all_memberships(known)
    if asked:
        keys = {"organization_ids": [each for each, _ in asked], "account_ids": [each for _, each in asked]}
        for row in await connection.execute(_MEMBERS, keys):
            known.members[row[0], row[1]] = Member(*row)


async def _load_invitations(connection: AsyncConnection, mentions: Mentions, known: WorkingSet) -> None:
    places = mentions.places(known)
    keys = {
        "ids": list(mentions.all_invitations(known)),
        "digests": list(mentions.digests),
        "place_organization_ids": [organization_id for organization_id, _ in places],
        "place_addresses": [address for _, address in places],
        "emptied_organization_ids": list({organization_id for organization_id, _ in mentions.removed}),
    }
    if any(keys.values()):
        for row in await connection.execute(_INVITATIONS, keys):
            if row[0] not in known.invitations:
                known.add_invitation(_invitation(row))


def _invitation(row: Sequence[Any]) -> Invitation:
    *columns, waiting = row
    invitation = Invitation(*columns)
    invitation.state = State(invitation.state)
    if waiting is not None:
        invitation.waiting = _waiting_from_json(waiting)
    return invitation


# --- saving


def _changed(loaded: Mapping[Any, Any]) -> list[Any]:
    return [each for each in loaded.values() if each.changed]


async def _save_organizations(connection: AsyncConnection, organizations: list[Organization]) -> None:
    if organizations:
        values = {
            "ids": [each.id for each in organizations],
            "names": [each.name for each in organizations],
            "versions": [each.version for each in organizations],
        }
        await connection.execute(_SAVE_ORGANIZATIONS, values)


async def _save_profiles(connection: AsyncConnection, profiles: list[Profile]) -> None:
    if profiles:
        # In one order everywhere, so that two instances which save the same accounts do not deadlock.
        profiles.sort(key=lambda each: each.account_id)
        values = {
            "account_ids": [each.account_id for each in profiles],
            "versions": [each.version for each in profiles],
            "addresses": [each.address for each in profiles],
            "normalized": [each.address_normalized for each in profiles],
            "names": [each.name for each in profiles],
            "verified": [each.verified for each in profiles],
        }
        await connection.execute(_SAVE_PROFILES, values)


async def _save_members(connection: AsyncConnection, members: list[Member]) -> None:
    if members:
        values = {
            "organization_ids": [each.organization_id for each in members],
            "account_ids": [each.account_id for each in members],
            "roles": [each.role for each in members],
            "versions": [each.version for each in members],
            "invitation_ids": [each.invitation_id for each in members],
            "ended_at": [each.ended_at for each in members],
        }
        await connection.execute(_SAVE_MEMBERS, values)


async def _update_invitations(connection: AsyncConnection, invitations: list[Invitation]) -> None:
    if invitations:
        await connection.execute(_UPDATE_INVITATIONS, _changing_columns(invitations))


async def _insert_invitations(connection: AsyncConnection, invitations: list[Invitation]) -> None:
    if invitations:
        values = {
            "organization_ids": [each.organization_id for each in invitations],
            "addresses": [each.address for each in invitations],
            "normalized": [each.address_normalized for each in invitations],
            "digests": [each.code_digest for each in invitations],
            "inviter_ids": [each.inviter_id for each in invitations],
            "issued_at": [each.issued_at for each in invitations],
            "expires_at": [each.expires_at for each in invitations],
        }
        await connection.execute(_INSERT_INVITATIONS, values | _changing_columns(invitations))


def _changing_columns(invitations: list[Invitation]) -> dict[str, list[Any]]:
    return {
        "ids": [each.id for each in invitations],
        "states": [each.state for each in invitations],
        "versions": [each.version for each in invitations],
        "due_at": [each.due_at for each in invitations],
        "accepted_by": [each.accepted_by for each in invitations],
        "ended_at": [each.ended_at for each in invitations],
        "waiting": [_waiting_to_json(each.waiting) if each.waiting else None for each in invitations],
    }


async def _save_allowances(connection: AsyncConnection, spending: Spending) -> None:
    if spending.added and spending.at is not None:
        now = spending.at
        added = sorted(spending.added.items())
        values = {
            "scopes": [scope for (scope, _), _ in added],
            "subjects": [subject for (_, subject), _ in added],
            "from_now": [now + spent for _, spent in added],
            "now": now,
        }
        await connection.execute(_SAVE_ALLOWANCES, values)


def _waiting_to_json(waiting: tuple[Revocation, ...]) -> str:
    return json.dumps(
        [
            {
                "reason": each.reason,
                "actor_id": str(each.actor_id) if each.actor_id else None,
                "command_id": each.command_id,
                "correlation_id": each.correlation_id,
            }
            for each in waiting
        ]
    )


def _waiting_from_json(waiting: str) -> tuple[Revocation, ...]:
    return tuple(
        Revocation(
            each["reason"],
            UUID(each["actor_id"]) if each["actor_id"] else None,
            each["command_id"],
            each["correlation_id"],
        )
        for each in json.loads(waiting)
    )
