"""docs/asyncapi.yaml: what is in the registry, as AsyncAPI's own parser and JSON Schema's see it."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator, ValidationError

from contracts import TOPICS, AccountErased, CommandRefused, Message, Topic
from contracts.asyncapi import asyncapi, document
from contracts.catalogue import personal_fields
from contracts.golden import example

REPOSITORY = Path(__file__).parents[2]
PARSER = Path(__file__).parent / "asyncapi_parser"
MESSAGE_TYPES = [pytest.param(message_type, id=message_type.__name__) for message_type in TOPICS.message_types.values()]
every_message_type = pytest.mark.parametrize("message_type", MESSAGE_TYPES)
every_topic = pytest.mark.parametrize("topic", [pytest.param(topic, id=topic.name) for topic in TOPICS])
SEVERITY_OF_REMARKS = 2


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    return document()


def test_the_document_is_that_of_the_registry() -> None:
    committed = (REPOSITORY / "docs" / "asyncapi.yaml").read_text(encoding="utf-8")

    assert committed == asyncapi(), "make schemas writes it anew, if the change is meant"


def test_the_document_reads_as_it_was_meant(described: dict[str, Any]) -> None:
    assert yaml.safe_load(asyncapi()) == described


@pytest.mark.timeout(300)
def test_asyncapis_own_parser_finds_no_fault(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(asyncapi(), encoding="utf-8")
    bad.write_text(asyncapi().replace("action: receive", "action: overhear", 1), encoding="utf-8")
    parser = installed_parser()

    assert [told["code"] for told in diagnostics(parser, good) if told["severity"] < SEVERITY_OF_REMARKS] == []
    # There is a newer version of AsyncAPI than 3.0; the parser remarks upon nothing else.
    assert {told["code"] for told in diagnostics(parser, good)} <= {"asyncapi-latest-version"}
    assert "operations/invites.receives.accounts.profiles/action" in {told["path"] for told in diagnostics(parser, bad)}


@every_topic
def test_a_channel_is_what_its_topic_is_created_from(topic: Topic, described: dict[str, Any]) -> None:
    channel = described["channels"][topic.name]
    kafka = channel["bindings"]["kafka"]

    assert channel["address"] == kafka["topic"] == topic.name
    assert kafka["partitions"] == topic.partitions
    assert kafka["topicConfiguration"]["cleanup.policy"] == [topic.cleanup]
    kept = -1 if topic.retention is None else topic.retention.total_seconds() * 1000
    assert kafka["topicConfiguration"]["retention.ms"] == kept
    assert channel["x-personal-data"] == topic.personal_data
    assert channel["x-dead-letter-topics"] == [f"{topic.name}.{reader}.dlt" for reader in topic.readers]


def test_every_service_has_an_operation_for_each_topic_that_it_reads_or_writes(described: dict[str, Any]) -> None:
    told = {
        (operation["tags"][0]["name"], operation["action"], operation["channel"]["$ref"].removeprefix("#/channels/"))
        for operation in described["operations"].values()
    }

    assert told == {(writer, "send", topic.name) for topic in TOPICS for writer in topic.writers} | {
        (reader, "receive", topic.name) for topic in TOPICS for reader in topic.readers
    }


def test_a_command_says_where_its_outcome_comes(described: dict[str, Any]) -> None:
    replies = {
        operation["channel"]["$ref"]: described["channels"][operation["reply"]["channel"]["$ref"].split("/")[-1]]
        for operation in described["operations"].values()
        if "reply" in operation
    }

    assert len(replies) == len([topic for topic in TOPICS if CommandRefused in topic.messages])
    assert all("CommandRefused" in channel["messages"] for channel in replies.values())


def test_a_reader_reads_with_the_consumer_group_of_its_name(described: dict[str, Any]) -> None:
    groups = {
        operation["bindings"]["kafka"]["groupId"]["const"]
        for name, operation in described["operations"].items()
        if ".receives." in name and name.startswith(f"{operation['bindings']['kafka']['groupId']['const']}.")
    }

    assert groups == {reader for topic in TOPICS for reader in topic.readers}


@every_message_type
def test_the_example_of_a_message_fits_what_is_said_of_it(
    message_type: type[Message], described: dict[str, Any]
) -> None:
    (shown,) = described["components"]["messages"][message_type.__name__]["examples"]

    check(described, message_type, "headers", shown["headers"])
    check(described, message_type, "payload", shown["payload"])
    assert shown["payload"] == example(message_type).data


@every_message_type
def test_headers_of_another_message_do_not_fit(message_type: type[Message], described: dict[str, Any]) -> None:
    headers = dict(example(message_type).headers)

    with pytest.raises(ValidationError, match="was expected"):
        check(described, message_type, "headers", headers | {"ce_type": "io.carolinacloud.another.type.v1"})
    with pytest.raises(ValidationError, match="'ce_id' is a required property"):
        check(described, message_type, "headers", {name: headers[name] for name in headers if name != "ce_id"})


@every_message_type
def test_the_key_is_the_field_that_orders_the_message(message_type: type[Message], described: dict[str, Any]) -> None:
    message = described["components"]["messages"][message_type.__name__]

    assert f"`{message_type.key_field}`" in message["bindings"]["kafka"]["key"]["description"]
    assert message.get("x-personal-data", []) == list(personal_fields(message_type))


def test_an_erasure_has_no_value(described: dict[str, Any]) -> None:
    assert described["components"]["messages"][AccountErased.__name__]["payload"] == {"type": "null"}


def check(described: Mapping[str, Any], message_type: type[Message], part: str, value: object) -> None:
    """Raises ValidationError where `value` does not fit the message's headers or payload, its traits included."""
    components = described["components"]
    schemas = [components["messages"][message_type.__name__], components["messageTraits"]["CloudEvent"]]
    whole = {"allOf": [schema[part] for schema in schemas if part in schema], "components": components}
    Draft7Validator(whole, format_checker=Draft7Validator.FORMAT_CHECKER).validate(value)


def installed_parser() -> Path:
    """The folder with AsyncAPI's parser, which is installed the first time. Skips the test where there is no npm."""
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        pytest.skip("docs/asyncapi.yaml is not read by AsyncAPI's own parser: there is no Node.js with npm")
    lock = (PARSER / "package-lock.json").read_bytes()
    folder = REPOSITORY / ".latchkey" / "asyncapi-parser"
    installed = folder / "package-lock.json"
    if not (folder / "installed").exists() or installed.read_bytes() != lock:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(PARSER, folder)
        subprocess.run([npm, "ci", "--no-progress"], cwd=folder, check=True, capture_output=True, text=True)
        (folder / "installed").touch()
    shutil.copy(PARSER / "parse.mjs", folder)
    return folder


def diagnostics(parser: Path, file: Path) -> list[dict[str, Any]]:
    command = ["node", str(parser / "parse.mjs"), str(file)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    answers: list[dict[str, Any]] = json.loads(told)
    return answers
