"""Prints what the packages in these folders depend on, beside each other: `python dependencies.py contracts postroom`.

A Dockerfile installs it before it has any source, in a layer that stays until a pyproject.toml changes.
"""

import sys
import tomllib
from pathlib import Path

OURS = "latchkey-"
"""What the names of the packages in this repository begin with: they come as wheels, later."""

for folder in sys.argv[1:]:
    project = tomllib.loads(Path(folder, "pyproject.toml").read_text(encoding="utf-8"))["project"]
    print(*(each for each in project["dependencies"] if not each.startswith(OURS)), sep="\n")
