"""What a service is told by its environment."""

from datetime import timedelta

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
