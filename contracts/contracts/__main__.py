"""What can be made from the registry.

python -m contracts schemas [FOLDER]      write every message's JSON Schema (contracts/schemas of the checkout)
python -m contracts catalogue [FILE]      write the page of topics and messages (standard output)
"""

import argparse
import sys
from pathlib import Path

from contracts.catalogue import catalogue
from contracts.golden import folder, write_schemas


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m contracts", description="Makes files from the registry of messages."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    schemas = commands.add_parser("schemas", help="write every message's JSON Schema")
    schemas.add_argument("folder", nargs="?", type=Path, default=folder("schemas"))
    page = commands.add_parser("catalogue", help="write the page of topics and messages, in Markdown")
    page.add_argument("file", nargs="?", type=Path, help="where to (standard output)")
    options = parser.parse_args()
    if options.command == "schemas":
        print(f"Wrote {len(write_schemas(options.folder))} schemas to {options.folder}")
    elif options.file:
        options.file.write_text(catalogue(), encoding="utf-8")
        print(f"Wrote {options.file}")
    else:
        sys.stdout.write(catalogue())


if __name__ == "__main__":
    main()
