"""Records that a JSON Schema of ours allows, made up by Hypothesis."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

_FORMATS = {
    "uuid": st.uuids().map(str),
    "date-time": st.datetimes(timezones=st.timezones()).map(lambda moment: moment.isoformat()),
}
_INTEGERS = (-(2**53), 2**53)


def records(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    """What a writer of the schema's version may write: the declared fields, optional ones or not, and no others."""
    return _values(schema, schema)


def _values(schema: Mapping[str, Any], root: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "$ref" in schema:
        return _values(root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root)
    if "anyOf" in schema:
        return st.one_of([_values(branch, root) for branch in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema["type"]:
        case "object":
            fields = {name: _values(field, root) for name, field in schema["properties"].items()}
            optional = fields.keys() - set(schema.get("required", ()))
            return st.fixed_dictionaries(
                {name: field for name, field in fields.items() if name not in optional},
                optional={name: fields[name] for name in sorted(optional)},
            )
        case "array":
            return st.lists(_values(schema["items"], root), min_size=schema.get("minItems", 0), max_size=3)
        case "string":
            if "format" in schema:
                return _FORMATS[schema["format"]]
            if "pattern" in schema:
                return st.from_regex(schema["pattern"], fullmatch=True)
            return st.text(min_size=schema.get("minLength", 0), max_size=min(schema.get("maxLength", 20), 20))
        case "integer":
            least, most = _INTEGERS
            return st.integers(schema.get("minimum", least), schema.get("maximum", most))
        case "number":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "null":
            return st.none()
        case unknown:
            raise NotImplementedError(unknown)
