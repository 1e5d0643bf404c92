"""The examples as a reader finds them: whole, pinned, small, and without what does not belong into a repository."""

import re
import sys
from pathlib import Path

import pytest
from recipes import RECIPES, BuildFailed, Recipe, Tool, build_all, lack

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


# --- what the machine lacks


def test_a_tool_that_is_too_old_is_named_with_what_is_needed() -> None:
    said = (sys.executable, "-c", "print('go version go1.19.8 linux/amd64')")

    assert lack(Tool(said, (1, 26))) == f"{sys.executable} 1.19.8 is too old, 1.26 is needed"
    assert lack(Tool(said, (1, 19))) is None


def test_the_go_that_is_asked_for_is_the_one_that_the_example_needs(subscribers: Path) -> None:
    [recipe] = (recipe for recipe in RECIPES if recipe.name == "go")
    [needed] = re.findall(r"^go (\d+)\.(\d+)", (subscribers / "go" / "go.mod").read_text(), re.MULTILINE)

    assert recipe.tools[0].oldest == tuple(map(int, needed))


def test_a_build_that_fails_is_the_matter_of_one_language(tmp_path: Path) -> None:
    for name in ("good", "bad"):
        source = tmp_path / "examples" / "subscribers" / name
        source.mkdir(parents=True)
        (source / "README.md").touch()
    bad = Recipe("bad", run=(), build=[(sys.executable, "-c", "exit('The registry cannot be reached.')")])

    built = build_all([Recipe("good", run=()), bad], tmp_path)

    assert isinstance(built["good"], Path)
    assert isinstance(built["bad"], BuildFailed)
    assert "The registry cannot be reached." in str(built["bad"])
