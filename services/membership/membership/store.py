"""membership's SQL: one statement per table, however many messages a batch has."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from contracts import CreateOrganization, InvitationAccepted, LeaveOrganization
from contracts.membership import MemberCommand
from membership.domain import Member, Organization, Roster
from membership.names import OrganizationName
from postroom import Message

_PURGED_AT_A_TIME = 1000

# The lock on the organization's row is what puts the changes of one organization in order, and so its versions. It is
# taken in the order of the ids, so that two instances do not wait for each other in a circle.
_LOCK_ORGANIZATIONS = text("""
    SELECT organization_id, name, folded_name, version, created_at
    FROM organizations
    WHERE organization_id = ANY(CAST(:ids AS uuid[]))
    ORDER BY organization_id
    FOR UPDATE
""")

_FIND_TAKEN_NAMES = text("""
    SELECT folded_name FROM organizations WHERE folded_name = ANY(CAST(:names AS text[]))
""")

# Not locked: who is a member of a locked organization cannot change, and an account that is just now leaving another
# one has not left it yet. Two organizations that admit one account at once meet at the unique index.
_FIND_MEMBERS = text("""
    SELECT membership_id, organization_id, account_id, role, invitation_id, joined_at, ended_at
    FROM members
    WHERE account_id = ANY(CAST(:account_ids AS uuid[])) AND ended_at IS NULL
    UNION ALL
    SELECT membership_id, organization_id, account_id, role, invitation_id, joined_at, ended_at
    FROM members
    WHERE invitation_id = ANY(CAST(:invitation_ids AS uuid[]))
""")

_INSERT_ORGANIZATIONS = text("""
    INSERT INTO organizations (organization_id, name, folded_name, version, created_at)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:names AS text[]), CAST(:folded_names AS text[]), CAST(:versions AS bigint[]),
        CAST(:created_at AS timestamptz[]))
""")

_UPDATE_ORGANIZATIONS = text("""
    UPDATE organizations
    SET version = advanced.version
    FROM unnest(CAST(:ids AS uuid[]), CAST(:versions AS bigint[])) AS advanced (organization_id, version)
    WHERE organizations.organization_id = advanced.organization_id
""")

_UPDATE_MEMBERS = text("""
    UPDATE members
    SET role = changed.role, ended_at = changed.ended_at
    FROM unnest(CAST(:ids AS uuid[]), CAST(:roles AS text[]), CAST(:ended_at AS timestamptz[]))
        AS changed (membership_id, role, ended_at)
    WHERE members.membership_id = changed.membership_id
""")

_INSERT_MEMBERS = text("""
    INSERT INTO members (membership_id, organization_id, account_id, role, invitation_id, joined_at, ended_at)
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:organization_ids AS uuid[]), CAST(:account_ids AS uuid[]), CAST(:roles AS text[]),
        CAST(:invitation_ids AS uuid[]), CAST(:joined_at AS timestamptz[]), CAST(:ended_at AS timestamptz[]))
""")

_PURGE_ENDED_MEMBERS = text("""
    DELETE FROM members
    WHERE membership_id IN (SELECT membership_id FROM members WHERE ended_at < :before ORDER BY ended_at LIMIT :limit
                            FOR UPDATE SKIP LOCKED)
""")


class RosterStore:
    """Loads and saves Rosters. Raises IntegrityError from `save` where another instance was faster with an account, an
    invitation, a name or an organization's id; who then loads again sees what the other has written."""

    async def load(self, connection: AsyncConnection, messages: Sequence[Message]) -> Roster:
        """The organizations that the messages mention, locked, and of the members only those whose account or
        invitation they mention: an organization may have many thousands."""
        organization_ids: set[UUID] = set()
        account_ids: set[UUID] = set()
        invitation_ids: set[UUID] = set()
        names: set[str] = set()
        for message in messages:
            organization_ids.add(message.partition_key)
            if isinstance(message, InvitationAccepted):
                account_ids.add(message.account_id)
                invitation_ids.add(message.invitation_id)
            elif isinstance(message, MemberCommand):
                account_ids.update((message.actor_id, message.account_id))
            elif isinstance(message, LeaveOrganization):
                account_ids.add(message.actor_id)
            elif isinstance(message, CreateOrganization):
                account_ids.add(message.actor_id)
                if (name := OrganizationName.parse(message.name)) is not None:
                    names.add(name.folded)
        roster = Roster()
        await _load_organizations(connection, roster, organization_ids)
        await _load_members(connection, roster, account_ids, invitation_ids)
        if names:
            roster.taken_names.update((await connection.execute(_FIND_TAKEN_NAMES, {"names": list(names)})).scalars())
        return roster

    async def save(self, connection: AsyncConnection, roster: Roster) -> None:
        """Writes new and changed rows. An ended stay goes before a new one, since an account may have both."""
        organizations = roster.organizations.values()
        await _insert_organizations(connection, [each for each in organizations if each.stored_version == 0])
        await _update_organizations(connection, [each for each in organizations if _is_advanced(each)])
        await _update_members(connection, roster.changed.values())
        await _insert_members(connection, roster.joined)


class EndedMembers:
    """The purge of stays that ended long ago."""

    def __init__(self, keep: timedelta) -> None:
        self._keep = keep

    async def purge(self, connection: AsyncConnection, now: datetime) -> int:
        """Deletes a bounded number of them and answers how many."""
        parameters = {"before": now - self._keep, "limit": _PURGED_AT_A_TIME}
        return (await connection.execute(_PURGE_ENDED_MEMBERS, parameters)).rowcount


def _is_advanced(organization: Organization) -> bool:
    return 0 < organization.stored_version < organization.version


async def _load_organizations(connection: AsyncConnection, roster: Roster, ids: Collection[UUID]) -> None:
    for row in await connection.execute(_LOCK_ORGANIZATIONS, {"ids": list(ids)}):
        organization_id, name, folded_name, version, created_at = row
        roster.organizations[organization_id] = Organization(
            organization_id, OrganizationName(name, folded_name), created_at, version, stored_version=version
        )


async def _load_members(
    connection: AsyncConnection, roster: Roster, account_ids: Collection[UUID], invitation_ids: Collection[UUID]
) -> None:
    parameters = {"account_ids": list(account_ids), "invitation_ids": list(invitation_ids)}
    for row in await connection.execute(_FIND_MEMBERS, parameters):
        member = Member(*row)
        if member.ended_at is None:
            roster.members[member.account_id] = member
        if member.invitation_id is not None:
            roster.admitted[member.invitation_id] = member.account_id


async def _insert_organizations(connection: AsyncConnection, organizations: Collection[Organization]) -> None:
    if not organizations:
        return
    await connection.execute(
        _INSERT_ORGANIZATIONS,
        {
            "ids": [each.organization_id for each in organizations],
            "names": [each.name.text for each in organizations],
            "folded_names": [each.name.folded for each in organizations],
            "versions": [each.version for each in organizations],
            "created_at": [each.created_at for each in organizations],
        },
    )


async def _update_organizations(connection: AsyncConnection, organizations: Collection[Organization]) -> None:
    if not organizations:
        return
    await connection.execute(
        _UPDATE_ORGANIZATIONS,
        {
            "ids": [each.organization_id for each in organizations],
            "versions": [each.version for each in organizations],
        },
    )


async def _update_members(connection: AsyncConnection, members: Collection[Member]) -> None:
    if not members:
        return
    await connection.execute(
        _UPDATE_MEMBERS,
        {
            "ids": [each.membership_id for each in members],
            "roles": [each.role for each in members],
            "ended_at": [each.ended_at for each in members],
        },
    )


async def _insert_members(connection: AsyncConnection, joined: Iterable[Member]) -> None:
    # In the order of the unique index, for the same reason as the locks above.
    members = sorted(joined, key=lambda member: member.account_id)
    if not members:
        return
    await connection.execute(
        _INSERT_MEMBERS,
        {
            "ids": [each.membership_id for each in members],
            "organization_ids": [each.organization_id for each in members],
            "account_ids": [each.account_id for each in members],
            "roles": [each.role for each in members],
            "invitation_ids": [each.invitation_id for each in members],
            "joined_at": [each.joined_at for each in members],
            "ended_at": [each.ended_at for each in members],
        },
    )
