"""The store on a real PostgreSQL: what is saved is what is loaded, in batches of any size, with others at work."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from invites_desk import LIFETIME, LINK_KEY, NO_LIMITS, REMINDER_LEAD, START, kinds, policy
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from contracts import (
    AcceptInvitation,
    AccountErased,
    AccountProfile,
    AdmissionRefused,
    Command,
    DeclineInvitation,
    InvitationIssued,
    InviteMember,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    Message,
    OrganizationCreated,
    Refused,
    RevokeInvitation,
    code_digest,
    link_code,
)
from invites import handlers, retention, store
from invites.app import reactions
from invites.domain.invitations import State
from invites.domain.rates import Rate, RateLimits
from invites.handlers import Policy
from invites.store import InvitesStore
from postroom import AnswerTo, Context
from postroom.database import sqlstate

DAY = timedelta(days=1)
LIMITS = RateLimits(Rate(100, DAY), Rate(100, DAY), Rate(100, DAY))


def number(n: int) -> UUID:
    """A readable id."""
    return UUID(int=n)


ACME, GLOBEX = number(0xA), number(0xB)
OLGA, OSCAR, ANNA, MAX, EVE = (number(0xC0 + n) for n in range(5))
_WAITING = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


class Counter:
    """invites' reactions over its store; each batch in one transaction."""

    def __init__(self, engine: AsyncEngine, limits: RateLimits = NO_LIMITS) -> None:
        self.engine = engine
        self.store = InvitesStore(limits)
        ids = itertools.count(1)
        base = policy(limits)
        self.policy = Policy(base.link_key, base.terms, limits, new_id=lambda: number(next(ids)))
        self.now = START

    async def handle(self, *messages: Message) -> list[Any]:
        """All of them as one batch."""
        async with self.engine.begin() as connection:
            return await self.handle_in(connection, messages)

    async def handle_in(self, connection: AsyncConnection, messages: Sequence[Message]) -> list[Any]:
        known = await self.store.load(connection, messages)
        told: list[Any] = []
        for message in messages:
            context = Context(number(99), "id", message.ce_type, "correlation", self.now, may_wait=False)
            try:
                decisions = reactions(self.policy)[type(message)](message, known, context)
                told += [each.fact if isinstance(each, AnswerTo) else each for each in decisions]
            except Refused as refusal:
                assert isinstance(message, Command)
                told.append(refusal.answer(message, "id"))
        await self.store.save(connection, known)
        return told

    async def rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        async with self.engine.begin() as connection:
            return [tuple(row) for row in await connection.execute(text(query), values)]

    async def states(self) -> list[str]:
        """Of all invitations, in the order of their ids."""
        return [state for (state,) in await self.rows("SELECT state FROM invitations ORDER BY id")]


@pytest.fixture
async def counter(engine: AsyncEngine) -> Counter:
    counter = Counter(engine)
    await counter.handle(*beginning())
    return counter


def profile(account_id: UUID, address: str, version: int = 1) -> AccountProfile:
    return AccountProfile(account_id=account_id, version=version, address=address, name="Somebody", verified=True)


def founded(organization_id: UUID, owner_id: UUID) -> list[Message]:
    return [
        OrganizationCreated(
            organization_id=organization_id, version=1, name="Some name", owner_id=owner_id, created_at=START
        ),
        joined(organization_id, owner_id, 2, role="owner"),
    ]


def joined(
    organization_id: UUID, account_id: UUID, version: int, invitation_id: UUID | None = None, role: Any = "member"
) -> MemberJoined:
    return MemberJoined(
        organization_id=organization_id,
        version=version,
        account_id=account_id,
        membership_id=number(1),
        role=role,
        invitation_id=invitation_id,
        inviter_id=None,
        joined_at=START,
    )


def removed(organization_id: UUID, account_id: UUID, version: int) -> MemberRemoved:
    return MemberRemoved(
        organization_id=organization_id,
        version=version,
        account_id=account_id,
        membership_id=number(1),
        removed_by=OLGA,
        removed_at=START,
    )


def invite(address: str, organization_id: UUID = ACME, actor_id: UUID = OLGA) -> InviteMember:
    return InviteMember(organization_id=organization_id, actor_id=actor_id, address=address)


def accept(invitation: int, account_id: UUID, organization_id: UUID = ACME) -> AcceptInvitation:
    digest = code_digest(link_code(LINK_KEY, number(invitation)))
    return AcceptInvitation(organization_id=organization_id, actor_id=account_id, code_digest=digest)


def revoke(invitation: int, actor_id: UUID = OLGA) -> RevokeInvitation:
    return RevokeInvitation(organization_id=ACME, actor_id=actor_id, invitation_id=number(invitation))


def beginning() -> list[Message]:
    """Two organizations, and people with accounts."""
    return [
        profile(OLGA, "olga@example.com"),
        profile(OSCAR, "oscar@example.com"),
        profile(ANNA, "anna@example.com"),
        profile(MAX, "max@example.com"),
        *founded(ACME, OLGA),
        *founded(GLOBEX, OSCAR),
    ]


def story() -> list[Message]:
    """Everything that can happen, with messages of one batch that bear on each other."""
    return [
        *beginning(),
        invite("anna@example.com"),  # 1
        accept(1, ANNA),
        revoke(1),
        joined(ACME, ANNA, 3, number(1)),
        invite("Anna@Example.com"),
        MemberPromoted(
            organization_id=ACME,
            version=4,
            account_id=ANNA,
            membership_id=number(1),
            role="admin",
            promoted_by=OLGA,
            promoted_at=START,
        ),
        profile(ANNA, "anna@work.example", version=2),
        invite("anna@work.example"),
        invite("anna@example.com"),  # 2
        invite("max@example.com", actor_id=ANNA),  # 3
        invite("max@example.com", actor_id=ANNA),  # 4
        accept(3, MAX),
        accept(4, EVE),
        profile(EVE, "eve@example.com"),
        accept(4, EVE),
        accept(4, MAX),
        invite("p5@example.com", actor_id=ANNA),  # 5
        invite("p6@example.com"),  # 6
        invite("max@example.com", GLOBEX, OSCAR),  # 7
        invite("not an address"),
        removed(ACME, ANNA, 5),
        revoke(4),
        revoke(4),
        AdmissionRefused(
            organization_id=ACME,
            version=5,
            account_id=MAX,
            invitation_id=number(4),
            reason="in_another_organization",
            refused_at=START,
        ),
        invite("anna@work.example"),  # 8
        accept(8, ANNA),
        joined(ACME, ANNA, 6, number(8)),
        accept(7, MAX, GLOBEX),
        AdmissionRefused(
            organization_id=GLOBEX,
            version=2,
            account_id=MAX,
            invitation_id=number(7),
            reason="already_a_member",
            refused_at=START,
        ),
        DeclineInvitation(organization_id=ACME, code_digest=code_digest(link_code(LINK_KEY, number(6)))),
        invite("oscar@example.com"),  # 9
        profile(OSCAR, "oscar@home.example", version=2),
        invite("oscar@example.com", actor_id=MAX),
        joined(ACME, EVE, 7, number(1234)),
        invite("eve@example.com"),
        AccountErased(account_id=EVE),
        MemberLeft(organization_id=ACME, version=8, account_id=EVE, membership_id=number(1), left_at=START),
        invite("eve@example.com"),  # 10
        invite("max@moved.example"),  # 11
        invite("max@second.example"),  # 12
        profile(MAX, "max@moved.example", version=2),
        joined(ACME, MAX, 9, number(1235)),
        profile(MAX, "max@second.example", version=3),
        removed(ACME, MAX, 10),
    ]


EVERYTHING = (
    "SELECT * FROM invitations ORDER BY id",
    "SELECT * FROM organizations ORDER BY id",
    "SELECT * FROM members ORDER BY organization_id, account_id",
    "SELECT * FROM profiles ORDER BY account_id",
    "SELECT * FROM allowances ORDER BY scope, subject",
)


@pytest.mark.parametrize("size", [2, 3, 4, 5, 7, 11, 1000])
async def test_a_batch_of_any_size_decides_and_saves_what_its_messages_would_one_by_one(
    make_engine: Callable[[], Awaitable[AsyncEngine]], size: int
) -> None:
    outcomes = []
    for batch_size in (1, size):
        counter = Counter(await make_engine(), LIMITS)
        messages = story()
        told = [
            fact
            for start in range(0, len(messages), batch_size)
            for fact in await counter.handle(*messages[start : start + batch_size])
        ]
        outcomes.append((told, [await counter.rows(query) for query in EVERYTHING]))

    one_by_one, in_batches = outcomes
    assert in_batches[0] == one_by_one[0]
    assert in_batches[1] == one_by_one[1]
    states = [row[6] for row in one_by_one[1][0]]
    assert states == [
        *("accepted", "revoked", "superseded", "revoked", "revoked"),
        *("declined", "revoked", "accepted", "pending", "pending"),
        *("revoked", "revoked"),
    ]


async def test_what_is_saved_is_what_is_loaded(counter: Counter) -> None:
    await counter.handle(invite("max@example.com"), accept(1, MAX))
    await counter.handle(revoke(1), revoke(1), removed(ACME, ANNA, 3))
    everything = [
        *(accept(1, MAX), revoke(1), invite("max@example.com"), removed(ACME, ANNA, 3)),
        *beginning(),
    ]

    async with counter.engine.begin() as connection:
        before, known = [await counter.store.load(connection, everything) for _ in range(2)]
        everything_known: tuple[dict[Any, Any], ...] = (
            *(known.organizations, known.members, known.profiles, known.invitations),
        )
        for each in (each for kind in everything_known for each in kind.values()):
            each.changed = True
        await counter.store.save(connection, known)
        after = await counter.store.load(connection, everything)

    assert after == before
    loaded = after.invitations[number(1)]
    assert loaded.state is State.ACCEPTING
    assert [(each.reason, each.actor_id, each.command_id) for each in loaded.waiting] == [("revoked", OLGA, "id")] * 2


async def test_the_number_of_statements_does_not_grow_with_the_batch(counter: Counter) -> None:
    statements: list[str] = []
    event.listen(
        counter.engine.sync_engine, "before_cursor_execute", lambda *arguments: statements.append(arguments[2])
    )

    counts = []
    for size in (1, 100):
        await counter.handle(*(invite(f"{size}-{n}@example.com") for n in range(size)))
        counts.append(len(statements))
        statements.clear()

    assert counts[0] == counts[1] <= 8


# --- others at work


async def both(counter: Counter, first: Message, second: Message) -> tuple[list[Any], list[Any]]:
    """Two transactions of which the second begins while the first has decided and not yet committed."""
    async with counter.engine.connect() as connection, connection.begin():
        told = await counter.handle_in(connection, [first])
        late = asyncio.create_task(counter.handle(second))
        await until_somebody_waits_for_a_lock(counter)
        await connection.commit()
    return told, await late


async def until_somebody_waits_for_a_lock(counter: Counter) -> None:
    async with asyncio.timeout(10):
        while not await counter.rows(_WAITING):
            await asyncio.sleep(0)


async def test_two_that_invite_one_address_at_once_leave_one_live_link(counter: Counter) -> None:
    first, second = await both(counter, invite("new@example.com"), invite("NEW@example.com"))

    assert kinds(first) == ["InvitationIssued"]
    assert kinds(second) == ["InvitationSuperseded", "InvitationIssued"]
    assert await counter.states() == ["superseded", "pending"]


async def test_twenty_that_invite_one_address_at_once_leave_one_live_link(counter: Counter) -> None:
    told = await asyncio.gather(*(counter.handle(invite("new@example.com")) for _ in range(20)))

    assert sorted(map(kinds, told)) == [["InvitationIssued"], *[["InvitationSuperseded", "InvitationIssued"]] * 19]
    assert sorted(await counter.states()) == ["pending", *["superseded"] * 19]


async def test_the_index_itself_has_no_place_for_two_live_links(counter: Counter) -> None:
    await counter.handle(invite("new@example.com"))
    copy = "address, address_normalized, inviter_id, state, version, issued_at, expires_at"

    with pytest.raises(IntegrityError) as failure:
        await counter.rows(
            f"INSERT INTO invitations (id, organization_id, code_digest, {copy}) "
            f"SELECT uuidv7(), organization_id, 'another', {copy} FROM invitations RETURNING id"
        )
    assert sqlstate(failure.value) == "23505"
    assert "invitations_one_live_link" in str(failure.value)


async def test_an_acceptance_and_a_revocation_at_once_are_decided_one_after_the_other(counter: Counter) -> None:
    await counter.handle(invite("max@example.com"), invite("anna@example.com"))

    accepted, waits = await both(counter, accept(1, MAX), revoke(1))
    revoked, refused = await both(counter, revoke(2), accept(2, ANNA))

    assert (kinds(accepted), waits) == (["InvitationAccepted"], [])
    assert kinds(revoked) == ["InvitationRevoked"]
    assert [fact.reason for fact in refused] == ["revoked"]


async def test_twenty_acceptances_at_once_reserve_it_once(counter: Counter) -> None:
    await counter.handle(invite("max@example.com"))
    told = await asyncio.gather(*(counter.handle(accept(1, MAX)) for _ in range(20)))
    assert sorted(map(kinds, told)) == [*[["AcceptanceRepeated"]] * 19, ["InvitationAccepted"]]


async def test_an_invitation_that_its_sender_was_sending_while_being_removed_does_not_survive(counter: Counter) -> None:
    await counter.handle(joined(ACME, ANNA, 3, role="admin"))

    _, told = await both(counter, invite("new@example.com", actor_id=ANNA), removed(ACME, ANNA, 4))

    assert [fact.reason for fact in told] == ["inviter_removed"]
    assert await counter.states() == ["revoked"]


async def test_batches_that_mention_the_same_organizations_in_another_order_do_not_deadlock(counter: Counter) -> None:
    one = [invite(f"one{n}@example.com", *pair) for n, pair in enumerate([(ACME, OLGA), (GLOBEX, OSCAR)] * 10)]
    other = [invite(f"other{n}@example.com", *pair) for n, pair in enumerate([(GLOBEX, OSCAR), (ACME, OLGA)] * 10)]

    await asyncio.gather(*(counter.handle(*batch) for batch in [one, other] * 5))

    assert (await counter.states()).count("pending") == 40


async def test_a_recipients_allowance_is_counted_over_transactions_at_once(engine: AsyncEngine) -> None:
    counter = Counter(engine, LIMITS)
    await counter.handle(*beginning())
    async with engine.connect() as one, engine.connect() as other, one.begin(), other.begin():
        await counter.handle_in(one, [invite("new@example.com")])
        late = asyncio.create_task(counter.handle_in(other, [invite("n.e.w+tag@example.com", GLOBEX, OSCAR)]))
        await until_somebody_waits_for_a_lock(counter)
        await one.commit()
        await late
        await other.commit()

    (spent_until,) = await counter.rows("SELECT spent_until FROM allowances WHERE scope = 'recipient'")
    assert spent_until == (START + 2 * LIMITS.recipient.cost,)


# --- time


async def tell_time(counter: Counter) -> list[Any]:
    """One run of the timer."""
    context = Context(number(99), "id", "time", "correlation", counter.now, may_wait=False)
    async with counter.engine.begin() as connection:
        known = await store.load_due(connection, counter.now)
        if known is None:
            return []
        told = list(handlers.tell_time(known, context))
        await counter.store.save(connection, known)
    return told


async def test_what_is_due_is_reminded_of_once_and_expires_once(counter: Counter) -> None:
    await counter.handle(invite("one@example.com"))
    assert await tell_time(counter) == []
    counter.now = START + LIFETIME - REMINDER_LEAD
    await counter.handle(invite("two@example.com"))

    (reminder,) = await tell_time(counter)
    assert kinds([reminder]) == ["InvitationExpiring"]
    assert reminder.inviter_name == "Somebody"
    assert await tell_time(counter) == []
    counter.now = START + LIFETIME
    assert kinds(await tell_time(counter)) == ["InvitationExpired"]
    assert await tell_time(counter) == []
    assert await counter.states() == ["expired", "pending"]


async def test_the_timer_leaves_alone_what_somebody_else_has_in_hand(counter: Counter) -> None:
    await counter.handle(invite("max@example.com"))
    counter.now = START + timedelta(days=6)
    async with counter.engine.begin() as connection:
        await counter.handle_in(connection, [accept(1, MAX)])
        assert await tell_time(counter) == []
    assert await tell_time(counter) == [], "and it is not pending any more"


async def test_more_than_fit_into_one_run_are_all_told_in_several(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_DUE_AT_A_TIME", 4)
    issued = await counter.handle(*(invite(f"p{n}@example.com") for n in range(10)))
    counter.now = START + LIFETIME

    runs = [await tell_time(counter) for _ in range(4)]

    assert [len(run) for run in runs] == [4, 4, 2, 0]
    expired = {fact.invitation_id for run in runs for fact in run}
    assert expired == {fact.invitation_id for fact in issued if isinstance(fact, InvitationIssued)}


async def test_what_ended_long_ago_is_deleted_and_what_is_live_is_not(counter: Counter) -> None:
    kept = timedelta(days=30)
    await counter.handle(
        *(invite(f"p{n}@example.com") for n in range(2)),
        revoke(1),
        joined(ACME, ANNA, 3),
        MemberLeft(organization_id=ACME, version=4, account_id=ANNA, membership_id=number(1), left_at=START),
    )

    for now, forgotten in ((START + kept, 0), (START + kept + timedelta(seconds=1), 1)):
        async with counter.engine.begin() as connection:
            assert await retention.forget_ended_invitations(connection, now, kept=kept) == forgotten
            assert await retention.forget_former_members(connection, now, kept=kept) == forgotten

    assert await counter.states() == ["pending"]
    assert len(await counter.rows("SELECT * FROM members")) == 2


async def test_an_allowance_that_has_come_back_needs_no_row(engine: AsyncEngine) -> None:
    counter = Counter(engine, LIMITS)
    await counter.handle(*beginning(), invite("new@example.com"))
    cost = LIMITS.recipient.cost

    for now, forgotten in ((START, 0), (START + cost, 3)):
        async with engine.begin() as connection:
            assert await retention.forget_allowances(connection, now) == forgotten


# --- secrets and people


async def test_no_table_holds_a_usable_link(counter: Counter) -> None:
    await counter.handle(invite("new@example.com"))
    code = link_code(LINK_KEY, number(1))
    for query in EVERYTHING:
        assert code not in repr(await counter.rows(query))


async def test_an_erased_person_is_in_no_profile(counter: Counter) -> None:
    await counter.handle(AccountErased(account_id=MAX))
    await counter.handle(profile(MAX, "max@example.com"))
    ((version, *personal),) = await counter.rows(
        "SELECT version, address, address_normalized, name FROM profiles WHERE account_id = :id", id=MAX
    )
    assert (version, personal) == (1, [None, None, ""])
