"""DESIGN §2: revoking kills the link at once, and the answer is the truth under any race."""

import pytest
from invites_desk import LIFETIME, Desk, kinds, only, reason

from contracts import (
    AccountProfile,
    CommandRefused,
    InvitationRevoked,
    MemberLeft,
    MemberRemoved,
    RevokeInvitation,
)
from invites.domain.invitations import State
from postroom import Deferred
from postroom.ids import uuid7

ADDRESS = "new@example.com"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_admin_revokes_what_another_admin_has_sent(desk: Desk) -> None:
    owner, admin = desk.account("olga@example.com"), desk.account("anna@example.com")
    acme = desk.organization(owner)
    desk.join(acme, admin, role="admin")
    invitation = desk.invited(acme, owner, ADDRESS)

    revoked = only(InvitationRevoked, desk.revoke(invitation, admin))

    assert (revoked.reason, revoked.revoked_by) == ("revoked", admin)


def test_neither_a_plain_member_nor_the_invitee_revokes(desk: Desk) -> None:
    owner, member, guest = (desk.account(each) for each in ("olga@example.com", "max@example.com", ADDRESS))
    acme = desk.organization(owner)
    desk.join(acme, member)
    invitation = desk.invited(acme, owner, ADDRESS)

    assert reason(desk.revoke(invitation, member)) == "not_an_admin"
    assert reason(desk.revoke(invitation, guest)) == "not_an_admin"
    assert invitation.state is State.PENDING


def test_an_admin_of_another_organization_finds_no_such_invitation(desk: Desk) -> None:
    owner, other = desk.account("olga@example.com"), desk.account("oscar@example.com")
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    another = desk.organization(other)

    command = RevokeInvitation(organization_id=another, actor_id=other, invitation_id=invitation.id)

    assert reason(desk.handle(command)) == "unknown_invitation"


def test_an_unknown_organization_is_waited_for_and_then_refused(desk: Desk) -> None:
    command = RevokeInvitation(organization_id=uuid7(), actor_id=uuid7(), invitation_id=uuid7())
    with pytest.raises(Deferred):
        desk.handle(command)
    assert reason(desk.handle(command, may_wait=False)) == "unknown_organization"


def test_what_has_ended_cannot_be_revoked_and_the_admin_hears_how_it_ended(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    older = desk.invited(acme, owner, ADDRESS)
    desk.invite(acme, owner, ADDRESS)
    revoked, declined, expired = (desk.invited(acme, owner, f"p{n}@example.com") for n in range(3))
    desk.revoke(revoked, owner)
    desk.decline(declined)
    desk.wait(LIFETIME)
    accepted = desk.invited(acme, owner, ADDRESS)
    desk.accept(accepted, guest)
    desk.join(acme, guest, accepted.id)

    ends = [reason(desk.revoke(each, owner)) for each in (older, revoked, declined, expired, accepted)]

    assert ends == ["superseded", "revoked", "declined", "expired", "already_accepted"]


# --- while an acceptance is in flight


def test_the_answer_waits_and_is_already_accepted_when_the_account_has_joined(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    desk.accept(invitation, guest)

    assert desk.revoke(invitation, owner, "the wish") == []
    desk.join(acme, guest, invitation.id)

    refused = only(CommandRefused, desk.answers["the wish"])
    assert (refused.command_id, refused.reason, refused.actor_id) == ("the wish", "already_accepted", owner)
    assert (refused.command_type, refused.command_key) == (RevokeInvitation.ce_type, acme)


def test_the_answer_waits_and_is_revoked_when_membership_has_refused(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    desk.accept(invitation, guest)
    desk.revoke(invitation, owner, "the wish")

    assert kinds(desk.turn_away(invitation, guest)) == ["InvitationReopened", "InvitationRevoked"]
    assert only(InvitationRevoked, desk.answers["the wish"]).revoked_by == owner
    assert reason(desk.accept(invitation, guest)) == "revoked"


def test_the_answer_waits_and_is_revoked_when_the_account_was_a_member_already(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    desk.accept(invitation, guest)
    desk.revoke(invitation, owner, "the wish")

    desk.turn_away(invitation, guest, "already_a_member")

    assert only(InvitationRevoked, desk.answers["the wish"]).reason == "already_a_member"


def test_every_wish_that_waited_is_answered_once(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    joined, refused = desk.invited(acme, owner, ADDRESS), desk.invited(acme, owner, "p@example.com")
    other = desk.account("p@example.com")
    desk.accept(joined, guest)
    desk.accept(refused, other)
    for number in range(3):
        desk.revoke(joined, owner, f"joined {number}")
        desk.revoke(refused, owner, f"refused {number}")

    desk.join(acme, guest, joined.id)
    desk.turn_away(refused, other)

    assert [reason(desk.answers[f"joined {n}"]) for n in range(3)] == ["already_accepted"] * 3
    assert only(InvitationRevoked, desk.answers["refused 0"])
    assert [reason(desk.answers[f"refused {n}"]) for n in (1, 2)] == ["revoked", "revoked"]


# --- when somebody leaves


def test_removing_a_member_revokes_what_is_pending_for_their_addresses_and_what_they_sent(desk: Desk) -> None:
    owner, admin = desk.account("olga@example.com"), desk.account("anna@home.example")
    acme = desk.organization(owner)
    joined_by = desk.invited(acme, owner, "anna@home.example")
    desk.accept(joined_by, admin)
    desk.join(acme, admin, joined_by.id, role="admin")
    second = desk.invited(acme, owner, "anna@work.example")
    desk.handle(AccountProfile(account_id=admin, version=2, address="anna@work.example", name="", verified=True))
    first = desk.invited(acme, owner, "anna@home.example")
    sent, kept = desk.invited(acme, admin, "p0@example.com"), desk.invited(acme, owner, "p1@example.com")

    told = desk.remove(acme, admin, owner)

    assert {fact.invitation_id: fact.reason for fact in told if isinstance(fact, InvitationRevoked)} == {
        first.id: "member_removed",
        second.id: "member_removed",
        sent.id: "inviter_removed",
    }
    assert kept.state is State.PENDING


def test_removing_a_member_of_one_organization_leaves_the_invitations_of_others(desk: Desk) -> None:
    owner, other, member = (desk.account(each) for each in ("olga@example.com", "oscar@example.com", ADDRESS))
    acme, another = desk.organization(owner), desk.organization(other)
    desk.join(acme, member)
    invitation = desk.invited(another, other, ADDRESS)

    assert desk.remove(acme, member, owner) == []
    assert invitation.state is State.PENDING


def test_what_a_removed_admin_sent_is_revoked_after_an_acceptance_in_flight_was_refused(desk: Desk) -> None:
    owner, admin, guest = (desk.account(each) for each in ("olga@example.com", "anna@example.com", ADDRESS))
    acme = desk.organization(owner)
    desk.join(acme, admin, role="admin")
    invitation = desk.invited(acme, admin, ADDRESS)
    desk.accept(invitation, guest)

    assert desk.remove(acme, admin, owner) == []
    reopened, revoked = desk.turn_away(invitation, guest)

    assert kinds([reopened]) == ["InvitationReopened"]
    assert isinstance(revoked, InvitationRevoked)
    assert (revoked.reason, revoked.revoked_by) == ("inviter_removed", None)


def test_one_whose_acceptance_of_a_removed_admins_invitation_was_in_flight_joins(desk: Desk) -> None:
    owner, admin, guest = (desk.account(each) for each in ("olga@example.com", "anna@example.com", ADDRESS))
    acme = desk.organization(owner)
    desk.join(acme, admin, role="admin")
    invitation = desk.invited(acme, admin, ADDRESS)
    desk.accept(invitation, guest)
    desk.remove(acme, admin, owner)

    assert desk.join(acme, guest, invitation.id) == []
    assert invitation.state is State.ACCEPTED


def test_an_invitation_outlives_its_senders_departure(desk: Desk) -> None:
    owner, admin = desk.account("olga@example.com"), desk.account("anna@example.com")
    acme = desk.organization(owner)
    desk.join(acme, admin, role="admin")
    invitation = desk.invited(acme, admin, ADDRESS)

    told = desk.handle(
        MemberLeft(
            organization_id=acme,
            version=desk.next_version(acme),
            account_id=admin,
            membership_id=uuid7(),
            left_at=desk.now,
        )
    )

    assert told == []
    assert invitation.state is State.PENDING
    assert reason(desk.revoke(invitation, admin)) == "not_an_admin"
    assert kinds(desk.revoke(invitation, owner)) == ["InvitationRevoked"]


def test_a_removal_that_comes_late_does_not_touch_one_who_has_joined_again(desk: Desk) -> None:
    owner, admin = desk.account("olga@example.com"), desk.account("anna@example.com")
    acme = desk.organization(owner)
    removal = MemberRemoved(
        organization_id=acme,
        version=desk.next_version(acme),
        account_id=admin,
        membership_id=uuid7(),
        removed_by=owner,
        removed_at=desk.now,
    )
    desk.join(acme, admin, role="admin")
    invitation = desk.invited(acme, admin, ADDRESS)

    assert desk.handle(removal) == []
    assert desk.known.is_admin(acme, admin)
    assert invitation.state is State.PENDING
