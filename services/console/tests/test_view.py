"""What the pages show follows the topics, in whatever order these come."""

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from console_world import NOON, ConsoleWorld, console_world

from console.view.nouns import Invitation
from contracts import (
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationIssued,
    InvitationReopened,
    InvitationRevoked,
    InvitationSuperseded,
    LetterBounced,
    LetterSent,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    Message,
    OrganizationCreated,
)
from postroom.ids import uuid7

ORGANIZATION, OWNER, MEMBER = UUID(int=1), UUID(int=2), UUID(int=3)


async def rows(console: ConsoleWorld) -> list[Invitation]:
    return (await console.edge.view.invitations(ORGANIZATION)).items


async def state_of(console: ConsoleWorld, issued: InvitationIssued) -> str:
    found = await console.edge.view.invitation(issued.invitation_id)
    assert found is not None
    return found.state


def about(issued: InvitationIssued, version: int) -> dict[str, Any]:
    return {"organization_id": ORGANIZATION, "invitation_id": issued.invitation_id, "version": version}


def letter(fact: type[LetterSent] | type[LetterBounced], issued: InvitationIssued, kind: str = "invitation") -> Message:
    fields: dict[str, Any] = {
        "letter_id": uuid7(),
        "kind": kind,
        "cause_id": str(uuid7()),
        "cause_key": ORGANIZATION,
        "organization_id": ORGANIZATION,
        "invitation_id": issued.invitation_id,
        "recipient_id": None,
        "attempts": 1,
    }
    when: dict[str, Any] = {"sent_at": NOON} if fact is LetterSent else {"bounced_at": NOON, "smtp_code": 550}
    return fact(**fields | when)


async def test_a_pending_invitation_is_a_row_with_its_days(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        issued = console.player.issued(ORGANIZATION, "Invitee@Example.com", OWNER)
        await console.hear(issued)
        (row,) = await rows(console)

        assert (row.address, row.state, row.delivery) == ("Invitee@Example.com", "pending", "queued")
        assert row.days_left(NOON) == 7
        assert row.days_left(NOON + timedelta(hours=1)) == 7
        assert row.days_left(NOON + timedelta(days=6, hours=1)) == 1
        assert row.days_left(NOON + timedelta(days=8)) == 0


async def test_the_letter_s_fate_is_shown_even_if_it_is_known_before_the_invitation(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        issued = console.player.issued(ORGANIZATION, "invitee@example.com", OWNER)
        await console.hear(letter(LetterSent, issued))
        assert await rows(console) == []

        await console.hear(issued)
        assert [row.delivery for row in await rows(console)] == ["sent"]

        await console.hear(letter(LetterBounced, issued))
        assert [row.delivery for row in await rows(console)] == ["bounced"]


async def test_the_reminder_s_fate_does_not_touch_the_row(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        issued = console.player.issued(ORGANIZATION, "invitee@example.com", OWNER)
        await console.hear(issued, letter(LetterBounced, issued, kind="reminder"))
        assert [row.delivery for row in await rows(console)] == ["queued"]


@pytest.mark.parametrize(
    ("fact", "state"),
    [
        (InvitationSuperseded, "superseded"),
        (InvitationRevoked, "revoked"),
        (InvitationDeclined, "declined"),
        (InvitationExpired, "expired"),
    ],
)
@pytest.mark.parametrize("order", ["in order", "the end first", "the end again after a reopening"])
async def test_an_end_is_an_end_in_whatever_order_it_is_heard(
    database_url: str, fact: type[Message], state: str, order: str
) -> None:
    fields: dict[type[Message], dict[str, Any]] = {
        InvitationSuperseded: {"superseded_by": uuid7(), "superseded_at": NOON},
        InvitationRevoked: {"reason": "revoked", "revoked_by": OWNER, "revoked_at": NOON},
        InvitationDeclined: {"declined_by": None, "declined_at": NOON},
        InvitationExpired: {"expired_at": NOON},
    }
    async with console_world(database_url) as (console,):
        issued = console.player.issued(ORGANIZATION, "invitee@example.com", OWNER)
        ended = fact.model_validate(about(issued, 5) | fields[fact])
        reopened = InvitationReopened(
            **about(issued, 3), account_id=MEMBER, reason="x", expires_at=issued.expires_at, reopened_at=NOON
        )
        orders: dict[str, list[Message]] = {
            "in order": [issued, reopened, ended],
            "the end first": [ended, issued],
            "the end again after a reopening": [issued, ended, reopened],
        }
        for each in orders[order]:
            await console.hear(each)

        assert await state_of(console, issued) == state
        found = await console.edge.view.invitation_by_digest(issued.code_digest)
        assert found is not None
        assert found.ended_at == NOON
        assert found.address == "invitee@example.com"


async def test_every_order_of_an_acceptance_ends_with_a_member_and_without_a_row(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        account = await console.person("invitee@example.com", "The Invitee")
        organization = OrganizationCreated(
            organization_id=ORGANIZATION, version=1, name="Example Org", owner_id=OWNER, created_at=NOON
        )
        await console.hear(organization)
        for number, order in enumerate(itertools.permutations(range(3))):
            issued = console.player.issued(ORGANIZATION, f"invitee{number}@example.com", OWNER)
            accepted = InvitationAccepted(
                **about(issued, 2), account_id=account.account_id, inviter_id=OWNER, accepted_at=NOON
            )
            joined = console.player.joined(ORGANIZATION, account.account_id, invitation_id=issued.invitation_id)
            facts: list[Message] = [issued, accepted, joined]
            for at in order:
                await console.hear(facts[at])

            assert await state_of(console, issued) == "accepted"
            assert await rows(console) == []
        member = await console.edge.view.member(ORGANIZATION, account.account_id)
        assert member is not None
        assert (member.name, member.address, member.role) == ("The Invitee", "invitee@example.com", "member")


async def test_an_older_fact_about_a_member_changes_nothing(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        stay, earlier_stay = uuid7(), uuid7()
        who = {"organization_id": ORGANIZATION, "account_id": MEMBER}
        left = MemberLeft(**who, version=3, membership_id=earlier_stay, left_at=NOON)
        joined = MemberJoined(
            **who, version=5, membership_id=stay, role="member", invitation_id=None, inviter_id=None, joined_at=NOON
        )
        later = NOON + timedelta(days=1)
        promoted = MemberPromoted(
            **who, version=6, membership_id=stay, role="admin", promoted_by=OWNER, promoted_at=later
        )
        demoted = MemberDemoted(**who, version=4, membership_id=stay, role="member", demoted_by=OWNER, demoted_at=NOON)
        for facts in ([joined, promoted], [left], [demoted], [joined]):
            await console.hear(*facts)

        member = await console.edge.view.member(ORGANIZATION, MEMBER)
        assert member is not None
        assert (member.role, member.joined_at, member.membership_id) == ("admin", NOON, stay)


async def test_an_expired_invitation_is_shown_for_thirty_days(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        issued = console.player.issued(ORGANIZATION, "invitee@example.com", OWNER)
        await console.hear(issued)
        console.clock.advance(timedelta(days=8))
        (row,) = await rows(console)
        assert row.state == "pending"  # nobody has said so yet
        assert row.state_at(console.clock()) == "expired"

        await console.hear(InvitationExpired(**about(issued, 2), expired_at=issued.expires_at))
        assert [row.state for row in await rows(console)] == ["expired"]

        console.clock.advance(timedelta(days=30))
        assert await rows(console) == []


async def test_an_expired_row_goes_when_its_address_is_invited_again_or_has_joined(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        account = await console.person("joined@example.com")
        old = [
            console.player.issued(ORGANIZATION, address, OWNER) for address in ("JOINED@example.com", "x@example.com")
        ]
        await console.hear(*old)
        console.clock.advance(timedelta(days=8))
        assert len(await rows(console)) == 2

        await console.hear(console.player.joined(ORGANIZATION, account.account_id))
        assert [row.address for row in await rows(console)] == ["x@example.com"]

        newer = console.player.issued(ORGANIZATION, "X@Example.com", OWNER)
        await console.hear(newer)
        assert [row.invitation_id for row in await rows(console)] == [newer.invitation_id]


async def test_lists_come_in_pieces_and_each_item_once(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        for number in range(7):
            await console.hear(
                console.player.joined(ORGANIZATION, UUID(int=100 + number)),
                console.player.issued(ORGANIZATION, f"invitee{number}@example.com", OWNER),
            )
        members, invitations, after, pages = [], [], None, 0
        while True:
            page = await console.edge.view.members(ORGANIZATION, after=after, limit=3)
            members += page.items
            pages += 1
            if (after := page.next) is None:
                break
        after = None
        while True:
            piece = await console.edge.view.invitations(ORGANIZATION, after=after, limit=7)
            invitations += piece.items
            if (after := piece.next) is None:
                break

        assert [member.account_id.int for member in members] == [100 + number for number in range(7)]
        assert pages == 3
        assert len({row.invitation_id for row in invitations}) == len(invitations) == 7


@pytest.mark.parametrize("cursor", ["nonsense", "bnVsbA", "WzEsMl0", "WyIyMDI2LTAxLTAxIiwiMDAiXQ", "é", "="])
async def test_a_cursor_that_is_none_is_a_value_error(database_url: str, cursor: str) -> None:
    async with console_world(database_url) as (console,):
        with pytest.raises(ValueError, match="no cursor"):
            await console.edge.view.members(ORGANIZATION, after=cursor)


async def test_each_batch_that_changes_an_organization_gives_it_a_new_revision(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        issued = console.player.issued(ORGANIZATION, "invitee@example.com", OWNER)
        revisions = []
        for fact in (issued, letter(LetterSent, issued), console.player.joined(ORGANIZATION, MEMBER)):
            await console.hear(fact)
            organization = await console.edge.view.organization(ORGANIZATION)
            assert organization is not None
            revisions.append(organization.revision)

        assert revisions == sorted(set(revisions))


async def test_nothing_is_kept_for_longer_than_it_is_needed(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        issued = console.player.issued(ORGANIZATION, "invitee@example.com", OWNER)
        revoked = InvitationRevoked(**about(issued, 2), reason="revoked", revoked_by=OWNER, revoked_at=NOON)
        await console.hear(issued, revoked)
        left = MemberLeft(
            organization_id=ORGANIZATION, account_id=MEMBER, version=9, membership_id=uuid7(), left_at=NOON
        )
        await console.hear(console.player.joined(ORGANIZATION, MEMBER), left)
        await console.clean_up()
        assert await console.count("invitations") == await console.count("members") == 1

        console.clock.advance(timedelta(days=31))
        await console.clean_up()
        assert await console.count("invitations") == await console.count("members") == 0
