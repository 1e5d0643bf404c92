"""What earlier releases were on the wire, and that today's readers and writers live with it in practice."""

import json
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
from generated import records
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from contracts import TOPICS, AccountErased
from contracts.golden import example, folder, schema
from contracts.releases import Snapshot, earlier, freeze, since

REPOSITORY = Path(__file__).parents[2]
RELEASES = tomllib.loads((REPOSITORY / "releases.toml").read_text(encoding="utf-8"))["release"]
every_message_of_every_release = pytest.mark.parametrize(
    ("release", "ce_type"),
    [
        pytest.param(release, ce_type, id=f"{release.version}-{TOPICS.message_types[ce_type].__name__}")
        for release in earlier()
        for ce_type in release.schemas
        if ce_type in TOPICS.message_types
    ],
)


def test_every_release_is_frozen() -> None:
    assert [release["version"] for release in RELEASES] == [release.version for release in earlier()], (
        "python -m contracts release VERSION freezes one"
    )


@pytest.mark.parametrize("release", [pytest.param(release, id=release["version"]) for release in RELEASES])
@pytest.mark.parametrize("kind", ["schemas", "examples"])
def test_a_frozen_release_is_what_was_released(release: dict[str, Any], kind: str) -> None:
    """It cannot be mended afterwards to let a change pass."""
    revision, frozen = release["revision"], folder("releases") / release["version"] / kind
    if git("cat-file", "-e", f"{revision}^{{commit}}").returncode:
        pytest.skip(f"release {release['version']} is not compared: revision {revision} is not in this copy")
    listed = git("ls-tree", "--name-only", f"{revision}:contracts/{kind}").stdout.decode().split()

    assert sorted(listed) == sorted(path.name for path in frozen.iterdir())
    for name in listed:
        assert git("show", f"{revision}:contracts/{kind}/{name}").stdout == (frozen / name).read_bytes()


@every_message_of_every_release
def test_todays_readers_read_the_records_of_every_release(release: Snapshot, ce_type: str) -> None:
    message_type = TOPICS.message_types[ce_type]
    record = json.loads((folder("releases") / release.version / "examples" / f"{ce_type}.json").read_bytes())
    body = record["data"] or {message_type.key_field: record["key"]}

    assert str(message_type.model_validate_json(json.dumps(body)).partition_key) == record["key"]


@every_message_of_every_release
def test_readers_of_every_release_read_todays_records(release: Snapshot, ce_type: str) -> None:
    record = example(TOPICS.message_types[ce_type])
    body = record.data or {TOPICS.message_types[ce_type].key_field: record.key}

    assert faults(release.schemas[ce_type], dict(body)) == []


@every_message_of_every_release
def test_whatever_is_written_is_read(release: Snapshot, ce_type: str) -> None:
    """Not the examples alone: records at the edges of what a schema allows, in both directions."""
    then, now = release.schemas[ce_type], schema(TOPICS.message_types[ce_type])

    @settings(max_examples=5, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(of_then=records(then), of_now=records(now))
    def read(of_then: Any, of_now: Any) -> None:
        assert faults(now, of_then) == []
        assert faults(then, of_now) == []

    read()


def test_a_message_is_there_since_the_first_release_that_has_it() -> None:
    assert since(AccountErased.ce_type) == "0.1.0"
    assert since("io.carolinacloud.account.invented.v1") is None


def test_a_release_is_frozen_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("contracts.releases.folder", lambda kind: tmp_path if kind == "releases" else folder(kind))

    written = freeze("1.2.3", TOPICS)

    assert {path.name for path in written.iterdir()} == {"topics.json", "schemas", "examples"}
    with pytest.raises(FileExistsError):
        freeze("1.2.3", TOPICS)
    with pytest.raises(ValueError, match="three numbers"):
        freeze("1.2", TOPICS)


def faults(of_version: Any, record: Any) -> list[str]:
    validator = Draft202012Validator(of_version, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [fault.message for fault in validator.iter_errors(record)]


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=REPOSITORY, check=False, capture_output=True)
