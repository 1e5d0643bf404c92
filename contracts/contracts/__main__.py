"""What can be made from the registry, and what is asked of it.

python -m contracts schemas [FOLDER]      write every message's JSON Schema (contracts/schemas of the checkout)
python -m contracts catalogue [FILE]      write the page of topics and messages (standard output)
python -m contracts asyncapi [FILE]       write the AsyncAPI document (standard output)
python -m contracts check                 say what an earlier release could not live with
python -m contracts release VERSION       check, and freeze what there is as a release

`asyncapi` needs latchkey-contracts[docs]; `check` and `release` need latchkey-contracts[gate], and end with 1 where
something was found.
"""

import argparse
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from contracts.catalogue import catalogue
from contracts.golden import folder, write_schemas
from contracts.registry import TOPICS
from contracts.releases import earlier, freeze, retired, snapshot


def main() -> int:
    options = _options()
    match options.command:
        case "schemas":
            print(f"Wrote {len(write_schemas(options.folder))} schemas to {options.folder}")
        case "catalogue":
            _write(catalogue(), options.file)
        case "asyncapi":
            _write(_of_extra("docs", "contracts.asyncapi", "asyncapi")(), options.file)
        case "check":
            return _check()
        case "release":
            return _check() or _release(options.version)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m contracts", description="Makes files from the registry of messages."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    schemas = commands.add_parser("schemas", help="write every message's JSON Schema")
    schemas.add_argument("folder", nargs="?", type=Path, default=folder("schemas"))
    for command, what in (
        ("catalogue", "the page of topics and messages, in Markdown"),
        ("asyncapi", "the AsyncAPI document, in YAML"),
    ):
        page = commands.add_parser(command, help=f"write {what}")
        page.add_argument("file", nargs="?", type=Path, help="where to (standard output)")
    commands.add_parser("check", help="say what an earlier release could not live with")
    release = commands.add_parser(
        "release", help="freeze what there is as a release, if all earlier ones can live with it"
    )
    release.add_argument("version", help="as in 1.2.3")
    return parser.parse_args()


def _check() -> int:
    breaches = _of_extra("gate", "contracts.gate", "breaches")(snapshot(TOPICS), earlier(), retired())
    for breach in breaches:
        print(breach, file=sys.stderr)
    if not breaches:
        versions = ", ".join(release.version for release in earlier())
        print(f"Readers and writers of every release ({versions}) can live with what there is.")
    return 1 if breaches else 0


def _release(version: str) -> int:
    try:
        print(f"Wrote {freeze(version, TOPICS)}")
    except (FileExistsError, ValueError) as error:
        print(f"{version} cannot be frozen: {error}", file=sys.stderr)
        return 1
    return 0


def _write(text: str, file: Path | None) -> None:
    if file is None:
        sys.stdout.write(text)
    else:
        file.write_text(text, encoding="utf-8")
        print(f"Wrote {file}")


def _of_extra(extra: str, module: str, name: str) -> Callable[..., Any]:
    """A function of a module whose library does not come with the messages: reading them needs pydantic alone."""
    try:
        return getattr(import_module(module), name)  # type: ignore[no-any-return]
    except ModuleNotFoundError as error:
        raise SystemExit(f"{error.name} is missing: pip install 'latchkey-contracts[{extra}]'") from None


if __name__ == "__main__":
    sys.exit(main())
