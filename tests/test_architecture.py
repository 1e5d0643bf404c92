"""The layers of the house are rules that bite: each is broken on purpose in a copy, and import-linter says so."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    "contracts/contracts",
    "postroom/postroom",
    *sorted(f"services/{s.name}/{s.name}" for s in ROOT.glob("services/*")),
    "stack",
)
RULES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]["contracts"]

VIOLATIONS = {
    "independent-services": [
        ("membership/handlers.py", "import billing"),
        ("billing/app.py", "from invites import tables"),
        ("console/edge.py", "from membership import domain"),
    ],
    "contracts-alone": [("contracts/invites.py", "import invites"), ("contracts/message.py", "import sqlalchemy")],
    "postroom-alone": [("postroom/relay.py", "import contracts"), ("postroom/settings.py", "import membership")],
    "nothing-needs-the-stack": [("billing/app.py", "import stack"), ("postroom/memory.py", "import pytest")],
    "client-of-the-contracts": [
        ("stack/client.py", "import postroom"),
        ("stack/console_client.py", "from console import settings"),
        ("stack/story.py", "from invites import domain"),
    ],
    "pure-domain": [
        ("membership/domain.py", "import sqlalchemy"),
        ("billing/domain/books.py", "from postroom import Context"),
        ("billing/domain/books.py", "from billing.store import ledger"),
        ("console/accounts/domain.py", "import sqlalchemy"),
        ("console/commands/outcome.py", "import fastapi"),
        ("console/view/working_set.py", "from console.view import store"),
    ],
    "handlers-without-io": [
        ("membership/handlers.py", "import sqlalchemy"),
        ("billing/handlers.py", "import aiokafka"),
        ("console/view/handlers.py", "import sqlalchemy"),
    ],
    "one-way": [
        ("billing/domain/books.py", "from billing import handlers"),
        ("membership/store.py", "from membership import handlers"),
        ("membership/tables.py", "from membership import store"),
        ("membership/handlers.py", "from membership import store"),
        ("invites/handlers.py", "from invites import app"),
        ("invites/working_set.py", "from invites import mentions"),
        ("notifier/rendering.py", "from notifier import delivery"),
    ],
    "one-way-console": [
        ("console/api/__init__.py", "from console.web import pages"),
        ("console/web/pages/__init__.py", "from console import api"),
        ("console/web/answers.py", "from console.web import pages"),
        ("console/web/requests.py", "from console.web import answers"),
        ("console/edge.py", "from console.web import requests"),
        ("console/commands/desk.py", "from console import edge"),
        ("console/view/queries.py", "from console.commands import outcome"),
        ("console/accounts/store.py", "from console.view import nouns"),
        ("console/changes.py", "from console.accounts import domain"),
        ("console/changes.py", "from console import limits"),
        ("console/settings.py", "from console import limits"),
    ],
}
"""For each rule, modules and the line that breaks it there."""


def test_every_rule_is_proven_here() -> None:
    assert {rule["id"] for rule in RULES} == VIOLATIONS.keys()


def test_the_house_keeps_its_rules(copy: Path) -> None:
    assert check(copy, *VIOLATIONS) == ""


@pytest.mark.parametrize(
    ("rule", "module", "line"),
    [
        pytest.param(rule, module, line, id=f"{module}: {line}")
        for rule, violations in VIOLATIONS.items()
        for module, line in violations
    ],
)
def test_a_forbidden_import_is_found(copy: Path, rule: str, module: str, line: str) -> None:
    with (copy / module).open("a", encoding="utf-8") as source:
        source.write(f"\n{line}\n")

    assert "BROKEN" in check(copy, rule)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A folder with all packages beside each other, and the rules."""
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / Path(package).name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def check(folder: Path, *rules: str) -> str:
    """What import-linter says of the packages in `folder`, where a rule is broken; otherwise nothing."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    chosen = [argument for rule in rules for argument in ("--contract", rule)]
    # What is on PYTHONPATH comes before the installed packages.
    environment = {**os.environ, "PYTHONPATH": str(folder), "NO_COLOR": "1"}
    done = subprocess.run([*command, *chosen], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert "Analyzed" in done.stdout, done.stdout + done.stderr
    return done.stdout if done.returncode else ""
