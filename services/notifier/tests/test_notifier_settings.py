"""What notifier must be told, and what it does not let itself be told."""

import base64
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from notifier.app import build, mail_server
from notifier.settings import Settings, Tls

GIVEN: dict[str, Any] = {
    "kafka_bootstrap_servers": "kafka:9092",
    "database_url": SecretStr("postgresql://notifier@database/notifier"),
    "link_key": SecretStr(base64.urlsafe_b64encode(b"k" * 32).decode()),
    "accounts_key": SecretStr(base64.urlsafe_b64encode(b"a" * 32).decode()),
    "console_url": "https://console.example.com",
    "smtp_host": "mail.example.com",
    "mail_from": "Latchkey <invitations@latchkey.example>",
}


def test_it_is_built_from_what_must_be_given() -> None:
    service = build(Settings(**GIVEN))
    assert service.name == "notifier"
    assert {topic.name for topic in service.reactions.reads} == {
        "accounts.profiles",
        "accounts.events",
        "billing.events",
        "invites.events",
        "membership.events",
    }


@pytest.mark.parametrize("name", ["link_key", "accounts_key", "console_url", "smtp_host", "mail_from"])
def test_what_has_no_sound_default_must_be_given(name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        Settings(**{key: value for key, value in GIVEN.items() if key != name})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("link_key", SecretStr("short")),
        ("link_key", SecretStr("no base64url: äöü" * 4)),
        ("accounts_key", SecretStr("short")),
        ("accounts_key", SecretStr("no base64url: äöü" * 4)),
        ("console_url", "console.example.com"),
        ("mail_from", "Latchkey"),
        ("mail_from", "@latchkey.example"),
        ("smtp_tls", "sometimes"),
        ("lease", 0),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValidationError):
        Settings(**GIVEN | {name: value})


def test_the_key_that_console_has_makes_no_link_of_an_invitation() -> None:
    with pytest.raises(ValidationError, match="ACCOUNTS_KEY is LINK_KEY"):
        Settings(**GIVEN | {"accounts_key": GIVEN["link_key"]})
    written_otherwise = SecretStr(GIVEN["link_key"].get_secret_value().rstrip("="))
    with pytest.raises(ValidationError, match="ACCOUNTS_KEY is LINK_KEY"):
        Settings(**GIVEN | {"accounts_key": written_otherwise})


def test_a_password_does_not_travel_in_the_clear() -> None:
    with pytest.raises(ValidationError, match="SMTP_TLS"):
        Settings(**GIVEN, smtp_username="notifier", smtp_password=SecretStr("secret"))
    server = mail_server(
        Settings(**GIVEN, smtp_username="notifier", smtp_password=SecretStr("secret"), smtp_tls=Tls.STARTTLS)
    )
    assert (server.starttls, server.implicit_tls, server.username) == (True, False, "notifier")
    assert server.tls_context is not None


def test_no_secret_is_shown() -> None:
    settings = Settings(**GIVEN, smtp_username="notifier", smtp_password=SecretStr("secret"), smtp_tls=Tls.IMPLICIT)
    shown = f"{settings!r} {mail_server(settings)!r}"
    assert "'secret'" not in shown
    assert GIVEN["link_key"].get_secret_value() not in shown
    assert GIVEN["accounts_key"].get_secret_value() not in shown
