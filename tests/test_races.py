"""Races, on the real databases: many processes at the same moment, and one truth."""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest
from crowd import profile
from office import Office, ce_id_of, office, record_of
from uuid_utils.compat import uuid7

from contracts import (
    AcceptanceRepeated,
    AcceptInvitation,
    AdmissionRefused,
    BillingChainEstablished,
    CommandRefused,
    CreateOrganization,
    InvitationAccepted,
    InvitationIssued,
    InvitationReopened,
    InvitationRevoked,
    InvitationSuperseded,
    InviteMember,
    MemberJoined,
    OrganizationCreated,
    RevokeInvitation,
)

OWNER, INVITEE = uuid7(), uuid7()
AT_ONCE = 20


@pytest.fixture
async def house(make_database: Callable[[], str]) -> AsyncIterator[Office]:
    """An organization with an owner, and somebody who has an account."""
    async with office(make_database, "invites", "membership", "billing") as house:
        await house.ask(
            profile(OWNER, "owner@example.com", "The owner"), profile(INVITEE, "invitee@example.com", "The invitee")
        )
        await house.ask(CreateOrganization(organization_id=ORGANIZATION, actor_id=OWNER, name="Acme"))
        yield house


ORGANIZATION = uuid7()


def invitation(organization_id: UUID = ORGANIZATION, actor_id: UUID = OWNER) -> InviteMember:
    return InviteMember(organization_id=organization_id, actor_id=actor_id, address="invitee@example.com")


def acceptance(issued: InvitationIssued, account_id: UUID = INVITEE) -> AcceptInvitation:
    return AcceptInvitation(organization_id=issued.organization_id, actor_id=account_id, code_digest=issued.code_digest)


async def invited(house: Office, command: InviteMember | None = None) -> InvitationIssued:
    await house.ask(command or invitation())
    return house.facts(InvitationIssued)[-1]


async def test_20_parallel_invitations_of_one_address_leave_one_live_link(house: Office) -> None:
    await house.desks["invites"].handle_at_once(*(record_of(invitation()) for _ in range(AT_ONCE)))
    await house.run_until_quiet()

    states = await house.desks["invites"].column("SELECT state FROM invitations")
    assert Counter(states) == {"pending": 1, "superseded": AT_ONCE - 1}
    assert len(house.facts(InvitationIssued)) == AT_ONCE
    assert len(house.facts(InvitationSuperseded)) == AT_ONCE - 1


async def test_20_parallel_acceptances_make_one_member(house: Office) -> None:
    issued = await invited(house)
    await house.desks["invites"].handle_at_once(*(record_of(acceptance(issued)) for _ in range(AT_ONCE)))
    await house.run_until_quiet()

    assert len(house.facts(InvitationAccepted)) == 1
    assert len(house.facts(AcceptanceRepeated)) == AT_ONCE - 1
    assert [fact.account_id for fact in house.facts(MemberJoined)] == [OWNER, INVITEE]
    assert len(house.facts(BillingChainEstablished)) == 2


async def test_one_acceptance_that_20_processes_handle_at_once_makes_one_member(house: Office) -> None:
    issued = await invited(house)
    record = record_of(acceptance(issued))
    await house.desks["invites"].handle_at_once(*(record for _ in range(AT_ONCE)))
    await house.run_until_quiet()

    assert len(house.facts(InvitationAccepted)) == 1
    assert len(house.facts(AcceptanceRepeated)) == 0


@pytest.mark.parametrize("attempt", range(10))
async def test_accept_and_revoke_at_once_never_disagree_with_their_answers(house: Office, attempt: int) -> None:
    issued = await invited(house)
    accept = record_of(acceptance(issued))
    revoke = record_of(
        RevokeInvitation(organization_id=ORGANIZATION, actor_id=OWNER, invitation_id=issued.invitation_id)
    )
    both = (accept, revoke) if attempt % 2 else (revoke, accept)
    await house.desks["invites"].handle_at_once(*both)
    await house.run_until_quiet()

    joined = INVITEE in {fact.account_id for fact in house.facts(MemberJoined)}
    revoked = [fact for fact in house.facts(InvitationRevoked) if fact.invitation_id == issued.invitation_id]
    refusals = {fact.command_id: fact.reason for fact in house.facts(CommandRefused)}
    if joined:
        assert not revoked
        assert refusals == {ce_id_of(revoke): "already_accepted"}
    else:
        assert len(revoked) == 1
        assert refusals == {ce_id_of(accept): "revoked"}


async def test_a_revocation_in_the_middle_of_an_acceptance_is_answered_when_membership_has_spoken(
    house: Office,
) -> None:
    issued = await invited(house)
    await house.deliver(acceptance(issued))
    (revoke,) = await house.deliver(
        RevokeInvitation(organization_id=ORGANIZATION, actor_id=OWNER, invitation_id=issued.invitation_id)
    )
    assert house.facts(CommandRefused) == []
    await house.run_until_quiet()

    assert [(fact.command_id, fact.reason) for fact in house.facts(CommandRefused)] == [(revoke, "already_accepted")]


async def test_a_revocation_in_the_middle_of_a_refused_admission_is_carried_out(house: Office) -> None:
    await house.ask(CreateOrganization(organization_id=uuid7(), actor_id=INVITEE, name="Another"))
    issued = await invited(house)
    await house.deliver(acceptance(issued))
    (revoke,) = await house.deliver(
        RevokeInvitation(organization_id=ORGANIZATION, actor_id=OWNER, invitation_id=issued.invitation_id)
    )
    await house.run_until_quiet()

    (answer,) = [seen for seen in house.seen if isinstance(seen.message, InvitationRevoked)]
    assert answer.causation_id == revoke, "whoever asked for the revocation recognizes its outcome"


async def test_invitations_of_two_organizations_accepted_at_once_give_one_membership(house: Office) -> None:
    other_owner, other = uuid7(), uuid7()
    await house.ask(profile(other_owner, "other-owner@example.com", "Another owner"))
    await house.ask(CreateOrganization(organization_id=other, actor_id=other_owner, name="Another"))
    first, second = await invited(house), await invited(house, invitation(other, other_owner))
    await house.desks["invites"].handle(record_of(acceptance(first)), record_of(acceptance(second)))
    accepted = await house.desks["invites"].take_outbox()
    await house.desks["membership"].handle_at_once(*accepted)
    await house.run_until_quiet()

    assert len([fact for fact in house.facts(MemberJoined) if fact.account_id == INVITEE]) == 1
    assert len(house.facts(AdmissionRefused)) == 1
    (reopened,) = house.facts(InvitationReopened)
    states = await house.desks["invites"].column(
        "SELECT state FROM invitations WHERE id = :id", id=reopened.invitation_id
    )
    assert states == ["pending"]


async def test_organizations_of_one_name_created_at_once_are_one_organization(house: Office) -> None:
    commands = [CreateOrganization(organization_id=uuid7(), actor_id=uuid7(), name="Same Name") for _ in range(AT_ONCE)]
    await house.desks["membership"].handle_at_once(*(record_of(command) for command in commands))
    await house.run_until_quiet()

    assert len([fact for fact in house.facts(OrganizationCreated) if fact.name == "Same Name"]) == 1
    assert Counter(fact.reason for fact in house.facts(CommandRefused)) == {"name_taken": AT_ONCE - 1}
