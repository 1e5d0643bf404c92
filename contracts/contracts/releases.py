"""What the messages and topics were at each release, frozen in files that never change again.

releases/<version>/topics.json               every topic, with its messages
releases/<version>/schemas/<ce_type>.json    as they were (see contracts.golden)
releases/<version>/examples/<ce_type>.json   the same
releases/retired.toml                        what is gone for good, and why nobody misses it
"""

import json
import re
import shutil
import tomllib
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from contracts.golden import canonical, folder, schema
from contracts.message import Message
from contracts.topic import Cleanup, PersonalData, Topic

_VERSION = re.compile(r"\d+\.\d+\.\d+")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FrozenMessage(_Frozen):
    """A message type, as a topic names it."""

    name: str
    """The name of its class."""
    key_field: str


class FrozenTopic(_Frozen):
    """A topic, as it was."""

    owner: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    partitions: int
    cleanup: Cleanup
    retention_ms: int | None
    """How long a record is kept, in milliseconds as in Kafka's settings; none where the last of each key stays."""
    personal_data: PersonalData
    messages: Mapping[str, FrozenMessage]
    """By `ce_type`, the meaning of a record without a value among them."""
    tombstone: str | None
    """The `ce_type` that a record without a value stands for."""


class Snapshot(_Frozen):
    """All messages and topics at one time."""

    version: str
    topics: Mapping[str, FrozenTopic]
    schemas: Mapping[str, Mapping[str, Any]]
    """By `ce_type`."""


class Retired(_Frozen):
    """Something that was released once and is no more, by intention."""

    what: str
    """A topic, a `ce_type`, or `<service> reads <topic>`, `<service> writes <topic>`."""
    since: str = Field(pattern=_VERSION.pattern)
    """The first release without it."""
    reason: str = Field(min_length=10)
    """How it is known that nobody needs it any more."""


_TOPICS = TypeAdapter(dict[str, FrozenTopic])
_RETIRED = TypeAdapter(tuple[Retired, ...])


def snapshot(topics: Iterable[Topic], version: str = "now") -> Snapshot:
    """What `topics` and their messages are at present."""
    topics = tuple(topics)
    types = {message.ce_type: message for topic in topics for message in _messages(topic)}
    return Snapshot(
        version=version,
        topics={topic.name: _frozen(topic) for topic in topics},
        schemas={ce_type: schema(message) for ce_type, message in sorted(types.items())},
    )


@cache
def earlier() -> tuple[Snapshot, ...]:
    """Every release, the oldest first."""
    versions = (path.name for path in folder("releases").iterdir() if path.is_dir())
    return tuple(_read(folder("releases") / version) for version in sorted(versions, key=_numbers))


def retired() -> tuple[Retired, ...]:
    """What is on record as gone for good. Raises pydantic.ValidationError where a record is incomplete."""
    records = tomllib.loads((folder("releases") / "retired.toml").read_text(encoding="utf-8"))
    return _RETIRED.validate_python(records.get("retired", ()))


def since(ce_type: str) -> str | None:
    """The first release that has the message type; none where no release has it yet."""
    return next((release.version for release in earlier() if ce_type in release.schemas), None)


def freeze(version: str, topics: Iterable[Topic]) -> Path:
    """Writes down what `topics` are as the release `version`, and gives the folder. Raises ValueError where this is no
    version, FileExistsError where it is frozen already."""
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is no version: it has three numbers, as in 1.2.3")
    target = folder("releases") / version
    now = snapshot(topics, version)
    if target.exists():
        raise FileExistsError(f"{target} is there already")
    (target / "schemas").mkdir(parents=True)
    (target / "topics.json").write_text(canonical(_TOPICS.dump_python(dict(now.topics), mode="json")), encoding="utf-8")
    for ce_type, frozen_schema in now.schemas.items():
        (target / "schemas" / f"{ce_type}.json").write_text(canonical(frozen_schema), encoding="utf-8")
    shutil.copytree(folder("examples"), target / "examples")
    return target


def _read(path: Path) -> Snapshot:
    return Snapshot(
        version=path.name,
        topics=_TOPICS.validate_json((path / "topics.json").read_bytes()),
        schemas={file.stem: json.loads(file.read_bytes()) for file in sorted((path / "schemas").iterdir())},
    )


def _frozen(topic: Topic) -> FrozenTopic:
    return FrozenTopic(
        owner=topic.owner,
        writers=topic.writers,
        readers=topic.readers,
        partitions=topic.partitions,
        cleanup=topic.cleanup,
        retention_ms=None if topic.retention is None else topic.retention // timedelta(milliseconds=1),
        personal_data=topic.personal_data,
        messages={
            message.ce_type: FrozenMessage(name=message.__name__, key_field=message.key_field)
            for message in _messages(topic)
        },
        tombstone=topic.tombstone.ce_type if topic.tombstone else None,
    )


def _messages(topic: Topic) -> tuple[type[Message], ...]:
    return (*topic.messages, *((topic.tombstone,) if topic.tombstone else ()))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in version.split("."))
