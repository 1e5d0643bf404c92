"""Every page of the console, in every state that a person can bring it into, and the world in which it is so."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from uuid import UUID

from passing_time import a_week_passes
from paying import money_is_spent
from people import PASSWORD, People, Person
from playwright.async_api import Page

from stack.platform import Platform

Places = Mapping[str, str]
"""Codes of links, by what became of them, and the address of a guest."""
Act = Callable[[Page, Places], Awaitable[None]]

_ORGANIZATION = "/billing/organization"
_USAGE, _PAYMENT, _TOP_UP = "/billing/usage", "/billing/payment", "/billing/organization/top-up"
_ORGANIZATION_PAYMENT = "/billing/organization/payment"
_SEND = """
    ([action, values]) => {
        const form = document.querySelector(`form[action="${action}"]`);
        for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
        form.submit();
    }
"""
"""Past the checks of the browser, and without the second click of destructive buttons."""
_GO = "if (location.pathname === '/dashboard') addEventListener('load', () => location.replace('{address}'))"


@dataclass(frozen=True, slots=True)
class State:
    """A page as somebody sees it."""

    name: str
    who: str
    """Whose browser: one of World.people, or a `visitor`, whom nobody knows."""
    path: str
    """With names of World.places in braces."""
    act: Act | None = None
    """What is done there; it ends on the page that is meant."""


@dataclass(frozen=True, slots=True)
class World:
    """An organization in which everything has happened already."""

    people: Mapping[str, Person]
    """Its owner, a member, an invitee, the owner of another organization (`elsewhere`), and a newcomer whose mailbox is
    still to be proven."""
    places: Places


def sends(action: str, **values: str) -> Act:
    """Sends the form that goes to `action`, with these values in its fields."""

    async def act(page: Page, places: Places) -> None:
        async with page.expect_navigation():
            await page.evaluate(_SEND, [action.format_map(places), values])

    return act


def led_to(path: str) -> Act:
    """Goes on without a click, so that the browser cannot say that a person is behind it."""

    async def act(page: Page, places: Places) -> None:
        address = path.format_map(places)
        await page.add_init_script(_GO.format(address=address))
        await page.reload(wait_until="commit")
        await page.wait_for_url(f"**{address}")

    return act


def invites(*addresses: str) -> Act:
    """Invites several at once, and waits until the table says that the letter to the last one was sent: until then
    it changes by itself."""

    async def act(page: Page, places: Places) -> None:
        typed = [address.format_map(places) for address in addresses]
        await sends(f"{_ORGANIZATION}/invite", addresses=", ".join(typed))(page, places)
        await page.get_by_role("row").filter(has_text=typed[-1]).get_by_text("Letter sent").wait_for()

    return act


def opens(selector: str) -> Act:
    """Clicks on something that then shows more of the page."""

    async def act(page: Page, _: Places) -> None:
        await page.click(selector)

    return act


_NOBODY = "nobody@example.com"
_NO_LINK = "x" * 43
STATES = (
    # --- nobody is signed in
    State("sign in", "visitor", "/sign-in"),
    State("sign in, refused", "visitor", "/sign-in", sends("/sign-in", address=_NOBODY, password=PASSWORD)),
    State("sign up", "visitor", "/sign-up"),
    State("sign up, refused", "visitor", "/sign-up", sends("/sign-up", address="no address", password="short")),
    State("forgotten password", "visitor", "/forgot-password"),
    State("forgotten password, answered", "visitor", "/forgot-password", sends("/forgot-password", address=_NOBODY)),
    State("new password", "visitor", "/password-reset/{reset}/"),
    State(
        "new password, refused",
        "visitor",
        "/password-reset/{reset}/",
        sends("/password-reset/{reset}/", password="short"),
    ),
    State("new password, dead link", "visitor", f"/password-reset/{_NO_LINK}/"),
    State("no such page", "visitor", "/nowhere"),
    State("a form of long ago", "visitor", "/sign-in", sends("/sign-in", csrf_token="of long ago")),
    State("reference of the API", "visitor", "/api/v1/docs"),
    # --- the link of an invitation
    State("invitation, signed out", "visitor", "/org-invite/{pending}/"),
    State("invitation, signing in instead", "visitor", "/org-invite/{pending}/sign-in"),
    State("invitation, about to decline", "visitor", "/org-invite/{pending}/decline"),
    State("invitation, superseded", "visitor", "/org-invite/{superseded}/"),
    State("invitation, revoked", "visitor", "/org-invite/{revoked}/"),
    State("invitation, declined", "visitor", "/org-invite/{declined}/"),
    State("invitation, expired", "visitor", "/org-invite/{expired}/"),
    State("invitation, used", "visitor", "/org-invite/{used}/"),
    State("invitation, unknown", "visitor", f"/org-invite/{_NO_LINK}/"),
    State("invitation, for another address", "invitee", "/org-invite/{pending}/"),
    State("invitation, in another organization", "elsewhere", "/org-invite/{elsewhere}/"),
    State("invitation, revoked, signed in", "invitee", "/org-invite/{revoked}/"),
    State("invitation, before the mailbox is proven", "newcomer", "/org-invite/{pending}/"),
    # --- signed in
    State("address to be confirmed", "newcomer", "/confirm-address"),
    State("address to be confirmed, refused", "newcomer", "/confirm-address", sends("/confirm-address", code="0")),
    State("dashboard, in no organization", "invitee", "/dashboard"),
    State("my organization, in none", "invitee", _ORGANIZATION),
    State("new organization", "invitee", "/organization/new"),
    State("new organization, refused", "invitee", "/organization/new", sends("/organization/new", name="x")),
    State("dashboard of an owner", "owner", "/dashboard"),
    State("menu", "owner", "/dashboard", opens("summary.menu-button")),
    State("my organization of its owner", "owner", _ORGANIZATION),
    State("my organization, adding", "owner", f"{_ORGANIZATION}?add=1"),
    State(
        "my organization, an address refused",
        "owner",
        _ORGANIZATION,
        sends(f"{_ORGANIZATION}/invite", addresses="no address"),
    ),
    State("my organization, results of several", "owner", _ORGANIZATION, invites("no address", "{guest}")),
    State("my organization, armed", "owner", _ORGANIZATION, opens("button[data-arm]")),
    State("my organization, a word about what was done", "owner", _ORGANIZATION, sends(f"{_ORGANIZATION}/promote")),
    State("a second question", "owner", _ORGANIZATION, sends(f"{_ORGANIZATION}/revoke")),
    State("dashboard of a member", "member", "/dashboard"),
    State("my organization of a member", "member", _ORGANIZATION),
    # --- money
    State("usage of an organization", "owner", _USAGE),
    State("usage by day", "owner", _USAGE, opens(".by-day > summary")),
    State("usage of a month without any", "owner", f"{_USAGE}?month=2025-12"),
    State("usage, a limit refused", "owner", _USAGE, sends(f"{_USAGE}/cap", cap="a lot")),
    State("usage of a member", "member", _USAGE),
    State("usage of nobody yet", "invitee", _USAGE),
    State("usage, exhausted", "elsewhere", _USAGE),
    State("dashboard, exhausted", "elsewhere", "/dashboard"),
    State("payment method, none", "invitee", _PAYMENT),
    State("payment method, refused", "invitee", _PAYMENT, sends(f"{_PAYMENT}/card", card_id="pm_unknown")),
    State("payment method, declined", "elsewhere", _PAYMENT),
    State("payment method, about to remove it", "elsewhere", _PAYMENT, sends(f"{_PAYMENT}/remove")),
    State("payment method of an organization", "owner", _ORGANIZATION_PAYMENT),
    State("payment method, armed", "owner", _ORGANIZATION_PAYMENT, opens("button[data-arm]")),
    State("topping up", "owner", _TOP_UP),
    State("topping up, refused", "owner", _TOP_UP, sends(_TOP_UP, amount="1")),
    State("topping up without a card", "elsewhere", _TOP_UP),
    # --- an account
    State("account", "member", "/account"),
    State("account, password refused", "member", "/account", sends("/account/password", old="x", new="short")),
    State("account, token refused", "member", "/account", sends("/account/tokens", token_name="")),
    State("token created", "member", "/account", sends("/account/tokens", token_name="Nightly report")),
    # It joins whoever has the right address, so it comes last in the invitee's browser.
    State("invitation, to be joined", "invitee", "/dashboard", led_to("/org-invite/{asked}/")),
)


async def a_world(platform: Platform, people: People) -> World:
    """Plays what has happened, over the API."""
    owner, member, invitee, elsewhere = await asyncio.gather(
        *(people.sign_up(role) for role in ("owner", "member", "invitee", "elsewhere"))
    )
    organization_id = await people.organization(owner)
    await people.organization(elsewhere, "Other Org")
    roles = ("superseded", "revoked", "declined", "expired", "pending")
    addresses = [*map(people.address, roles), member.address, invitee.address, elsewhere.address]
    invited = await people.invited(owner, organization_id, addresses)
    places = dict(zip((*roles, "used", "asked", "elsewhere"), (code for _, code in invited), strict=True))
    await member.browser.accept(places["used"])
    await owner.browser.invite(organization_id, people.address("superseded"))
    await owner.browser.revoke(organization_id, invited[roles.index("revoked")][0])
    await (await people.browser()).decline(places["declined"])
    await a_week_passes(platform, organization_id, people.address("expired"))
    await owner.browser.invite(organization_id, people.address("bounce"))
    await member.browser.post("/password-resets", {"address": member.address})
    places["reset"] = await people.letters.reset_code(member.address)
    places["guest"] = people.address("guest")
    await money_is_spent(platform, organization_id, owner, member, broke=elsewhere)
    newcomer = await _newcomer(people)
    everybody = {"owner": owner, "member": member, "invitee": invitee, "elsewhere": elsewhere, "newcomer": newcomer}
    return World(everybody, places)


async def _newcomer(people: People) -> Person:
    browser, address = await people.browser(), people.address("newcomer")
    account = await browser.sign_up(address, "Newcomer", PASSWORD)
    return Person(UUID(account["account_id"]), address, "Newcomer", browser)
