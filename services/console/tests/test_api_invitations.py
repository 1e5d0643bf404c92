"""Invitations and their links over the API."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from api_browser import ApiBrowser, organization_of, reason, signed_in
from console_world import ConsoleWorld, code_of, console_world

from contracts import (
    AcceptInvitation,
    DeclineInvitation,
    InvitationIssued,
    InviteMember,
    LetterBounced,
    Reason,
    RevokeInvitation,
    code_digest,
)


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


@pytest.fixture
async def owner(console: ConsoleWorld) -> AsyncIterator[ApiBrowser]:
    async with await signed_in(console, "owner@example.com") as browser:
        yield browser


async def invited(console: ConsoleWorld, owner: ApiBrowser, address: str = "invitee@example.com") -> InvitationIssued:
    """An invitation into a new organization."""
    path = f"/organizations/{await organization_of(owner)}/invitations"
    answer = await owner.post(path, {"address": address})
    assert answer.status_code == 201, answer.text
    return console.player.invitations[UUID(answer.json()["invitation_id"])]


async def test_an_invitation_is_answered_when_it_is_issued_and_is_where_the_answer_says(
    console: ConsoleWorld, owner: ApiBrowser
) -> None:
    path = f"/organizations/{await organization_of(owner)}/invitations"
    created = await owner.post(path, {"address": "Invitee@example.com"})
    assert created.status_code == 201
    found = (await owner.http.get(created.headers["location"])).json()

    assert found | {"inviter_name": created.json()["inviter_name"]} == created.json()
    assert (found["address"], found["state"], found["delivery"]) == ("Invitee@example.com", "pending", "queued")
    assert (await owner.get(path)).json()["items"] == [found]
    assert (await owner.get(path.removesuffix("/invitations"))).json()["pending"] == 1


async def test_no_answer_holds_the_code_or_its_digest(console: ConsoleWorld, owner: ApiBrowser) -> None:
    issued = await invited(console, owner)
    answers = [
        await owner.get(f"/organizations/{issued.organization_id}/invitations"),
        await owner.get(f"/organizations/{issued.organization_id}/invitations/{issued.invitation_id}"),
        await owner.post("/invitation-links/preview", {"code": code_of(issued)}),
    ]

    assert all(answer.status_code == 200 for answer in answers)
    assert not any(secret in answer.text for answer in answers for secret in (code_of(issued), issued.code_digest))


async def test_each_address_of_a_batch_has_a_result_of_its_own(database_url: str) -> None:
    async with (
        console_world(database_url, outcome_timeout=timedelta(seconds=3)) as (console,),
        await signed_in(console, "owner@example.com") as owner,
    ):
        path = f"/organizations/{await organization_of(owner)}/invitations/batch"
        console.player.silent = True
        addresses = ["one@example.com", "no address", "slow@example.com", "two@example.com"]
        asked = asyncio.create_task(owner.post(path, {"addresses": addresses}))
        async with asyncio.timeout(20):
            while len(console.sent_of(InviteMember)) < len(addresses):
                await asyncio.sleep(0.01)
        console.player.silent = False
        for sent in console.sent:
            if isinstance(sent.message, InviteMember) and sent.message.address != "slow@example.com":
                await console.hear(*console.player.answer(sent.message, sent.ce_id), cause=sent.ce_id)
        results = (await asked).json()["results"]

        assert [result["address"] for result in results] == addresses
        assert [result["status"] for result in results] == ["created", "refused", "waiting", "created"]
        assert [result["reason"] for result in results] == [None, "malformed_address", None, None]
        assert results[0]["invitation"]["address"] == "one@example.com"
        waiting = await owner.get(f"/commands/{results[2]['command_id']}")
        assert waiting.json()["state"] == "waiting"


@pytest.mark.parametrize("addresses", [[], ["a@example.com"] * 2, [f"a{n}@example.com" for n in range(101)]])
async def test_a_batch_has_1_to_100_different_addresses(
    console: ConsoleWorld, owner: ApiBrowser, addresses: list[str]
) -> None:
    path = f"/organizations/{await organization_of(owner)}/invitations/batch"

    assert reason(await owner.post(path, {"addresses": addresses})) == (422, "invalid_request")
    assert console.sent_of(InviteMember) == []


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Reason.NOT_AN_ADMIN, 403),
        (Reason.ALREADY_A_MEMBER, 409),
        (Reason.ACCEPTANCE_IN_PROGRESS, 409),
        (Reason.MALFORMED_ADDRESS, 422),
        (Reason.RATE_LIMITED_RECIPIENT, 429),
    ],
)
async def test_every_refusal_of_an_invitation_has_its_status(
    console: ConsoleWorld, owner: ApiBrowser, refusal: Reason, status: int
) -> None:
    console.player.refusals[InviteMember] = (refusal, "Why.")
    path = f"/organizations/{await organization_of(owner)}/invitations"
    answer = await owner.post(path, {"address": "invitee@example.com"})

    assert reason(answer) == (status, refusal.value)
    assert ("retry-after" in answer.headers) == (status == 429)


async def test_invitations_from_one_network_address_are_limited_and_a_batch_counts_as_many(database_url: str) -> None:
    async with (
        console_world(database_url, invitations_per_network_per_hour=3) as (console,),
        await signed_in(console, "owner@example.com") as owner,
    ):
        path = f"/organizations/{await organization_of(owner)}/invitations"
        batch = {"addresses": [f"invitee-{number}@example.com" for number in range(2)]}
        assert (await owner.post(f"{path}/batch", batch)).status_code == 200
        assert reason(await owner.post(f"{path}/batch", batch)) == (429, "rate_limited")
        assert (await owner.post(path, {"address": "invitee@example.com"})).status_code == 201
        refused = await owner.post(path, {"address": "invitee@example.com"})

        assert reason(refused) == (429, "rate_limited")
        assert int(refused.headers["retry-after"]) > 0


async def test_revoking_is_answered_when_it_is_certain_that_nobody_joins(
    console: ConsoleWorld, owner: ApiBrowser
) -> None:
    issued = await invited(console, owner)
    path = f"/organizations/{issued.organization_id}/invitations"
    assert (await owner.delete(f"{path}/{issued.invitation_id}")).status_code == 204
    assert (await owner.get(path)).json()["items"] == []
    assert (await owner.get(f"{path}/{issued.invitation_id}")).json()["state"] == "revoked"

    console.player.refusals[RevokeInvitation] = (Reason.ALREADY_ACCEPTED, "Somebody has joined.")
    assert reason(await owner.delete(f"{path}/{issued.invitation_id}")) == (409, "already_accepted")


async def test_an_invitation_of_another_organization_is_not_found(console: ConsoleWorld, owner: ApiBrowser) -> None:
    issued = await invited(console, owner)
    async with await signed_in(console, "other@example.com") as other:
        organization_id = await organization_of(other, "Another Org")
        answer = await other.get(f"/organizations/{organization_id}/invitations/{issued.invitation_id}")

        assert reason(answer) == (404, "unknown_invitation")


async def test_whoever_has_the_link_may_see_what_it_is_for_but_not_whom(
    console: ConsoleWorld, owner: ApiBrowser
) -> None:
    issued = await invited(console, owner)
    async with ApiBrowser(console) as nobody:
        answer = await nobody.post("/invitation-links/preview", {"code": code_of(issued)})

        assert answer.status_code == 200
        assert (answer.json()["organization_name"], answer.json()["inviter_name"]) == ("Example Org", "The Inviter")
        assert answer.json()["state"] == "pending"
        assert "invitee@example.com" not in answer.text
        console.clock.advance(timedelta(days=7))
        expired = await nobody.post("/invitation-links/preview", {"code": code_of(issued)})
        assert expired.json()["state"] == "expired"


async def test_an_unknown_link_is_not_found(console: ConsoleWorld, owner: ApiBrowser) -> None:
    for action in ("preview", "accept", "decline"):
        answer = await owner.post(f"/invitation-links/{action}", {"code": "no link at all"})
        assert reason(answer) == (404, "unknown_invitation")

    assert [*console.sent_of(AcceptInvitation), *console.sent_of(DeclineInvitation)] == []


async def test_accepting_is_answered_when_the_membership_is_there(console: ConsoleWorld, owner: ApiBrowser) -> None:
    issued = await invited(console, owner)
    async with await signed_in(console, "invitee@example.com") as invitee:
        accepted = await invitee.post("/invitation-links/accept", {"code": code_of(issued)})

        assert accepted.status_code == 200
        assert accepted.json()["membership"]["organization_id"] == str(issued.organization_id)
        assert accepted.json()["membership"]["organization_name"] == "Example Org"
        assert accepted.json()["repeated"] is False
        assert (await invitee.get("/me")).json()["membership"]["role"] == "member"
        (command,) = console.sent_of(AcceptInvitation)
        assert command.code_digest == code_digest(code_of(issued))


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (Reason.ADDRESS_DIFFERS, 403),
        (Reason.IN_ANOTHER_ORGANIZATION, 409),
        (Reason.ALREADY_ACCEPTED, 409),
        (Reason.SUPERSEDED, 410),
        (Reason.REVOKED, 410),
        (Reason.EXPIRED, 410),
        (Reason.DECLINED, 410),
    ],
)
async def test_every_refusal_of_an_acceptance_has_its_status(
    console: ConsoleWorld, owner: ApiBrowser, refusal: Reason, status: int
) -> None:
    issued = await invited(console, owner)
    console.player.refusals[AcceptInvitation] = (refusal, "Why.")
    answer = await owner.post("/invitation-links/accept", {"code": code_of(issued)})

    assert reason(answer) == (status, refusal.value)
    assert answer.json()["detail"] == "Why."


async def test_an_account_is_not_needed_to_decline(console: ConsoleWorld, owner: ApiBrowser) -> None:
    issued = await invited(console, owner)
    async with ApiBrowser(console) as nobody:
        declined = await nobody.post("/invitation-links/decline", {"code": code_of(issued)})

        assert (declined.status_code, declined.json()) == (200, {"invitation_id": str(issued.invitation_id)})
        preview = await nobody.post("/invitation-links/preview", {"code": code_of(issued)})
        assert preview.json()["state"] == "declined"
        (command,) = console.sent_of(DeclineInvitation)
        assert command.actor_id is None


async def test_a_letter_that_bounced_is_told(console: ConsoleWorld, owner: ApiBrowser) -> None:
    issued = await invited(console, owner)
    path = f"/organizations/{issued.organization_id}/invitations/{issued.invitation_id}"
    before = await owner.get(path)
    await console.hear(
        LetterBounced(
            letter_id=uuid4(),
            kind="invitation",
            cause_id=str(uuid4()),
            cause_key=issued.organization_id,
            organization_id=issued.organization_id,
            invitation_id=issued.invitation_id,
            recipient_id=None,
            attempts=1,
            smtp_code=550,
            bounced_at=console.clock(),
        )
    )
    after = await owner.get(path, headers={"If-None-Match": before.headers["etag"]})

    assert (before.json()["delivery"], after.json()["delivery"]) == ("queued", "bounced")
