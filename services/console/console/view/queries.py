"""What pages and the API ask of the view."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import TextClause, text

from console.changes import Changes
from console.together import Together
from console.view.cursors import page, read_cursor
from console.view.nouns import Invitation, Member, Membership, Organization, Page
from postroom import Room

_PATIENCE = 2.0
"""Seconds that a link is waited for which is not known yet: its letter may be quicker than its fact."""
_LOOK_AGAIN = 0.5
"""Seconds after which is looked again though no change was heard of."""
_BEGINNING = (datetime.fromtimestamp(0, UTC), UUID(int=0))
_EXPIRED_SHOWN = timedelta(days=30)

# Facts of two organizations come in any order: for a moment an account may seem to be in both. The newer counts.
_MEMBERSHIPS = text("""
    SELECT DISTINCT ON (account_id)
           account_id, organization_id, name, organizations.version, revision, role, joined_at
    FROM members JOIN organizations USING (organization_id)
    WHERE account_id = ANY(CAST(:ids AS uuid[])) AND role IS NOT NULL
    ORDER BY account_id, joined_at DESC
""")

_VERSIONS = text("""
    SELECT organization_id, version FROM organizations WHERE organization_id = ANY(CAST(:ids AS uuid[]))
""")

_ORGANIZATION = text("""
    SELECT organization_id, name, version, revision, created_at,
           (SELECT count(*) FROM members
            WHERE members.organization_id = organizations.organization_id AND role IS NOT NULL) AS members,
           (SELECT count(*) FROM invitations
            WHERE invitations.organization_id = organizations.organization_id AND address <> ''
              AND (state = 'accepting' OR (state = 'pending' AND expires_at > :now))) AS pending
    FROM organizations WHERE organization_id = :organization_id
""")

_MEMBER_COLUMNS = """
    account_id, membership_id, coalesce(accounts.name, '') AS name, coalesce(address, '') AS address, role, joined_at
"""
_MEMBERS = text(f"""
    SELECT {_MEMBER_COLUMNS}
    FROM members LEFT JOIN accounts USING (account_id)
    WHERE organization_id = :organization_id AND role IS NOT NULL
      AND (joined_at, account_id) > (CAST(:after_instant AS timestamptz), CAST(:after_id AS uuid))
    ORDER BY joined_at, account_id
    LIMIT :limit
""")  # noqa: S608
_MEMBER = text(f"""
    SELECT {_MEMBER_COLUMNS}
    FROM members LEFT JOIN accounts USING (account_id)
    WHERE organization_id = :organization_id AND account_id = :account_id AND role IS NOT NULL
""")  # noqa: S608

_INVITATION_COLUMNS = """
    invitation_id, organization_id, organization_name, address, address_normalized, code_digest, state, inviter_id,
    inviter_name, issued_at, expires_at, ended_at, delivery
"""
# An expired row has served its purpose when its address was invited anew, or has joined.
_INVITATIONS = text(f"""
    SELECT {_INVITATION_COLUMNS}
    FROM invitations
    WHERE organization_id = :organization_id AND state IN ('pending', 'accepting', 'expired') AND address <> ''
      AND (issued_at, invitation_id) > (CAST(:after_instant AS timestamptz), CAST(:after_id AS uuid))
      AND (state = 'accepting' OR (state = 'pending' AND expires_at > :now)
           OR (expires_at > :shown_since
               AND NOT EXISTS (SELECT 1 FROM invitations AS newer
                               WHERE newer.organization_id = invitations.organization_id
                                 AND newer.state IN ('pending', 'accepting', 'expired')
                                 AND newer.address_normalized = invitations.address_normalized
                                 AND newer.issued_at > invitations.issued_at)
               AND NOT EXISTS (SELECT 1 FROM members JOIN accounts USING (account_id)
                               WHERE members.organization_id = invitations.organization_id AND role IS NOT NULL
                                 AND accounts.address_normalized = invitations.address_normalized)))
    ORDER BY issued_at, invitation_id
    LIMIT :limit
""")  # noqa: S608
_INVITATION = text(f"SELECT {_INVITATION_COLUMNS} FROM invitations WHERE invitation_id = :invitation_id")  # noqa: S608
_BY_DIGESTS = text(f"""
    SELECT {_INVITATION_COLUMNS},
           (SELECT nullif(organizations.version, 0) FROM organizations
            WHERE organizations.organization_id = invitations.organization_id) AS organization_version
    FROM invitations WHERE code_digest = ANY(CAST(:digests AS text[]))
""")  # noqa: S608


class View:
    """Reads the view. Every question is one statement; what every request asks is asked together."""

    def __init__(self, room: Room, changes: Changes, *, patience: float = _PATIENCE) -> None:
        """`patience` is for links that are not known yet, in seconds."""
        self._room = room
        self._changes = changes
        self._patience = patience
        self._memberships = Together(self._find_memberships)
        self._versions = Together(self._find_versions)
        self._by_digest = Together(self._find_by_digests)

    async def membership(self, account_id: UUID) -> Membership | None:
        """The organization that the account is in, and as what; none where it is in none."""
        return await self._memberships.ask(account_id)

    async def version(self, organization_id: UUID) -> int | None:
        """The newest version that membership has told of it: what commands say that their sender has seen."""
        return await self._versions.ask(organization_id)

    async def organization(self, organization_id: UUID) -> Organization | None:
        """The organization, and how many belong to it."""
        row = await self._one(_ORGANIZATION, organization_id=organization_id, now=self._room.clock())
        return None if row is None else Organization(*row)

    async def members(self, organization_id: UUID, *, after: str | None = None, limit: int = 50) -> Page[Member]:
        """Members in the order in which they joined. `after` is the `next` of the page before; raises ValueError where
        it is not."""
        rows = await self._page(_MEMBERS, after, limit, organization_id=organization_id)
        return page([Member(*_member(row)) for row in rows], limit, lambda each: (each.joined_at, each.account_id))

    async def member(self, organization_id: UUID, account_id: UUID) -> Member | None:
        """One member, if the account is one."""
        row = await self._one(_MEMBER, organization_id=organization_id, account_id=account_id)
        return None if row is None else Member(*_member(row))

    async def invitations(
        self, organization_id: UUID, *, after: str | None = None, limit: int = 50
    ) -> Page[Invitation]:
        """Pending ones, those that are being accepted, and for 30 days those that have expired, unless their address
        was invited again or has joined; in the order of their issue."""
        now = self._room.clock()
        rows = await self._page(
            _INVITATIONS, after, limit, organization_id=organization_id, now=now, shown_since=now - _EXPIRED_SHOWN
        )
        items = [Invitation(*row) for row in rows]
        return page(items, limit, lambda each: (each.issued_at, each.invitation_id))

    async def invitation(self, invitation_id: UUID) -> Invitation | None:
        """The invitation, whatever became of it."""
        row = await self._one(_INVITATION, invitation_id=invitation_id)
        return None if row is None or row.address == "" else Invitation(*row)

    async def invitation_by_digest(self, code_digest: str) -> Invitation | None:
        """The invitation of a link, whatever became of it. One that is not known is waited for a little."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            found = await self._by_digest.ask(code_digest)
            if found is not None:
                return found
            if loop.time() >= deadline or self._changes.stopping:
                return None
            await self._changes.anything(min(_LOOK_AGAIN, deadline - loop.time()))

    async def _find_memberships(self, account_ids: Sequence[UUID]) -> list[Membership | None]:
        rows = await self._all(_MEMBERSHIPS, ids=list(set(account_ids)))
        found = {account_id: Membership(*membership) for account_id, *membership in rows}
        return [found.get(each) for each in account_ids]

    async def _find_versions(self, organization_ids: Sequence[UUID]) -> list[int | None]:
        rows = await self._all(_VERSIONS, ids=list(set(organization_ids)))
        found = {row.organization_id: row.version for row in rows}
        return [found.get(each) or None for each in organization_ids]

    async def _find_by_digests(self, digests: Sequence[str]) -> list[Invitation | None]:
        rows = await self._all(_BY_DIGESTS, digests=list(set(digests)))
        found = {row.code_digest: Invitation(*row) for row in rows}
        return [found.get(each) for each in digests]

    async def _one(self, statement: TextClause, **parameters: object) -> Any:
        rows = await self._all(statement, **parameters)
        return rows[0] if rows else None

    async def _all(self, statement: TextClause, **parameters: object) -> Sequence[Any]:
        async with self._room.reading() as connection:
            return (await connection.execute(statement, parameters)).all()

    async def _page(self, statement: TextClause, after: str | None, limit: int, **parameters: object) -> Sequence[Any]:
        instant, last_id = read_cursor(after) if after else _BEGINNING
        return await self._all(statement, after_instant=instant, after_id=last_id, limit=limit + 1, **parameters)


def _member(row: Any) -> tuple[Any, ...]:
    return (row.account_id, row.membership_id, row.name, row.address, row.role, row.joined_at)
