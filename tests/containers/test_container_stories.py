"""The main stories, with every service in a container of its own: over the console's API, and over Kafka."""

import pytest
from contained import ContainedPlatform
from crowd import Crowd, audit
from telling import Silence

from stack.client import Client
from stack.story import Story

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300, func_only=True)]


async def test_people_sign_up_invite_accept_and_pay(contained: ContainedPlatform, client: Client) -> None:
    """Sign-up, invitation, letter, link, membership, billing chain, cards and credit, all over the console's API."""
    story = Story(client, contained.console_url, contained.mailbox, Silence(), contained.stripe, "a long passphrase")
    await story.play()

    assert story.promises
    assert [claim for claim, came_true in story.promises if not came_true] == []


async def test_a_crowd_that_is_invited_and_accepts_over_kafka(contained: ContainedPlatform, client: Client) -> None:
    crowd = Crowd(client, 50)
    await crowd.gather()
    await crowd.accept()
    await crowd.is_through()

    await audit(contained, crowd)
