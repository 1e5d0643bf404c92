"""Whether readers of one version of a message understand records of another, and where not, in words.

The verdict is jsonsubschema's: that every record of the one version fits the schema of the other. Both sides are put
before it as they are meant on the wire: a writer writes the fields that its version declares, and no others; a reader
takes any others, and ignores them. This module only looks for the place, and finds the words.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from jsonsubschema import isSubschema

_KIND_NAMES = {
    "string": "a text",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_WORDS = {"$schema", "$id", "$defs", "title", "description", "examples", "deprecated"}
"""What says nothing about records."""
_COMPARED_HERE = {"format", "pattern", "default"}
"""What the library passes over, and readers do not; and patterns, of which it would write down every match."""
_LIMITS = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
)
_SPECIAL, _ESCAPED = re.compile(r"[][\\.^$*+?{}()|/]"), r"\\\g<0>"
_JUDGED = {"type", "required", "enum", "additionalProperties", *_LIMITS}
"""What jsonsubschema judges, beside what is made of schemas itself."""

JsonSchema = Mapping[str, Any]


class Remedy(Enum):
    """How what is wanted can be had without breaking anybody."""

    BESIDE = "another type beside this one"
    KEEP = "the field stays, until this type goes"
    OPTIONAL = "a default that means: not said"
    CHECK = "the model stays as wide as it was, and the value is checked where it is made or handled"


class NotComparable(ValueError):
    """A schema says something that the library passes over, so that its verdict would be worth nothing."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A field that the two versions do not understand alike."""

    field: str
    """Its path, such as `shares[].kind`; empty for the record itself."""
    what: str
    """What happened to it, as the rest of a sentence about the field."""
    old_readers_refuse: bool
    """Whether there are records of the new version that readers of the old one refuse."""
    new_readers_refuse: bool
    """Whether there are records of the old version that readers of the new one refuse."""
    remedy: Remedy


def differences(old: JsonSchema, new: JsonSchema) -> tuple[Difference, ...]:
    """Where readers of one version do not understand the other; nothing where each understands each.

    Raises NotComparable for a keyword that the library does not judge, where it makes a difference."""
    old, new = _wire(old, old), _wire(new, new)
    if old == new:
        return ()
    found = tuple(_of_objects("", old, new))
    refused = (not _takes(old, new), not _takes(new, old))
    explained = (any(each.old_readers_refuse for each in found), any(each.new_readers_refuse for each in found))
    if any(is_refused and not is_explained for is_refused, is_explained in zip(refused, explained, strict=True)):
        return (*found, Difference("", "is not understood alike", *refused, Remedy.BESIDE))
    return found


def _of_objects(path: str, old: JsonSchema, new: JsonSchema) -> Iterator[Difference]:
    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    was_required, is_required = set(old.get("required", ())), set(new.get("required", ()))
    added = new_fields.keys() - old_fields.keys()
    for name, field in old_fields.items():
        if name not in new_fields:
            heirs = [heir for heir in added if new_fields[heir] == field]
            hint = f" (it is not `{heirs[0]}`: another name is another field)" if len(heirs) == 1 else ""
            yield Difference(path + name, f"is gone{hint}", name in was_required, False, Remedy.KEEP)
            continue
        if name in was_required - is_required:
            yield Difference(path + name, "may be missing now", True, False, Remedy.KEEP)
        elif name in is_required - was_required:
            yield Difference(path + name, "is required now", False, True, Remedy.OPTIONAL)
        elif field.get("default") != new_fields[name].get("default"):
            was, now = (_quoted(each.get("default")) for each in (field, new_fields[name]))
            what = f"was {was} where it is missing, and is {now}: the same record says another thing"
            yield Difference(path + name, what, False, False, Remedy.BESIDE)
        yield from _of_values(path + name, field, new_fields[name])
    for name in new_fields:
        if name in added & is_required:
            yield Difference(path + name, "is new and required", False, True, Remedy.OPTIONAL)
    old_rest, new_rest = (each.get("additionalProperties") for each in (old, new))
    if isinstance(old_rest, Mapping) and isinstance(new_rest, Mapping):
        yield from _of_values(f"{path}*", old_rest, new_rest)


def _of_values(path: str, old: JsonSchema, new: JsonSchema) -> Iterator[Difference]:
    if old == new:
        return
    old_kinds, new_kinds = _kinds(old), _kinds(new)
    if ("null" in old_kinds) != ("null" in new_kinds):
        gained = "null" in new_kinds
        what = "may be null now" if gained else "may not be null any more"
        yield Difference(path, what, gained, not gained, Remedy.BESIDE if gained else Remedy.CHECK)
    if old_kinds.keys() != {"null"} != new_kinds.keys():
        old_kinds.pop("null", None)
        new_kinds.pop("null", None)
    if old_kinds.keys() == new_kinds.keys() == {"object"}:
        yield from _of_objects(f"{path}.", old_kinds["object"], new_kinds["object"])
    elif old_kinds.keys() == new_kinds.keys() == {"array"}:
        yield from _of_values(f"{path}[]", *(kinds["array"].get("items", {}) for kinds in (old_kinds, new_kinds)))
        yield from _of_leaves(path, *({"array": {**kinds["array"], "items": {}}} for kinds in (old_kinds, new_kinds)))
    else:
        yield from _of_leaves(path, old_kinds, new_kinds)


def _of_leaves(path: str, old: Mapping[str, JsonSchema], new: Mapping[str, JsonSchema]) -> Iterator[Difference]:
    was, now = ({"anyOf": list(kinds.values())} for kinds in (old, new))
    old_readers_refuse, new_readers_refuse = not _takes(was, now), not _takes(now, was)
    what = " and ".join(_words(old, new)) or "is not understood alike"
    if old_readers_refuse or new_readers_refuse:
        remedy = Remedy.BESIDE if old_readers_refuse else Remedy.CHECK
        yield Difference(path, what, old_readers_refuse, new_readers_refuse, remedy)
    elif _forms(was) != _forms(now):
        yield Difference(path, what, True, True, Remedy.BESIDE)


def _words(old: Mapping[str, JsonSchema], new: Mapping[str, JsonSchema]) -> Iterator[str]:
    """What happened between two sets of kinds of value, one phrase for each thing."""
    if old.keys() != new.keys():
        yield f"was {_kind_names(old)} and is {_kind_names(new)}"
        return
    for kind in old:
        was, now = old[kind], new[kind]
        if "enum" in was and "enum" in now:
            gained = [_quoted(value) for value in now["enum"] if value not in was["enum"]]
            lost = [_quoted(value) for value in was["enum"] if value not in now["enum"]]
            if gained:
                yield f"gained the value {', '.join(gained)}"
            if lost:
                yield f"lost the value {', '.join(lost)}"
        elif "enum" in was:
            yield f"takes any value now, and not only {', '.join(map(_quoted, was['enum']))}"
        elif "enum" in now:
            yield f"takes nothing but {', '.join(map(_quoted, now['enum']))} now"
        for limit in (*_LIMITS, "format"):
            if was.get(limit) != now.get(limit):
                yield f"had {_limit(limit, was)} and has {_limit(limit, now)}"


def _forms(schema: JsonSchema) -> tuple[object, ...]:
    """In which form a value is written, and whatever is in it. Another form is refused, even where all it does is allow
    more."""
    inside = (schema.get("items"), schema.get("additionalProperties"))
    return (
        *(schema.get(keyword) for keyword in ("type", "format", "pattern")),
        *(_forms(values) if isinstance(values, Mapping) else None for values in inside),
        frozenset((name, _forms(field)) for name, field in schema.get("properties", {}).items()),
        frozenset(_forms(branch) for branch in schema.get("anyOf", ())),
    )


def _limit(name: str, schema: JsonSchema) -> str:
    return f"the {name} {_quoted(schema[name])}" if name in schema else f"no {name}"


def _kind_names(kinds: Mapping[str, JsonSchema]) -> str:
    return " or ".join(_KIND_NAMES.get(kind, "anything") for kind in kinds)


def _kinds(schema: JsonSchema) -> dict[str, JsonSchema]:
    """The kinds of value that a schema takes, by JSON type; what cannot be told by its type is of the kind `any`."""
    branches = schema.get("anyOf") or [schema]
    kinds = {branch.get("type", "any"): branch for branch in branches}
    return kinds if len(kinds) == len(branches) else {"any": schema}


def _wire(schema: JsonSchema, root: JsonSchema) -> dict[str, Any]:
    """The schema without words, and with what it refers to in the place of the reference."""
    if "$ref" in schema:
        schema = {**root["$defs"][schema["$ref"].removeprefix("#/$defs/")], **schema}
    wire: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _WORDS or keyword == "$ref" or keyword.startswith("x-"):
            continue
        if keyword == "properties":
            wire[keyword] = {name: _wire(field, root) for name, field in value.items()}
        elif keyword in ("anyOf", "allOf"):
            wire[keyword] = [_wire(branch, root) for branch in value]
        elif keyword in ("items", "additionalProperties") and isinstance(value, Mapping):
            wire[keyword] = _wire(value, root)
        elif keyword == "const":
            wire["enum"] = [value]
        else:
            wire[keyword] = value
    return wire


def _takes(reader: JsonSchema, writer: JsonSchema) -> bool:
    """Whether each record that a writer of the one version can write is taken by a reader of the other."""
    return bool(isSubschema(_judged(writer, closed=True), _judged(reader, closed=False)))


def _judged(wire: JsonSchema, *, closed: bool) -> dict[str, Any]:
    """The schema in the words of the library, which are those of draft 4; `closed` where it is about what is written,
    which has no fields but the declared."""
    judged: dict[str, Any] = {}
    for keyword, value in wire.items():
        if keyword in _COMPARED_HERE:
            continue
        if keyword == "properties":
            judged[keyword] = {name: _judged(field, closed=closed) for name, field in value.items()}
        elif keyword in ("anyOf", "allOf"):
            judged[keyword] = [_judged(branch, closed=closed) for branch in value]
        elif keyword in ("items", "additionalProperties") and isinstance(value, Mapping):
            judged[keyword] = _judged(value, closed=closed)
        elif keyword == "enum" and all(isinstance(each, str) for each in value):
            # The library makes this of it, too, but escapes a hyphen, which its own parser does not take.
            judged["pattern"] = f"^({'|'.join(_SPECIAL.sub(_ESCAPED, each) for each in value)})$"
        elif keyword in ("exclusiveMinimum", "exclusiveMaximum"):
            judged |= {keyword.removeprefix("exclusive").lower(): value, keyword: True}
        elif keyword in _JUDGED:
            judged[keyword] = value
        else:
            raise NotComparable(keyword)
    if closed and "properties" in judged:
        judged.setdefault("additionalProperties", False)
    return judged


def _quoted(value: object) -> str:
    return f"`{value}`" if value is not None else "null"
