"""What postroom promises to a service. The suite runs on the in-memory double and on PostgreSQL: both keep it."""

import struct
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest
from toy_service import ACCOUNTS, COMMANDS, AccountClosed, Deposit, ToyRoom, Transfer, record_of

from postroom.relay import SendingFailed, relay_oldest

ALICE, BOB = UUID(int=1), UUID(int=2)


async def test_state_and_facts_are_committed_together(room: ToyRoom) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5))])

    assert await room.totals() == {ALICE: 5}
    assert await room.facts() == [("toy.deposited.v1", {"account_id": str(ALICE), "total": 5})]


async def test_messages_of_a_batch_are_decided_in_their_order(room: ToyRoom) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=n)) for n in (1, 2, 3)])

    assert [body["total"] for _, body in await room.facts()] == [1, 3, 6]


async def test_a_fact_names_the_command_that_caused_it_and_the_one_that_started_it_all(room: ToyRoom) -> None:
    await room.processor.process(
        [record_of(Deposit(account_id=ALICE, amount=5), ce_id="the-cause", ce_correlationid=b"the-start")]
    )

    headers = dict((await room.waiting())[0].headers)
    assert headers["ce_causationid"] == b"the-cause"
    assert headers["ce_correlationid"] == b"the-start"
    assert headers["ce_source"] == b"/latchkey/toy"
    assert headers["ce_partitionkey"] == str(ALICE).encode()
    assert headers["content-type"] == b"application/json"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["ce_time"] == b"2026-01-01T12:00:00.000Z"


@pytest.mark.parametrize("ce_id", [str(ALICE), "an id that is no UUID"])
async def test_a_message_that_comes_again_changes_nothing(room: ToyRoom, ce_id: str) -> None:
    record = record_of(Deposit(account_id=ALICE, amount=5), ce_id=ce_id)
    for _ in range(3):
        await room.processor.process([record])

    assert await room.totals() == {ALICE: 5}
    assert len(await room.facts()) == 1
    assert room.counted("duplicate") == 2


async def test_a_message_that_comes_twice_in_one_batch_is_handled_once(room: ToyRoom) -> None:
    record = record_of(Deposit(account_id=ALICE, amount=5))
    await room.processor.process([record, record])

    assert await room.totals() == {ALICE: 5}
    assert room.counted("duplicate") == 1


async def test_a_refusal_is_a_fact_and_not_a_failure(room: ToyRoom) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=2000), ce_id="too-much")])

    assert await room.facts() == [
        ("toy.deposit.refused.v1", {"account_id": str(ALICE), "command_id": "too-much"}),
    ]
    assert room.counted("refused") == 1
    assert await room.dead_letters() == []


async def test_a_handler_that_always_fails_costs_its_neighbours_nothing(room: ToyRoom) -> None:
    amounts = (1, 2, 13, 3, 4, 13, 5)
    records = [record_of(Deposit(account_id=ALICE, amount=amount)) for amount in amounts]
    await room.processor.process(records)

    assert [body["total"] for _, body in await room.facts()] == [1, 3, 6, 10, 15]
    assert [letter.value for letter in await room.dead_letters()] == [records[2].value, records[5].value]
    assert room.counted("retried") == 4


async def test_a_store_that_fails_for_one_message_costs_its_neighbours_nothing(room: ToyRoom) -> None:
    records = [record_of(Deposit(account_id=ALICE, amount=amount)) for amount in (1, 2, 3, 99, 4)]
    await room.processor.process(records)

    assert await room.totals() == {ALICE: 10}
    assert [letter.value for letter in await room.dead_letters()] == [records[3].value]


async def test_what_fails_leaves_no_trace_but_its_dead_letter(room: ToyRoom) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=99))])

    assert await room.totals() == {}
    assert await room.facts() == []
    assert len(await room.dead_letters()) == 1


GOOD = Deposit(account_id=BOB, amount=1)
POISON = {
    "unreadable JSON": replace(record_of(GOOD), value=b"{"),
    "no value": replace(record_of(GOOD), value=None),
    "a wrong schema": replace(record_of(GOOD), value=b'{"account_id": "nobody"}'),
    "an unknown type": record_of(GOOD, ce_type=b"toy.unheard-of.v1"),
    "no id": record_of(GOOD, ce_id_=None, ce_type=None),
    "no headers": replace(record_of(GOOD), headers=()),
    "a header without a value": replace(record_of(GOOD), headers=(*record_of(GOOD).headers[2:], ("ce_id", None))),
    "a header that is not UTF-8": record_of(GOOD, ce_source=b"\xff\xfe"),
    "another specversion": record_of(GOOD, ce_specversion=b"0.3"),
    "a structured event that is none": replace(
        record_of(GOOD), headers=(("content-type", b"application/cloudevents+json"),)
    ),
}


@pytest.mark.parametrize("poison", POISON.values(), ids=POISON.keys())
async def test_a_poisonous_record_is_a_dead_letter_as_it_was(room: ToyRoom, poison: object) -> None:
    assert isinstance(poison, type(record_of(GOOD)))
    before, after = record_of(Deposit(account_id=ALICE, amount=1)), record_of(Deposit(account_id=ALICE, amount=2))
    await room.processor.process([before, poison, after])

    assert await room.totals() == {ALICE: 3}
    (letter,) = await room.dead_letters()
    assert letter.topic == "toy.commands.toy.dlt"
    assert (letter.key, letter.value) == (poison.key, poison.value)
    assert tuple(letter.headers)[: len(poison.headers)] == tuple(poison.headers)
    about = dict(tuple(letter.headers)[len(poison.headers) :])
    assert about["kafka_dlt-original-topic"] == b"toy.commands"
    assert about["kafka_dlt-original-partition"] == struct.pack(">i", 0)
    assert about["kafka_dlt-original-offset"] == struct.pack(">q", poison.offset)
    assert about["kafka_dlt-original-consumer-group"] == b"toy"
    assert about["kafka_dlt-exception-fqcn"]


async def test_a_dead_letter_says_nothing_of_what_was_in_the_message(room: ToyRoom) -> None:
    secret = b'{"account_id": "somebody@example.com"}'
    await room.processor.process([replace(record_of(GOOD), value=secret)])

    (letter,) = await room.dead_letters()
    about = [value for name, value in letter.headers if name.startswith("kafka_dlt-")]
    assert b"somebody" not in b"".join(value or b"" for value in about)


async def test_a_poisonous_record_that_comes_again_is_one_dead_letter(room: ToyRoom) -> None:
    poison = replace(record_of(GOOD), value=b"{")
    await room.processor.process([poison])
    await room.processor.process([poison])

    assert len(await room.dead_letters()) == 1


async def test_a_type_that_others_added_to_their_topic_is_skipped_and_counted(room: ToyRoom) -> None:
    await room.processor.process([record_of(GOOD, topic=ACCOUNTS.name, ce_type=b"toy.new.v1")])

    assert await room.waiting() == []
    assert room.counted("skipped") == 1


async def test_a_record_without_value_on_a_compacted_topic_is_its_tombstone(room: ToyRoom) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5))])
    tombstone = replace(record_of(AccountClosed(account_id=ALICE), topic=ACCOUNTS.name), value=None, headers=())
    await room.processor.process([tombstone])

    assert await room.totals() == {ALICE: 0}


async def test_structured_mode_is_read_too(room: ToyRoom) -> None:
    event = (
        b'{"specversion":"1.0","id":"structured","source":"/test","type":"toy.deposit.v1","correlationid":"start",'
        b'"data":{"account_id":"00000000-0000-0000-0000-000000000001","amount":5}}'
    )
    headers = (("content-type", b"application/cloudevents+json; charset=UTF-8"),)
    await room.processor.process([replace(record_of(GOOD), value=event, headers=headers)])

    assert await room.totals() == {ALICE: 5}
    assert dict((await room.waiting())[0].headers)["ce_correlationid"] == b"start"


async def test_a_message_waits_for_another_that_has_not_come_yet(room: ToyRoom) -> None:
    await room.processor.process([record_of(Transfer(account_id=ALICE))])
    assert await room.facts() == []
    assert await room.processor.resume() == 0, "it is not due yet"

    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5))])
    room.clock.passes(seconds=1)
    assert await room.processor.resume() == 1
    assert await room.processor.resume() == 0, "it is done"

    assert [body["total"] for _, body in await room.facts()] == [5, 5]


async def test_a_message_that_has_waited_long_enough_is_decided_with_what_is_there(room: ToyRoom) -> None:
    await room.processor.process([record_of(Transfer(account_id=ALICE), ce_id="waiting")])
    waits = 0
    while not await room.facts():
        room.clock.passes(seconds=1)
        waits += await room.processor.resume()

    assert await room.facts() == [("toy.deposit.refused.v1", {"account_id": str(ALICE), "command_id": "waiting"})]
    assert waits == 60


async def test_a_deferred_message_that_comes_again_from_kafka_is_known(room: ToyRoom) -> None:
    record = record_of(Transfer(account_id=ALICE))
    await room.processor.process([record])
    await room.processor.process([record])

    assert room.counted("duplicate") == 1


async def test_two_processes_that_resume_at_once_handle_a_deferred_message_once(room: ToyRoom) -> None:
    await room.processor.process([record_of(Transfer(account_id=ALICE))])
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5))])
    room.clock.passes(seconds=1)
    await room.processor.resume()
    await room.make_processor().resume()

    assert len(await room.facts()) == 2


async def test_the_inbox_forgets_when_no_topic_can_bring_the_message_again(room: ToyRoom) -> None:
    record = record_of(Deposit(account_id=ALICE, amount=5))
    await room.processor.process([record])
    room.clock.passes(days=8)
    assert await room.transactions.forget(room.clock.now.date(), 100) == 0, "topics keep it 7 days, and a little more"

    room.clock.passes(days=2)
    assert await room.transactions.forget(room.clock.now.date(), 100) == 1
    assert COMMANDS.retention == timedelta(days=7)


async def test_the_relay_sends_in_the_order_of_the_decisions(room: ToyRoom) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=n)) for n in range(1, 8)])
    waiting = await room.waiting()
    while await relay_oldest(room.outbox, room.kafka, 3):
        pass

    assert room.kafka.records == waiting
    assert await room.waiting() == []


async def test_the_relay_stops_at_the_first_failure_and_goes_on_there(room: ToyRoom) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=n)) for n in range(1, 6)])
    waiting = await room.waiting()
    room.kafka.failing = {2}
    with pytest.raises(SendingFailed):
        await relay_oldest(room.outbox, room.kafka, 10)
    assert await room.waiting() == waiting[2:], "what follows the failure stays, though some of it was acknowledged"

    await relay_oldest(room.outbox, room.kafka, 10)
    assert room.kafka.records == [*waiting[:2], *waiting[3:], *waiting[2:]]
    assert await room.waiting() == []


async def test_bytes_of_every_kind_pass_the_outbox_unchanged(room: ToyRoom) -> None:
    every_byte = bytes(range(256))
    poison = replace(record_of(GOOD), key=every_byte, value=every_byte, headers=(("x", every_byte), ("none", None)))
    await room.processor.process([poison])

    (letter,) = await room.dead_letters()
    assert (letter.key, letter.value, letter.headers[0], letter.headers[1]) == (
        every_byte,
        every_byte,
        ("x", every_byte),
        ("none", None),
    )


async def test_a_redriven_message_is_handled_once_for_each_dead_letter(room: ToyRoom) -> None:
    record = record_of(Deposit(account_id=ALICE, amount=5))
    await room.processor.process([record])  # It is known; its dead letter is handed in again all the same.
    again = (("postroom-redrive-to", b"toy"), ("postroom-redrive-of", b"toy.commands.toy.dlt/0/7"))
    redriven = replace(record, headers=(*record.headers, *again))
    await room.processor.process([redriven])
    await room.processor.process([redriven])

    assert await room.totals() == {ALICE: 10}


async def test_a_message_that_is_redriven_for_another_service_is_skipped(room: ToyRoom) -> None:
    record = record_of(Deposit(account_id=ALICE, amount=5))
    again = (("postroom-redrive-to", b"other"), ("postroom-redrive-of", b"toy.commands.other.dlt/0/7"))
    await room.processor.process([replace(record, headers=(*record.headers, *again))])

    assert await room.totals() == {}
    assert room.counted("skipped") == 1
