"""Following the link of an invitation, page by page: every row of the design's table "Clicking the link"."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from console_world import PASSWORD, ConsoleWorld, code_of, console_world
from page_browser import CLICK, PageBrowser

from console.accounts.domain import Account
from contracts import (
    AcceptInvitation,
    DeclineInvitation,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationIssued,
    InvitationRevoked,
    InvitationSuperseded,
    Message,
    Reason,
)
from postroom.ids import uuid7

INVITEE = "invitee@example.com"


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, outcome_timeout=timedelta(seconds=5)) as (console,):
        yield console


@pytest.fixture
async def browser(console: ConsoleWorld) -> AsyncIterator[PageBrowser]:
    async with PageBrowser(console) as browser:
        yield browser


async def organization(console: ConsoleWorld, owner: str = "owner@example.com", name: str = "Example Org") -> UUID:
    """A new one, of a new owner."""
    outcome = await console.edge.commands.create_organization(await console.person(owner, "The Owner"), name)
    assert outcome.is_done
    return outcome.organization_id


async def invited(console: ConsoleWorld, address: str = INVITEE) -> InvitationIssued:
    """An invitation into a new organization."""
    issued = console.player.issued(await organization(console), address, uuid7())
    await console.hear(issued)
    return issued


def path_of(issued: InvitationIssued) -> str:
    return f"/org-invite/{code_of(issued)}/"


async def code_for(console: ConsoleWorld, address: str) -> str:
    """The six digits in the newest letter to this address."""
    async with console.engine.connect() as connection:
        query = "SELECT account_id FROM accounts WHERE address = $1 ORDER BY created_at DESC, account_id DESC LIMIT 1"
        found = (await connection.exec_driver_sql(query, (address,))).scalar_one()
    return await console.code_of((await console.edge.accounts.accounts([found]))[found])


async def is_pending(console: ConsoleWorld, issued: InvitationIssued) -> bool:
    found = await console.edge.view.invitation(issued.invitation_id)
    return found is not None and found.state == "pending"


async def place_of(console: ConsoleWorld, account: Account) -> str | None:
    membership = await console.edge.view.membership(account.account_id)
    return membership.organization_name if membership else None


# --- signed out


async def test_who_is_signed_out_sees_who_invites_them_and_signs_up_with_that_address(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await browser.go(path_of(await invited(console)))
    assert browser.answer.status_code == 200
    assert "The Inviter invites you to join Example Org" in browser.page.text
    assert browser.page.heading == "Create your account"
    assert browser.page.forms["/sign-up"]["address"] == INVITEE


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_looking_without_a_session_sends_no_command(
    console: ConsoleWorld, browser: PageBrowser, method: str
) -> None:
    await console.person(INVITEE)
    issued = await invited(console)
    sent = await console.count("commands")
    await browser.go(path_of(issued), method=method)
    assert browser.answer.status_code == 200
    assert await console.count("commands") == sent
    assert await is_pending(console, issued)


async def test_after_sign_up_by_the_link_and_proof_of_the_mailbox_one_has_joined(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await browser.go(path_of(await invited(console)))
    await browser.send("/sign-up", name="The Invitee", password=PASSWORD)
    assert (browser.path, browser.page.heading) == ("/confirm-address", "Confirm your address")
    assert INVITEE in browser.page.text

    await browser.send("/confirm-address", code=await code_for(console, INVITEE))
    assert browser.path == "/dashboard"
    assert browser.page.toasts == [("success", "You joined Example Org.")]


async def test_an_acceptance_that_takes_longer_than_the_proof_is_told_by_the_dashboard(
    console: ConsoleWorld, database_url: str
) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(milliseconds=50)) as (slow,):
        issued = await invited(console)
        async with PageBrowser(slow) as browser:
            slow.player.invitations[issued.invitation_id] = issued
            await browser.go(path_of(issued))
            await browser.send("/sign-up", name="The Invitee", password=PASSWORD)
            await browser.send("/confirm-address", code=await code_for(console, INVITEE))
            assert (browser.path, browser.page.toasts) == ("/dashboard", [])
            assert "Joining" in browser.page.text

            await slow.deliver()
            await browser.go("/dashboard")
            assert browser.page.toasts == [("success", "You joined Example Org.")]


async def test_an_invitation_revoked_during_the_sign_up_is_told_after_the_proof(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await browser.go(path_of(await invited(console)))
    await browser.send("/sign-up", name="The Invitee", password=PASSWORD)
    console.player.refusals[AcceptInvitation] = (Reason.REVOKED, "This invitation was revoked.")
    await browser.send("/confirm-address", code=await code_for(console, INVITEE))
    assert browser.page.toasts == [("error", "This invitation was revoked.")]


async def test_signing_up_by_a_link_with_another_address_is_caught_before_it_is_in_vain(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    issued = await invited(console)
    await browser.go(path_of(issued))
    await browser.send("/sign-up", address="another@example.com", name="The Invitee", password=PASSWORD)
    assert browser.answer.status_code == 422
    assert f"The invitation is for {INVITEE}. Use that address to join Example Org." in browser.page.text
    assert "The Inviter invites you to join Example Org" in browser.page.text
    form = browser.page.forms["/sign-up"]
    assert (form["address"], form["name"], form["password"]) == ("another@example.com", "The Invitee", "")

    await browser.send("/sign-up", address="Invitee@Example.com", password=PASSWORD)
    assert browser.path == "/confirm-address"


async def test_who_has_an_account_signs_in_instead_and_has_joined(console: ConsoleWorld, browser: PageBrowser) -> None:
    await console.person(INVITEE)
    await browser.go(path_of(await invited(console)))
    await browser.click("Sign in instead")
    assert "The Inviter invites you to join Example Org" in browser.page.text
    assert browser.page.forms["/sign-in"]["address"] == INVITEE

    await browser.send("/sign-in", password=PASSWORD)
    assert browser.path == "/dashboard"
    assert browser.page.toasts == [("success", "You joined Example Org.")]


async def test_a_wrong_password_loses_no_invitation(console: ConsoleWorld, browser: PageBrowser) -> None:
    await console.person(INVITEE)
    await browser.go(path_of(await invited(console)))
    await browser.click("Sign in instead")
    await browser.send("/sign-in", password="not the right one")
    assert "The Inviter invites you to join Example Org" in browser.page.text
    await browser.send("/sign-in", password=PASSWORD)
    assert browser.page.toasts == [("success", "You joined Example Org.")]


async def test_who_signs_up_by_a_link_although_they_have_an_account_joins_when_they_sign_in_instead(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(INVITEE)
    await browser.go(path_of(await invited(console)))
    await browser.send("/sign-up", name="The Invitee", password="another passphrase")
    await browser.click("sign in instead")
    await browser.send("/sign-in", address=INVITEE, password=PASSWORD)
    assert browser.page.toasts == [("success", "You joined Example Org.")]


async def test_the_sign_up_that_somebody_else_gave_up_in_this_browser_joins_nobody(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person("another@example.com")
    issued = await invited(console)
    await browser.go(path_of(issued))
    await browser.send("/sign-up", name="The Invitee", password=PASSWORD)
    await browser.click("sign in instead")
    await browser.send("/sign-in", address="another@example.com", password=PASSWORD)
    assert (browser.path, browser.page.toasts) == ("/dashboard", [])
    assert await is_pending(console, issued)


async def test_no_address_and_no_query_ever_holds_the_code_but_that_of_the_link(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    issued = await invited(console)
    await browser.go(path_of(issued))
    leads = [*browser.page.links.values(), *browser.page.forms]
    await browser.click("Sign in instead")
    leads += [*browser.page.links.values(), *browser.page.forms]
    with_code = [each for each in leads if code_of(issued) in each]
    assert all(each.startswith(path_of(issued)) and "?" not in each for each in with_code)


# --- signed in


async def test_the_right_person_joins_with_the_click(console: ConsoleWorld, browser: PageBrowser) -> None:
    invitee = await console.person(INVITEE)
    issued = await invited(console)
    await browser.sign_in(INVITEE)
    await browser.go(path_of(issued))
    assert browser.path == "/dashboard"
    assert browser.page.toasts == [("success", "You joined Example Org.")]
    assert await place_of(console, invitee) == "Example Org"
    assert len(console.sent_of(AcceptInvitation)) == 1


async def test_a_member_who_clicks_again_succeeds_again(console: ConsoleWorld, browser: PageBrowser) -> None:
    await console.person(INVITEE)
    issued = await invited(console)
    await browser.sign_in(INVITEE)
    await browser.go(path_of(issued))
    for _ in range(2):
        await browser.go(path_of(issued))
        assert browser.path == "/dashboard"
        assert browser.page.toasts == [("success", "You are a member of Example Org.")]


@pytest.mark.parametrize(
    "headers",
    [
        {"accept": "*/*"},
        CLICK | {"sec-purpose": "prefetch"},
        {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate"},
        {"sec-fetch-dest": "empty", "sec-fetch-mode": "no-cors", "sec-fetch-site": "cross-site"},
    ],
)
async def test_what_no_person_has_clicked_asks_first(
    console: ConsoleWorld, browser: PageBrowser, headers: dict[str, str]
) -> None:
    invitee = await console.person(INVITEE)
    issued = await invited(console)
    await browser.sign_in(INVITEE)
    await browser.go(path_of(issued), headers=headers)
    assert (browser.answer.status_code, browser.page.heading) == (200, "Join Example Org?")
    assert await place_of(console, invitee) is None

    await browser.send(path_of(issued))
    assert browser.page.toasts == [("success", "You joined Example Org.")]
    assert await place_of(console, invitee) == "Example Org"


async def test_head_joins_nobody(console: ConsoleWorld, browser: PageBrowser) -> None:
    invitee = await console.person(INVITEE)
    issued = await invited(console)
    await browser.sign_in(INVITEE)
    await browser.go(path_of(issued), method="HEAD")
    assert browser.answer.status_code == 200
    assert await place_of(console, invitee) is None
    assert await is_pending(console, issued)


async def test_head_says_of_no_link_what_became_of_it(console: ConsoleWorld, browser: PageBrowser) -> None:
    revoked = await invited(console)
    await console.hear(_ended(revoked, "revoked", console))
    for path in (path_of(revoked), "/org-invite/not-a-code/"):
        await browser.go(path, method="HEAD")
        assert (browser.answer.status_code, browser.answer.content) == (200, b"")
        assert browser.answer.headers["referrer-policy"] == "no-referrer"


async def test_a_form_of_another_site_joins_nobody(console: ConsoleWorld, browser: PageBrowser) -> None:
    invitee = await console.person(INVITEE)
    issued = await invited(console)
    await browser.sign_in(INVITEE)
    await browser.go(path_of(issued), headers={"accept": "*/*"})
    form = browser.page.forms[path_of(issued)]
    for data, headers in [
        ({}, {"sec-fetch-site": "same-origin"}),
        (form, {"sec-fetch-site": "cross-site"}),
        (form, {"origin": "https://elsewhere.example"}),
    ]:
        answer = await browser.http.post(path_of(issued), data=data, headers=headers)
        assert answer.status_code == 403
    assert await place_of(console, invitee) is None


async def test_a_member_of_another_organization_is_told_which_and_what_to_do(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    invitee = await console.person(INVITEE)
    elsewhere = await organization(console, "other-owner@example.com", "Another Org")
    await console.hear(console.player.joined(elsewhere, invitee.account_id))
    issued = await invited(console)
    await browser.sign_in(INVITEE)
    await browser.go(path_of(issued))
    assert (browser.answer.status_code, browser.page.heading) == (409, "You are in another organization")
    assert "You are a member of Another Org" in browser.page.text
    assert "leave Another Org first" in browser.page.text
    assert await is_pending(console, issued)
    assert console.sent_of(AcceptInvitation) == []


async def test_the_owner_of_another_organization_is_told_that_they_cannot_leave(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    issued = await invited(console, "other-owner@example.com")
    await organization(console, "other-owner@example.com", "Another Org")
    await browser.sign_in("other-owner@example.com")
    await browser.go(path_of(issued))
    assert "You are the owner of Another Org" in browser.page.text
    assert "The owner of an organization cannot leave it." in browser.page.text
    assert await is_pending(console, issued)


async def test_a_refusal_of_membership_is_explained_like_one_that_the_view_knows(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(INVITEE)
    issued = await invited(console)
    console.player.refusals[AcceptInvitation] = (Reason.IN_ANOTHER_ORGANIZATION, "You are in another organization.")
    await browser.sign_in(INVITEE)
    await browser.go(path_of(issued))
    assert browser.page.heading == "You are in another organization"


async def test_who_founds_an_organization_while_they_join_is_not_told_to_leave_it(
    console: ConsoleWorld, database_url: str
) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=20)) as (slow,):
        invitee = await console.person(INVITEE)
        issued = await invited(console)
        elsewhere = await organization(console, "other-owner@example.com", "Another Org")
        slow.player.refusals[AcceptInvitation] = (Reason.IN_ANOTHER_ORGANIZATION, "You are in another organization.")
        async with PageBrowser(slow) as browser:
            await browser.sign_in(INVITEE)
            sent = await slow.count("commands")
            joining = asyncio.create_task(browser.go(path_of(issued)))
            async with asyncio.timeout(10):
                while await slow.count("commands") == sent:
                    await asyncio.sleep(0.01)
            await console.hear(console.player.joined(elsewhere, invitee.account_id, role="owner"))
            await slow.deliver()
            await joining
            assert (browser.answer.status_code, browser.page.heading) == (409, "You are in another organization")
            assert "You are the owner of Another Org" in browser.page.text
            assert "The owner of an organization cannot leave it." in browser.page.text


async def test_somebody_else_sees_both_addresses_and_continues_as_the_invited_one(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    somebody_else = await console.person("another@example.com")
    await console.person(INVITEE)
    issued = await invited(console)
    await browser.sign_in("another@example.com")
    await browser.go(path_of(issued))
    assert (browser.answer.status_code, browser.page.heading) == (403, "This invitation is for another address")
    assert INVITEE in browser.page.text
    assert "another@example.com" in browser.page.text
    assert await is_pending(console, issued)
    assert await place_of(console, somebody_else) is None

    await browser.send(f"{path_of(issued)}sign-out")
    assert (browser.path, browser.page.heading) == (path_of(issued), "Create your account")
    await browser.click("Sign in instead")
    await browser.send("/sign-in", password=PASSWORD)
    assert browser.page.toasts == [("success", "You joined Example Org.")]


async def test_who_has_not_proven_their_mailbox_proves_it_and_comes_back_to_the_link(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await browser.go("/sign-up")
    await browser.send("/sign-up", address=INVITEE, name="The Invitee", password=PASSWORD)
    await browser.go(path_of(await invited(console)))
    assert browser.page.heading == "Confirm your address"
    await browser.send("/confirm-address/again")
    assert browser.page.heading == "Confirm your address"
    await browser.send("/confirm-address", code=await code_for(console, INVITEE))
    assert browser.page.toasts[-1] == ("success", "You joined Example Org.")


async def test_an_acceptance_that_takes_longer_shows_a_page_that_goes_on_by_itself(
    console: ConsoleWorld, database_url: str
) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(milliseconds=50)) as (slow,):
        await console.person(INVITEE)
        issued = await invited(console)
        slow.player.invitations[issued.invitation_id] = issued
        async with PageBrowser(slow) as browser:
            await browser.sign_in(INVITEE)
            await browser.go(path_of(issued))
            assert (browser.path, browser.page.heading) == (f"{path_of(issued)}joining", "Joining Example Org…")
            await browser.go(browser.path)
            assert browser.page.heading == "Joining Example Org…"

            await slow.deliver()
            await browser.go(browser.path)
            assert browser.page.toasts == [("success", "You joined Example Org.")]
            await browser.go(f"{path_of(issued)}joining")
            assert (browser.path, browser.page.toasts) == ("/dashboard", [])


# --- links that work no more


def _about(issued: InvitationIssued) -> dict[str, Any]:
    return {"organization_id": issued.organization_id, "invitation_id": issued.invitation_id, "version": 2}


def _ended(issued: InvitationIssued, state: str, console: ConsoleWorld) -> Message:
    now = console.clock()
    facts: dict[str, Message] = {
        "superseded": InvitationSuperseded(**_about(issued), superseded_by=uuid7(), superseded_at=now),
        "revoked": InvitationRevoked(**_about(issued), reason="revoked", revoked_by=None, revoked_at=now),
        "expired": InvitationExpired(**_about(issued), expired_at=now),
        "declined": InvitationDeclined(**_about(issued), declined_by=None, declined_at=now),
    }
    return facts[state]


DEAD = [
    ("superseded", "A newer invitation was sent", "was sent on 4 Mar 2026"),
    ("revoked", "This invitation was revoked", "Nobody joined by it"),
    ("expired", "This invitation has expired", "invite you to Example Org again"),
    ("declined", "This invitation was declined", "If that was a mistake"),
]


@pytest.mark.parametrize("who", ["nobody", "the invitee", "somebody else"])
@pytest.mark.parametrize(("state", "heading", "sentence"), DEAD)
async def test_a_dead_link_says_what_happened_and_what_to_do(
    console: ConsoleWorld, browser: PageBrowser, who: str, state: str, heading: str, sentence: str
) -> None:
    issued = await invited(console)
    console.clock.advance(timedelta(days=2))
    await console.hear(_ended(issued, state, console))
    if who != "nobody":
        address = INVITEE if who == "the invitee" else "another@example.com"
        await console.person(address)
        await browser.sign_in(address)
    await browser.go(path_of(issued))
    assert (browser.answer.status_code, browser.page.heading) == (410, heading)
    assert sentence in browser.page.text
    assert "The Inviter" in browser.page.text


async def test_a_used_link_says_so(console: ConsoleWorld, browser: PageBrowser) -> None:
    invitee = await console.person(INVITEE)
    issued = await invited(console)
    await console.hear(
        InvitationAccepted(
            **_about(issued), account_id=invitee.account_id, inviter_id=issued.inviter_id, accepted_at=console.clock()
        ),
        console.player.joined(issued.organization_id, invitee.account_id, invitation_id=issued.invitation_id),
    )
    await browser.go(path_of(issued))
    assert (browser.answer.status_code, browser.page.heading) == (410, "This invitation has been used")


async def test_an_unknown_link_says_so(console: ConsoleWorld, browser: PageBrowser) -> None:
    await browser.go("/org-invite/not-a-code/")
    assert (browser.answer.status_code, browser.page.heading) == (404, "There is no such invitation")


async def test_a_link_says_the_same_to_strangers_whether_or_not_its_address_has_an_account(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    known = await invited(console)
    await console.person(INVITEE)
    unknown = console.player.issued(known.organization_id, "unknown@example.com", known.inviter_id)
    await console.hear(unknown)
    pages = []
    for issued in (known, unknown):
        await browser.go(path_of(issued))
        pages.append(browser.answer.text.replace(code_of(issued), "CODE").replace(issued.address, "ADDRESS"))
    assert pages[0] == pages[1]


# --- saying no


async def test_saying_no_needs_no_account_and_is_asked_twice(console: ConsoleWorld, browser: PageBrowser) -> None:
    issued = await invited(console)
    await browser.go(path_of(issued))
    await browser.click("No, thanks")
    assert browser.page.heading == "Decline the invitation?"
    assert await is_pending(console, issued)

    await browser.send(f"{path_of(issued)}decline")
    assert browser.page.heading == "This invitation was declined"
    (sent,) = console.sent_of(DeclineInvitation)
    assert sent.actor_id is None


async def test_saying_no_to_what_is_used_meanwhile_tells_so(console: ConsoleWorld, browser: PageBrowser) -> None:
    issued = await invited(console)
    await browser.go(f"{path_of(issued)}decline")
    console.player.refusals[DeclineInvitation] = (Reason.ALREADY_ACCEPTED, "This invitation has been used already.")
    await browser.send(f"{path_of(issued)}decline")
    assert browser.page.heading == "This invitation has been used"


async def test_saying_no_by_a_dead_link_asks_nothing_of_anybody(console: ConsoleWorld, browser: PageBrowser) -> None:
    issued = await invited(console)
    await browser.go(f"{path_of(issued)}decline")
    await console.hear(_ended(issued, "revoked", console))
    await browser.send(f"{path_of(issued)}decline")
    assert (browser.answer.status_code, browser.page.heading) == (410, "This invitation was revoked")
    assert console.sent_of(DeclineInvitation) == []


async def test_who_could_not_say_no_may_try_again_and_is_not_offered_to_join(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(INVITEE)
    issued = await invited(console)
    await browser.sign_in(INVITEE)
    await browser.go(f"{path_of(issued)}decline")
    console.player.refusals[DeclineInvitation] = (Reason.ACCEPTANCE_IN_PROGRESS, "It is being accepted.")
    await browser.send(f"{path_of(issued)}decline")
    assert (browser.answer.status_code, browser.page.heading) == (409, "Decline the invitation?")
    assert "It is being accepted." in browser.page.text
    assert list(browser.page.forms) == [f"{path_of(issued)}decline"]


# --- what the pages tell of themselves


async def test_pages_below_a_link_give_its_code_to_nobody(console: ConsoleWorld, browser: PageBrowser) -> None:
    issued = await invited(console)
    for path in (path_of(issued), f"{path_of(issued)}sign-in", f"{path_of(issued)}decline", "/org-invite/unknown/"):
        await browser.go(path)
        headers = browser.answer.headers
        assert (headers["referrer-policy"], headers["cache-control"]) == ("no-referrer", "no-store")
        assert "noindex" in headers["x-robots-tag"]
