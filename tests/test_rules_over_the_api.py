"""Every rule that a person can see, over the API, on the real platform. Each test is named as its sentence."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from uuid import UUID, uuid4

import pytest
from people import PASSWORD, People, Person, people_of

from stack.console_client import Refused
from stack.platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]


@pytest.fixture
async def people(platform: Platform) -> AsyncIterator[People]:
    async with people_of(platform) as people:
        yield people


async def reason_of(asked: Awaitable[object]) -> tuple[int, str]:
    """How a request is refused: status and reason."""
    with pytest.raises(Refused) as refused:
        await asked
    assert refused.value.detail, "a refusal has a sentence for the person"
    return refused.value.status, refused.value.reason


async def roles(asker: Person, organization_id: UUID) -> dict[str, str]:
    """Everybody in the organization, by address."""
    return {member["address"]: member["role"] for member in await asker.browser.members(organization_id)}


async def joined(people: People, owner: Person, organization_id: UUID, role: str) -> Person:
    """Somebody new who has accepted an invitation of the owner's."""
    person = await people.sign_up(role)
    ((_, code),) = await people.invited(owner, organization_id, [person.address])
    await person.browser.accept(code)
    return person


# --- organizations and roles


async def test_an_account_in_no_organization_may_create_one_and_becomes_its_owner(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)

    assert await roles(owner, organization_id) == {owner.address: "owner"}
    assert (await owner.browser.me())["membership"]["role"] == "owner"


async def test_an_account_is_in_at_most_one_organization(people: People) -> None:
    owner = await people.sign_up("owner")
    await people.organization(owner)

    assert await reason_of(people.organization(owner, "Second Org")) == (409, "already_in_an_organization")


async def test_a_name_has_2_to_255_characters_and_is_unique_whatever_the_case(people: People) -> None:
    owner, other = await people.sign_up("owner"), await people.sign_up("other")
    for name in ("x", "x" * 256):
        assert await reason_of(other.browser.create_organization(name)) == (422, "malformed_name")

    await owner.browser.create_organization(f"Straße {people.tag}")
    refused = await reason_of(other.browser.create_organization(f"STRASSE {people.tag}"))
    assert refused == (409, "name_taken")


async def test_admins_and_the_owner_may_invite_revoke_promote_demote_and_remove(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    admin = await joined(people, owner, organization_id, "admin")
    member = await joined(people, owner, organization_id, "member")
    await owner.browser.change_role(organization_id, admin.account_id, "admin")
    invitation_id = await admin.browser.invite(organization_id, people.address("invitee"))
    await admin.browser.revoke(organization_id, invitation_id)
    await admin.browser.change_role(organization_id, member.account_id, "admin")
    assert (await roles(admin, organization_id))[member.address] == "admin"
    await admin.browser.change_role(organization_id, member.account_id, "member")
    await admin.browser.remove(organization_id, member.account_id)

    assert await roles(owner, organization_id) == {owner.address: "owner", admin.address: "admin"}


async def test_the_owner_can_be_neither_demoted_nor_removed_and_cannot_leave(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    admin = await joined(people, owner, organization_id, "admin")
    await owner.browser.change_role(organization_id, admin.account_id, "admin")

    fixed = (409, "owner_is_fixed")
    assert await reason_of(admin.browser.change_role(organization_id, owner.account_id, "member")) == fixed
    assert await reason_of(admin.browser.remove(organization_id, owner.account_id)) == fixed
    assert await reason_of(owner.browser.leave(organization_id)) == fixed


async def test_members_see_the_list_but_can_change_nobody_and_may_leave(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    member = await joined(people, owner, organization_id, "member")
    invitation_id = await owner.browser.invite(organization_id, people.address("invitee"))
    no = (403, "not_an_admin")

    assert await roles(member, organization_id) == {owner.address: "owner", member.address: "member"}
    assert len(await member.browser.invitations(organization_id)) == 1
    assert await reason_of(member.browser.invite(organization_id, people.address("friend"))) == no
    assert await reason_of(member.browser.revoke(organization_id, invitation_id)) == no
    assert await reason_of(member.browser.change_role(organization_id, member.account_id, "admin")) == no
    assert await reason_of(member.browser.remove(organization_id, owner.account_id)) == no
    await member.browser.leave(organization_id)
    assert (await member.browser.me())["membership"] is None


async def test_removing_someone_revokes_what_is_pending_for_their_address_and_what_they_have_sent(
    people: People,
) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    admin = await joined(people, owner, organization_id, "admin")
    await owner.browser.change_role(organization_id, admin.account_id, "admin")
    await admin.browser.invite(organization_id, people.address("by-the-admin"))
    await owner.browser.invite(organization_id, people.address("by-the-owner"))
    await owner.browser.remove(organization_id, admin.account_id)

    async with asyncio.timeout(10):
        while len(rows := await owner.browser.invitations(organization_id)) > 1:
            await asyncio.sleep(0.05)
    assert [row["address"] for row in rows] == [people.address("by-the-owner")]


async def test_an_invitation_outlives_its_sender_s_departure_and_any_admin_may_revoke_it(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    admin = await joined(people, owner, organization_id, "admin")
    await owner.browser.change_role(organization_id, admin.account_id, "admin")
    invitation_id = await admin.browser.invite(organization_id, people.address("invitee"))
    await admin.browser.leave(organization_id)
    assert len(await owner.browser.invitations(organization_id)) == 1

    await owner.browser.revoke(organization_id, invitation_id)
    assert await owner.browser.invitations(organization_id) == []


async def test_strangers_see_nothing_of_an_organization(people: People) -> None:
    owner, stranger = await people.sign_up("owner"), await people.sign_up("stranger")
    organization_id = await people.organization(owner)
    invitation_id = await owner.browser.invite(organization_id, people.address("invitee"))
    unknown = uuid4()
    for asked, same in (
        (stranger.browser.organization(organization_id), stranger.browser.organization(unknown)),
        (stranger.browser.members(organization_id), stranger.browser.members(unknown)),
        (stranger.browser.invitations(organization_id), stranger.browser.invitations(unknown)),
        (stranger.browser.revoke(organization_id, invitation_id), stranger.browser.revoke(unknown, invitation_id)),
        (stranger.browser.invite(organization_id, "x@example.com"), stranger.browser.invite(unknown, "x@example.com")),
    ):
        answers = await reason_of(asked), await reason_of(same)
        assert answers[0] == answers[1]
        assert answers[0][0] == 404


# --- inviting


async def test_each_refusal_of_an_invitation_has_its_reason(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    member = await joined(people, owner, organization_id, "member")

    invite = owner.browser.invite
    assert await reason_of(invite(organization_id, "no address")) == (422, "malformed_address")
    assert await reason_of(invite(organization_id, member.address.upper())) == (409, "already_a_member")


async def test_several_addresses_get_a_result_each(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    addresses = [people.address("one"), "no address", owner.address, people.address("two")]
    results = await owner.browser.invite_many(organization_id, addresses)

    assert [(each["address"], each["status"], each.get("reason")) for each in results] == [
        (addresses[0], "created", None),
        (addresses[1], "refused", "malformed_address"),
        (addresses[2], "refused", "already_a_member"),
        (addresses[3], "created", None),
    ]


async def test_a_member_of_another_organization_is_invited_normally_and_nothing_leaks(people: People) -> None:
    owner, elsewhere = await people.sign_up("owner"), await people.sign_up("elsewhere")
    organization_id = await people.organization(owner)
    await people.organization(elsewhere, "Other Org")
    ((_, code),) = await people.invited(owner, organization_id, [elsewhere.address])

    (row,) = await owner.browser.invitations(organization_id)
    assert row["state"] == "pending"
    assert "Other Org" not in str(row)
    assert await reason_of(elsewhere.browser.accept(code)) == (409, "in_another_organization")
    async with asyncio.timeout(10):
        while (await owner.browser.invitations(organization_id))[0]["state"] != "pending":
            await asyncio.sleep(0.05)  # It is kept, for when they have left the other one.


async def test_inviting_again_supersedes_the_old_link_dies_and_says_so(people: People) -> None:
    owner, invitee = await people.sign_up("owner"), await people.sign_up("invitee")
    organization_id = await people.organization(owner)
    ((_, older),) = await people.invited(owner, organization_id, [invitee.address])
    await owner.browser.invite(organization_id, invitee.address)
    newer = await people.letters.link_code(invitee.address, after=1)

    assert await reason_of(invitee.browser.accept(older)) == (410, "superseded")
    assert (await invitee.browser.preview(older))["state"] == "superseded"
    assert await invitee.browser.accept(newer) is False


async def test_revoking_kills_the_link_at_once_and_the_address_can_be_invited_again(people: People) -> None:
    owner, invitee = await people.sign_up("owner"), await people.sign_up("invitee")
    organization_id = await people.organization(owner)
    ((invitation_id, code),) = await people.invited(owner, organization_id, [invitee.address])
    await owner.browser.revoke(organization_id, invitation_id)

    assert await reason_of(invitee.browser.accept(code)) == (410, "revoked")
    await owner.browser.invite(organization_id, invitee.address)
    assert await invitee.browser.accept(await people.letters.link_code(invitee.address, after=1)) is False


async def test_declining_needs_no_account_and_the_link_is_dead_afterwards(people: People) -> None:
    owner, invitee = await people.sign_up("owner"), await people.sign_up("invitee")
    organization_id = await people.organization(owner)
    ((_, code),) = await people.invited(owner, organization_id, [invitee.address])
    stranger = await people.browser()
    assert (await stranger.preview(code))["organization_name"] == f"Example Org {people.tag}"
    await stranger.decline(code)

    assert await reason_of(invitee.browser.accept(code)) == (410, "declined")
    assert await owner.browser.invitations(organization_id) == []


async def test_an_unknown_link_is_unknown(people: People) -> None:
    invitee = await people.sign_up("invitee")
    assert await reason_of(invitee.browser.accept("x" * 43)) == (404, "unknown_invitation")
    assert await reason_of(invitee.browser.preview("x" * 43)) == (404, "unknown_invitation")


# --- the link, and accounts


async def test_after_sign_up_by_the_link_and_proof_of_the_mailbox_the_account_is_added(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    address = people.address("invitee")
    ((_, code),) = await people.invited(owner, organization_id, [address])
    browser = await people.browser()
    await browser.sign_up(address, "Invitee", PASSWORD, invitation_code=code)
    assert await roles(owner, organization_id) == {owner.address: "owner"}, "an unproven mailbox joins nothing"
    proof = await browser.prove(await people.letters.mailbox_code(address))

    assert proof["joining"]["state"] == "done"
    assert await roles(owner, organization_id) == {owner.address: "owner", address: "member"}


async def test_accepting_again_is_a_success(people: People) -> None:
    owner, invitee = await people.sign_up("owner"), await people.sign_up("invitee")
    organization_id = await people.organization(owner)
    ((_, code),) = await people.invited(owner, organization_id, [invitee.address])

    assert [await invitee.browser.accept(code) for _ in range(3)] == [False, True, True]


async def test_an_account_may_not_act_before_its_mailbox_is_proven(people: People) -> None:
    browser = await people.browser()
    await browser.sign_up(people.address("unproven"), "Unproven", PASSWORD)

    assert await reason_of(browser.create_organization("Org")) == (403, "mailbox_not_proven")
    assert await reason_of(browser.accept("x" * 43)) == (403, "mailbox_not_proven")
    assert (await browser.me())["proven"] is False


async def test_no_answer_tells_whether_an_address_has_an_account(people: People) -> None:
    known, unknown = await people.sign_up("known"), people.address("unknown")
    stranger = await people.browser()
    wrong = [await reason_of(stranger.sign_in(address, "not the password")) for address in (known.address, unknown)]
    assert wrong[0] == wrong[1] == (401, "wrong_credentials")

    for address in (known.address, unknown):
        account = await (await people.browser()).sign_up(address, "Somebody", PASSWORD)
        assert account["proven"] is False
        await stranger.post("/password-resets", {"address": address})
    subjects = [letter["subject"] for letter in await letters(people, known.address, 3)]
    assert len(subjects) == 3  # the code of the true sign-up, the word on the other one, and the reset link


async def letters(people: People, address: str, number: int) -> list[dict[str, str]]:
    """The letters to an address, once there are so many."""
    async with asyncio.timeout(15):
        while len(found := people.mailbox.letters(address)) < number:
            await asyncio.sleep(0.05)
    return found


async def test_a_forgotten_password_is_reset_by_a_link_that_works_once_and_ends_every_session(people: People) -> None:
    person, other = await people.sign_up("forgetful"), await people.browser()
    await other.post("/password-resets", {"address": person.address})
    code = await people.letters.reset_code(person.address)
    await other.post("/password-resets/redeem", {"code": code, "password": "another long passphrase"})

    assert (await reason_of(person.browser.me()))[0] == 401
    assert (await reason_of(other.sign_in(person.address, PASSWORD)))[0] == 401
    assert (await other.sign_in(person.address, "another long passphrase"))["address"] == person.address
    again = other.post("/password-resets/redeem", {"code": code, "password": "yet another passphrase"})
    assert (await reason_of(again))[0] == 410


async def test_a_token_may_do_what_its_scopes_say(people: People) -> None:
    owner = await people.sign_up("owner")
    organization_id = await people.organization(owner)
    reader = await people.browser(token=await owner.browser.create_token("reader", ["read"]))
    manager = await people.browser(token=await owner.browser.create_token("manager", ["organization"]))

    assert len(await reader.members(organization_id)) == 1
    assert await reason_of(reader.invite(organization_id, "x@example.com")) == (403, "insufficient_scope")
    await manager.invite(organization_id, people.address("invitee"))
    assert (await reason_of((await people.browser(token="nonsense")).me()))[0] == 401
