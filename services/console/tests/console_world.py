"""A console without Kafka: its real database, pages and API, and a hand-written player in the place of the services
that answer its commands."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any, TypeVar
from uuid import UUID

import httpx
from argon2 import PasswordHasher
from played_billing import PlayedBilling
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from console.accounts.addresses import parse_address
from console.accounts.desk import Accounts
from console.accounts.domain import Account, Malformed, Visitor
from console.accounts.passwords import Passwords
from console.app import build
from console.edge import Edge
from console.settings import Settings
from console.web.app import web_app
from console.web.server import edge_of_process
from contracts import (
    BILLING_EVENTS,
    INVITES_EVENTS,
    MEMBERSHIP_EVENTS,
    NOTIFIER_EVENTS,
    TOPICS,
    AcceptInvitation,
    Command,
    CreateOrganization,
    DeclineInvitation,
    DemoteMember,
    InvitationAccepted,
    InvitationDeclined,
    InvitationIssued,
    InvitationRevoked,
    InviteMember,
    LeaveOrganization,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    Message,
    OrganizationCreated,
    PromoteMember,
    Reason,
    Refused,
    RemoveMember,
    RevokeInvitation,
    code_digest,
    link_code,
    mailbox_code,
)
from contracts.billing import PayerCommand
from postroom.database import async_url
from postroom.envelope import write
from postroom.ids import uuid7
from postroom.metrics import Metrics
from postroom.processor import Processor
from postroom.record import StoredRecord
from postroom.room import ServiceRoom
from postroom.timers import Timers
from postroom.transaction import PostgresTransactions, headers_from_json

M = TypeVar("M", bound=Message)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
ORIGIN = "http://console.example"
LINK_KEY = b"link key of the tests, 32 bytes!"
ACCOUNTS_KEY = "YWNjb3VudHMga2V5IG9mIHRoZSB0ZXN0czogMzIgYnl0ZXMgb3IgbW9yZQ"
PASSWORD = "a long enough passphrase"
VISITOR = Visitor("203.0.113.7", "Browser of the tests")

_TAKE = text("DELETE FROM postroom_outbox RETURNING id, topic, key, CAST(headers AS text) AS headers, value")
_CHALLENGE = text("""
    SELECT challenge_id FROM challenges WHERE account_id = :account_id AND kind = 'mailbox'
    ORDER BY created_at DESC, challenge_id DESC LIMIT 1
""")
_offsets = count()


@dataclass
class Clock:
    """Time, which moves when a test moves it."""

    now: datetime = NOON

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@dataclass(frozen=True)
class Sent:
    """A message that console has sent."""

    topic: str
    ce_id: str
    message: Message | None
    """None for a tombstone."""
    key: str


@dataclass
class Player:
    """Answers commands as the other services would, with what a test wants to come out; by default all goes well."""

    clock: Clock
    refusals: dict[type[Command], tuple[Reason, str]] = field(default_factory=dict)
    """What is refused, and how."""
    silent: bool = False
    """Whether nobody answers."""
    versions: dict[UUID, int] = field(default_factory=dict)
    invitations: dict[UUID, InvitationIssued] = field(default_factory=dict)
    billing: PlayedBilling = field(default_factory=PlayedBilling)

    def version(self, organization_id: UUID) -> int:
        self.versions[organization_id] = self.versions.get(organization_id, 0) + 1
        return self.versions[organization_id]

    def answer(self, command: Command, command_id: str) -> list[Message]:
        """The facts that come of a command."""
        if self.silent:
            return []
        if type(command) in self.refusals or (isinstance(command, InviteMember) and not _is_address(command.address)):
            reason, message = self.refusals.get(type(command), (Reason.MALFORMED_ADDRESS, "That is no address."))
            return [Refused(reason, message).answer(command, command_id)]
        if isinstance(command, PayerCommand):
            try:
                return [self.billing.decide(command, self.clock())]
            except Refused as refused:
                return [refused.answer(command, command_id)]
        return self._facts(command)

    def _facts(self, command: Command) -> list[Message]:
        now = self.clock()
        organization_id = command.partition_key
        match command:
            case CreateOrganization():
                return [
                    OrganizationCreated(
                        organization_id=organization_id,
                        version=self.version(organization_id),
                        name=command.name,
                        owner_id=command.actor_id,
                        created_at=now,
                    ),
                    self.joined(organization_id, command.actor_id, role="owner"),
                ]
            case InviteMember():
                return [self.issued(organization_id, command.address, command.actor_id)]
            case RevokeInvitation():
                return [
                    InvitationRevoked(
                        organization_id=organization_id,
                        invitation_id=command.invitation_id,
                        version=2,
                        reason="revoked",
                        revoked_by=command.actor_id,
                        revoked_at=now,
                    )
                ]
            case AcceptInvitation():
                found = self._by_digest(command.code_digest)
                accepted = InvitationAccepted(
                    organization_id=organization_id,
                    invitation_id=found.invitation_id,
                    version=2,
                    account_id=command.actor_id,
                    inviter_id=found.inviter_id,
                    accepted_at=now,
                )
                return [accepted, self.joined(organization_id, command.actor_id, invitation_id=found.invitation_id)]
            case DeclineInvitation():
                found = self._by_digest(command.code_digest)
                return [
                    InvitationDeclined(
                        organization_id=organization_id,
                        invitation_id=found.invitation_id,
                        version=2,
                        declined_by=command.actor_id,
                        declined_at=now,
                    )
                ]
            case PromoteMember() | DemoteMember() | RemoveMember() | LeaveOrganization():
                return [self._member_fact(command, now)]
            case _:
                raise AssertionError(f"nobody plays {type(command).__name__}")

    def _member_fact(
        self, command: PromoteMember | DemoteMember | RemoveMember | LeaveOrganization, now: datetime
    ) -> Message:
        about: dict[str, Any] = {
            "organization_id": command.organization_id,
            "version": self.version(command.organization_id),
            "membership_id": UUID(int=7),
        }
        match command:
            case PromoteMember():
                about |= {"account_id": command.account_id, "role": "admin"}
                return MemberPromoted(**about, promoted_by=command.actor_id, promoted_at=now)
            case DemoteMember():
                about |= {"account_id": command.account_id, "role": "member"}
                return MemberDemoted(**about, demoted_by=command.actor_id, demoted_at=now)
            case RemoveMember():
                return MemberRemoved(
                    **about, account_id=command.account_id, removed_by=command.actor_id, removed_at=now
                )
            case LeaveOrganization():
                return MemberLeft(**about, account_id=command.actor_id, left_at=now)

    def issued(self, organization_id: UUID, address: str, inviter_id: UUID, **changed: Any) -> InvitationIssued:
        """A new invitation of the address; its link's code is `code_of` it."""
        invitation_id = uuid7()
        fields: dict[str, Any] = {
            "organization_id": organization_id,
            "invitation_id": invitation_id,
            "version": 1,
            "address": address,
            "code_digest": code_digest(link_code(LINK_KEY, invitation_id)),
            "organization_name": "Example Org",
            "inviter_id": inviter_id,
            "inviter_name": "The Inviter",
            "issued_at": self.clock(),
            "expires_at": self.clock() + timedelta(days=7),
            "supersedes": None,
        }
        issued = InvitationIssued(**fields | changed)
        self.invitations[issued.invitation_id] = issued
        return issued

    def joined(
        self, organization_id: UUID, account_id: UUID, *, role: Any = "member", invitation_id: UUID | None = None
    ) -> MemberJoined:
        """An account is in the organization from now on."""
        return MemberJoined(
            organization_id=organization_id,
            version=self.version(organization_id),
            account_id=account_id,
            membership_id=uuid7(),
            role=role,
            invitation_id=invitation_id,
            inviter_id=None,
            joined_at=self.clock(),
        )

    def _by_digest(self, digest: str) -> InvitationIssued:
        return next(issued for issued in self.invitations.values() if issued.code_digest == digest)


class ConsoleWorld:
    """One instance of console. Several may share a database."""

    def __init__(self, engine: AsyncEngine, settings: Settings, clock: Clock, player: Player) -> None:
        self.engine = engine
        self.settings = settings
        self.clock = clock
        self.player = player
        self.sent: list[Sent] = []
        self._delivering = asyncio.Lock()
        """What was sent so far, in order."""
        self.stopping = asyncio.Event()
        self._posted = asyncio.Event()
        self._service = build(settings, clock)
        self._transactions = PostgresTransactions(engine, wake_relay=self._posted.set, relay_is_here=lambda: True)
        self.room = ServiceRoom(self._transactions, self._service.reactions, clock, self.stopping)
        self._processor = Processor(
            self._service.reactions, self._transactions, Metrics("console"), clock=clock, attempts=1
        )
        edge = edge_of_process(settings, self.room)
        # Argon2 at its full price is for the tests of passwords.
        passwords = Passwords(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
        accounts = Accounts(settings, self.room, edge.limits, passwords=passwords)
        self.edge: Edge = replace(edge, accounts=accounts)
        self.app = web_app(self.edge)

    async def hear(self, *facts: Message, cause: str | None = None) -> None:
        """Hands facts over as Kafka would, in one batch; `cause` is the command that they answer."""
        await self._processor.process([_record(fact, cause) for fact in facts])

    def sent_of(self, kind: type[M]) -> list[M]:
        """The messages of this type that were sent."""
        return [each.message for each in self.sent if isinstance(each.message, kind)]

    def browser(self, **options: Any) -> httpx.AsyncClient:
        """Somebody's browser, with cookies of its own."""
        transport = httpx.ASGITransport(app=self.app, client=("203.0.113.7", 4711))
        return httpx.AsyncClient(transport=transport, base_url=ORIGIN, **options)

    async def code_of(self, account: Account) -> str:
        """The six digits in the newest letter to somebody who has signed up."""
        async with self.engine.connect() as connection:
            challenge = (await connection.execute(_CHALLENGE, {"account_id": account.account_id})).scalar_one()
        return mailbox_code(self.settings.accounts_key_bytes, challenge)

    async def person(self, address: str, name: str = "A Person") -> Account:
        """Somebody with an account whose mailbox is proven."""
        new = await self.edge.accounts.sign_up(address, name, PASSWORD, VISITOR)
        proven = await self.edge.accounts.prove(new.session, await self.code_of(new.session.account), VISITOR)
        return proven.session.session.account

    async def deliver(self) -> None:
        """Takes what console has sent, and hands over what comes of it; what the relay and the others do for real."""
        async with self._delivering:  # What another delivery has taken is delivered when this one begins.
            async with self.engine.begin() as connection:
                rows = sorted(await connection.execute(_TAKE), key=lambda row: row.id)
            for row in rows:
                sent = _sent(row)
                self.sent.append(sent)
                if isinstance(sent.message, Command):
                    facts = self.player.answer(sent.message, sent.ce_id)
                    if facts:
                        await self._processor.process([_record(fact, sent.ce_id) for fact in facts])

    async def clean_up(self) -> None:
        """The chores, until they have nothing left to do."""
        timers = Timers(self._service.reactions, self._transactions, self.clock)
        for chore in self._service.chores:
            while await timers.clean_up(chore):
                pass

    async def count(self, table: str) -> int:
        """Rows of a table."""
        async with self.engine.connect() as connection:
            return int((await connection.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one())

    async def play(self) -> None:
        """Delivers whenever something was sent."""
        while True:
            await self._posted.wait()
            self._posted.clear()
            await self.deliver()


@asynccontextmanager
async def console_world(
    database_url: str, *, instances: int = 1, playing: bool = True, **settings: Any
) -> AsyncIterator[list[ConsoleWorld]]:
    """Instances of console on one database, which is migrated, listening to each other; what they send is answered."""
    engine = create_async_engine(async_url(database_url), pool_size=20, max_overflow=0, hide_parameters=True)
    clock = Clock()
    player = Player(clock)
    made = [ConsoleWorld(engine, settings_of(database_url, **settings), clock, player) for _ in range(instances)]
    tasks = [asyncio.create_task(each.edge.changes.listen()) for each in made]
    if playing:
        tasks += [asyncio.create_task(each.play()) for each in made]
    try:
        # Each wakes everybody when it has begun to listen.
        await asyncio.gather(*(each.edge.changes.anything(20) for each in made))
        yield made
    finally:
        for each in made:
            each.stopping.set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await engine.dispose()


def settings_of(database_url: str, **changed: Any) -> Settings:
    """Settings for a test."""
    values: dict[str, Any] = {
        "kafka_bootstrap_servers": "127.0.0.1:1",
        "database_url": database_url,
        "console_url": ORIGIN,
        "accounts_key": ACCOUNTS_KEY,
        "outcome_timeout": timedelta(seconds=3),
    }
    return Settings(**values | changed)


def code_of(issued: InvitationIssued) -> str:
    """The code in the invitation's link."""
    return link_code(LINK_KEY, issued.invitation_id)


def _is_address(typed: str) -> bool:
    try:
        parse_address(typed)
    except Malformed:
        return False
    return True


def _record(fact: Message, cause: str | None) -> StoredRecord:
    facts = {BILLING_EVENTS, INVITES_EVENTS, MEMBERSHIP_EVENTS, NOTIFIER_EVENTS}
    topic = next(topic for topic in TOPICS if topic in facts and type(fact) in topic.messages)
    written = write(fact, topic=topic, source="/test", correlation_id=cause, causation_id=cause, now=NOON)
    return StoredRecord(topic.name, 0, next(_offsets), 0, written.key, written.value, tuple(written.headers))


def _sent(row: Any) -> Sent:
    headers = {name: (value or b"").decode() for name, value in headers_from_json(row.headers)}
    kind = TOPICS.message_types[headers["ce_type"]]
    message = None if row.value is None else kind.model_validate_json(row.value)
    return Sent(row.topic, headers["ce_id"], message, (row.key or b"").decode())
