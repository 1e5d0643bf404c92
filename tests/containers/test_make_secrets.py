"""The secrets of docker-compose.yml, made in a folder of a test's own."""

import runpy
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stack.services import SERVICES

Secrets = dict[str, str]
"""By the paths of their files."""
PARTS = ("postgres", "stripe", *SERVICES)


@pytest.fixture
def make(repository: Path, tmp_path: Path) -> Callable[[], Secrets]:
    """Makes what is missing, and answers all there is."""
    for part in PARTS:
        (tmp_path / part).mkdir()
    main = runpy.run_path(str(repository / "deploy" / "compose" / "make_secrets.py"))["main"]

    def make() -> Secrets:
        main(tmp_path)
        files = [file for part in PARTS for file in (tmp_path / part).iterdir()]
        return {str(file.relative_to(tmp_path)): file.read_text(encoding="utf-8") for file in files}

    return make


def fit_together(found: Secrets) -> bool:
    """Whether all parts that share a secret have the same, and nobody has an empty one."""
    by_name = defaultdict(set)
    for path, value in found.items():
        if not path.endswith("/database_url"):
            by_name[path.partition("/")[2]].add(value)
    return (
        all(len(values) == 1 for values in by_name.values())
        and all(found.values())
        and all(urlsplit(found[f"{each}/database_url"]).password == found[f"postgres/{each}"] for each in SERVICES)
    )


def test_they_are_made_once_and_readable_for_any_user(make: Callable[[], Secrets], tmp_path: Path) -> None:
    made = make()
    assert fit_together(made)
    assert {(tmp_path / path).stat().st_mode & 0o777 for path in made} == {0o444}
    assert make() == made


def test_a_run_that_was_interrupted_anywhere_is_finished_by_the_next_one(
    make: Callable[[], Secrets], tmp_path: Path
) -> None:
    made = make()
    for path in made:
        (tmp_path / path).unlink()
        again = make()
        assert fit_together(again)
        assert {other: value for other, value in again.items() if other != path} == {
            other: value for other, value in made.items() if other != path
        }
        made = again


def test_what_was_begun_and_never_finished_is_no_secret(make: Callable[[], Secrets], tmp_path: Path) -> None:
    for part, name in (("invites", "link_key"), ("postgres", "billing"), ("console", ".accounts_key.new")):
        (tmp_path / part / name).touch(mode=0o444)
    assert fit_together(make())
    assert not (tmp_path / "console" / ".accounts_key.new").exists()


def test_a_secret_that_a_release_brings_is_made_beside_those_that_are_there(
    make: Callable[[], Secrets], tmp_path: Path
) -> None:
    made = make()
    for path in ("stripe/stripe_webhook_secret", "billing/stripe_webhook_secret"):
        (tmp_path / path).unlink()
    again = make()
    assert fit_together(again)
    assert {path for path in made if again[path] != made[path]} == {
        "stripe/stripe_webhook_secret",
        "billing/stripe_webhook_secret",
    }
