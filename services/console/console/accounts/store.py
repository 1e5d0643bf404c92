"""SQL of accounts.

Rows are locked in one order everywhere, so that nobody waits in a circle: allowances, the account, its challenges, its
sessions, its tokens.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from console.accounts.domain import Account

COLUMNS = """a.account_id, a.address, a.address_normalized, a.name, a.version, a.created_at AS signed_up_at,
             a.proven_at IS NOT NULL AS proven, a.invitation_digest"""
"""What account_of reads, from `accounts AS a`."""

_OWNER = text("SELECT account_id FROM accounts WHERE address_normalized = :address AND proven_at IS NOT NULL")

_INSERT = text("""
    INSERT INTO accounts
        (account_id, address, address_normalized, name, password_hash, version, created_at, invitation_digest)
    VALUES (:account_id, :address, :address_normalized, :name, :password_hash, :version, :created_at,
            :invitation_digest)
""")

_CANDIDATES = text(f"""
    (SELECT {COLUMNS}, a.password_hash FROM accounts AS a
     WHERE a.address_normalized = :address AND a.proven_at IS NOT NULL)
    UNION ALL
    (SELECT {COLUMNS}, a.password_hash FROM accounts AS a
     WHERE a.address_normalized = :address AND a.proven_at IS NULL
     ORDER BY a.created_at DESC, a.account_id DESC
     LIMIT 1)
""")  # noqa: S608

_FIND = text(f"SELECT {COLUMNS} FROM accounts AS a WHERE a.account_id = ANY(CAST(:ids AS uuid[]))")  # noqa: S608

_PASSWORD_HASH = text("SELECT password_hash FROM accounts WHERE account_id = :account_id")

# The lock makes who changes the password wait, and then see what was begun with the old one.
_HOLD_PASSWORD = text("""
    SELECT account_id FROM accounts WHERE account_id = :account_id AND password_hash = :password_hash FOR SHARE
""")

_SET_PASSWORD = text("""
    UPDATE accounts SET password_hash = :password_hash
    WHERE account_id = :account_id AND password_hash = coalesce(:old_hash, password_hash)
""")

_PROVE = text(f"""
    UPDATE accounts AS a SET proven_at = :now, version = version + 1
    WHERE account_id = :account_id AND proven_at IS NULL
    RETURNING {COLUMNS}
""")  # noqa: S608

_RENAME = text(f"""
    UPDATE accounts AS a SET name = :name, version = version + 1
    WHERE account_id = :account_id AND proven_at IS NOT NULL
    RETURNING {COLUMNS}
""")  # noqa: S608

_USE_INVITATION = text("""
    UPDATE accounts SET invitation_digest = NULL
    WHERE account_id = (SELECT account_id FROM sessions WHERE session_id = :session_id)
      AND invitation_digest IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class Candidate:
    """An account that somebody may want to sign in to, and what its password is verified with."""

    account: Account
    password_hash: str


async def find_owner(connection: AsyncConnection, address: str) -> UUID | None:
    """The account that has proven the (normalized) address; none where nobody has."""
    owner: UUID | None = (await connection.execute(_OWNER, {"address": address})).scalar_one_or_none()
    return owner


async def insert(connection: AsyncConnection, account: Account, password_hash: str) -> None:
    """Writes an account that has signed up."""
    await connection.execute(
        _INSERT,
        {
            "account_id": account.account_id,
            "address": account.address,
            "address_normalized": account.address_normalized,
            "name": account.name,
            "password_hash": password_hash,
            "version": account.version,
            "created_at": account.created_at,
            "invitation_digest": account.invitation_digest,
        },
    )


async def find_candidates(connection: AsyncConnection, address: str) -> tuple[Candidate | None, Candidate | None]:
    """The account that has proven the (normalized) address, and the newest of those that would like to."""
    rows = await connection.execute(_CANDIDATES, {"address": address})
    found = {row.proven: Candidate(account_of(row), row.password_hash) for row in rows}
    return found.get(True), found.get(False)


async def find(connection: AsyncConnection, ids: Collection[UUID]) -> dict[UUID, Account]:
    """Those that there are."""
    rows = await connection.execute(_FIND, {"ids": list(ids)})
    return {row.account_id: account_of(row) for row in rows}


async def read_password_hash(connection: AsyncConnection, account_id: UUID) -> str | None:
    """What the password is verified with; none where there is no such account."""
    found: str | None = (await connection.execute(_PASSWORD_HASH, {"account_id": account_id})).scalar_one_or_none()
    return found


async def hold_password(connection: AsyncConnection, candidate: Candidate) -> bool:
    """Whether the account still has this password. It then has it until the end of the transaction."""
    values = {"account_id": candidate.account.account_id, "password_hash": candidate.password_hash}
    return (await connection.execute(_HOLD_PASSWORD, values)).one_or_none() is not None


async def set_password(
    connection: AsyncConnection, account_id: UUID, password_hash: str, *, instead_of: str | None = None
) -> bool:
    """Changes the password, where it is still the one `instead_of` is the hash of; returns whether."""
    values = {"account_id": account_id, "password_hash": password_hash, "old_hash": instead_of}
    return (await connection.execute(_SET_PASSWORD, values)).rowcount > 0


async def prove(connection: AsyncConnection, account_id: UUID, now: datetime) -> Account | None:
    """Makes the account the owner of its address; none where it is it already, or is gone. Raises IntegrityError where
    another account is."""
    row = (await connection.execute(_PROVE, {"account_id": account_id, "now": now})).one_or_none()
    return None if row is None else account_of(row)


async def rename(connection: AsyncConnection, account_id: UUID, name: str) -> Account:
    """Gives an account, whose mailbox is proven, another name. Raises NoResultFound where there is none."""
    return account_of((await connection.execute(_RENAME, {"account_id": account_id, "name": name})).one())


async def use_invitation(connection: AsyncConnection, session_id: UUID) -> None:
    """Forgets the link that the account of the session came by."""
    await connection.execute(_USE_INVITATION, {"session_id": session_id})


def account_of(row: Any) -> Account:
    """The account in a row that has the COLUMNS."""
    return Account(
        account_id=row.account_id,
        address=row.address,
        address_normalized=row.address_normalized,
        name=row.name,
        version=row.version,
        created_at=row.signed_up_at,
        proven=row.proven,
        invitation_digest=row.invitation_digest,
    )
