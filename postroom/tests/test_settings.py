"""What a service is told by its environment."""

import re
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from postroom import Service, ServiceSettings
from postroom.cli import main
from postroom.runtime import run


@pytest.fixture(autouse=True)
def required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://service:secret@127.0.0.1/service")
    for name in ("SECRETS_DIR", "OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("0.5", 0.5), ("PT1M", 60), ("P1D", 86_400)])
def test_durations_are_seconds_or_iso_8601(monkeypatch: pytest.MonkeyPatch, text: str, seconds: float) -> None:
    monkeypatch.setenv("DEFER_FOR", text)
    assert ServiceSettings().defer_for == timedelta(seconds=seconds)


def test_a_duration_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEFER_FOR", "a while")
    with pytest.raises(ValidationError):
        ServiceSettings()


def test_passwords_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "secret" not in repr(ServiceSettings())


def test_secrets_may_be_in_files_and_the_environment_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "database_url").write_text("postgresql://of-the-file\n", encoding="utf-8")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    assert "of-the-file" not in ServiceSettings().database_url.get_secret_value()

    monkeypatch.delenv("DATABASE_URL")
    assert ServiceSettings().database_url.get_secret_value() == "postgresql://of-the-file"


def test_an_empty_folder_of_secrets_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRETS_DIR", "")
    assert "secret" in ServiceSettings().database_url.get_secret_value()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: folder / "nowhere", "SECRETS_DIR: there is no such folder."),
        (lambda folder: _written(folder / "a_file", b""), "SECRETS_DIR: there is no such folder."),
        (lambda folder: _written(folder / "database_url", b"\xff").parent, "DATABASE_URL: the file in SECRETS_DIR"),
    ],
    ids=["missing", "a file", "not UTF-8"],
)
def test_secrets_that_cannot_be_read_are_told_of_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    make: Callable[[Path], Path],
    said: str,
) -> None:
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("SECRETS_DIR", str(make(tmp_path)))
    monkeypatch.setattr(sys, "argv", ["toy"])

    with pytest.raises(SystemExit) as end:
        run("toy", ServiceSettings, _must_not_start)

    assert end.value.code == 2
    assert f"  {said}" in capsys.readouterr().err
    with pytest.raises(SystemExit, match=re.escape(said)):
        main(["topics", "create", "toy:TOPICS"])


@pytest.mark.parametrize("name", ["OTEL_SDK_DISABLED", "OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_a_variable_of_opentelemetry_that_is_empty_is_not_set(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    given = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector.example.com:4318"} | {name: ""}
    for variable, value in given.items():
        monkeypatch.setenv(variable, value)
    assert ServiceSettings().traces_are_on == (name != "OTEL_EXPORTER_OTLP_ENDPOINT")


def test_how_traces_are_sent_matters_only_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert not ServiceSettings().traces_are_on

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example.com:4318")
    with pytest.raises(ValidationError, match="OTEL_EXPORTER_OTLP_PROTOCOL"):
        ServiceSettings()


def _written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def _must_not_start(settings: ServiceSettings) -> Service[Any]:
    raise AssertionError("it was started")
