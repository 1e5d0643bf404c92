"""What audit writes of a fact: that it happened, and nothing that names a person."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from audit.handlers import REACTIONS, Entry, record_fact
from audit.topics import READS
from contracts import TOPICS, AccountProfile, CommandRefused, Fact
from contracts.golden import example
from postroom import Context

NOW = datetime(2026, 3, 2, 9, 40, tzinfo=UTC)
FACTS = sorted(REACTIONS, key=lambda message: message.ce_type)


def recorded(fact: Fact) -> Entry:
    entries: list[Entry] = []
    told = record_fact(fact, entries, Context(uuid4(), "an id", fact.ce_type, "a command's id", NOW))
    assert told == ()
    [entry] = entries
    return entry


def example_of(message: type[Fact]) -> Fact:
    record = example(message)
    return message.model_validate(record.data or {message.key_field: record.key})


def test_every_fact_is_recorded_and_no_command_is() -> None:
    all_messages = {message for topic in TOPICS for message in (*topic.messages, topic.tombstone) if message}
    assert REACTIONS.keys() == {message for message in all_messages if issubclass(message, Fact)}
    assert {topic.name for topic in TOPICS} - {topic.name for topic in READS} == {
        "invites.commands",
        "membership.commands",
        "billing.commands",
    }


@pytest.mark.parametrize("message", FACTS, ids=lambda message: message.__name__)
def test_a_fact_is_recorded_without_what_names_a_person(message: type[Fact]) -> None:
    fact = example_of(message)

    entry = recorded(fact)

    assert entry[:-1] == ("an id", message.ce_type, fact.partition_key, "a command's id", None, NOW)
    everything, kept = json.loads(fact.model_dump_json()), json.loads(entry.data)
    left_out = everything.keys() - kept.keys()
    schema = message.model_json_schema()["properties"]
    assert left_out >= {name for name, about in schema.items() if about.get("x-personal-data")}
    assert kept == {name: value for name, value in everything.items() if name not in left_out}
    assert "@" not in entry.data


def test_a_profile_leaves_the_account_its_version_and_whether_it_is_proven() -> None:
    assert json.loads(recorded(example_of(AccountProfile)).data).keys() == {"account_id", "version", "verified"}


def test_the_sentence_of_a_refusal_may_quote_an_address_and_is_left_out() -> None:
    refused = CommandRefused(
        command_type="io.carolinacloud.invitation.accept.v1",
        command_id="an id",
        command_key=uuid4(),
        actor_id=uuid4(),
        reason="address_differs",
        message="This invitation is for invitee@example.com, and you are signed in as other@example.com.",
    )

    entry = recorded(refused)

    assert "address_differs" in entry.data
    assert "example.com" not in entry.data
