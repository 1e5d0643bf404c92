"""What pages and the API ask of the view."""

import asyncio
import base64
import binascii
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import TextClause, text

from console.changes import Changes
from console.view.nouns import Invitation, Member, Membership, Organization, Page
from postroom import Room

T = TypeVar("T")

_PATIENCE = 2.0
"""Seconds that a link is waited for which is not known yet: its letter may be quicker than its fact."""
_LOOK_AGAIN = 0.5
"""Seconds after which is looked again though no change was heard of."""
_BEGINNING = (datetime.fromtimestamp(0, UTC), UUID(int=0))
_EXPIRED_SHOWN = timedelta(days=30)

# Facts of two organizations come in any order: for a moment an account may seem to be in both. The newer counts.
_MEMBERSHIP = text("""
    SELECT organization_id, name, organizations.version, revision, role, joined_at
    FROM members JOIN organizations USING (organization_id)
    WHERE account_id = :account_id AND role IS NOT NULL
    ORDER BY joined_at DESC
    LIMIT 1
""")

_VERSION = text("SELECT version FROM organizations WHERE organization_id = :organization_id")

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
      AND (state = 'accepting' OR expires_at > :now
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
_BY_DIGEST = text(f"SELECT {_INVITATION_COLUMNS} FROM invitations WHERE code_digest = :code_digest")  # noqa: S608


class View:
    """Reads the view. Every question is one statement in a transaction of its own."""

    def __init__(self, room: Room, changes: Changes, *, patience: float = _PATIENCE) -> None:
        """`patience` is for links that are not known yet, in seconds."""
        self._room = room
        self._changes = changes
        self._patience = patience

    async def membership(self, account_id: UUID) -> Membership | None:
        """The organization that the account is in, and as what; none where it is in none."""
        row = await self._one(_MEMBERSHIP, account_id=account_id)
        return None if row is None else Membership(*row)

    async def version(self, organization_id: UUID) -> int | None:
        """The newest version that membership has told of it: what commands say that their sender has seen."""
        row = await self._one(_VERSION, organization_id=organization_id)
        return row.version or None if row is not None else None

    async def organization(self, organization_id: UUID) -> Organization | None:
        """The organization, and how many belong to it."""
        row = await self._one(_ORGANIZATION, organization_id=organization_id, now=self._room.clock())
        return None if row is None else Organization(*row)

    async def members(self, organization_id: UUID, *, after: str | None = None, limit: int = 50) -> Page[Member]:
        """Members in the order in which they joined. `after` is the `next` of the page before; raises ValueError where
        it is not."""
        rows = await self._page(_MEMBERS, after, limit, organization_id=organization_id)
        return _page([Member(*_member(row)) for row in rows], limit, lambda each: (each.joined_at, each.account_id))

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
        return _page(items, limit, lambda each: (each.issued_at, each.invitation_id))

    async def invitation(self, invitation_id: UUID) -> Invitation | None:
        """The invitation, whatever became of it."""
        row = await self._one(_INVITATION, invitation_id=invitation_id)
        return None if row is None or row.address == "" else Invitation(*row)

    async def invitation_by_digest(self, code_digest: str) -> Invitation | None:
        """The invitation of a link, whatever became of it. One that is not known is waited for a little."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._patience
        while True:
            row = await self._one(_BY_DIGEST, code_digest=code_digest)
            if row is not None:
                return Invitation(*row)
            if loop.time() >= deadline or self._changes.stopping:
                return None
            await self._changes.anything(min(_LOOK_AGAIN, deadline - loop.time()))

    async def _one(self, statement: TextClause, **parameters: object) -> Any:
        async with self._room.transaction() as transaction:
            return (await transaction.connection.execute(statement, parameters)).one_or_none()

    async def _page(self, statement: TextClause, after: str | None, limit: int, **parameters: object) -> list[Any]:
        instant, last_id = (
            _read_cursor(after) if after else (datetime.fromisoformat("1970-01-01T00:00:00Z"), UUID(int=0))
        )
        async with self._room.transaction() as transaction:
            found = await transaction.connection.execute(
                statement, {"after_instant": instant, "after_id": last_id, "limit": limit + 1, **parameters}
            )
            return list(found)


def _member(row: Any) -> tuple[Any, ...]:
    return (row.account_id, row.membership_id, row.name, row.address, row.role, row.joined_at)


def _page(items: list[T], limit: int, key: Callable[[T], tuple[datetime, UUID]]) -> Page[T]:
    """One more than the limit was asked for: whether it is there says whether there is a next page."""
    if len(items) <= limit:
        return Page(items, None)
    return Page(items[:limit], _cursor(*key(items[limit - 1])))


def _cursor(instant: datetime, last_id: UUID) -> str:
    content = json.dumps([instant.isoformat(), last_id.hex], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _read_cursor(cursor: str) -> tuple[datetime, UUID]:
    try:
        instant, last_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        read = datetime.fromisoformat(instant), UUID(last_id)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        raise ValueError("That is no cursor of this list.") from None
    if read[0].tzinfo is None:
        raise ValueError("That is no cursor of this list.")
    return read
