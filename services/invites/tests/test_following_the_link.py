"""DESIGN §2, "Clicking the link": one test for each state of the account and of the link."""

from datetime import timedelta

import pytest
from invites_desk import LIFETIME, Desk, kinds, only, reason, sentence

from contracts import (
    AcceptanceRepeated,
    AcceptInvitation,
    AccountErased,
    AccountProfile,
    DeclineInvitation,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationIssued,
    InvitationReopened,
    InvitationRevoked,
    code_digest,
)
from invites.domain.invitations import State
from postroom import Deferred
from postroom.ids import uuid7

ADDRESS = "new@example.com"


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_the_right_account_reserves_the_invitation(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account("New@Example.com")
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)

    accepted = only(InvitationAccepted, desk.accept(invitation, guest))

    assert (accepted.invitation_id, accepted.account_id, accepted.inviter_id) == (invitation.id, guest, owner)
    assert accepted.version == 2
    assert invitation.state is State.ACCEPTING


def test_membership_admits_and_the_invitation_is_used_up(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    desk.accept(invitation, guest)

    assert desk.join(acme, guest, invitation.id) == []
    assert invitation.state is State.ACCEPTED


def test_accepting_twice_is_a_success_again_before_and_after_the_admission(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    desk.accept(invitation, guest)

    before = only(AcceptanceRepeated, desk.accept(invitation, guest))
    desk.join(acme, guest, invitation.id)
    after = only(AcceptanceRepeated, desk.accept(invitation, guest))

    assert before.account_id == after.account_id == guest
    assert kinds(desk.told).count("InvitationAccepted") == 1


def test_another_account_finds_the_link_used(desk: Desk) -> None:
    owner, guest, other = desk.account("olga@example.com"), desk.account(ADDRESS), desk.account("eve@example.com")
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    desk.accept(invitation, guest)

    assert reason(desk.accept(invitation, other)) == "already_accepted"
    desk.join(acme, guest, invitation.id)
    assert reason(desk.accept(invitation, other)) == "already_accepted"


def test_one_who_joined_by_the_link_and_left_finds_it_used(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    desk.accept(invitation, guest)
    desk.join(acme, guest, invitation.id)
    desk.remove(acme, guest, owner)

    assert reason(desk.accept(invitation, guest)) == "already_accepted"


def test_an_account_of_another_organization_is_refused_by_membership_and_the_invitation_is_pending_again(
    desk: Desk,
) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    desk.accept(invitation, guest)

    reopened = only(InvitationReopened, desk.turn_away(invitation, guest))

    assert (reopened.account_id, reopened.reason) == (guest, "in_another_organization")
    assert reopened.expires_at == invitation.expires_at
    assert invitation.state is State.PENDING
    assert kinds(desk.accept(invitation, guest)) == ["InvitationAccepted"], "its link is as good as before"


def test_an_invitation_that_is_reopened_after_its_time_expires_at_once(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    desk.accept(invitation, guest)
    assert desk.wait(LIFETIME) == [], "while membership is asked, it does not expire"

    assert kinds(desk.turn_away(invitation, guest)) == ["InvitationReopened", "InvitationExpired"]
    assert reason(desk.accept(invitation, guest)) == "expired"


def test_a_second_word_of_membership_changes_nothing(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    desk.accept(invitation, guest)
    desk.join(acme, guest, invitation.id)

    assert desk.turn_away(invitation, guest) == []
    assert desk.turn_away(invitation, guest, "already_a_member") == []
    assert invitation.state is State.ACCEPTED


def test_membership_finds_a_member_and_the_invitation_is_closed(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    desk.accept(invitation, guest)

    revoked = only(InvitationRevoked, desk.turn_away(invitation, guest, "already_a_member"))

    assert (revoked.reason, revoked.revoked_by) == ("already_a_member", None)


def test_membership_finds_the_invitation_used_by_somebody_else_and_is_believed(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    desk.accept(invitation, guest)
    desk.revoke(invitation, owner, "the wish")

    desk.turn_away(invitation, guest, "already_accepted")

    assert reason(desk.answers["the wish"]) == "already_accepted"
    assert reason(desk.accept(invitation, guest)) == "already_accepted"


def test_membership_admits_by_an_invitation_that_was_reopened_meanwhile_and_is_believed(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)

    desk.join(acme, guest, invitation.id)

    assert invitation.state is State.ACCEPTED
    assert kinds(desk.accept(invitation, guest)) == ["AcceptanceRepeated"]


def test_another_address_is_refused_naming_both_and_the_invitation_stays_pending(desk: Desk) -> None:
    owner, other = desk.account("olga@example.com"), desk.account("eve@example.com")
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)

    refused = desk.accept(invitation, other)

    assert reason(refused) == "address_differs"
    assert ADDRESS in sentence(refused)
    assert "eve@example.com" in sentence(refused)
    assert invitation.state is State.PENDING


def test_who_has_not_proven_their_mailbox_does_not_join_nor_learn_the_address(desk: Desk) -> None:
    owner = desk.account("olga@example.com")
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)

    same, other = desk.account(ADDRESS, verified=False), desk.account("eve@example.com", verified=False)

    assert reason(desk.accept(invitation, same)) == "mailbox_not_proven"
    assert reason(desk.accept(invitation, other)) == "mailbox_not_proven"
    assert ADDRESS not in sentence(desk.accept(invitation, other))


def test_a_member_whose_other_address_was_invited_succeeds_and_the_invitation_is_closed(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account("old@example.com")
    acme = desk.organization(owner)
    desk.join(acme, guest)
    invitation = desk.invited(acme, owner, ADDRESS)
    desk.handle(AccountProfile(account_id=guest, version=2, address=ADDRESS, name="", verified=True))

    revoked, repeated = desk.accept(invitation, guest)

    assert isinstance(revoked, InvitationRevoked)
    assert revoked.reason == "already_a_member"
    assert isinstance(repeated, AcceptanceRepeated)


def test_a_member_who_clicks_an_older_link_of_their_own_succeeds_again(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    older = desk.invited(acme, owner, ADDRESS)
    _, issued = desk.invite(acme, owner, ADDRESS)
    invitation = desk.known.invitations[only(InvitationIssued, [issued]).invitation_id]
    desk.accept(invitation, guest)
    desk.join(acme, guest, invitation.id)

    assert kinds(desk.accept(older, guest)) == ["AcceptanceRepeated"]
    assert reason(desk.accept(older, desk.account("eve@example.com"))) == "superseded"


# --- links that are dead


def test_a_superseded_link_says_when_the_newer_one_was_sent_and_no_address(desk: Desk) -> None:
    owner, other = desk.account("olga@example.com"), desk.account("eve@example.com")
    acme = desk.organization(owner)
    older = desk.invited(acme, owner, ADDRESS)
    desk.now += timedelta(days=1)
    desk.invite(acme, owner, ADDRESS)

    refused = desk.accept(older, other)

    assert reason(refused) == "superseded"
    assert sentence(refused) == "A newer invitation was sent on 3 March 2026. Use the link in the latest e-mail."


def test_a_revoked_link_is_dead_at_once(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    desk.revoke(invitation, owner)

    assert reason(desk.accept(invitation, guest)) == "revoked"
    assert reason(desk.decline(invitation)) == "revoked"


def test_a_declined_link_is_dead(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)

    declined = only(InvitationDeclined, desk.decline(invitation, guest))

    assert declined.declined_by == guest
    assert reason(desk.accept(invitation, guest)) == "declined"
    assert reason(desk.decline(invitation, guest)) == "declined"


def test_a_link_can_be_declined_without_an_account(desk: Desk) -> None:
    owner = desk.account("olga@example.com")
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    assert only(InvitationDeclined, desk.decline(invitation)).declined_by is None


def test_what_was_accepted_cannot_be_declined(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    desk.accept(invitation, guest)

    assert reason(desk.decline(invitation, guest)) == "already_accepted"
    desk.join(acme, guest, invitation.id)
    assert reason(desk.decline(invitation, guest)) == "already_accepted"


def test_a_link_is_dead_at_its_last_instant_even_before_the_timer_has_noticed(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    desk.now += LIFETIME

    assert reason(desk.accept(invitation, guest)) == "expired"
    assert reason(desk.decline(invitation, guest)) == "expired"
    assert reason(desk.revoke(invitation, owner)) == "expired"
    assert "9 March 2026" in sentence(desk.accept(invitation, guest))
    assert kinds(desk.wait(timedelta(0))) == [InvitationExpired.__name__]


def test_a_link_is_live_until_its_last_instant(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    desk.now += LIFETIME - timedelta(microseconds=1)
    assert kinds(desk.accept(invitation, guest)) == ["InvitationAccepted"]


def test_an_unknown_link_is_refused_at_once_and_so_is_one_of_another_organization(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    another = desk.organization(guest)

    made_up = AcceptInvitation(organization_id=acme, actor_id=guest, code_digest=code_digest("made up"))
    elsewhere = AcceptInvitation(organization_id=another, actor_id=guest, code_digest=invitation.code_digest)
    nowhere = DeclineInvitation(organization_id=uuid7(), code_digest=invitation.code_digest)

    for command in (made_up, elsewhere, nowhere):
        assert reason(desk.handle(command)) == "unknown_invitation"


# --- what has not been heard of yet


def test_a_profile_that_has_not_come_is_waited_for_and_then_the_account_is_unknown(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), uuid7()
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    command = AcceptInvitation(organization_id=acme, actor_id=guest, code_digest=invitation.code_digest)

    with pytest.raises(Deferred):
        desk.handle(command)
    assert reason(desk.handle(command, may_wait=False)) == "unknown_account"
    desk.handle(AccountProfile(account_id=guest, version=1, address=ADDRESS, name="", verified=True))
    assert kinds(desk.handle(command)) == ["InvitationAccepted"]


def test_who_has_just_proven_their_mailbox_is_not_refused_since_invites_is_slower(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS, verified=False)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    command = AcceptInvitation(
        organization_id=acme, actor_id=guest, code_digest=invitation.code_digest, seen_profile_version=2
    )

    with pytest.raises(Deferred):
        desk.handle(command)
    desk.handle(AccountProfile(account_id=guest, version=2, address=ADDRESS, name="", verified=True))
    assert kinds(desk.handle(command)) == ["InvitationAccepted"]


def test_an_organization_that_is_newer_to_the_client_is_waited_for(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, ADDRESS)
    command = AcceptInvitation(
        organization_id=acme, actor_id=guest, code_digest=invitation.code_digest, seen_organization_version=9
    )

    with pytest.raises(Deferred):
        desk.handle(command)
    assert kinds(desk.handle(command, may_wait=False)) == ["InvitationAccepted"]


def test_an_erased_account_is_unknown(desk: Desk) -> None:
    owner, guest = desk.account("olga@example.com"), desk.account(ADDRESS)
    invitation = desk.invited(desk.organization(owner), owner, ADDRESS)
    desk.handle(AccountErased(account_id=guest))
    assert reason(desk.accept(invitation, guest)) == "unknown_account"
