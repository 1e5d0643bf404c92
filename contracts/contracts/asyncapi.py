"""The registry as an AsyncAPI 3.0 document (docs/asyncapi.yaml): channels, messages, and what each service does with
them, for the tools of any language. Writing it needs PyYAML (`latchkey-contracts[docs]`)."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from importlib.metadata import version
from typing import Any

import yaml

from contracts.catalogue import personal_fields
from contracts.golden import example, schema
from contracts.message import Command, Message
from contracts.registry import TOPICS
from contracts.releases import since
from contracts.topic import Topic

BINDING_VERSION = "0.5.0"
"""Of AsyncAPI's Kafka bindings."""
_COMMANDS = ".commands"
"""How the name of a topic of commands ends."""
_WITHOUT_VALUE = {"type": "null"}
_HEADER = """\
# Generated from the registry by `make schemas`; do not edit.
"""
_DESCRIPTION = """\
Organization invitations as message-driven services: what they tell each other over Kafka, and may tell you.

A record is a CloudEvent 1.0 in Kafka's binary mode: the value is the data alone, as JSON, and the headers say what it
is. Delivery is at least once, so keep the `ce_id` of what is done. Order is kept within one key of one topic. Skip
types, and ignore fields, that you do not know: they may be added at any time; what else may change, and how, is said
in docs/changing-a-message.md. Fields that name a person, or where to write to them, are marked `x-personal-data`.

A service has one principal and one consumer group, both of its name. A record that it cannot handle goes to
`<topic>.<service>.dlt`, which it alone may write.
"""
_HEADERS: Mapping[str, Mapping[str, Any]] = {
    "ce_specversion": {"const": "1.0", "description": "The version of CloudEvents."},
    "ce_id": {"format": "uuid", "description": "The record's id (UUIDv7); one that comes again has the same."},
    "ce_source": {"pattern": "^/latchkey/[a-z]+$", "description": "Who wrote it."},
    "ce_time": {"format": "date-time", "description": "When it was written, in UTC."},
    "ce_subject": {"format": "uuid", "description": "The Kafka key, as text."},
    "ce_partitionkey": {"format": "uuid", "description": "The same."},
    "ce_correlationid": {"format": "uuid", "description": "The command that started it all; one for a whole story."},
    "ce_causationid": {"format": "uuid", "description": "The message that led to this one; missing where none did."},
    "traceparent": {"description": "W3C trace context."},
    "content-type": {"const": "application/json", "description": "How the value is written."},
}
_SOMETIMES = {"ce_causationid"}


def document() -> dict[str, Any]:
    """The document, ready to be written as YAML or JSON."""
    types = TOPICS.message_types.values()
    services = sorted({name for topic in TOPICS for name in (*topic.writers, *topic.readers)})
    return {
        "asyncapi": "3.0.0",
        "id": "urn:io:carolinacloud:latchkey",
        "info": {
            "title": "Latchkey",
            "version": version("latchkey-contracts"),
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
            "tags": [{"name": service, "description": _tag(service)} for service in services],
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{bootstrap}",
                "protocol": "kafka",
                "description": "The brokers that your Latchkey runs on.",
                "variables": {
                    "bootstrap": {
                        "description": "The address of any of its brokers: KAFKA_BOOTSTRAP_SERVERS of the services.",
                        "default": "localhost:9092",
                    }
                },
            }
        },
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "operations": dict(_operations()),
        "components": {
            "messages": {message.__name__: _message(message) for message in types},
            "messageTraits": {"CloudEvent": _cloud_event()},
            "schemas": dict(_parts()),
        },
    }


def asyncapi() -> str:
    """The document, in YAML."""
    text: str = yaml.dump(document(), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return _HEADER + text


def _tag(service: str) -> str:
    return "Meters of instances, outside of Latchkey." if service == "metering" else f"The service {service}."


def _channel(topic: Topic) -> dict[str, Any]:
    forever = -1
    kept = forever if topic.retention is None else topic.retention // timedelta(milliseconds=1)
    return {
        "address": topic.name,
        "description": f"Ordered by {topic.key}. Replicas are set where the topic is created.",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {message.__name__: _reference("messages", message) for message in _messages(topic)},
        "tags": [{"name": topic.owner}],
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {"cleanup.policy": [topic.cleanup.value], "retention.ms": kept},
                "bindingVersion": BINDING_VERSION,
            }
        },
        "x-personal-data": topic.personal_data.value,
        "x-dead-letter-topics": [_dead_letters(topic, reader) for reader in topic.readers],
    }


def _operations() -> Iterator[tuple[str, dict[str, Any]]]:
    for topic in TOPICS:
        for writer in topic.writers:
            operation = _operation(topic, writer, "send", f"What {writer} writes.")
            if topic.name.endswith(_COMMANDS):
                outcomes = topic.name.removesuffix(_COMMANDS) + ".events"
                operation["summary"] += (
                    f" The outcome of each comes on {outcomes}: facts whose ce_causationid is the command's ce_id, "
                    "or one CommandRefused whose command_id is."
                )
                operation["reply"] = {"channel": {"$ref": f"#/channels/{outcomes}"}}
            yield f"{writer}.sends.{topic.name}", operation
        for reader in topic.readers:
            description = f"What {reader} reads. What it cannot handle goes to {_dead_letters(topic, reader)}."
            operation = _operation(topic, reader, "receive", description)
            group = {"type": "string", "const": reader, "description": "Its consumer group."}
            operation["bindings"] = {"kafka": {"groupId": group, "bindingVersion": BINDING_VERSION}}
            yield f"{reader}.receives.{topic.name}", operation


def _operation(topic: Topic, service: str, action: str, description: str) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "title": f"{service} {action}s {topic.name}",
        "summary": description,
        "tags": [{"name": service}],
        "messages": [{"$ref": f"#/channels/{topic.name}/messages/{each.__name__}"} for each in _messages(topic)],
    }


def _message(message: type[Message]) -> dict[str, Any]:
    topics = [topic for topic in TOPICS if message in _messages(topic)]
    without_value = any(message is topic.tombstone for topic in topics)
    record = example(message)
    sources = sorted(f"/latchkey/{writer}" for topic in topics for writer in topic.writers)
    kind = "command" if issubclass(message, Command) else "fact"
    described: dict[str, Any] = {
        "name": message.ce_type,
        "title": message.__name__,
        "summary": _one_line(message.__doc__),
        "tags": [{"name": kind}],
        "traits": [{"$ref": "#/components/messageTraits/CloudEvent"}],
        "headers": {
            "type": "object",
            "properties": {
                "ce_type": {"type": "string", "const": message.ce_type, "description": "The type of the message."},
                "ce_source": {"enum": sources},
            },
        },
        "payload": _WITHOUT_VALUE if without_value else _portable(schema(message)),
        "examples": [{"name": message.__name__, "headers": dict(record.headers), "payload": record.data}],
        "bindings": {
            "kafka": {
                "key": {
                    "type": "string",
                    "format": "uuid",
                    "description": f"The `{message.key_field}`.",
                    "examples": [record.key],
                },
                "bindingVersion": BINDING_VERSION,
            }
        },
        "x-since": since(message.ce_type) or "not released yet",
    }
    if personal := personal_fields(message):
        described["x-personal-data"] = list(personal)
    return described


def _cloud_event() -> dict[str, Any]:
    return {
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": ["ce_type", *(name for name in _HEADERS if name not in _SOMETIMES)],
            "properties": {name: {"type": "string", **says} for name, says in _HEADERS.items()},
        },
        "correlationId": {
            "description": "The command that started it all; every message of one story has the same.",
            "location": "$message.header#/ce_correlationid",
        },
    }


def _parts() -> Iterator[tuple[str, dict[str, Any]]]:
    """What several messages are made of."""
    for message in TOPICS.message_types.values():
        for name, part in schema(message).get("$defs", {}).items():
            yield name, _portable(part)


def _portable(node: Any) -> Any:
    """A JSON Schema as a part of this document: parts are named where they are here, and titles that only repeat the
    name of a field are left out. AsyncAPI's own dialect knows all that remains."""
    if isinstance(node, list):
        return [_portable(each) for each in node]
    if not isinstance(node, Mapping):
        return node
    portable: dict[str, Any] = {}
    for keyword, value in node.items():
        if keyword == "properties":
            portable[keyword] = {name: _portable(field) for name, field in value.items()}
        elif keyword == "$ref":
            portable[keyword] = value.replace("#/$defs/", "#/components/schemas/")
        elif keyword == "description":
            portable[keyword] = _one_line(value)
        elif keyword not in ("$schema", "$id", "$defs", "title"):
            portable[keyword] = _portable(value)
    return portable


def _messages(topic: Topic) -> tuple[type[Message], ...]:
    return (*topic.messages, *((topic.tombstone,) if topic.tombstone else ()))


def _reference(kind: str, message: type[Message]) -> dict[str, str]:
    return {"$ref": f"#/components/{kind}/{message.__name__}"}


def _dead_letters(topic: Topic, reader: str) -> str:
    return f"{topic.name}.{reader}.dlt"


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it comes without types
    """Text of several lines stands as it is; nothing is an anchor, since many tools do not follow them."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_text(self, text: str) -> yaml.Node:
        return self.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _Dumper.represent_text)
