"""A service that is told nonsense does not start: it names the variable, and says what is wrong and what it is for."""

import re
import runpy
import sys
from pathlib import Path

import pytest

from postroom import ServiceSettings
from tools.settings_table import PAGE, SERVICES, settings_class, settings_page

KEYS = {"LINK_KEY": "A" * 43, "ACCOUNTS_KEY": "B" * 43}
ALL = {
    "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:9092",
    "DATABASE_URL": "postgresql://service:a-password@127.0.0.1/service",
}
OWN = {
    "invites": {"LINK_KEY": KEYS["LINK_KEY"]},
    "membership": {},
    "billing": {},
    "notifier": KEYS
    | {
        "CONSOLE_URL": "https://console.example.com",
        "SMTP_HOST": "mail.example.com",
        "MAIL_FROM": "Latchkey <invitations@example.com>",
    },
    "console": {"ACCOUNTS_KEY": KEYS["ACCOUNTS_KEY"], "CONSOLE_URL": "https://console.example.com"},
}
REQUIRED = [(service, name) for service in SERVICES for name in [*ALL, *OWN[service]]]
UNFIT = [
    *((service, name, text) for service in SERVICES for name, text in [
        ("KAFKA_BOOTSTRAP_SERVERS", "kafka-without-a-port"),
        ("KAFKA_SECURITY_PROTOCOL", "secret-plaintext"),
        ("KAFKA_SSL_CA_FILE", "/there/is/no/such.pem"),
        ("DATABASE_URL", "mysql://service:a-password@127.0.0.1/service"),
        ("DATABASE_URL", "postgresql://service:a-password@[::1/service"),
        ("DATABASE_URL", "a-password"),
        ("DATABASE_POOL_SIZE", "1"),
        ("HTTP_PORT", "65536"),
        ("HTTP_PORT", "eighty"),
        ("SHUTDOWN_TIMEOUT", "a while"),
        ("SHUTDOWN_TIMEOUT", "-20"),
        ("LOG_LEVEL", "LOUD"),
        ("BATCH_SIZE", "0"),
    ]),
    ("invites", "LINK_KEY", "a-password"),
    ("invites", "INVITATION_LIFETIME", "-P7D"),
    ("invites", "INVITER_INVITATIONS_PER_HOUR", "-1"),
    ("membership", "PURGE_INTERVAL", "0"),
    ("billing", "CARD_BLOCK", "9999"),
    ("billing", "STRIPE_API_BASE", "stripe.example.com"),
    ("notifier", "ACCOUNTS_KEY", "not base64url, a-password"),
    ("notifier", "MAIL_FROM", "nobody-in-particular"),
    ("notifier", "SMTP_TLS", "perhaps"),
    ("notifier", "SMTP_PORT", "0"),
    ("notifier", "SMTP_HOST", ""),
    ("console", "CONSOLE_URL", "console.example.com"),
    ("console", "SESSION_IDLE", "0"),
    ("console", "MAX_BODY", "1"),
]  # fmt: skip
AT_ODDS = [
    *((service, {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL"}, "KAFKA_USERNAME and KAFKA_PASSWORD") for service in SERVICES),
    ("billing", {"TOP_UP_LEAST": "10", "TOP_UP_MOST": "5"}, "TOP_UP_LEAST and TOP_UP_MOST"),
    ("notifier", {"ACCOUNTS_KEY": KEYS["LINK_KEY"]}, "ACCOUNTS_KEY is LINK_KEY"),
    ("notifier", {"SMTP_USERNAME": "latchkey"}, "SMTP_USERNAME"),
]


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for service in SERVICES:
        for name in [*settings_class(service).model_fields, "secrets_dir"]:
            monkeypatch.delenv(name.upper(), raising=False)


def tell(monkeypatch: pytest.MonkeyPatch, service: str, **further: str) -> None:
    for name, text in {**ALL, **OWN[service], **further}.items():
        monkeypatch.setenv(name, text)


def start(service: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What it says before it ends by itself, as `python -m <service>`."""
    monkeypatch.setattr(sys, "argv", [service])
    with pytest.raises(SystemExit) as end:
        runpy.run_module(f"{service}.__main__", run_name="__main__")
    assert end.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("service", SERVICES)
def test_these_settings_are_enough(service: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tell(monkeypatch, service)
    settings_class(service)()


@pytest.mark.parametrize(("service", "name"), REQUIRED)
def test_what_is_missing_is_named_and_explained(
    service: str, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(monkeypatch, service)
    monkeypatch.delenv(name)

    said = start(service, monkeypatch, capsys)

    assert said.startswith(f"{service} cannot start")
    [line] = said.splitlines()[1:]
    assert line.startswith(f"  {name}: it is required, and not set. ")
    assert line.endswith(what_for(settings_class(service), name))


@pytest.mark.parametrize(("service", "name", "text"), UNFIT)
def test_what_does_not_fit_is_named_and_not_quoted(
    service: str, name: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(monkeypatch, service, **{name: text})

    said = start(service, monkeypatch, capsys)

    [line] = said.splitlines()[1:]
    assert line.startswith(f"  {name}: ")
    assert what_for(settings_class(service), name) in line
    assert len(text) < 4 or text not in said
    assert "a-password" not in said


@pytest.mark.parametrize(("service", "settings", "named"), AT_ODDS)
def test_settings_that_are_at_odds_are_named_together(
    service: str,
    settings: dict[str, str],
    named: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    tell(monkeypatch, service, **settings)
    assert named in start(service, monkeypatch, capsys)


def test_all_faults_are_told_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    tell(monkeypatch, "invites", BATCH_SIZE="0", LOG_LEVEL="LOUD")
    monkeypatch.delenv("LINK_KEY")
    said = start("invites", monkeypatch, capsys)
    assert re.findall(r"^  (\w+):", said, re.MULTILINE) == ["LOG_LEVEL", "BATCH_SIZE", "LINK_KEY"]


def test_a_slip_of_the_pen_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tell(monkeypatch, "invites", KAFKA_BOOTSTRAP_SERVER="127.0.0.1:9092", SECRETS_DIR=str(tmp_path))
    (tmp_path / "link-key").write_text(KEYS["LINK_KEY"], encoding="utf-8")
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS")
    monkeypatch.delenv("LINK_KEY")

    said = start("invites", monkeypatch, capsys)

    assert "There is KAFKA_BOOTSTRAP_SERVER: is it that?" in said
    assert "There is LINK-KEY: is it that?" in said
    assert "DATABASE_URL" not in said


def test_the_page_of_settings_is_what_the_services_read() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_page(), "run `make settings`"


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_is_explained_so_that_it_stands_alone(service: str) -> None:
    for name in settings_class(service).model_fields:
        meaning = what_for(settings_class(service), name)
        assert meaning.endswith("."), name
        assert not re.match("(Its|Their|It) ", meaning), f"{name} refers to the one before it"


def what_for(settings: type[ServiceSettings], name: str) -> str:
    return " ".join((settings.model_fields[name.lower()].description or "").split())
