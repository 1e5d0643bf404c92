"""Organizations and members over the API: the answer is the truth, and strangers hear of nothing."""

from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from api_browser import ApiBrowser, organization_of, program_of, reason, signed_in
from console_world import ConsoleWorld, code_of, console_world

from console.accounts.domain import Scope
from contracts import CreateOrganization, DemoteMember, LeaveOrganization, PromoteMember, Reason, RemoveMember


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


async def join(console: ConsoleWorld, owner: ApiBrowser, organization_id: str, address: str) -> ApiBrowser:
    """The browser of somebody who has joined by a link."""
    await owner.post(f"/organizations/{organization_id}/invitations", {"address": address})
    issued = next(each for each in console.player.invitations.values() if each.address == address)
    browser = await signed_in(console, address)
    accepted = await browser.post("/invitation-links/accept", {"code": code_of(issued)})
    assert accepted.status_code == 200, accepted.text
    return browser


async def test_who_creates_an_organization_owns_it_and_finds_it_where_the_answer_says(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as owner:
        created = await owner.post("/organizations", {"name": "Example Org"})
        assert created.status_code == 201
        found = await owner.http.get(created.headers["location"])

        assert found.json() == created.json()
        assert (found.json()["name"], found.json()["my_role"]) == ("Example Org", "owner")
        assert (found.json()["members"], found.json()["pending"]) == (1, 0)


async def test_a_refusal_has_its_reason_its_sentence_and_its_command(console: ConsoleWorld) -> None:
    console.player.refusals[CreateOrganization] = (Reason.NAME_TAKEN, "There is an Example Org already.")
    async with await signed_in(console, "owner@example.com") as owner:
        refused = await owner.post("/organizations", {"name": "Example Org"})

        assert reason(refused) == (409, "name_taken")
        assert refused.json()["detail"] == "There is an Example Org already."
        command = (await owner.get(f"/commands/{refused.json()['command_id']}")).json()
        assert (command["state"], command["reason"]) == ("refused", "name_taken")


async def test_what_is_not_decided_in_time_is_answered_with_where_its_outcome_will_be(database_url: str) -> None:
    async with (
        console_world(database_url, outcome_timeout=timedelta(milliseconds=50)) as (console,),
        await signed_in(console, "owner@example.com") as owner,
        await signed_in(console, "other@example.com") as other,
    ):
        console.player.silent = True
        accepted = await owner.post("/organizations", {"name": "Example Org"})
        assert accepted.status_code == 202
        assert accepted.json()["state"] == "waiting"

        waiting = await owner.http.get(accepted.headers["location"])
        assert (waiting.json()["state"], waiting.headers["retry-after"]) == ("waiting", "1")
        assert reason(await other.http.get(accepted.headers["location"])) == (404, "unknown_command")
        console.player.silent = False
        (sent,) = [each for each in console.sent if isinstance(each.message, CreateOrganization)]
        assert isinstance(sent.message, CreateOrganization)
        await console.hear(*console.player.answer(sent.message, sent.ce_id), cause=sent.ce_id)

        done = (await owner.http.get(accepted.headers["location"])).json()
        assert done["state"] == "done"
        assert done["result"]["organization_id"] == done["organization_id"]


async def test_for_strangers_there_is_no_such_organization(console: ConsoleWorld) -> None:
    async with (
        await signed_in(console, "owner@example.com") as owner,
        await signed_in(console, "stranger@example.com") as stranger,
    ):
        organization_id = await organization_of(owner)
        account_id = (await owner.get("/me")).json()["account_id"]
        not_admin = (Reason.NOT_AN_ADMIN, "Only the owner and admins may do this.")
        console.player.refusals |= dict.fromkeys((PromoteMember, RemoveMember), not_admin)
        console.player.refusals[LeaveOrganization] = (Reason.NOT_A_MEMBER, "You are not in it.")
        path = f"/organizations/{organization_id}"
        answers = [
            await stranger.get(path),
            await stranger.get(f"{path}/members"),
            await stranger.get(f"{path}/members/{account_id}"),
            await stranger.get(f"{path}/invitations"),
            await stranger.get(f"{path}/invitations/{uuid4()}"),
            await stranger.post(f"{path}/leave", {}),
            await stranger.patch(f"{path}/members/{account_id}", {"role": "admin"}),
            await stranger.delete(f"{path}/members/{account_id}"),
            await stranger.get(f"/organizations/{uuid4()}"),
        ]

        assert [reason(answer) for answer in answers] == [(404, "unknown_organization")] * len(answers)


async def test_a_member_who_is_no_admin_is_told_so(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as owner:
        organization_id = await organization_of(owner)
        owner_id = (await owner.get("/me")).json()["account_id"]
        async with await join(console, owner, organization_id, "member@example.com") as member:
            console.player.refusals[RemoveMember] = (Reason.NOT_AN_ADMIN, "Only the owner and admins may do this.")
            refused = await member.delete(f"/organizations/{organization_id}/members/{owner_id}")

            assert reason(refused) == (403, "not_an_admin")


async def test_members_are_listed_in_pages_in_the_order_in_which_they_joined(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as owner:
        path = f"/organizations/{await organization_of(owner)}/members"
        for number in range(4):
            console.clock.advance(timedelta(minutes=1))
            async with await join(console, owner, path.split("/")[2], f"member-{number}@example.com"):
                pass
        addresses, cursor, sizes = [], None, []
        while True:
            page = (await owner.get(path, limit=2, **({} if cursor is None else {"cursor": cursor}))).json()
            addresses += [member["address"] for member in page["items"]]
            sizes.append(len(page["items"]))
            cursor = page["next"]
            if cursor is None:
                break

        assert addresses == ["owner@example.com", *(f"member-{number}@example.com" for number in range(4))]
        assert sizes == [2, 2, 1]


@pytest.mark.parametrize("cursor", ["nonsense", "W10", "Ww", "WyI5OTk5LTEyLTMxVDIzOjU5OjU5LTE0OjAwIiwgIjAwIl0", "é"])
async def test_a_cursor_that_is_none_is_refused(console: ConsoleWorld, cursor: str) -> None:
    async with await signed_in(console, "owner@example.com") as owner:
        answer = await owner.get(f"/organizations/{await organization_of(owner)}/members", cursor=cursor)

        assert reason(answer) == (422, "malformed_cursor")
        assert answer.json()["errors"][0]["parameter"] == "cursor"


async def test_a_member_is_promoted_and_demoted(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as owner:
        organization_id = await organization_of(owner)
        async with await join(console, owner, organization_id, "member@example.com") as member:
            account_id = (await member.get("/me")).json()["account_id"]
            path = f"/organizations/{organization_id}/members/{account_id}"
            promoted = await owner.patch(path, {"role": "admin"})
            assert (promoted.status_code, promoted.json()["role"]) == (200, "admin")
            assert (await member.get("/me")).json()["membership"]["role"] == "admin"
            console.player.refusals[PromoteMember] = (Reason.ALREADY_AN_ADMIN, "They are one.")
            assert reason(await owner.patch(path, {"role": "admin"})) == (409, "already_an_admin")

            assert (await owner.patch(path, {"role": "member"})).json()["role"] == "member"
            assert reason(await owner.patch(path, {"role": "owner"})) == (422, "invalid_request")
            assert [type(each) for each in console.sent_of(DemoteMember)] == [DemoteMember]


async def test_who_is_removed_or_leaves_sees_the_organization_no_more(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as owner:
        organization_id = await organization_of(owner)
        path = f"/organizations/{organization_id}"
        async with (
            await join(console, owner, organization_id, "removed@example.com") as removed,
            await join(console, owner, organization_id, "leaving@example.com") as leaving,
        ):
            account_id = (await removed.get("/me")).json()["account_id"]
            assert (await owner.delete(f"{path}/members/{account_id}")).status_code == 204
            assert (await leaving.post(f"{path}/leave", {})).status_code == 204

            for gone in (removed, leaving):
                assert reason(await gone.get(path)) == (404, "unknown_organization")
                assert (await gone.get("/me")).json()["membership"] is None
            assert [each["address"] for each in (await owner.get(f"{path}/members")).json()["items"]] == [
                "owner@example.com"
            ]


async def test_what_has_not_changed_is_not_sent_again(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as owner:
        organization_id = await organization_of(owner)
        for path in ("", "/members", "/invitations"):
            first = await owner.get(f"/organizations/{organization_id}{path}")
            tag = {"If-None-Match": f'"another", {first.headers["etag"]}'}
            again = await owner.get(f"/organizations/{organization_id}{path}", headers=tag)

            assert (again.status_code, again.content) == (304, b"")
            assert again.headers["etag"] == first.headers["etag"]
            assert first.headers["cache-control"] == "private, no-cache"


async def test_a_new_name_changes_the_tag_of_the_members(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as owner:
        path = f"/organizations/{await organization_of(owner)}/members"
        tag = (await owner.get(path)).headers["etag"]
        await owner.patch("/me", {"name": "Another Name"})
        renamed = await owner.get(path, headers={"If-None-Match": tag})

        assert renamed.status_code == 200
        assert renamed.json()["items"][0]["name"] == "Another Name"


async def test_a_program_that_may_only_read_changes_nothing(console: ConsoleWorld) -> None:
    async with await signed_in(console, "owner@example.com") as owner:
        organization_id = await organization_of(owner)
        account_id = (await owner.get("/me")).json()["account_id"]
        (account,) = (await console.edge.accounts.accounts([UUID(account_id)])).values()
        async with await program_of(console, account, Scope.READ) as program:
            assert (await program.get(f"/organizations/{organization_id}/members")).status_code == 200
            refused = await program.post(f"/organizations/{organization_id}/invitations", {"address": "a@example.com"})
            assert reason(refused) == (403, "insufficient_scope")
