"""What is on the wire changes only together with a committed file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from contracts import TOPICS, AccountErased, Message
from contracts.catalogue import catalogue
from contracts.golden import canonical, example, folder, schema

MESSAGE_TYPES = [pytest.param(message_type, id=message_type.__name__) for message_type in TOPICS.message_types.values()]
every_message_type = pytest.mark.parametrize("message_type", MESSAGE_TYPES)
REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["schemas", "examples"])
def test_every_message_type_has_one_golden_file_of_each_kind_and_there_are_no_orphans(kind: str) -> None:
    files = {path.name for path in folder(kind).iterdir()}

    assert files == {f"{ce_type}.json" for ce_type in TOPICS.message_types}


@every_message_type
def test_the_committed_schema_is_that_of_the_model(message_type: type[Message]) -> None:
    committed = (folder("schemas") / f"{message_type.ce_type}.json").read_text(encoding="utf-8")

    assert committed == canonical(schema(message_type)), "make schemas writes it anew, if the change is meant"


@every_message_type
def test_the_example_fits_its_schema(message_type: type[Message]) -> None:
    Draft202012Validator.check_schema(schema(message_type))
    validator = Draft202012Validator(schema(message_type), format_checker=Draft202012Validator.FORMAT_CHECKER)

    assert list(validator.iter_errors(body(message_type))) == []


@every_message_type
def test_the_example_is_what_the_model_writes_byte_for_byte(message_type: type[Message]) -> None:
    written = message_type.model_validate_json(json.dumps(body(message_type))).model_dump_json()

    assert written == json.dumps(body(message_type), separators=(",", ":"), ensure_ascii=False)


@every_message_type
def test_the_example_shows_the_record_as_kafka_carries_it(message_type: type[Message]) -> None:
    record = example(message_type)
    topic = next(topic for topic in TOPICS if topic.name == record.topic)
    key = str(message_type.model_validate_json(json.dumps(body(message_type))).partition_key)

    assert message_type in topic.messages or message_type is topic.tombstone
    assert record.key == record.headers["ce_partitionkey"] == record.headers["ce_subject"] == key
    assert record.headers["ce_specversion"] == "1.0"
    assert record.headers["ce_type"] == message_type.ce_type
    assert record.headers["ce_source"].removeprefix("/latchkey/") in topic.writers
    assert record.headers["content-type"] == "application/json"
    assert record.headers.keys() >= {"ce_id", "ce_time", "ce_correlationid", "traceparent"}


@every_message_type
def test_an_example_is_laid_out_like_all_others(message_type: type[Message]) -> None:
    text = (folder("examples") / f"{message_type.ce_type}.json").read_text(encoding="utf-8")

    assert text == canonical(json.loads(text))
    assert list(json.loads(text)) == ["topic", "key", "headers", "data"]


@every_message_type
def test_a_reader_ignores_what_it_does_not_know(message_type: type[Message]) -> None:
    known = body(message_type)
    newer = {**known, "a_field_of_a_newer_version": 1}

    assert message_type.model_validate(newer) == message_type.model_validate(known)
    assert list(Draft202012Validator(schema(message_type)).iter_errors(newer)) == []


def test_an_erased_account_is_a_record_without_a_value() -> None:
    assert example(AccountErased).data is None


def test_the_catalogue_is_that_of_the_registry() -> None:
    committed = (REPOSITORY / "docs" / "events.md").read_text(encoding="utf-8")

    assert committed == catalogue(), "make schemas writes it anew, if the change is meant"


def test_every_link_of_the_catalogue_leads_somewhere() -> None:
    page = catalogue()
    headings = [line.lstrip("# ") for line in page.splitlines() if line.startswith("#")]
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = re.findall(r"\]\(([^)]+)\)", page)

    assert len(anchors) == len(headings), "no two headings have one anchor"
    assert {link for link in links if link.startswith("#") and link[1:] not in anchors} == set()
    assert [link for link in links if link[0] != "#" and not (REPOSITORY / "docs" / link).exists()] == []


def body(message_type: type[Message]) -> dict[str, Any]:
    """The body of the example; of a record without a value, what a reader makes of its key."""
    record = example(message_type)
    return {message_type.key_field: record.key} if record.data is None else dict(record.data)
