"""The demo, as a person sees it: its story comes true, as often as it is played, and it opens what it says."""

import asyncio
import io
import re

import pytest
from rich.console import Console

from stack.console_client import ConsoleClient
from stack.demo import play
from stack.loopback import answers_ok
from stack.platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def pages(platform: Platform) -> list[str]:
    """What it shows, played twice on one platform. Fails where not all claims come true."""
    shown = []
    for _ in range(2):
        page = io.StringIO()
        came_true = asyncio.run(play(platform, Console(file=page, width=160)))
        assert came_true, page.getvalue()
        shown.append(page.getvalue())
    return shown


def accounts(page: str) -> set[str]:
    """The addresses of the table at the end."""
    table = page.partition("Accounts to sign in as")[2].partition(" • ")[0]
    return set(re.findall(r"\S+@example\.com", table))


def test_the_story_comes_true_and_once_more_on_the_same_platform(pages: list[str]) -> None:
    first, second = pages

    assert "✗" not in first + second
    assert accounts(first).isdisjoint(accounts(second))


def test_at_the_end_it_says_what_to_open(platform: Platform, pages: list[str]) -> None:
    for page in pages:
        assert platform.console_url in page
        assert platform.mailbox.address in page
    assert answers_ok(platform.service("console").web_port or 0, "/sign-in")


async def test_and_as_whom_to_sign_in(platform: Platform, pages: list[str]) -> None:
    password = re.search(r"the password of each is (\S+)", pages[0])
    assert password is not None
    roles = {}
    for address in accounts(pages[0]):
        async with ConsoleClient(platform.console_url) as browser:
            await browser.sign_in(address, password[1])
            place = (await browser.me())["membership"]
            roles[address.partition(".")[0]] = place and place["role"]

    assert roles == {
        "owner": "owner",
        "admin": "admin",
        "member": "member",
        "invited": None,
        "outsider": None,
        "other-owner": "owner",
    }


@pytest.mark.parametrize("who", ["invited", "newcomer"])
def test_who_is_said_to_be_invited_has_the_letter(platform: Platform, pages: list[str], who: str) -> None:
    address = re.search(rf"{who}\.\S+@example\.com", pages[0])

    assert address is not None
    assert any("/org-invite/" in letter["text"] for letter in platform.mailbox.letters(address[0]))
