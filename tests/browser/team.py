"""An organization of people, and its page as somebody finds their way on it."""

from dataclasses import dataclass
from uuid import UUID

from people import People, Person
from playwright.async_api import Locator, Page

PAGE = "/billing/organization"
ARMED = "Click to confirm"


@dataclass
class Team:
    """An organization with its owner, and those who have joined it."""

    people: People
    organization_id: UUID
    owner: Person

    @property
    def name(self) -> str:
        return f"Example Org {self.people.tag}"

    async def member(self, role: str = "member") -> Person:
        """Somebody new who has accepted an invitation of the owner's; `role` says who they are in the test."""
        person = await self.people.sign_up(role)
        await person.browser.accept(await self.link_to(person.address))
        return person

    async def admin(self, role: str = "admin") -> Person:
        """A member whom the owner has made an admin."""
        person = await self.member(role)
        await self.owner.browser.change_role(self.organization_id, person.account_id, "admin")
        return person

    async def link_to(self, address: str) -> str:
        """The code in a new invitation's letter."""
        ((_, code),) = await self.people.invited(self.owner, self.organization_id, [address])
        return code

    async def invite(self, role: str, *, by: Person | None = None) -> UUID:
        """A new invitation of somebody in this role."""
        return await (by or self.owner).browser.invite(self.organization_id, self.people.address(role))

    async def revoke(self, invitation_id: UUID) -> None:
        await self.owner.browser.revoke(self.organization_id, invitation_id)


async def a_team(people: People) -> Team:
    """An organization that has its owner alone."""
    owner = await people.sign_up("owner")
    return Team(people, await people.organization(owner), owner)


# --- the page


def row(page: Page, text: str) -> Locator:
    """The row of the members table that says this: an address, for one."""
    return page.get_by_role("row").filter(has_text=text)


def button(row: Locator, label: str) -> Locator:
    """A button of a row, by how its name begins."""
    return row.get_by_role("button", name=label)


def toasts(page: Page) -> Locator:
    """What the page tells once, to screen readers, too."""
    return page.get_by_role("status")


def success(page: Page) -> Locator:
    """The green one among them."""
    return toasts(page).locator(".toast-success")


def failure(page: Page) -> Locator:
    """The red one among them."""
    return toasts(page).locator(".toast-error")


async def open_field(page: Page) -> Locator:
    """The field for addresses, below the table."""
    await page.get_by_text("Add member", exact=True).click()
    return page.get_by_label("E-mail address")
