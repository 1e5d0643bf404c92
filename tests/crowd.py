"""A crowd of people who are invited and accept, and the audit of what must have come of it."""

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer
from uuid_utils.compat import uuid7

from contracts import (
    TOPICS,
    AcceptInvitation,
    AccountProfile,
    BillingChainEstablished,
    CreateOrganization,
    InvitationIssued,
    InviteMember,
    LetterSent,
    MemberJoined,
    OrganizationCreated,
)
from stack.client import Client
from stack.mailbox.reader import Mailbox
from stack.services import SERVICES

WITHIN = 90.0
"""Seconds in which a crowd must be through, whatever was broken on the way."""


_SOON = {"KAFKA_SESSION_TIMEOUT": "3"}
"""A killed process's partitions go to another soon."""

SETTINGS = {
    # Crowds are larger than any organization of people would invite in a minute; the limits have tests of their own.
    "invites": {
        **_SOON,
        "ORGANIZATION_INVITATIONS_PER_DAY": "0",
        "INVITER_INVITATIONS_PER_HOUR": "0",
        "RECIPIENT_INVITATIONS_PER_DAY": "0",
    },
    "membership": _SOON,
    "billing": _SOON,
    "console": {
        **_SOON,
        "SIGN_UPS_PER_NETWORK_PER_HOUR": "0",
        "SIGN_INS_PER_NETWORK_PER_HOUR": "0",
        "INVITATIONS_PER_NETWORK_PER_HOUR": "0",
        "RESETS_PER_NETWORK_PER_HOUR": "0",
    },
    # What a killed process had in hand is sent soon.
    "notifier": {**_SOON, "SMTP_TIMEOUT": "2", "LEASE": "4", "FIRST_PAUSE": "0.2"},
}
"""What the services are told beside their defaults."""


class Databases(Protocol):
    """Where each service's database is."""

    def url(self, name: str) -> str: ...


class Audited(Protocol):
    """What the audit looks into: a Platform, or anything else that runs the services."""

    @property
    def bootstrap_servers(self) -> str: ...

    @property
    def postgres(self) -> Databases: ...

    @property
    def mailbox(self) -> Mailbox: ...


@dataclass
class Crowd:
    """An organization, its owner, and people who are invited by them."""

    client: Client
    size: int
    organization_id: UUID = field(default_factory=uuid7)
    owner_id: UUID = field(default_factory=uuid7)
    people: list[AccountProfile] = field(default_factory=list)
    invitations: dict[str, InvitationIssued] = field(default_factory=dict)
    """By address."""

    @property
    def tag(self) -> str:
        return self.organization_id.hex[-8:]

    async def gather(self) -> None:
        """Everybody signs up, and the owner creates the organization and invites them all."""
        await self.found_organization()
        self.assemble()
        await self.sign_up()
        await self.invite()

    def assemble(self) -> None:
        """The people are there, and nobody has heard of their accounts."""
        self.people = [profile(uuid7(), f"p{n}.{self.tag}@example.com", f"Person {n}") for n in range(self.size)]

    async def found_organization(self) -> None:
        await self.client.send(profile(self.owner_id, f"owner.{self.tag}@example.com", "The owner"))
        await self.client.ask(
            CreateOrganization(
                organization_id=self.organization_id, actor_id=self.owner_id, name=f"Organization {self.tag}"
            ),
            OrganizationCreated,
            within=WITHIN,
        )

    async def sign_up(self) -> None:
        await asyncio.gather(*(self.client.send(person) for person in self.people))

    async def invite(self) -> None:
        """Returns when all invitations are issued."""
        await asyncio.gather(*(self.client.send(self.invitation_of(person)) for person in self.people))
        await self._until(
            lambda: len(self._issued()) == self.size, lambda: f"{len(self._issued())} of {self.size} are invited"
        )
        self.invitations = {fact.address: fact for fact in self._issued()}

    def invitation_of(self, person: AccountProfile) -> InviteMember:
        return InviteMember(organization_id=self.organization_id, actor_id=self.owner_id, address=person.address)

    def acceptance_of(self, person: AccountProfile) -> AcceptInvitation:
        return AcceptInvitation(
            organization_id=self.organization_id,
            actor_id=person.account_id,
            code_digest=self.invitations[person.address].code_digest,
        )

    async def accept(self) -> list[str]:
        """Everybody clicks; answers the ids of the commands, without waiting for what comes of them."""
        return await asyncio.gather(*(self.client.send(self.acceptance_of(person)) for person in self.people))

    async def has_joined(self, count: int) -> None:
        """Returns when that many people have joined."""
        await self._until(lambda: len(self.joined()) >= count, lambda: f"{len(self.joined())} have joined, not {count}")

    async def is_through(self) -> None:
        """Returns when everybody has a chain, and every letter has left."""
        await self._until(
            lambda: len(self.chains()) >= self.size + 1 and len(self.letters()) >= 3 * self.size,
            lambda: f"{len(self.joined())} joined, {len(self.chains())} chains, {len(self.letters())} letters",
        )

    def joined(self) -> set[UUID]:
        """The accounts that joined by an invitation."""
        return {
            fact.account_id for fact in self.client.facts(MemberJoined) if self._is_ours(fact) and fact.invitation_id
        }

    def chains(self) -> set[UUID]:
        return {fact.account_id for fact in self.client.facts(BillingChainEstablished) if self._is_ours(fact)}

    def letters(self) -> set[UUID]:
        return {fact.letter_id for fact in self.client.facts(LetterSent) if self._is_ours(fact)}

    def _issued(self) -> list[InvitationIssued]:
        return [fact for fact in self.client.facts(InvitationIssued) if self._is_ours(fact)]

    def _is_ours(self, fact: Any) -> bool:
        return bool(fact.organization_id == self.organization_id)

    async def _until(self, condition: Any, state: Any) -> None:
        try:
            async with asyncio.timeout(WITHIN):
                while not condition():
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"After {WITHIN:.0f} s: {state()}.") from None


def profile(account_id: UUID, address: str, name: str, version: int = 1, *, verified: bool = True) -> AccountProfile:
    return AccountProfile(account_id=account_id, version=version, address=address, name=name, verified=verified)


async def audit(platform: Audited, *crowds: Crowd) -> None:
    """Fails where the promise is not kept: exactly one membership and one chain for each accepted invitation, one
    letter of each kind for each event, nothing in a dead-letter topic, and nothing left to do."""
    for crowd in crowds:
        # The chain does not wait for invites to hear of it: a killed one may be the last to catch up.
        await _until_none(platform, "invites", _IN_FLIGHT, crowd.organization_id)
    for service in SERVICES:
        await _until_none(platform, service, _LEFT)
    for crowd in crowds:
        expected = {person.account_id for person in crowd.people}
        memberships = Counter(await _column(platform, "membership", _MEMBERS, crowd.organization_id))
        assert memberships == Counter(expected | {crowd.owner_id}), "one membership each"
        chains = Counter(await _column(platform, "billing", _CHAINS, crowd.organization_id))
        assert chains == Counter(expected | {crowd.owner_id}), "one billing chain each"
        accepted = Counter(await _column(platform, "invites", _ACCEPTED, crowd.organization_id))
        assert accepted == Counter(person.address for person in crowd.people), "one accepted invitation each"
        await _until_none(platform, "console", _NOT_SHOWN, crowd.organization_id, list(memberships))
        # A fact may be on its topic twice (the relay sends again after a crash), but then it is the same one.
        _assert_one_each(crowd, MemberJoined, "account_id")
        _assert_one_each(crowd, BillingChainEstablished, "account_id")
        _assert_letters(platform, crowd)
    assert await dead_letters_of(platform.bootstrap_servers, crowds) == []


_MEMBERS = "SELECT account_id FROM members WHERE organization_id = $1 AND ended_at IS NULL"
_NOT_SHOWN = """
    SELECT count(*) FROM (SELECT account_id FROM members WHERE organization_id = $1 AND role IS NOT NULL) AS shown
    FULL JOIN unnest(CAST($2 AS uuid[])) AS expected (account_id) USING (account_id)
    WHERE shown.account_id IS NULL OR expected.account_id IS NULL
"""
_CHAINS = "SELECT account_id FROM chains WHERE organization_id = $1"
_ACCEPTED = "SELECT address FROM invitations WHERE organization_id = $1 AND state = 'accepted'"


def _assert_one_each(crowd: Crowd, kind: type[Any], field_name: str) -> None:
    ids: dict[UUID, set[str]] = {}
    for seen in crowd.client.seen:
        if isinstance(seen.message, kind) and seen.message.organization_id == crowd.organization_id:
            ids.setdefault(getattr(seen.message, field_name), set()).add(seen.ce_id)
    several = {key: found for key, found in ids.items() if len(found) > 1}
    assert not several, f"{kind.__name__} was decided more than once: {several}"


def _assert_letters(platform: Audited, crowd: Crowd) -> None:
    """In the mailbox of each person: one invitation and one welcome; in the owner's: one letter for each who joined."""
    letters = platform.mailbox.letters()
    subjects = Counter((letter["to"], letter["subject"]) for letter in letters if crowd.tag in letter["to"])
    for person in crowd.people:
        theirs = {subject: count for (to, subject), count in subjects.items() if to == person.address}
        assert sorted(theirs.values()) == [1, 1], f"{person.address} has {theirs}"
    to_owner = sum(count for (to, _), count in subjects.items() if to == f"owner.{crowd.tag}@example.com")
    assert to_owner == crowd.size, "the owner is told once of each who joined"


async def _column(platform: Audited, service: str, query: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(platform.postgres.url(service))
    try:
        return [row[0] for row in await connection.fetch(query, *arguments)]
    finally:
        await connection.close()


_LEFT = "SELECT (SELECT count(*) FROM postroom_outbox) + (SELECT count(*) FROM postroom_deferred)"
_IN_FLIGHT = "SELECT count(*) FROM invitations WHERE organization_id = $1 AND state = 'accepting'"


async def _until_none(platform: Audited, service: str, query: str, *arguments: object) -> None:
    """Returns when the query counts nothing any more."""
    left = 0
    try:
        async with asyncio.timeout(WITHIN):
            while (left := (await _column(platform, service, query, *arguments))[0]) > 0:
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"After {WITHIN:.0f} s there are {left} in {service}: {query}") from None


async def dead_letters_of(bootstrap_servers: str, crowds: Sequence[Crowd]) -> list[str]:
    """The dead letters that are about these organizations and people, by topic."""
    keys = {str(key).encode() for crowd in crowds for key in (crowd.organization_id, crowd.owner_id)}
    keys |= {str(person.account_id).encode() for crowd in crowds for person in crowd.people}
    topics = [f"{topic.name}.{reader}.dlt" for topic in TOPICS for reader in topic.readers]
    consumer = AIOKafkaConsumer(*topics, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    found: list[str] = []
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found.extend(record.topic for record in records if record.key in keys)
    finally:
        await consumer.stop()
    return found


def shuffled(items: Sequence[Any], seed: int) -> list[Any]:
    """The same order in every run."""
    mixed = list(items)
    random.Random(seed).shuffle(mixed)
    return mixed
