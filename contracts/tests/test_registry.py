"""The topics, as they are created and as subscribers count on them."""

import dataclasses
from collections import Counter
from datetime import timedelta

import pytest

from contracts import (
    ACCOUNTS_PROFILES,
    INVITES_EVENTS,
    TOPICS,
    AccountErased,
    AccountProfile,
    Cleanup,
    Command,
    CommandRefused,
    InvitationIssued,
    Message,
    Topic,
    TopicRegistry,
)
from contracts.topic import PersonalData

SERVICES = {"invites", "membership", "billing", "notifier", "console"}
every_topic = pytest.mark.parametrize("topic", [pytest.param(topic, id=topic.name) for topic in TOPICS])


def test_every_message_is_on_exactly_one_topic_but_refusals_which_are_on_the_topic_of_whoever_refused() -> None:
    places = Counter(message_type for topic in TOPICS for message_type in topic.messages)

    assert {message_type for message_type, count in places.items() if count != 1} == {CommandRefused}
    assert {topic.owner for topic in TOPICS if CommandRefused in topic.messages} == {
        topic.owner for topic in TOPICS if topic.name.endswith(".commands")
    }


def test_no_two_topics_have_the_same_name() -> None:
    assert len({topic.name for topic in TOPICS}) == len(TOPICS)


@every_topic
def test_commands_and_facts_are_kept_apart(topic: Topic) -> None:
    holds_commands = topic.name.endswith(".commands")

    assert all(issubclass(message_type, Command) == holds_commands for message_type in topic.messages)


@every_topic
def test_a_topic_is_named_for_its_owner_or_its_subject(topic: Topic) -> None:
    assert topic.owner in SERVICES | {"metering"}
    if topic.owner in {"invites", "membership", "billing", "notifier"}:
        assert topic.name.split(".")[0] == topic.owner


@every_topic
def test_only_the_owner_writes_facts_and_only_clients_write_commands(topic: Topic) -> None:
    if topic.name.endswith(".commands"):
        assert topic.writers == ("console",)
    else:
        assert topic.writers == (topic.owner,)


@every_topic
def test_messages_of_one_topic_are_all_ordered_by_the_same_kind_of_id(topic: Topic) -> None:
    kinds = {
        "account id": {"account_id"},
        "organization id": {"organization_id", "command_key"},
        "organization or account id (the payer)": {"payer_id"},
        "organization or account id": {"organization_id", "account_id", "payer_id", "command_key"},
        "as the cause": {"cause_key"},
    }

    assert {message_type.key_field for message_type in topic.messages} <= kinds[topic.key]


@every_topic
def test_records_are_kept_for_a_bounded_time_unless_the_last_of_each_key_is_what_counts(topic: Topic) -> None:
    if topic.cleanup is Cleanup.COMPACT:
        assert topic.retention is None
        assert topic.tombstone is not None, "what is kept for ever can be erased"
    else:
        assert topic.retention is not None
        assert timedelta(days=7) <= topic.retention <= timedelta(days=365)


def test_addresses_and_names_are_on_three_topics_and_go_after_thirty_days_or_by_erasure() -> None:
    with_addresses = {topic.name: topic for topic in TOPICS if topic.personal_data is PersonalData.ADDRESSES}

    assert with_addresses.keys() == {"accounts.profiles", "invites.commands", "invites.events"}
    for topic in with_addresses.values():
        assert topic.tombstone is AccountErased or (topic.retention or timedelta.max) <= timedelta(days=30)


def test_the_topic_of_a_message_is_looked_up_by_its_class() -> None:
    assert TOPICS.of(InvitationIssued) is INVITES_EVENTS
    assert TOPICS.of(AccountErased) is TOPICS.of(AccountProfile) is ACCOUNTS_PROFILES


def test_the_topic_of_a_refusal_must_be_named() -> None:
    with pytest.raises(LookupError, match=r"invites\.events, membership\.events, billing\.events"):
        TOPICS.of(CommandRefused)


def test_a_message_on_no_topic_has_none() -> None:
    with pytest.raises(LookupError, match="on no topic"):
        TOPICS.of(Message)


def test_two_messages_cannot_claim_one_type_name() -> None:
    class Impostor(InvitationIssued):
        ce_type = InvitationIssued.ce_type

    registry = TopicRegistry((INVITES_EVENTS, dataclasses.replace(INVITES_EVENTS, name="other", messages=(Impostor,))))

    with pytest.raises(ValueError, match="Impostor and InvitationIssued are both io"):
        _ = registry.message_types


def test_a_reader_finds_its_topics() -> None:
    assert {topic.name for topic in TOPICS.read_by("membership")} == {"membership.commands", "invites.events"}
