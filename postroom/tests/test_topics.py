"""Topics as they are created from a registry."""

from datetime import timedelta

from toy_service import ACCOUNTS, COMMANDS

from postroom.processor import _KEEP_AFTER_RETENTION
from postroom.topics import new_topics

_MILLISECOND = timedelta(milliseconds=1)


def test_each_reader_of_a_topic_has_a_dead_letter_topic() -> None:
    names = [topic.name for topic in new_topics([COMMANDS, ACCOUNTS], 1)]
    assert names == ["toy.commands", "toy.commands.toy.dlt", "toy.accounts", "toy.accounts.toy.dlt"]


def test_a_dead_letter_fits_though_it_is_larger_than_the_largest_record() -> None:
    _, dead_letters = new_topics([COMMANDS], 1)
    assert int(dead_letters.topic_configs["max.message.bytes"]) == 2 * 1024 * 1024


def test_the_inbox_remembers_for_longer_than_kafka_can_keep_a_record() -> None:
    (commands, *_) = new_topics([COMMANDS], 1)
    retention = int(commands.topic_configs["retention.ms"]) * _MILLISECOND
    segment = int(commands.topic_configs["segment.ms"]) * _MILLISECOND
    assert COMMANDS.retention is not None
    assert COMMANDS.retention + _KEEP_AFTER_RETENTION > retention + segment


def test_a_compacted_topic_keeps_its_last_records() -> None:
    (accounts, *_) = new_topics([ACCOUNTS], 1)
    assert accounts.topic_configs["cleanup.policy"] == "compact"
    assert accounts.topic_configs["retention.ms"] == "-1"


def test_how_many_brokers_must_have_a_record_is_said_of_every_topic_or_of_none() -> None:
    told = new_topics([COMMANDS, ACCOUNTS], 3, 2)
    assert {(topic.replication_factor, topic.topic_configs["min.insync.replicas"]) for topic in told} == {(3, "2")}
    assert all("min.insync.replicas" not in topic.topic_configs for topic in new_topics([COMMANDS, ACCOUNTS], 1))
