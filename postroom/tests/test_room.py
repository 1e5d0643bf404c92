"""What a worker may do in its room: send, tell, and wait; on the in-memory double and on PostgreSQL."""

import asyncio
from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy import text
from toy_service import ACCOUNTS, EVENTS, NOON, AccountClosed, Deposit, Deposited, ToyRoom, record_of

from postroom.envelope import Reader
from postroom.processor import Reactions
from postroom.record import StoredRecord
from postroom.room import ServiceRoom

ALICE = UUID(int=1)
SENT = UUID(int=7)
DEPOSITS = replace(EVENTS, name="toy.deposits", messages=(Deposit,))


def worker_room(room: ToyRoom) -> ServiceRoom:
    """The room of a service that writes three topics, one of them with a tombstone."""
    accounts = replace(ACCOUNTS, messages=())
    reactions = Reactions("toy", (), (EVENTS, DEPOSITS, accounts), {}, room.store)
    return ServiceRoom(room.transactions, reactions, lambda: NOON, asyncio.Event())


async def test_what_a_person_sends_starts_a_correlation_of_its_own(room: ToyRoom) -> None:
    async with worker_room(room).transaction() as transaction:
        await transaction.send([(SENT, Deposit(account_id=ALICE, amount=5))], now=NOON)

    (sent,) = await room.waiting()
    headers = dict(sent.headers)
    assert headers["ce_id"] == headers["ce_correlationid"] == str(SENT).encode()
    assert "ce_causationid" not in headers


async def test_each_message_goes_to_the_topic_that_holds_its_type(room: ToyRoom) -> None:
    async with worker_room(room).transaction() as transaction:
        await transaction.send([(SENT, Deposit(account_id=ALICE, amount=5))], now=NOON)
        told = [Deposited(account_id=ALICE, total=5)]
        await transaction.publish(told, correlation_id="start", causation_id="cause", now=NOON)

    assert [record.topic for record in await room.waiting()] == ["toy.deposits", "toy.events"]


async def test_a_message_without_a_topic_is_refused_before_anything_is_written(room: ToyRoom) -> None:
    closed = replace(ACCOUNTS, messages=(), tombstone=None)
    reactions = Reactions("toy", (), (EVENTS, closed), {}, room.store)
    worker = ServiceRoom(room.transactions, reactions, lambda: NOON, asyncio.Event())

    with pytest.raises(LookupError, match="Deposit is on 0 of the topics that toy writes"):
        async with worker.transaction() as transaction:
            await transaction.send([(SENT, Deposit(account_id=ALICE, amount=5))], now=NOON)

    assert await room.waiting() == []


async def test_a_tombstone_is_a_record_without_a_value(room: ToyRoom) -> None:
    async with worker_room(room).transaction() as transaction:
        await transaction.send([(SENT, AccountClosed(account_id=ALICE))], now=NOON)

    (sent,) = await room.waiting()
    assert (sent.topic, sent.key, sent.value) == (ACCOUNTS.name, str(ALICE).encode(), None)


async def test_what_fails_in_a_transaction_is_not_sent(room: ToyRoom) -> None:
    async def work() -> None:
        async with worker_room(room).transaction() as transaction:
            await transaction.send([(SENT, Deposit(account_id=ALICE, amount=5))], now=NOON)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await work()

    assert await room.waiting() == []


async def test_who_waits_in_a_room_is_woken_and_who_comes_later_waits_anew(room: ToyRoom) -> None:
    worker = worker_room(room)
    waiting = asyncio.create_task(worker.woken(60))
    await asyncio.sleep(0)
    worker.wake()
    async with asyncio.timeout(5):
        await waiting

    late = asyncio.create_task(worker.woken(60))
    await asyncio.sleep(0)
    assert not late.done()
    late.cancel()


async def test_a_question_is_by_itself_and_what_is_decided_is_not(postgres_room: ToyRoom) -> None:
    worker = worker_room(postgres_room)
    which = text("SELECT CAST(pg_current_xact_id() AS text)")
    async with worker.reading() as connection:
        assert (await connection.execute(which)).scalar_one() != (await connection.execute(which)).scalar_one()

    async with worker.transaction() as transaction:
        connection = transaction.connection
        assert (await connection.execute(which)).scalar_one() == (await connection.execute(which)).scalar_one()


def test_a_reader_learns_what_a_message_is_a_consequence_of() -> None:
    record = record_of(Deposited(account_id=ALICE, total=1), topic=EVENTS.name, ce_causationid=b"the-command")
    received = Reader("other", (EVENTS,), {Deposited: None}).read(record)

    assert received.causation_id == "the-command"
    bare = record_of(Deposited(account_id=ALICE, total=1), topic=EVENTS.name)
    assert Reader("other", (EVENTS,), {Deposited: None}).read(bare).causation_id is None


def test_a_reader_of_structured_events_learns_it_too() -> None:
    body = (
        b'{"specversion":"1.0","id":"1","source":"/x","type":"toy.deposited.v1","causationid":"the-command",'
        b'"data":{"account_id":"00000000-0000-0000-0000-000000000001","total":1}}'
    )
    record = StoredRecord(EVENTS.name, 0, 0, 0, b"k", body, (("content-type", b"application/cloudevents+json"),))

    assert Reader("other", (EVENTS,), {Deposited: None}).read(record).causation_id == "the-command"
