"""Writes the page of all settings of all services, from the classes that read them: `make settings`.

python tools/settings_table.py           docs/settings.md
python tools/settings_table.py FILE      this file
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen, MultipleOf
from pydantic import DirectoryPath, FilePath, HttpUrl, SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from postroom import ServiceSettings

PAGE = Path(__file__).resolve().parent.parent / "docs" / "settings.md"
SERVICES = ("invites", "membership", "billing", "notifier", "console")
_KINDS = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true`, `false`",
    timedelta: "duration",
    SecretStr: "**secret**",
    HttpUrl: "URL",
    FilePath: "file",
    DirectoryPath: "folder",
}
_TOP = """\
# Settings

Generated from the services' classes by `make settings`; do not edit.

Each is a variable of the environment. What the environment does not have is looked for in files, if `SECRETS_DIR` is
set: a folder in which each file is called like a setting, in lower case (`database_url`), and holds its value. A
service reads them once, at its start. If one is missing or does not fit, it ends at once, with exit code 2, and says
which, what is wrong with it and what it is for, but never its value. Variables that no service knows are ignored.

- A **secret** belongs into a file or a secret store, and is shown in no log.
- A *duration* is seconds (`90`, `0.5`) or ISO 8601 (`PT20S`, `PT1H30M`, `P7D`).
- A *file* must be there when the service starts. A *URL* has its scheme (`https://...`).
- Money is whole micro-dollars: `5000000` is 5 dollars.

| variable | services | type | default | meaning |
| --- | --- | --- | --- | --- |
"""


@dataclass(frozen=True)
class Setting:
    """A row of the table: what several services are told in the same words is one."""

    name: str
    kind: str
    default: str
    meaning: str


def main(arguments: list[str]) -> None:
    page = Path(arguments[0]) if arguments else PAGE
    page.write_text(settings_page(), encoding="utf-8")
    print(f"Wrote {page}")


def settings_page() -> str:
    """The whole page, in Markdown."""
    rows: dict[Setting, list[str]] = {}
    for service in SERVICES:
        for setting in settings_of(settings_class(service)):
            rows.setdefault(setting, []).append(service)
    # The sort is stable: where services mean different things by one name, they stay in their order.
    return _TOP + "".join(_row(setting, rows[setting]) for setting in sorted(rows, key=lambda row: row.name))


def settings_class(service: str) -> type[ServiceSettings]:
    """What reads the settings of a service."""
    found: type[ServiceSettings] = import_module(f"{service}.settings").Settings
    return found


def settings_of(settings: type[ServiceSettings]) -> Iterator[Setting]:
    """Every setting of a class, in its order."""
    for name, field in settings.model_fields.items():
        yield Setting(name.upper(), _kind(field), _default(field), " ".join((field.description or "").split()))


def _row(setting: Setting, services: list[str]) -> str:
    whose = "all" if len(services) == len(SERVICES) else ", ".join(services)
    cells = (f"`{setting.name}`", whose, setting.kind, setting.default, setting.meaning.replace("|", "\\|"))
    return f"| {' | '.join(cells)} |\n"


def _kind(field: FieldInfo) -> str:
    [annotation, *_] = [each for each in get_args(field.annotation) if each is not type(None)] or [field.annotation]
    if get_origin(field.annotation) is Literal:
        return _choice(get_args(field.annotation))
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return _choice([each.value for each in annotation])
    return ", ".join([_KINDS[annotation], *filter(None, map(_bound, field.metadata))])


def _choice(values: Any) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _bound(constraint: Any) -> str:
    """In words; nothing for what is no bound."""
    match constraint:
        case Ge(ge=timedelta(days=0, seconds=0, microseconds=0)):
            return ""  # As every duration.
        case Ge(ge=least):
            return f"at least {_text(least)}"
        case Gt(gt=least):
            return f"more than {_text(least)}"
        case Le(le=most):
            return f"at most {_text(most)}"
        case Lt(lt=most):
            return f"less than {_text(most)}"
        case MultipleOf(multiple_of=step):
            return f"a multiple of {_text(step)}"
        case MinLen(min_length=1):
            return "not empty"
    return ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
    return "none" if default in (None, "") else f"`{_text(default)}`"


def _text(value: Any) -> str:
    """As it would be set."""
    if isinstance(value, timedelta) and value == timedelta(value.days):
        return f"P{value.days}D" if value else "0"
    return (
        str(TypeAdapter(type(value)).dump_python(value, mode="json")).replace("True", "true").replace("False", "false")
    )


if __name__ == "__main__":
    main(sys.argv[1:])
