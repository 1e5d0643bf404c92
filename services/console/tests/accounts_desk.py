"""console's accounts on a real database, without HTTP and without Kafka: what was told is read from the outbox."""

import asyncio
import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar
from uuid import UUID

from argon2 import PasswordHasher
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from console.accounts.desk import Accounts, Proven
from console.accounts.domain import Account, NewSession, Session, Visitor
from console.accounts.passwords import Passwords
from console.limits import Limits
from console.settings import Settings
from contracts import (
    ACCOUNTS_EVENTS,
    ACCOUNTS_PROFILES,
    TOPICS,
    AccountErased,
    MailboxProofRequested,
    Message,
    PasswordResetRequested,
    mailbox_code,
    reset_code,
)
from postroom.processor import Reactions
from postroom.room import ServiceRoom
from postroom.transaction import PostgresTransactions

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNTS_KEY = b"the accounts key of console's tests"
PASSWORD = "correct horse battery staple"
ANOTHER_PASSWORD = "a shorter way to the sea"
HOME = Visitor(network_address="198.51.100.7", user_agent="A browser")
ELSEWHERE = Visitor(network_address="203.0.113.9", user_agent="Another browser")

_OUTBOX = text("SELECT topic, key, CAST(headers AS text) AS headers, value FROM postroom_outbox ORDER BY id")
_CHALLENGE = text("SELECT challenge_id FROM challenges WHERE account_id = :account_id")
_TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename")

M = TypeVar("M", bound=Message)


@dataclass
class Clock:
    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def passes(self, period: timedelta) -> None:
        self.now += period


class CountingHasher(PasswordHasher):
    """Argon2id with the least of everything, which counts its runs."""

    def __init__(self, time_cost: int = 1) -> None:
        super().__init__(time_cost=time_cost, memory_cost=8, parallelism=1)
        self.runs = 0

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        self.runs += 1
        return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
        self.runs += 1
        return super().verify(hash, password)


class _NoView:
    """Of what console reads from the topics, accounts need nothing."""

    async def load(self, connection: AsyncConnection, messages: Sequence[object]) -> None:
        raise AssertionError("Nothing is read here.")

    async def save(self, connection: AsyncConnection, working_set: None) -> None:
        raise AssertionError("Nothing is read here.")


@dataclass
class AccountsDesk:
    """A database, and as many processes of console on it as a test wants."""

    engine: AsyncEngine
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        transactions = PostgresTransactions(self.engine, wake_relay=lambda: None, relay_is_here=lambda: True)
        reactions: Reactions[None] = Reactions("console", (), (ACCOUNTS_PROFILES, ACCOUNTS_EVENTS), {}, _NoView(), None)
        self.room = ServiceRoom(transactions, reactions, self.clock, asyncio.Event())
        self.hasher = CountingHasher()
        self.accounts = self.start()

    def start(self, hasher: PasswordHasher | None = None, **changed: Any) -> Accounts:
        """One more process; `changed` are settings."""
        passwords = Passwords(hasher or self.hasher)
        return Accounts(settings(**changed), self.room, Limits(self.room), passwords=passwords)

    # --- what people do

    async def sign_up(
        self,
        address: str = "owner@example.com",
        *,
        name: str = "The owner",
        password: str = PASSWORD,
        visitor: Visitor = HOME,
        invitation_digest: str | None = None,
    ) -> NewSession:
        return await self.accounts.sign_up(address, name, password, visitor, invitation_digest=invitation_digest)

    async def prove(self, new: NewSession) -> Proven:
        """The person opens the newest letter and types the code."""
        code = await self.code_for(new.session.account)
        return await self.accounts.prove(new.session, code, HOME)

    async def join(self, address: str = "owner@example.com", **particulars: Any) -> NewSession:
        """Signs up and proves the mailbox."""
        return (await self.prove(await self.sign_up(address, **particulars))).session

    async def session_of(self, new: NewSession) -> Session:
        """What the browser's cookie stands for now. Fails where it stands for nothing."""
        session = await self.accounts.session(new.token)
        assert session is not None
        return session

    # --- what is in the letters

    async def code_for(self, account: Account) -> str:
        """The six digits in the newest letter about this account."""
        requests = [each for each in await self.told_of(MailboxProofRequested) if each.account_id == account.account_id]
        return mailbox_code(ACCOUNTS_KEY, requests[-1].challenge_id)

    async def code_of_challenge(self, account: Account) -> str:
        """The six digits that would be in a letter, if there were one."""
        async with self.engine.connect() as connection:
            found = await connection.execute(_CHALLENGE, {"account_id": account.account_id})
            return mailbox_code(ACCOUNTS_KEY, found.scalar_one())

    async def reset_codes(self) -> list[str]:
        """The codes of the links in the letters about forgotten passwords, in their order."""
        return [reset_code(ACCOUNTS_KEY, each.challenge_id) for each in await self.told_of(PasswordResetRequested)]

    # --- what was told, and what is stored

    async def told(self) -> list[Message]:
        """What the outbox holds, in its order."""
        async with self.engine.connect() as connection:
            return [_message(row) for row in await connection.execute(_OUTBOX)]

    async def told_of(self, kind: type[M]) -> list[M]:
        return [each for each in await self.told() if isinstance(each, kind)]

    async def count(self, table: str) -> int:
        async with self.engine.connect() as connection:
            return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())

    async def everything_stored(self) -> str:
        """All rows of all tables, with the bytes in them as text too."""
        rows: list[str] = []
        async with self.engine.connect() as connection:
            for table in (await connection.execute(_TABLES)).scalars().all():
                for row in await connection.execute(text(f'SELECT * FROM "{table}"')):
                    rows.extend(f"{table}: {_as_text(value)}" for value in row)
        return "\n".join(rows)


def settings(**changed: Any) -> Settings:
    """Of a console without limits, but for those that are given."""
    values: dict[str, Any] = {
        "kafka_bootstrap_servers": "nowhere:9092",
        "database_url": SecretStr("postgresql://nowhere/console"),
        "console_url": "https://console.example",
        "accounts_key": SecretStr(base64.urlsafe_b64encode(ACCOUNTS_KEY).decode()),
    }
    without_limits = {name: 0 for name in Settings.model_fields if name.endswith("_per_hour")}
    return Settings(**(values | without_limits | changed))


def wrong(code: str) -> str:
    """Six digits that are not these."""
    return f"{(int(code) + 1) % 1_000_000:06d}"


def _message(row: Any) -> Message:
    if row.value is None:
        return AccountErased(account_id=UUID(row.key.decode()))
    ce_type: str = dict(json.loads(row.headers))["ce_type"]
    return TOPICS.message_types[ce_type].model_validate_json(row.value)


def _as_text(value: object) -> str:
    return value.decode("latin-1") + value.hex() if isinstance(value, bytes) else str(value)
