"""The catalogue: the registry as a page for people who subscribe (docs/events.md)."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from contracts.message import PERSONAL, Command, Message
from contracts.registry import TOPICS
from contracts.topic import Cleanup, PersonalData, Topic

_HEADER = """\
# Topics and messages

Generated from the registry by `make schemas`; do not edit. How to read a message, and what may change, is in
[contracts/README.md](../contracts/README.md).
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
    yield from _table(
        ("topic", "key", "partitions", "kept", "personal data", "messages"),
        (
            (
                f"[{topic.name}](#{topic.name.replace('.', '')})",
                topic.key,
                str(topic.partitions),
                _kept(topic),
                _PERSONAL_DATA[topic.personal_data],
                str(len(topic.messages)),
            )
            for topic in TOPICS
        ),
    )
    yield "\n## Who may read and write\n"
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
    for topic in TOPICS:
        yield f"\n## {topic.name}"
        for message_type in (*topic.messages, *((topic.tombstone,) if topic.tombstone else ())):
            yield ""
            yield from _message(message_type, is_tombstone=message_type is topic.tombstone)


def _message(message_type: type[Message], *, is_tombstone: bool) -> Iterator[str]:
    role = "a record without a value" if is_tombstone else "command" if issubclass(message_type, Command) else "fact"
    links = " · ".join(f"[{kind}](../contracts/{kind}s/{message_type.ce_type}.json)" for kind in ("schema", "example"))
    yield f"### {message_type.__name__}\n"
    yield f"`{message_type.ce_type}`, {role} · {links}\n"
    yield _one_line(message_type.__doc__) + "\n"
    for name, field in message_type.model_fields.items():
        note = " (the key)" if name == message_type.key_field else "" if field.is_required() else " (optional)"
        yield f"- `{name}`{note}: {_one_line(field.description)}"


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
