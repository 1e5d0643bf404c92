"""The golden files: one JSON Schema and one example per message type. Tests hold the models to them, so that a change
of what is on the wire shows as a change of a committed file; a subscriber in any language can test against them.

    schemas/<ce_type>.json     what the body of the type is (JSON Schema 2020-12)
    examples/<ce_type>.json    one record of the type, as Kafka carries it
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from contracts.message import Message
from contracts.registry import TOPICS

_PACKAGE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Example:
    """A record: a CloudEvent in Kafka's binary mode."""

    topic: str
    key: str
    headers: Mapping[str, str]
    """The CloudEvents attributes, as text."""
    data: Mapping[str, Any] | None
    """The body; none for a record without a value."""


def folder(kind: str) -> Path:
    """Where the golden files of a kind (`schemas` or `examples`) are: in the installed package, or in the checkout."""
    installed = _PACKAGE / kind
    return installed if installed.is_dir() else _PACKAGE.parent / kind


def schema(message_type: type[Message]) -> dict[str, Any]:
    """The JSON Schema of the type's body. Fields that it does not name are allowed: a newer writer may send more."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:cloudevents:{message_type.ce_type}",
        **message_type.model_json_schema(),
    }


@cache
def example(message_type: type[Message]) -> Example:
    """The committed example of the type. Raises FileNotFoundError where there is none."""
    path = folder("examples") / f"{message_type.ce_type}.json"
    return Example(**json.loads(path.read_text(encoding="utf-8")))


def canonical(value: Mapping[str, Any]) -> str:
    """The text of a golden file that holds `value`: keys in their order, two spaces, a line break at the end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def write_schemas(target: Path) -> list[Path]:
    """Writes the schema of every message type to `target`, and gives the files."""
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for ce_type, message_type in sorted(TOPICS.message_types.items()):
        path = target / f"{ce_type}.json"
        path.write_text(canonical(schema(message_type)), encoding="utf-8")
        written.append(path)
    return written
