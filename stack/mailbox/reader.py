"""What a person does with their letters: waits for one, opens it, and takes the code out of it."""

import asyncio
import re
import time
from typing import Any, Protocol

_LINK = re.compile(r"/org-invite/([A-Za-z0-9_-]{43})/")
_RESET = re.compile(r"/password-reset/([A-Za-z0-9_-]{43})/")
_DIGITS = re.compile(r"^ +(\d{3}) (\d{3})$", re.MULTILINE)
_POLL = 0.05


class Mailbox(Protocol):
    """Where the letters arrive."""

    def letters(self, to: str | None = None) -> list[dict[str, Any]]: ...


class NoLetter(Exception):
    """A letter that was waited for did not come in time."""


class Reader:
    """Finds codes in the letters to an address: in the newest that has one, once there are more than `after`."""

    def __init__(self, mailbox: Mailbox, within: float = 30.0) -> None:
        self._mailbox = mailbox
        self._within = within

    async def mailbox_code(self, address: str, *, after: int = 0) -> str:
        """The six digits that prove the mailbox. Raises NoLetter, as all of these."""
        return await self._code(address, _DIGITS, after, "a code")

    async def link_code(self, address: str, *, after: int = 0) -> str:
        """The code of the link in an invitation."""
        return await self._code(address, _LINK, after, "an invitation")

    async def reset_code(self, address: str, *, after: int = 0) -> str:
        """The code of the link that resets a password."""
        return await self._code(address, _RESET, after, "a link for a new password")

    async def _code(self, address: str, pattern: re.Pattern[str], after: int, what: str) -> str:
        deadline = time.monotonic() + self._within
        while True:
            letters = await asyncio.to_thread(self._mailbox.letters, address)
            found = [match for letter in letters if (match := pattern.search(letter["text"]))]
            if len(found) > after:
                return "".join(found[-1].groups())
            if time.monotonic() > deadline:
                subjects = [letter["subject"] for letter in letters]
                raise NoLetter(f"No letter with {what} came to {address} within {self._within:.0f} s, but {subjects}.")
            await asyncio.sleep(_POLL)
