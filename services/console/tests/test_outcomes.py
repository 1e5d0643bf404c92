"""A request that sends a command waits for the truth, whichever instance hears it, and asks nobody twice."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest
from console_world import ConsoleWorld, code_of, console_world
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError

from console.accounts.domain import Account
from console.commands.idempotency import KeyReused, RequestKey
from console.commands.outcome import Outcome
from contracts import (
    AcceptanceRepeated,
    AcceptInvitation,
    AdmissionRefused,
    CreateOrganization,
    InvitationAccepted,
    InvitationReopened,
    InviteMember,
    PromoteMember,
    Reason,
    RevokeInvitation,
)
from postroom.ids import uuid7

ORGANIZATION = UUID(int=1)
# In this database: others, on the same server, wait for locks of their own.
_WAITING = text("""
    SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN (
        SELECT pid FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE datname = current_database()
    )
""")


def key(owner: Account, name: str = "key", body: bytes = b"{}") -> RequestKey:
    return RequestKey.of(owner.account_id, name, "POST", "/api/v1/organizations", body)


async def with_organization(console: ConsoleWorld, owner: Account) -> UUID:
    created = await console.edge.commands.create_organization(owner, "Example Org")
    return UUID(created.result["organization_id"])


async def test_who_creates_an_organization_hears_when_they_are_its_owner(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner = await console.person("owner@example.com")
        created = await console.edge.commands.create_organization(owner, "Example Org")

        membership = await console.edge.view.membership(owner.account_id)
        assert created.is_done
        assert created.result["organization_name"] == "Example Org"
        assert membership is not None
        assert (membership.organization_name, membership.role) == ("Example Org", "owner")


async def test_a_refusal_is_answered_with_its_reason_and_sentence(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner = await console.person("owner@example.com")
        console.player.refusals[CreateOrganization] = (Reason.NAME_TAKEN, "The name is taken.")
        refused = await console.edge.commands.create_organization(owner, "Example Org")

        assert (refused.state, refused.reason, refused.message) == ("refused", "name_taken", "The name is taken.")


async def test_the_outcomes_of_several_invitations_come_in_the_order_of_the_addresses(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner = await console.person("owner@example.com")
        organization_id = await with_organization(console, owner)
        addresses = [f"invitee-{number}@example.com" for number in range(20)]
        outcomes = await console.edge.commands.invite(owner, organization_id, addresses)

        assert [outcome.result["address"] for outcome in outcomes] == addresses
        assert {command.seen_organization_version for command in console.sent_of(InviteMember)} == {2}
        assert {command.seen_profile_version for command in console.sent_of(InviteMember)} == {owner.version}


async def test_what_nobody_answers_is_waiting_and_its_outcome_can_be_asked_for_later(database_url: str) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=0.05)) as (console,):
        owner = await console.person("owner@example.com")
        waiting = await console.edge.commands.create_organization(owner, "Example Org")
        assert waiting.is_waiting

        await console.deliver()
        later = await console.edge.commands.outcome(waiting.command_id)
        assert later is not None
        assert later.is_done


async def test_the_instance_that_hears_the_outcome_need_not_be_the_one_that_waits(database_url: str) -> None:
    async with console_world(database_url, instances=2, playing=False) as (waiter, hearer):
        owner = await waiter.person("owner@example.com")
        asked = asyncio.create_task(waiter.edge.commands.create_organization(owner, "Example Org"))
        async with asyncio.timeout(10):
            while not hearer.sent_of(CreateOrganization):
                await hearer.deliver()

        created = await asked
        assert created.is_done


async def test_a_wait_ends_when_the_process_stops_and_says_that_it_does_not_know(database_url: str) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=60)) as (console,):
        owner = await console.person("owner@example.com")
        asked = asyncio.create_task(console.edge.commands.create_organization(owner, "Example Org"))
        async with asyncio.timeout(10):
            while not console.sent_of(CreateOrganization):
                console.player.silent = True
                await console.deliver()
            console.edge.changes.stop()
            assert (await asked).is_waiting


async def test_waiting_asks_the_database_twice_not_in_a_loop(database_url: str) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=1)) as (console,):
        owner = await console.person("owner@example.com")
        statements = 0

        def count(*_: object) -> None:
            nonlocal statements
            statements += 1

        event.listen(console.engine.sync_engine, "before_cursor_execute", count)
        waiting = await console.edge.commands.create_organization(owner, "Example Org")

        assert waiting.is_waiting
        assert statements <= 4  # the command, its outbox row, and one look at the end


# --- at once


async def test_commands_that_come_at_once_share_a_transaction(database_url: str) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=0.05)) as (console,):
        owner = await console.person("owner@example.com")
        before = await console.count("postroom_outbox")
        commits = 0

        def count(_: object) -> None:
            nonlocal commits
            commits += 1

        event.listen(console.engine.sync_engine, "commit", count)
        asked = [console.edge.commands.create_organization(owner, f"Org {number}") for number in range(10)]
        outcomes = await asyncio.gather(*asked)

        assert commits == 1
        assert len({outcome.command_id for outcome in outcomes}) == await console.count("commands") == 10
        assert await console.count("postroom_outbox") - before == 10


async def test_each_hears_the_outcome_of_their_own(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner = await console.person("owner@example.com")
        names = [f"Org {number}" for number in range(10)]
        outcomes = await asyncio.gather(*(console.edge.commands.create_organization(owner, name) for name in names))

        assert [outcome.result["organization_name"] for outcome in outcomes] == names


async def test_nobody_is_answered_before_their_command_is_committed(database_url: str) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=0.05)) as (console,):
        owner = await console.person("owner@example.com")
        create = console.edge.commands.create_organization
        async with console.engine.connect() as other:
            await other.execute(text("LOCK TABLE commands IN SHARE MODE"))
            first = asyncio.create_task(create(owner, "First Org"))
            async with asyncio.timeout(10), console.engine.connect() as watching:
                while not (await watching.execute(_WAITING)).scalar_one():
                    pass
                second = asyncio.create_task(create(owner, "Second Org"))
                # As long as an outcome is waited for, and more.
                await asyncio.wait([first, second], timeout=0.2)
            assert not first.done()
            assert not second.done()
            await other.rollback()

        outcomes = await asyncio.gather(first, second)
        assert all(outcome.is_waiting for outcome in outcomes)
        assert await console.count("commands") == 2


async def test_where_the_shared_transaction_fails_nobody_is_told_that_it_did_not(database_url: str) -> None:
    # Nobody takes what was sent while that cannot be read.
    async with console_world(database_url, playing=False) as (console,):
        owner = await console.person("owner@example.com")
        create = console.edge.commands.create_organization
        async with console.engine.begin() as connection:
            await connection.execute(text("ALTER TABLE postroom_outbox RENAME COLUMN value TO content"))
        try:
            failed = await asyncio.gather(create(owner, "One"), create(owner, "Other"), return_exceptions=True)
        finally:
            async with console.engine.begin() as connection:
                await connection.execute(text("ALTER TABLE postroom_outbox RENAME COLUMN content TO value"))

        assert all(isinstance(each, DBAPIError) for each in failed)
        assert await console.count("commands") == 0
        playing = asyncio.create_task(console.play())
        assert (await create(owner, "Third Org")).is_done
        playing.cancel()


async def test_a_key_that_is_refused_takes_nothing_from_who_comes_at_once(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner = await console.person("owner@example.com")
        create = console.edge.commands.create_organization
        await create(owner, "Example Org", key=key(owner))
        reused = create(owner, "Other Org", key=key(owner, body=b"{other}"))
        outcomes = await asyncio.gather(create(owner, "One"), reused, create(owner, "Two"), return_exceptions=True)

        assert isinstance(outcomes[1], KeyReused)
        assert [isinstance(each, Outcome) and each.is_done for each in outcomes] == [True, False, True]


# --- accepting


async def test_an_acceptance_is_done_when_the_membership_is_there(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner, invitee = await console.person("owner@example.com"), await console.person("invitee@example.com")
        organization_id = await with_organization(console, owner)
        issued = console.player.issued(organization_id, invitee.address, owner.account_id)
        await console.hear(issued)
        accepted = await console.edge.commands.accept(invitee, issued.code_digest)

        member = await console.edge.view.member(organization_id, invitee.account_id)
        assert accepted is not None
        assert accepted.is_done
        assert accepted.result["organization_name"] == "Example Org"
        assert member is not None
        assert accepted.result["membership_id"] == str(member.membership_id)


async def test_a_link_that_is_not_known_yet_is_waited_for(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner, invitee = await console.person("owner@example.com"), await console.person("invitee@example.com")
        organization_id = await with_organization(console, owner)
        issued = console.player.issued(organization_id, invitee.address, owner.account_id)
        accepting = asyncio.create_task(console.edge.commands.accept(invitee, issued.code_digest))
        await asyncio.sleep(0)
        await console.hear(issued)

        accepted = await accepting
        assert accepted is not None
        assert accepted.is_done


async def accepting_alone(console: ConsoleWorld, invitee: Account, issued_digest: str) -> UUID:
    """Sends an acceptance that nobody answers by himself, and returns its id."""
    waiting = await console.edge.commands.accept(invitee, issued_digest)
    assert waiting is not None
    assert waiting.is_waiting
    return waiting.command_id


@pytest.mark.parametrize("order", ["repeated first", "joined first"])
async def test_a_second_click_is_a_success_as_soon_as_the_membership_is_there(database_url: str, order: str) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=0.05)) as (console,):
        owner, invitee = await console.person("owner@example.com"), await console.person("invitee@example.com")
        issued = console.player.issued(ORGANIZATION, invitee.address, owner.account_id)
        await console.hear(issued)
        second = await accepting_alone(console, invitee, issued.code_digest)
        joined = console.player.joined(ORGANIZATION, invitee.account_id, invitation_id=issued.invitation_id)
        repeated = AcceptanceRepeated(
            organization_id=ORGANIZATION,
            invitation_id=issued.invitation_id,
            version=2,
            account_id=invitee.account_id,
        )
        if order == "repeated first":
            await console.hear(repeated, cause=str(second))
            outcome = await console.edge.commands.outcome(second)
            assert outcome is not None
            assert outcome.is_waiting
            await console.hear(joined, cause=str(uuid7()))
        else:
            await console.hear(joined, cause=str(uuid7()))
            await console.hear(repeated, cause=str(second))

        outcome = await console.edge.commands.outcome(second)
        assert outcome is not None
        assert outcome.is_done


async def test_a_second_click_is_refused_as_the_first_is(database_url: str) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=0.05)) as (console,):
        owner, invitee = await console.person("owner@example.com"), await console.person("invitee@example.com")
        issued = console.player.issued(ORGANIZATION, invitee.address, owner.account_id)
        await console.hear(issued)
        first = await accepting_alone(console, invitee, issued.code_digest)
        second = await accepting_alone(console, invitee, issued.code_digest)
        about = {"organization_id": ORGANIZATION, "invitation_id": issued.invitation_id}
        who = {"account_id": invitee.account_id}
        accepted = InvitationAccepted(
            **about, **who, version=2, inviter_id=owner.account_id, accepted_at=console.clock()
        )
        await console.hear(accepted, cause=str(first))
        repeated = AcceptanceRepeated(**about, **who, version=2)
        await console.hear(repeated, cause=str(second))
        refused = AdmissionRefused(
            **about, **who, version=4, reason=Reason.IN_ANOTHER_ORGANIZATION, refused_at=console.clock()
        )
        await console.hear(refused, cause=str(uuid7()))

        for command_id in (first, second):
            outcome = await console.edge.commands.outcome(command_id)
            assert outcome is not None
            assert (outcome.state, outcome.reason) == ("refused", "in_another_organization")
            assert "Leave it first" in (outcome.message or "")


async def test_a_click_after_the_refusal_hears_of_it_by_the_reopening(database_url: str) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=0.05)) as (console,):
        owner, invitee = await console.person("owner@example.com"), await console.person("invitee@example.com")
        issued = console.player.issued(ORGANIZATION, invitee.address, owner.account_id)
        await console.hear(issued)
        late = await accepting_alone(console, invitee, issued.code_digest)
        about = {"organization_id": ORGANIZATION, "invitation_id": issued.invitation_id}
        await console.hear(AcceptanceRepeated(**about, version=2, account_id=invitee.account_id), cause=str(late))
        reopened = InvitationReopened(
            **about,
            version=3,
            account_id=invitee.account_id,
            reason=Reason.IN_ANOTHER_ORGANIZATION,
            expires_at=issued.expires_at,
            reopened_at=console.clock(),
        )
        await console.hear(reopened, cause=str(uuid7()))

        outcome = await console.edge.commands.outcome(late)
        assert outcome is not None
        assert outcome.reason == "in_another_organization"


async def test_an_unknown_link_sends_nothing(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        invitee = await console.person("invitee@example.com")
        assert await console.edge.commands.accept(invitee, "0" * 64) is None
        assert console.sent_of(AcceptInvitation) == []


async def test_the_outcome_of_somebody_elses_command_is_not_taken_for_ours(database_url: str) -> None:
    async with console_world(database_url, playing=False, outcome_timeout=timedelta(seconds=0.05)) as (console,):
        owner = await console.person("owner@example.com")
        ours = await console.edge.commands.promote(owner, ORGANIZATION, UUID(int=9))
        fact = console.player.joined(ORGANIZATION, UUID(int=9), role="owner")
        await console.hear(fact, cause=str(ours.command_id))  # a fact that answers no promotion
        await console.hear(console.player.joined(ORGANIZATION, UUID(int=8)), cause="no id of ours")

        outcome = await console.edge.commands.outcome(ours.command_id)
        assert outcome is not None
        assert outcome.is_waiting


# --- Idempotency-Key


async def test_a_request_that_comes_again_sends_nothing_and_hears_the_same(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner = await console.person("owner@example.com")
        first = await console.edge.commands.create_organization(owner, "Example Org", key=key(owner))
        again = await console.edge.commands.create_organization(owner, "Example Org", key=key(owner))

        assert again == first
        assert len(console.sent_of(CreateOrganization)) == 1


async def test_requests_that_come_at_once_with_one_key_send_one_command(database_url: str) -> None:
    async with console_world(database_url, instances=2) as worlds:
        owner = await worlds[0].person("owner@example.com")
        asked = [worlds[n % 2].edge.commands.create_organization(owner, "Org", key=key(owner)) for n in range(10)]
        outcomes = await asyncio.gather(*asked)

        assert len({outcome.command_id for outcome in outcomes}) == 1
        assert sum(len(world.sent_of(CreateOrganization)) for world in worlds) == 1


async def test_a_key_that_comes_with_another_request_is_refused(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner = await console.person("owner@example.com")
        await console.edge.commands.create_organization(owner, "Example Org", key=key(owner))
        with pytest.raises(KeyReused):
            await console.edge.commands.create_organization(owner, "Other Org", key=key(owner, body=b"{other}"))

        assert len(console.sent_of(CreateOrganization)) == 1


async def test_a_key_belongs_to_who_sent_it(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        one, other = await console.person("one@example.com"), await console.person("other@example.com")
        mine = await console.edge.commands.create_organization(one, "One Org", key=key(one))
        theirs = await console.edge.commands.create_organization(other, "Other Org", key=key(other))

        assert mine.command_id != theirs.command_id


# --- the others


async def test_revoking_and_changing_roles_are_answered(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner, member = await console.person("owner@example.com"), await console.person("member@example.com")
        organization_id = await with_organization(console, owner)
        commands, view = console.edge.commands, console.edge.view
        await console.hear(console.player.joined(organization_id, member.account_id))
        (invited,) = await commands.invite(owner, organization_id, ["invitee@example.com"])
        revoked = await commands.revoke(owner, organization_id, UUID(invited.result["invitation_id"]))
        promoted = await commands.promote(owner, organization_id, member.account_id)
        assert revoked.is_done
        assert (promoted.result["account_id"], promoted.result["role"]) == (str(member.account_id), "admin")
        assert (await view.invitations(organization_id)).items == []

        assert (await commands.demote(owner, organization_id, member.account_id)).result["role"] == "member"
        assert (await commands.remove(owner, organization_id, member.account_id)).is_done
        assert await view.membership(member.account_id) is None
        assert len(console.sent_of(RevokeInvitation)) == len(console.sent_of(PromoteMember)) == 1


async def test_declining_needs_no_account(database_url: str) -> None:
    async with console_world(database_url) as (console,):
        owner = await console.person("owner@example.com")
        organization_id = await with_organization(console, owner)
        issued = console.player.issued(organization_id, "invitee@example.com", owner.account_id)
        await console.hear(issued)
        declined = await console.edge.commands.decline(None, issued.code_digest)

        assert declined is not None
        assert declined.is_done
        found = await console.edge.view.invitation_by_digest(issued.code_digest)
        assert found is not None
        assert found.state == "declined"
        assert code_of(issued) not in str(console.sent)
