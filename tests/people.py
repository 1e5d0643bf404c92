"""People with accounts at the console of a platform, each with a browser of their own, for stories and races."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from stack.console_client import ConsoleClient
from stack.mailbox.reader import Reader
from stack.platform import Platform

PASSWORD = "a long enough passphrase"
_SIGN_UPS_AT_ONCE = 8


@dataclass
class Person:
    """Somebody with an account whose mailbox is proven, and who is signed in."""

    account_id: UUID
    address: str
    name: str
    browser: ConsoleClient


class People:
    """Everybody of a test. Addresses are new ones for each, so that no test meets another's people."""

    def __init__(self, platform: Platform, open_browsers: AsyncExitStack) -> None:
        self._platform = platform
        self._open_browsers = open_browsers
        self.tag = secrets.token_hex(3)
        self.mailbox = platform.mailbox
        self.letters = Reader(platform.mailbox)

    def address(self, role: str) -> str:
        """Where somebody in this role is written to, in this test."""
        return f"{role}.{self.tag}@example.com"

    async def browser(self, *, token: str | None = None, instance: str = "console") -> ConsoleClient:
        """A browser in which nobody is signed in, or a program with a token; closed with the test."""
        address = self._platform.service(instance).web_address
        return await self._open_browsers.enter_async_context(ConsoleClient(address, token=token))

    async def sign_up(self, role: str, *, invitation_code: str | None = None) -> Person:
        """Somebody new, in the way of people: the code is in the mailbox."""
        browser = await self.browser()
        address, name = self.address(role), role.replace("-", " ").capitalize()
        account = await browser.sign_up(address, name, PASSWORD, invitation_code=invitation_code)
        await browser.prove(await self.letters.mailbox_code(address))
        return Person(UUID(account["account_id"]), address, name, browser)

    async def crowd(self, role: str, size: int) -> list[Person]:
        """Many who are new."""
        turn = asyncio.Semaphore(_SIGN_UPS_AT_ONCE)

        async def one(number: int) -> Person:
            async with turn:
                return await self.sign_up(f"{role}-{number}")

        return list(await asyncio.gather(*(one(number) for number in range(size))))

    async def organization(self, owner: Person, name: str = "Example Org") -> UUID:
        """A new organization of the owner's."""
        return await owner.browser.create_organization(f"{name} {self.tag}")

    async def invited(self, owner: Person, organization_id: UUID, addresses: Sequence[str]) -> list[tuple[UUID, str]]:
        """Invites addresses that were not invited before; the invitations' ids, and the codes in their letters."""
        results = await owner.browser.invite_many(organization_id, addresses)
        ids = [UUID(result["invitation"]["invitation_id"]) for result in results]
        codes = await asyncio.gather(*(self.letters.link_code(address) for address in addresses))
        return list(zip(ids, codes, strict=True))


@asynccontextmanager
async def people_of(platform: Platform) -> AsyncIterator[People]:
    """Nobody yet."""
    async with AsyncExitStack() as open_browsers:
        yield People(platform, open_browsers)
