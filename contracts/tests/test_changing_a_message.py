"""The guide docs/changing-a-message.md: what it shows is run here, and what it says of the gate is so."""

import dataclasses
import itertools
import re
from pathlib import Path
from typing import Literal

import pytest
from member_joined_v2 import MemberJoinedV2, Members, in_both_versions

from contracts import MEMBERSHIP_EVENTS, TOPICS, MemberJoined, Message, Topic
from contracts.gate import breaches
from contracts.golden import example
from contracts.releases import Retired, Snapshot, snapshot

GUIDE = (Path(__file__).parents[2] / "docs" / "changing-a-message.md").read_text(encoding="utf-8")
EXAMPLE = (Path(__file__).parent / "member_joined_v2.py").read_text(encoding="utf-8")
BEFORE = snapshot(TOPICS, "0.1.0")
BOTH: tuple[type[Message], ...] = (*MEMBERSHIP_EVENTS.messages, MemberJoinedV2)
V2_ALONE: tuple[type[Message], ...] = tuple(message for message in BOTH if message is not MemberJoined)


@pytest.fixture
def guest() -> MemberJoinedV2:
    return MemberJoinedV2.model_validate({**(example(MemberJoined).data or {}), "role": "guest"})


def test_the_guide_quotes_the_example_that_is_tested() -> None:
    quoted = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)

    assert len(quoted) == 3
    assert [block for block in quoted if block not in EXAMPLE] == []


def test_the_guide_quotes_what_the_gate_says() -> None:
    class Joined(MemberJoined):
        role: Literal["owner", "admin", "member", "guest"]  # type: ignore[assignment]

    Joined.__name__ = "MemberJoined"
    with_guests: tuple[type[Message], ...] = tuple(
        Joined if message is MemberJoined else message for message in MEMBERSHIP_EVENTS.messages
    )

    for wrong in (now(with_guests), now(V2_ALONE)):
        (breach,) = breaches(wrong, [BEFORE])
        assert str(breach) in GUIDE.replace("\n> ", " ")


def test_a_second_version_beside_the_first_passes() -> None:
    assert breaches(now(BOTH), [BEFORE]) == ()


def test_the_first_version_goes_when_that_is_on_record() -> None:
    reason = "Every reader reads v2 since 0.2.0, and the last record of v1 is older than the topic's retention."
    record = Retired(what=MemberJoined.ce_type, since="0.4.0", reason=reason)

    assert breaches(now(V2_ALONE), [BEFORE], [record]) == ()


def test_a_reader_that_has_not_moved_sees_what_it_always_saw(guest: MemberJoinedV2) -> None:
    second, first = in_both_versions(guest)
    known = TOPICS.message_types

    assert second.ce_type not in known, "it skips the type"
    assert known[first.ce_type].model_validate_json(first.model_dump_json()) == first
    assert first.role == "member"


def test_both_versions_tell_of_the_same_fact_in_the_same_place(guest: MemberJoinedV2) -> None:
    second, first = in_both_versions(guest)

    assert second.partition_key == first.partition_key
    assert (second.version, second.membership_id) == (first.version, first.membership_id)


def test_a_reader_that_has_moved_does_its_work_once_in_whatever_order_and_however_often_it_is_told(
    guest: MemberJoinedV2,
) -> None:
    twice: list[MemberJoined | MemberJoinedV2] = [*in_both_versions(guest), *in_both_versions(guest)]
    for told in itertools.permutations(twice):
        members = Members()

        assert [members.take(fact) for fact in told] == [True, False, False, False]
        assert members.joined[guest.membership_id].role == "guest"


def test_a_reader_that_has_moved_still_reads_what_was_written_before() -> None:
    old = MemberJoined.model_validate(example(MemberJoined).data)
    members = Members()

    assert members.take(old)
    assert members.joined[old.membership_id].role == old.role


def now(messages: tuple[type[Message], ...]) -> Snapshot:
    """What there is with other messages on membership.events."""
    events: Topic = dataclasses.replace(MEMBERSHIP_EVENTS, messages=messages)
    return snapshot(events if topic is MEMBERSHIP_EVENTS else topic for topic in TOPICS)
