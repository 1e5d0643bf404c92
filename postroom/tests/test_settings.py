"""What a service is told by its environment."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from postroom import ServiceSettings


@pytest.fixture(autouse=True)
def required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9092")
    monkeypatch.setenv("DATABASE_URL", "postgresql://service:secret@127.0.0.1/service")


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
