"""Writes who may do what at Kafka, from the registry of topics: `make acls`.

python tools/kafka_acls.py               docs/kafka-acls.md
python tools/kafka_acls.py FILE          this file
python tools/kafka_acls.py --commands    what kafka-acls.sh is to be told, a line each, to the standard output
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from contracts import TOPICS
from postroom.message import dead_letter_topic

PAGE = Path(__file__).resolve().parent.parent / "docs" / "kafka-acls.md"
OPERATORS = {
    "topics": "creates topics: `python -m postroom topics create`",
    "dead-letters": "looks at dead letters, and hands them in again: `python -m postroom dead-letters`",
    "keda": "reads the groups' offsets, and scales by them",
}
_TOP = """\
# Who may do what at Kafka

Generated from the registry by `make acls`; do not edit. `python tools/kafka_acls.py --commands` prints it as arguments
of `kafka-acls.sh`, a line each. What is not allowed here is to be refused: `allow.everyone.if.no.acl.found=false`.

A service's principal and its consumer group are called as the service is. To read or to write includes to describe.
Nobody but the owner of a topic may write it, except that console sends commands, and `dead-letters` hands in again. Who
may write commands may ask in anybody's name: give that to nobody else.

"""


@dataclass(frozen=True)
class Rights:
    """What a principal may do, by the names of topics and groups."""

    principal: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    describes: tuple[str, ...] = ()
    group: str | None = None
    """The consumer group that it reads in."""
    watches: tuple[str, ...] = ()
    """The consumer groups that it may look at."""
    creates_topics: bool = False


def main(arguments: list[str]) -> None:
    if arguments == ["--commands"]:
        print("\n".join(commands()))
        return
    page = Path(arguments[0]) if arguments else PAGE
    page.write_text(acls_page(), encoding="utf-8")
    print(f"Wrote {page}")


def acls_page() -> str:
    """The whole page, in Markdown."""
    return _TOP + "\n".join(_lines()) + "\n"


def services_rights() -> list[Rights]:
    """Of everybody that the registry names, in its order."""
    principals = list(dict.fromkeys(name for topic in TOPICS for name in (*topic.writers, *topic.readers)))
    return [_rights_of(principal) for principal in principals]


def operators_rights() -> list[Rights]:
    """Of the programs that operate it."""
    every = tuple(topic.name for topic in TOPICS)
    letters = tuple(dead_letter_topic(topic.name, reader) for topic in TOPICS for reader in topic.readers)
    readable = tuple(topic.name for topic in TOPICS if topic.readers)
    groups = tuple(dict.fromkeys(reader for topic in TOPICS for reader in topic.readers))
    return [
        Rights("topics", describes=every + letters, creates_topics=True),
        Rights("dead-letters", reads=letters, writes=readable),
        Rights("keda", describes=every, watches=groups),
    ]


def commands() -> Iterator[str]:
    """The arguments of kafka-acls.sh, beside those that say where Kafka is."""
    for rights in [*services_rights(), *operators_rights()]:
        add = f"--add --allow-principal User:{rights.principal}"
        for operation, topics in (("Read", rights.reads), ("Write", rights.writes), ("Describe", rights.describes)):
            if topics:
                yield f"{add} --operation {operation} {' '.join(f'--topic {topic}' for topic in topics)}"
        if rights.group:
            yield f"{add} --operation Read --group {rights.group}"
        if rights.watches:
            yield f"{add} --operation Describe {' '.join(f'--group {group}' for group in rights.watches)}"
        if rights.creates_topics:
            yield f"{add} --operation Create --cluster"


def _rights_of(principal: str) -> Rights:
    reads = tuple(topic.name for topic in TOPICS.read_by(principal))
    writes = tuple(topic.name for topic in TOPICS if principal in topic.writers)
    letters = tuple(dead_letter_topic(topic, principal) for topic in reads)
    return Rights(principal, reads=reads, writes=writes + letters, group=principal if reads else None)


def _lines() -> Iterator[str]:
    yield "| principal | may read | in the group | may write | and its dead letters |"
    yield "| --- | --- | --- | --- | --- |"
    for rights in services_rights():
        own = [topic for topic in rights.writes if not topic.endswith(".dlt")]
        letters = [topic for topic in rights.writes if topic.endswith(".dlt")]
        cells = (rights.reads, [rights.group] if rights.group else [], own, letters)
        yield f"| `{rights.principal}` | {' | '.join(_names(each) for each in cells)} |"
    yield ""
    yield "Those who operate it, each with a principal of its own:"
    yield ""
    yield "| principal | what for | may |"
    yield "| --- | --- | --- |"
    may = {
        "topics": "create topics (Create on the cluster), and describe all of them",
        "dead-letters": "read every `*.dlt` of the registry, and write every topic that has a reader",
        "keda": "describe every topic and every group",
    }
    for principal, what_for in OPERATORS.items():
        yield f"| `{principal}` | {what_for} | {may[principal]} |"


def _names(names: object) -> str:
    assert isinstance(names, list | tuple)
    return ", ".join(f"`{name}`" for name in names) or "nothing"


if __name__ == "__main__":
    main(sys.argv[1:])
