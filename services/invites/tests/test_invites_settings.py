"""The settings: what is needed, what is wrong, and what they lead to."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from contracts import INVITES_COMMANDS, TOPICS
from invites.app import build, policy_of
from invites.settings import Settings

KEY = bytes(range(200, 232))


def settings(**given: Any) -> Settings:
    given.setdefault("link_key", base64.urlsafe_b64encode(KEY).decode())
    return Settings(kafka_bootstrap_servers="127.0.0.1:9092", database_url=SecretStr("postgresql://x"), **given)


def test_the_link_key_is_base64url_with_or_without_padding() -> None:
    text = base64.urlsafe_b64encode(KEY).decode()
    assert settings(link_key=text).link_key_bytes == settings(link_key=text.rstrip("=")).link_key_bytes == KEY


@pytest.mark.parametrize("key", ["", "c2hvcnQ", "not base64url, but long enough for all that"])
def test_a_link_key_that_is_short_or_unreadable_is_refused(key: str) -> None:
    with pytest.raises(ValidationError):
        settings(link_key=key)


def test_the_link_key_is_not_shown() -> None:
    text = base64.urlsafe_b64encode(KEY).decode()
    assert text not in repr(settings())


def test_an_invitation_lives_seven_days_and_is_reminded_of_two_days_before() -> None:
    terms = policy_of(settings()).terms
    assert (terms.lifetime, terms.reminder_lead) == (timedelta(days=7), timedelta(days=2))
    assert policy_of(settings(invitation_lifetime="PT1H")).terms.lifetime == timedelta(hours=1)


def test_there_is_a_reaction_to_every_command() -> None:
    reactions = build(settings()).reactions
    assert set(INVITES_COMMANDS.messages) <= set(reactions.handlers)
    assert [topic.name for topic in reactions.reads] == [topic.name for topic in TOPICS.read_by("invites")]
