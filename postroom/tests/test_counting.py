"""What a service counts of the messages that it handles."""

from uuid import UUID

from toy_service import ACCOUNTS, AccountClosed, Deposit, ToyRoom, Transfer, record_of

ALICE = UUID(int=1)


def committed_at(room: ToyRoom) -> float:
    return room.metrics.registry.get_sample_value("postroom_last_commit_timestamp_seconds") or 0.0


async def test_a_batch_from_kafka_is_progress(room: ToyRoom) -> None:
    assert committed_at(room) == 0.0
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5))])
    assert committed_at(room) > 0.0


async def test_a_batch_that_is_for_others_is_progress_too(room: ToyRoom) -> None:
    await room.processor.process([record_of(AccountClosed(account_id=ALICE), topic=ACCOUNTS.name)])
    assert committed_at(room) > 0.0
    assert room.counted("skipped") == 1


async def test_deferred_messages_that_are_taken_up_do_not_hide_that_kafka_is_not_read(room: ToyRoom) -> None:
    await room.processor.process([record_of(Transfer(account_id=ALICE))])
    room.metrics.last_commit.set(0)
    room.clock.passes(seconds=1)

    assert await room.processor.resume() == 1
    assert room.counted("deferred") == 2
    assert committed_at(room) == 0.0
