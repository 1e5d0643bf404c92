"""The examples as a reader finds them: whole, pinned, small, and without what does not belong into a repository."""

import re
from pathlib import Path

import pytest
from recipes import RECIPES

NAMES = [recipe.name for recipe in RECIPES]


@pytest.fixture
def subscribers(repository: Path) -> Path:
    return repository / "examples" / "subscribers"


def test_every_subscriber_is_run_by_a_test(subscribers: Path) -> None:
    assert sorted(folder.name for folder in subscribers.iterdir() if folder.is_dir()) == sorted(NAMES)


def test_all_keep_the_same_list(subscribers: Path) -> None:
    schemas = [file.read_text() for name in NAMES for file in (subscribers / name).rglob("schema.sql")]
    assert len(schemas) == len(NAMES)
    assert len(set(schemas)) == 1


@pytest.mark.parametrize("name", NAMES)
def test_each_says_how_it_is_run_and_why_nothing_is_done_twice(subscribers: Path, name: str) -> None:
    readme = (subscribers / name / "README.md").read_text()
    assert "## Run" in readme
    assert "## Why nothing is done twice" in readme
    assert "handled_facts" in readme


@pytest.mark.parametrize(
    "lock",
    [
        "python-aiokafka/requirements.txt",
        "python-faststream/requirements.txt",
        "typescript/package-lock.json",
        "go/go.sum",
        "java/pom.xml",
    ],
)
def test_dependencies_are_pinned_and_no_registry_is_named(subscribers: Path, lock: str) -> None:
    text = (subscribers / lock).read_text()
    assert re.search(r"\d+\.\d+", text)
    # Where packages come from is each machine's own setting: npm, pip and Maven each have their way to fix it here.
    assert not re.findall(r'"resolved"|--(?:extra-)?index-url|<repositor(?:y|ies)>', text)


def test_the_template_of_a_service_has_less_than_100_lines(repository: Path) -> None:
    code = [file.read_text() for file in (repository / "examples" / "audit" / "audit").rglob("*.py")]
    lines = [line for text in code for line in text.splitlines() if line.strip()]
    assert 0 < len(lines) < 100
