"""membership on a real PostgreSQL: what is stored, and who wins when several are at it at once."""

import asyncio
import json
import random
from collections import Counter
from datetime import timedelta
from uuid import UUID

import pytest
from membership_desk import (
    ACME,
    ADMIN,
    GLOBEX,
    MEMBER,
    OWNER,
    RIVAL,
    STRANGER,
    accepted,
    context,
    create,
    demote,
    leave,
    organizations,
    promote,
    remove,
    setting_up_acme,
)
from membership_instance import Instances
from sqlalchemy import event, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts import AdmissionRefused, CommandRefused, MemberJoined, MemberLeft, OrganizationCreated, Reason
from membership.handlers import REACTIONS
from membership.store import RosterStore
from postroom import Message
from postroom.ids import uuid7


async def test_what_one_batch_has_done_the_next_one_knows(instances: Instances) -> None:
    for message in setting_up_acme():
        await instances.hand_in(message)
    assert await instances.members() == {
        OWNER: (ACME, "owner"),
        ADMIN: (ACME, "admin"),
        MEMBER: (ACME, "member"),
        RIVAL: (GLOBEX, "owner"),
    }


async def test_a_batch_comes_to_what_its_messages_come_to_one_by_one(instances: Instances) -> None:
    await instances.hand_in(*setting_up_acme())
    assert await instances.members() == {
        OWNER: (ACME, "owner"),
        ADMIN: (ACME, "admin"),
        MEMBER: (ACME, "member"),
        RIVAL: (GLOBEX, "owner"),
    }
    assert [fact.version for fact in await instances.facts() if isinstance(fact, MemberJoined)] == [2, 3, 5, 2]


async def test_who_leaves_and_joins_again_within_a_batch_is_a_member_once(instances: Instances) -> None:
    await instances.hand_in(*setting_up_acme())
    there_and_back = [leave(MEMBER), accepted(MEMBER, GLOBEX), leave(MEMBER, GLOBEX), accepted(MEMBER)]
    facts = await instances.decide(*there_and_back)
    assert [type(fact) for fact in facts] == [MemberLeft, MemberJoined, MemberLeft, MemberJoined]
    assert (await instances.members())[MEMBER] == (ACME, "member")


async def test_roles_are_stored(instances: Instances) -> None:
    await instances.hand_in(*setting_up_acme())
    await instances.hand_in(promote(MEMBER, ADMIN), demote(ADMIN, MEMBER))
    members = await instances.members()
    assert (members[MEMBER], members[ADMIN]) == ((ACME, "admin"), (ACME, "member"))


async def test_a_name_stays_taken(instances: Instances) -> None:
    await instances.hand_in(create(ACME, OWNER, "Straße"))
    await instances.hand_in(create(GLOBEX, RIVAL, "STRASSE"))
    *_, refusal = await instances.facts()
    assert isinstance(refusal, CommandRefused)
    assert refusal.reason == Reason.NAME_TAKEN


async def test_an_acceptance_that_comes_again_under_another_id_makes_no_second_membership(instances: Instances) -> None:
    await instances.hand_in(create())
    message = accepted(STRANGER)
    for _ in range(3):
        await instances.hand_in(message)
    assert sum(isinstance(fact, MemberJoined) for fact in await instances.facts()) == 2


async def test_an_acceptance_that_comes_again_does_not_bring_back_who_was_removed(instances: Instances) -> None:
    await instances.hand_in(create())
    message = accepted(STRANGER)
    await instances.hand_in(message)
    await instances.hand_in(remove(STRANGER))
    await instances.hand_in(message)
    assert STRANGER not in await instances.members()


async def test_an_acceptance_waits_for_its_organization(instances: Instances) -> None:
    process = instances.start()
    await process.process([instances.record(accepted(STRANGER))])
    assert await instances.facts() == []
    await instances.hand_in(create())
    instances.clock.passes(timedelta(seconds=1))
    assert await process.resume() == 1
    assert (await instances.members())[STRANGER] == (ACME, "member")


async def test_an_acceptance_that_waits_in_vain_is_refused_after_a_minute(instances: Instances) -> None:
    process = instances.start()
    await process.process([instances.record(accepted(STRANGER))])
    instances.clock.passes(timedelta(seconds=61))
    await process.resume()
    (refusal,) = await instances.facts()
    assert isinstance(refusal, AdmissionRefused)
    assert refusal.reason == Reason.UNKNOWN_ORGANIZATION


# --- at once


async def test_two_organizations_that_admit_one_account_at_once_make_one_membership(engine: AsyncEngine) -> None:
    store = RosterStore()
    await Instances(engine).decide(create(), create(GLOBEX, RIVAL, "Globex"))
    to_acme, to_globex = accepted(STRANGER, ACME), accepted(STRANGER, GLOBEX)
    async with engine.connect() as here, engine.connect() as there:
        in_acme = await store.load(here, [to_acme])
        in_globex = await store.load(there, [to_globex])
        for message, roster in ((to_acme, in_acme), (to_globex, in_globex)):
            (fact,) = REACTIONS[type(message)](message, roster, context())
            assert isinstance(fact, MemberJoined), "neither can see the other yet"
        await store.save(here, in_acme)
        later = asyncio.create_task(store.save(there, in_globex))
        await here.commit()
        with pytest.raises(IntegrityError, match="one_organization_per_account"):
            await later
        await there.rollback()
        again = await store.load(there, [to_globex])
        (fact,) = REACTIONS[type(to_globex)](to_globex, again, context())
        assert isinstance(fact, AdmissionRefused)
        assert fact.reason == Reason.IN_ANOTHER_ORGANIZATION


async def test_twenty_organizations_that_admit_one_account_at_once_make_one_membership(instances: Instances) -> None:
    founding = organizations(20)
    await instances.hand_in(*founding)
    await instances.hand_in_at_once(accepted(STRANGER, each.organization_id) for each in founding)
    answers = [fact for fact in await instances.facts() if getattr(fact, "account_id", None) == STRANGER]
    assert Counter(type(fact) for fact in answers) == {MemberJoined: 1, AdmissionRefused: 19}
    assert {fact.reason for fact in answers if isinstance(fact, AdmissionRefused)} == {Reason.IN_ANOTHER_ORGANIZATION}
    assert len(await instances.members()) == 21


async def test_twenty_acceptances_of_one_invitation_at_once_make_one_member(instances: Instances) -> None:
    await instances.hand_in(create())
    invitation_id = uuid7()
    await instances.hand_in_at_once(accepted(STRANGER, invitation_id=invitation_id) for _ in range(20))
    answers = [fact for fact in await instances.facts() if getattr(fact, "account_id", None) == STRANGER]
    assert [type(fact) for fact in answers] == [MemberJoined]


async def test_twenty_admissions_to_one_organization_at_once_have_twenty_versions(instances: Instances) -> None:
    await instances.hand_in(create())
    await instances.hand_in_at_once(accepted(uuid7()) for _ in range(20))
    joined = [fact for fact in await instances.facts() if isinstance(fact, MemberJoined)]
    assert [fact.version for fact in joined] == list(range(2, 23)), "in the order in which they are told"
    assert len(await instances.members()) == 21


async def test_of_two_organizations_of_one_name_at_once_one_is_refused(instances: Instances) -> None:
    names = ["Acme", "ACME", "acme", "AcMe"]
    await instances.hand_in_at_once(create(uuid7(), uuid7(), name) for name in names)
    facts = await instances.facts()
    assert Counter(type(fact) for fact in facts) == {OrganizationCreated: 1, MemberJoined: 1, CommandRefused: 3}
    assert {fact.reason for fact in facts if isinstance(fact, CommandRefused)} == {Reason.NAME_TAKEN}


async def test_an_organization_that_is_created_by_two_at_once_is_created_once(instances: Instances) -> None:
    await instances.hand_in_at_once(create(ACME, uuid7(), f"Acme {n}") for n in range(5))
    facts = await instances.facts()
    assert Counter(type(fact) for fact in facts) == {OrganizationCreated: 1, MemberJoined: 1, CommandRefused: 4}
    assert {fact.reason for fact in facts if isinstance(fact, CommandRefused)} == {Reason.ORGANIZATION_EXISTS}


async def test_an_account_that_creates_and_joins_at_once_is_in_one_organization(instances: Instances) -> None:
    await instances.hand_in(create())
    await instances.hand_in_at_once([accepted(STRANGER), create(GLOBEX, STRANGER, "Globex")])
    assert list(await instances.members()).count(STRANGER) == 1


async def test_batches_of_the_same_organizations_in_other_orders_do_not_block_each_other(instances: Instances) -> None:
    founding = organizations(10)
    await instances.hand_in(*founding)
    people = [uuid7() for _ in range(40)]
    batches: list[list[Message]] = []
    for seed in range(6):
        batch: list[Message] = [accepted(who, random.Random(seed).choice(founding).organization_id) for who in people]
        random.Random(seed).shuffle(batch)
        batches.append(batch)
    await asyncio.gather(*(instances.hand_in(*batch) for batch in batches))
    joined = Counter(f.account_id for f in await instances.facts() if isinstance(f, MemberJoined))
    assert all(joined[who] == 1 for who in people)


# --- whole histories


@pytest.mark.parametrize("seed", range(4))
async def test_how_a_history_is_cut_into_batches_changes_nothing(engine: AsyncEngine, seed: int) -> None:
    chance = random.Random(seed)
    history = _history(chance, 120)
    whole, pieces = Instances(engine), Instances(engine)
    expected = await whole.decide(*history)
    expected_members = await whole.members()
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE organizations, members"))
    rest = history
    while rest:
        size = chance.choice([1, 2, 3, 8])
        await pieces.hand_in(*rest[:size])
        rest = rest[size:]
    assert [_gist(fact) for fact in await pieces.facts()] == [_gist(fact) for fact in expected]
    assert await pieces.members() == expected_members


async def test_the_number_of_statements_does_not_grow_with_the_batch(engine: AsyncEngine) -> None:
    history = [*setting_up_acme(), *organizations(30), *(accepted(uuid7()) for _ in range(100)), leave(MEMBER)]
    for batch in (history[:10], history[10:]):
        statements = _count_statements(engine)
        await Instances(engine).decide(*batch)
        assert len(statements) <= 7


async def test_a_large_organization_is_not_loaded_for_one_admission(instances: Instances, engine: AsyncEngine) -> None:
    await instances.hand_in(create(), *(accepted(uuid7()) for _ in range(300)))
    async with engine.begin() as connection:
        roster = await RosterStore().load(connection, [accepted(STRANGER)])
    assert roster.members == {}
    assert list(roster.organizations) == [ACME]


async def test_ended_stays_are_forgotten_after_ninety_days(instances: Instances, engine: AsyncEngine) -> None:
    await instances.hand_in(*setting_up_acme(), leave(MEMBER))

    async def stays() -> int:
        async with engine.connect() as connection:
            return int((await connection.execute(text("SELECT count(*) FROM members"))).scalar_one())

    instances.clock.passes(timedelta(days=89))
    await instances.clean_up()
    assert await stays() == 4
    instances.clock.passes(timedelta(days=2))
    await instances.clean_up()
    assert await stays() == 3
    assert set(await instances.members()) == {OWNER, ADMIN, RIVAL}


def _history(chance: random.Random, length: int) -> list[Message]:
    """A random history of few people in few organizations, so that they get into each other's way."""
    people = [uuid7() for _ in range(6)]
    places = [uuid7() for _ in range(3)]
    invitations = [uuid7() for _ in range(8)]

    def who() -> UUID:
        return chance.choice(people)

    def where() -> UUID:
        return chance.choice(places)

    def next_message() -> Message:
        happening = chance.choice(["create", "accept", "accept", "accept", "promote", "demote", "remove", "leave"])
        if happening == "create":
            return create(where(), who(), chance.choice(["One", "ONE", "Two", "Three", "x"]))
        if happening == "accept":
            place = where()
            return accepted(who(), place, chance.choice([*invitations, uuid7()]))
        if happening == "leave":
            return leave(who(), where())
        return {"promote": promote, "demote": demote, "remove": remove}[happening](who(), who(), where())

    founding: list[Message] = [
        create(place, person, f"Place {n}") for n, (place, person) in enumerate(zip(places, people, strict=False))
    ]
    return [*founding, *(next_message() for _ in range(length))]


def _gist(fact: Message) -> dict[str, object]:
    """The fact without what is made anew each time."""
    body = json.loads(fact.model_dump_json())
    return {"type": fact.ce_type} | {name: body[name] for name in body if name not in ("membership_id", "command_id")}


def _count_statements(engine: AsyncEngine) -> list[str]:
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    return statements
