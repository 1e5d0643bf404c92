"""The catalogue: the registry as a page for people who subscribe (docs/events.md)."""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta

from contracts.golden import example
from contracts.message import PERSONAL, Command, Message
from contracts.registry import TOPICS
from contracts.releases import since
from contracts.topic import Cleanup, PersonalData, Topic

_HEADER = """\
# Topics and messages

Generated from the registry by `make schemas`; do not edit. How to read and write messages is in
[contracts/README.md](../contracts/README.md), how they change in [changing-a-message.md](changing-a-message.md).
The same for tools, in AsyncAPI 3.0, is [asyncapi.yaml](asyncapi.yaml).
"""
_PERSONAL_DATA = {
    PersonalData.IDENTIFIERS: "account ids only",
    PersonalData.ADDRESSES: "addresses and names",
}


def catalogue() -> str:
    """The page, in Markdown."""
    return "\n".join(_lines()) + "\n"


def personal_fields(message_type: type[Message]) -> tuple[str, ...]:
    """The fields of the type that name a person or where to write to them."""
    return tuple(name for name, field in message_type.model_fields.items() if field.json_schema_extra == PERSONAL)


def _lines() -> Iterator[str]:
    yield _HEADER
    yield from _topics()
    yield "\n## Who tells whom\n"
    yield from _picture()
    yield "\n## Who may read and write\n"
    yield from _rights()
    yield "\n## Messages from A to Z\n"
    yield from _index()
    places: dict[type[Message], Topic] = {}
    for topic in TOPICS:
        yield f"\n## {topic.name}\n"
        yield from _topic(topic)
        for message_type in _messages(topic):
            yield ""
            place = places.setdefault(message_type, topic)
            if place is topic:
                yield from _message(message_type, is_tombstone=message_type is topic.tombstone)
            else:
                yield f"### {message_type.__name__} on {topic.name}\n"
                yield f"The same as [on {place.name}](#{_anchor(message_type.__name__)})."


def _topics() -> Iterator[str]:
    return _table(
        ("topic", "key", "partitions", "kept", "personal data", "messages"),
        (
            (
                f"[{topic.name}](#{_anchor(topic.name)})",
                topic.key,
                str(topic.partitions),
                _kept(topic),
                _PERSONAL_DATA[topic.personal_data],
                str(len(topic.messages)),
            )
            for topic in TOPICS
        ),
    )


def _picture() -> Iterator[str]:
    """Services and topics, for Mermaid, which Git's hosts draw."""
    yield "```mermaid"
    yield "flowchart LR"
    for topic in TOPICS:
        node = topic.name.replace(".", "_")
        yield f'    {node}[["{topic.name}"]]'
        yield from (f"    {writer}([{writer}]) --> {node}" for writer in topic.writers)
        yield from (f"    {node} -.-> {reader}([{reader}])" for reader in topic.readers)
    yield "```"


def _rights() -> Iterator[str]:
    yield "A principal is a service's Kafka user; a reader's consumer group has the name of its principal. What a"
    yield "reader cannot handle goes to its own dead-letter topic, which only it may write.\n"
    yield from _table(
        ("topic", "owner", "may write", "may read", "dead letters"),
        (
            (
                f"`{topic.name}`",
                topic.owner,
                ", ".join(topic.writers),
                ", ".join(topic.readers) or "none of ours yet",
                ", ".join(f"`{topic.name}.{reader}.dlt`" for reader in topic.readers) or "none",
            )
            for topic in TOPICS
        ),
    )


def _index() -> Iterator[str]:
    types = sorted(TOPICS.message_types.values(), key=lambda message_type: message_type.__name__)
    return _table(
        ("message", "is a", "on", "personal data", "since"),
        (
            (
                f"[{message_type.__name__}](#{_anchor(message_type.__name__)})",
                _role(message_type),
                ", ".join(topic.name for topic in TOPICS if message_type in _messages(topic)),
                _listed(personal_fields(message_type)),
                _since(message_type),
            )
            for message_type in types
        ),
    )


def _topic(topic: Topic) -> Iterator[str]:
    only_last = topic.cleanup is Cleanup.COMPACT
    count = "of which only the last is sure to be there" if only_last else "in the order in which they were written"
    yield from _table(
        ("written by", "read by", "key", "order", "kept", "personal data"),
        (
            (
                ", ".join(topic.writers),
                ", ".join(topic.readers) or "none of ours yet",
                topic.key,
                f"records of one key, {count}",
                _kept(topic),
                _PERSONAL_DATA[topic.personal_data],
            ),
        ),
    )


def _message(message_type: type[Message], *, is_tombstone: bool) -> Iterator[str]:
    role = f"{_role(message_type)} (a record without a value)" if is_tombstone else _role(message_type)
    links = " · ".join(f"[{kind}](../contracts/{kind}s/{message_type.ce_type}.json)" for kind in ("schema", "example"))
    yield f"### {message_type.__name__}\n"
    yield f"`{message_type.ce_type}` · {role} · since {_since(message_type)} · {links}\n"
    yield _one_line(message_type.__doc__) + "\n"
    for name, field in message_type.model_fields.items():
        notes = (
            "the key" if name == message_type.key_field else "",
            "" if field.is_required() else "optional",
            "names a person" if name in personal_fields(message_type) else "",
        )
        note = ", ".join(filter(None, notes))
        yield f"- `{name}`{f' ({note})' if note else ''}: {_one_line(field.description)}"
    record = example(message_type)
    yield f"\n<details><summary>Example: the value of a record with the key <code>{record.key}</code></summary>\n"
    yield f"```json\n{json.dumps(record.data, indent=2, ensure_ascii=False)}\n```"
    yield "</details>"


def _messages(topic: Topic) -> tuple[type[Message], ...]:
    return (*topic.messages, *((topic.tombstone,) if topic.tombstone else ()))


def _role(message_type: type[Message]) -> str:
    return "command" if issubclass(message_type, Command) else "fact"


def _since(message_type: type[Message]) -> str:
    return since(message_type.ce_type) or "the next release"


def _listed(fields: tuple[str, ...]) -> str:
    return ", ".join(f"`{field}`" for field in fields) or "none"


def _anchor(heading: str) -> str:
    """What Git's hosts make of a heading."""
    return heading.lower().replace(".", "")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def _kept(topic: Topic) -> str:
    if topic.cleanup is Cleanup.COMPACT:
        return "the last of each key"
    assert topic.retention is not None
    return f"{topic.retention // timedelta(days=1)} days"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for row in (head, ("---",) * len(head), *rows):
        yield f"| {' | '.join(row)} |"
