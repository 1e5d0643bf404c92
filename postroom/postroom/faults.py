"""What is wrong with a service's settings, in words: which variable, what is the matter, and what it is for."""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from postroom.settings import ServiceSettings

_AS_ALIKE = 0.8
"""How much of a name must be another's, from 0 to 1, to be taken for a slip of the pen."""


def explain(settings: type[ServiceSettings], error: ValidationError | SettingsError) -> str:
    """A line for each fault. No value is quoted, since it may be a secret, or have one in it."""
    if isinstance(error, SettingsError):
        # Of a file, the library says only which field it is for; what is wrong with it is in the error behind that.
        return f"  {error.__cause__ if isinstance(error.__cause__, SettingsError) else error}"
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    return "\n".join(f"  {_sentence(settings, fault)}" for fault in faults)


def _sentence(settings: type[ServiceSettings], fault: ErrorDetails) -> str:
    said = fault["msg"].removeprefix("Value error, ").rstrip(".")
    if not fault["loc"]:
        return f"{said}."  # It is about several variables, and names them.
    field = str(fault["loc"][0])
    name = field.upper()
    what_for = " ".join((settings.model_fields[field].description or "").split())
    if fault["type"] != "missing":
        return f"{name}: {said[:1].lower()}{said[1:]}. {what_for}"
    found = difflib.get_close_matches(name, sorted(_given() - _known(settings)), n=1, cutoff=_AS_ALIKE)
    slip = f" There is {found[0]}: is it that?" if found else ""
    return f"{name}: it is required, and not set. {what_for}{slip}"


def _known(settings: type[ServiceSettings]) -> set[str]:
    return {field.upper() for field in settings.model_fields}


def _given(environment: Mapping[str, str] = os.environ) -> set[str]:
    """The names of what is there to be read: variables, and files of SECRETS_DIR."""
    return {name.upper() for name in [*environment, *_files(environment.get("SECRETS_DIR"))]}


def _files(folder: str | None) -> Iterable[str]:
    return [path.name for path in Path(folder).iterdir()] if folder and Path(folder).is_dir() else []
