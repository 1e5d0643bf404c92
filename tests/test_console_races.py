"""Races and crashes at the console, over HTTP, on the real platform: whoever asks hears the truth, and only once."""

import asyncio
import base64
from collections.abc import AsyncIterator, Coroutine
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from people import People, Person, people_of

from contracts import InvitationIssued, link_code
from stack.client import Client
from stack.console_client import Refused
from stack.platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.timeout(180)]

AT_ONCE = 20


@pytest.fixture
async def people(platform: Platform) -> AsyncIterator[People]:
    async with people_of(platform) as people:
        yield people


async def answer(asked: object) -> object:
    """What came of a request: what it answers, or the reason of its refusal."""
    try:
        return await asked  # type: ignore[misc]  # any awaitable
    except Refused as refused:
        return refused.reason


async def members_of(owner: Person, organization_id: UUID) -> list[str]:
    return sorted(member["address"] for member in await owner.browser.members(organization_id))


def issued_in(client: Client, organization_id: UUID) -> list[InvitationIssued]:
    """The invitations that were told of by now."""
    return [fact for fact in client.facts(InvitationIssued) if fact.organization_id == organization_id]


def link(platform: Platform, issued: InvitationIssued) -> str:
    """The code of the invitation's link."""
    key = platform.link_key
    return link_code(base64.urlsafe_b64decode(key + "=" * (-len(key) % 4)), issued.invitation_id)


async def pending_again(owner: Person, organization_id: UUID) -> None:
    """Returns when the organization's only invitation is pending, which it is not while a membership is decided."""
    async with asyncio.timeout(15):
        while [row["state"] for row in await owner.browser.invitations(organization_id)] != ["pending"]:
            await asyncio.sleep(0.02)


async def test_twenty_invitations_of_one_address_at_once_leave_one_live_link(
    platform: Platform, client: Client, people: People
) -> None:
    owner, invitee = await people.sign_up("owner"), people.address("invitee")
    organization_id = await people.organization(owner)
    invited = await asyncio.gather(*(owner.browser.invite(organization_id, invitee) for _ in range(AT_ONCE)))

    (row,) = await owner.browser.invitations(organization_id)
    assert UUID(row["invitation_id"]) in invited
    assert len(set(invited)) == AT_ONCE
    await client.wait_for(lambda _: len(issued_in(client, organization_id)) == AT_ONCE, "twenty invitations")
    stranger = await people.browser()
    states = [(await stranger.preview(link(platform, fact)))["state"] for fact in issued_in(client, organization_id)]
    assert sorted(states) == ["pending"] + ["superseded"] * (AT_ONCE - 1)


async def test_accepting_and_revoking_at_once_never_contradict_the_members_table(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    invitees = await people.crowd("invitee", 40)
    invited = await people.invited(owner, organization_id, [invitee.address for invitee in invitees])
    pairs = await asyncio.gather(
        *(
            asyncio.gather(
                answer(invitee.browser.accept(code)), answer(owner.browser.revoke(organization_id, invitation_id))
            )
            for invitee, (invitation_id, code) in zip(invitees, invited, strict=True)
        )
    )

    members = await members_of(owner, organization_id)
    for invitee, (accepted, revoked) in zip(invitees, pairs, strict=True):
        joined = invitee.address in members
        assert (accepted, revoked) in ([(False, "already_accepted")] if joined else [("revoked", None)])
    assert await owner.browser.invitations(organization_id) == []


async def test_one_link_followed_by_twenty_accounts_at_once_makes_one_member(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    crowd = await people.crowd("account", AT_ONCE)
    ((_, code),) = await people.invited(owner, organization_id, [crowd[7].address])
    answers = await asyncio.gather(*(answer(person.browser.accept(code)) for person in crowd))

    assert await members_of(owner, organization_id) == sorted([owner.address, crowd[7].address])
    assert [number for number, each in enumerate(answers) if each is False] == [7]
    assert {each for number, each in enumerate(answers) if number != 7} <= {"address_differs", "already_accepted"}


async def test_one_account_that_follows_its_link_twenty_times_at_once_joins_once_and_every_time_with_success(
    people: People,
) -> None:
    owner, invitee = await people.sign_up("owner"), await people.sign_up("invitee")
    organization_id = await people.organization(owner)
    ((_, code),) = await people.invited(owner, organization_id, [invitee.address])
    answers = await asyncio.gather(*(answer(invitee.browser.accept(code)) for _ in range(AT_ONCE)))

    assert set(answers) <= {True, False}
    assert await members_of(owner, organization_id) == sorted([owner.address, invitee.address])


async def test_a_forwarded_link_never_joins_the_wrong_person_and_stays_good_for_the_right_one(people: People) -> None:
    owner, invitee, stranger = [await people.sign_up(role) for role in ("owner", "invitee", "stranger")]
    organization_id = await people.organization(owner)
    ((_, code),) = await people.invited(owner, organization_id, [invitee.address])
    with pytest.raises(Refused) as refused:
        await stranger.browser.accept(code)

    assert (refused.value.status, refused.value.reason) == (403, "address_differs")
    assert invitee.address in refused.value.detail
    assert stranger.address in refused.value.detail
    assert await members_of(owner, organization_id) == [owner.address]
    assert await invitee.browser.accept(code) is False
    assert await members_of(owner, organization_id) == sorted([owner.address, invitee.address])


async def test_invited_by_two_organizations_at_once_an_account_joins_one_and_is_told_of_it_by_the_other(
    people: People,
) -> None:
    owners = [await people.sign_up("owner"), await people.sign_up("other-owner")]
    invitee = await people.sign_up("invitee")
    organizations = [await people.organization(owner, f"Org {at}") for at, owner in enumerate(owners)]
    codes = []
    for at, (owner, organization_id) in enumerate(zip(owners, organizations, strict=True)):
        await owner.browser.invite(organization_id, invitee.address)
        codes.append(await people.letters.link_code(invitee.address, after=at))
    answers = await asyncio.gather(*(answer(invitee.browser.accept(code)) for code in codes))

    assert sorted(map(str, answers)) == ["False", "in_another_organization"]
    mine = (await invitee.browser.me())["membership"]["organization_id"]
    assert UUID(mine) == organizations[answers.index(False)]
    refused = owners[1 - answers.index(False)]
    await pending_again(refused, organizations[1 - answers.index(False)])  # never moved, never lost


async def test_the_outcome_comes_to_whoever_waits_whichever_instance_hears_it(
    platform: Platform, people: People
) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    token = await owner.browser.create_token("races", ["read", "organization"])
    second = platform.add_instance("console")
    try:
        programs = [await people.browser(token=token, instance=name) for name in ("console", second.name)]
        addresses = [people.address(f"invitee-{number}") for number in range(30)]
        invited = await asyncio.gather(
            *(programs[at % 2].invite(organization_id, address) for at, address in enumerate(addresses))
        )
        for program in programs:
            rows = await program.invitations(organization_id)
            assert {UUID(row["invitation_id"]) for row in rows} == set(invited)
    finally:
        second.stop()


async def test_a_console_that_is_killed_loses_no_command_and_repeats_none(
    platform: Platform, client: Client, people: People
) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    token = await owner.browser.create_token("crashes", ["read", "organization"])
    addresses = [people.address(f"invitee-{number}") for number in range(30)]
    keys = [str(uuid4()) for _ in addresses]
    console = platform.service("console")

    def invite_all() -> list[Coroutine[Any, Any, dict[str, str]]]:
        pairs = zip(addresses, keys, strict=True)
        return [invite_with_key(console.web_address, token, organization_id, *pair) for pair in pairs]

    asked = asyncio.gather(*invite_all(), return_exceptions=True)
    await people.letters.link_code(addresses[0])  # They are under way.
    await asyncio.to_thread(console.kill)
    await asked
    await asyncio.to_thread(console.start)

    again = await asyncio.gather(*invite_all())
    rows = await (await people.browser(token=token)).invitations(organization_id)
    assert sorted(row["address"] for row in rows) == sorted(addresses)
    assert {row["invitation_id"] for row in rows} == {invitation["invitation_id"] for invitation in again}
    await client.wait_for(lambda _: len(issued_in(client, organization_id)) >= len(addresses), "all invitations")
    issued = [fact.address for fact in issued_in(client, organization_id)]
    assert sorted(issued) == sorted(addresses), "each was invited once"


async def test_a_command_that_was_accepted_is_carried_out_though_the_console_dies_before_it_is_answered(
    platform: Platform, people: People
) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    token = await owner.browser.create_token("crashes", ["read", "organization"])
    console, invites = platform.service("console"), platform.service("invites")
    await asyncio.to_thread(invites.pause)
    try:
        async with raw(console.web_address, token) as http:
            response = await http.post(
                f"/organizations/{organization_id}/invitations", json={"address": people.address("invitee")}
            )
        assert response.status_code == 202
        await asyncio.to_thread(console.kill)
    finally:
        await asyncio.to_thread(invites.resume)
    await asyncio.to_thread(console.start)

    program = await people.browser(token=token)
    command = response.json()
    async with asyncio.timeout(30):
        while (state := await program.command(command["command_id"]))["state"] == "waiting":
            await asyncio.sleep(0.05)
    assert state["state"] == "done"
    assert response.headers["location"].endswith(f"/api/v1/commands/{command['command_id']}")
    assert len(await program.invitations(organization_id)) == 1


def raw(address: str, token: str) -> httpx.AsyncClient:
    """HTTP as it is, with a token."""
    return httpx.AsyncClient(
        base_url=f"{address}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=20, trust_env=False
    )


async def invite_with_key(address: str, token: str, organization_id: UUID, invitee: str, key: str) -> dict[str, str]:
    """The invitation. Raises httpx.HTTPError where the console dies meanwhile."""
    async with raw(address, token) as http:
        path = f"/organizations/{organization_id}/invitations"
        response = await http.post(path, json={"address": invitee}, headers={"idempotency-key": key})
        while response.status_code == 202 or (response.status_code == 200 and "command_id" in response.json()):
            response = await http.post(path, json={"address": invitee}, headers={"idempotency-key": key})
        response.raise_for_status()
        invitation: dict[str, str] = response.json()
        return invitation
