"""DESIGN §2, "Inviting" and "The link"."""

from datetime import timedelta

import pytest
from invites_desk import LIFETIME, LINK_KEY, NO_LIMITS, START, Desk, kinds, only, policy, reason, sentence

from contracts import (
    AccountProfile,
    InvitationExpired,
    InvitationIssued,
    InvitationSuperseded,
    InviteMember,
    MemberDemoted,
    MemberPromoted,
    code_digest,
    link_code,
)
from invites.domain.rates import Rate, RateLimits
from postroom import Deferred
from postroom.ids import uuid7


def test_an_admin_invites_an_address_and_the_link_lives_seven_days() -> None:
    desk = Desk()
    owner = desk.account("olga@example.com", name="Olga")
    acme = desk.organization(owner, "Acme")

    issued = only(InvitationIssued, desk.invite(acme, owner, "  New.Person@Example.com "))

    assert issued.address == "New.Person@Example.com"
    assert (issued.organization_name, issued.inviter_id, issued.inviter_name) == ("Acme", owner, "Olga")
    assert issued.expires_at == START + timedelta(days=7)
    assert (issued.version, issued.supersedes) == (1, None)


def test_only_the_digest_of_the_link_is_stored_or_told() -> None:
    desk = Desk()
    owner = desk.account("olga@example.com")
    issued = only(InvitationIssued, desk.invite(desk.organization(owner), owner, "new@example.com"))

    code = link_code(LINK_KEY, issued.invitation_id)

    assert issued.code_digest == code_digest(code)
    assert code not in issued.model_dump_json()
    assert code not in repr(desk.known)


def test_the_owner_may_invite_before_their_own_joining_was_heard_of() -> None:
    desk = Desk()
    owner = desk.account("olga@example.com")
    acme = desk.organization(owner)
    desk.known.members[acme, owner].role = None
    created = desk.organization(owner)
    assert kinds(desk.invite(created, owner, "new@example.com")) == ["InvitationIssued"]


def test_a_plain_member_may_not_invite() -> None:
    desk = Desk()
    owner, member = desk.account("olga@example.com"), desk.account("max@example.com")
    acme = desk.organization(owner, "Acme")
    desk.join(acme, member)

    refused = desk.invite(acme, member, "new@example.com")

    assert reason(refused) == "not_an_admin"
    assert sentence(refused) == "Only the owner and admins of an organization can invite people."


def test_a_stranger_may_not_invite_and_does_not_learn_what_the_organization_is_called() -> None:
    desk = Desk()
    acme = desk.organization(desk.account("olga@example.com"), "Acme")

    refused = desk.invite(acme, desk.account("eve@example.com"), "new@example.com")

    assert reason(refused) == "not_an_admin"
    assert "Acme" not in sentence(refused)


def test_a_promoted_member_may_invite_and_after_a_demotion_may_not() -> None:
    desk = Desk()
    owner, member = desk.account("olga@example.com"), desk.account("max@example.com")
    acme = desk.organization(owner)
    desk.join(acme, member)
    about = {"organization_id": acme, "account_id": member, "membership_id": uuid7()}

    desk.handle(
        MemberPromoted(**about, version=desk.next_version(acme), role="admin", promoted_by=owner, promoted_at=desk.now)
    )
    first = desk.invite(acme, member, "first@example.com")
    desk.handle(
        MemberDemoted(**about, version=desk.next_version(acme), role="member", demoted_by=owner, demoted_at=desk.now)
    )
    second = desk.invite(acme, member, "second@example.com")

    assert kinds(first) == ["InvitationIssued"]
    assert reason(second) == "not_an_admin"


@pytest.mark.parametrize("typed", ["", "nobody", "a@b", "a b@example.com", "a@example.com, b@example.com", "x" * 1000])
def test_a_malformed_address_is_refused(typed: str) -> None:
    desk = Desk()
    owner = desk.account("olga@example.com")
    assert reason(desk.invite(desk.organization(owner), owner, typed)) == "malformed_address"


def test_a_member_of_this_organization_is_not_invited_again_whatever_the_case() -> None:
    desk = Desk()
    owner, member = desk.account("olga@example.com"), desk.account("Max@Example.com")
    acme = desk.organization(owner)
    desk.join(acme, member)

    assert reason(desk.invite(acme, owner, "mAX@example.COM")) == "already_a_member"


def test_a_former_member_can_be_invited_again() -> None:
    desk = Desk()
    owner, member = desk.account("olga@example.com"), desk.account("max@example.com")
    acme = desk.organization(owner)
    desk.join(acme, member)
    desk.remove(acme, member, owner)

    assert kinds(desk.invite(acme, owner, "max@example.com")) == ["InvitationIssued"]


def test_a_member_of_another_organization_is_invited_as_anybody_else_is() -> None:
    desk = Desk()
    owner, other = desk.account("olga@example.com"), desk.account("oscar@example.com")
    acme = desk.organization(owner)
    desk.organization(other, "Another")

    known, unknown = desk.invite(acme, owner, "oscar@example.com"), desk.invite(acme, owner, "nobody@example.com")

    assert kinds(known) == kinds(unknown) == ["InvitationIssued"]


def test_inviting_again_kills_the_older_link_and_starts_a_fresh_seven_days() -> None:
    desk = Desk()
    owner = desk.account("olga@example.com")
    acme = desk.organization(owner)
    older = desk.invited(acme, owner, "new@example.com")
    desk.now += timedelta(days=3)

    superseded, issued = desk.invite(acme, owner, "NEW@example.com")

    assert isinstance(superseded, InvitationSuperseded)
    assert isinstance(issued, InvitationIssued)
    assert superseded.invitation_id == issued.supersedes == older.id
    assert superseded.superseded_by == issued.invitation_id
    assert issued.expires_at == desk.now + LIFETIME
    assert issued.code_digest != older.code_digest


def test_dots_and_plus_tags_make_another_address() -> None:
    desk = Desk()
    owner = desk.account("olga@example.com")
    acme = desk.organization(owner)
    desk.invite(acme, owner, "new.person@example.com")

    assert kinds(desk.invite(acme, owner, "newperson@example.com")) == ["InvitationIssued"]
    assert kinds(desk.invite(acme, owner, "new.person+tag@example.com")) == ["InvitationIssued"]


def test_two_organizations_may_invite_one_address() -> None:
    desk = Desk()
    owner, other = desk.account("olga@example.com"), desk.account("oscar@example.com")
    desk.invite(desk.organization(owner), owner, "new@example.com")

    assert kinds(desk.invite(desk.organization(other), other, "new@example.com")) == ["InvitationIssued"]


def test_while_an_acceptance_is_in_flight_the_address_is_not_invited_again() -> None:
    desk = Desk()
    owner, guest = desk.account("olga@example.com"), desk.account("new@example.com")
    acme = desk.organization(owner)
    desk.accept(desk.invited(acme, owner, "new@example.com"), guest)

    assert reason(desk.invite(acme, owner, "new@example.com")) == "acceptance_in_progress"


@pytest.mark.parametrize("end", ["revoke", "decline", "expire"])
def test_an_address_whose_invitation_ended_can_be_invited_again(end: str) -> None:
    desk = Desk()
    owner = desk.account("olga@example.com")
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, "new@example.com")
    match end:
        case "revoke":
            desk.revoke(invitation, owner)
        case "decline":
            desk.decline(invitation)
        case "expire":
            desk.wait(LIFETIME)

    issued = only(InvitationIssued, desk.invite(acme, owner, "new@example.com"))

    assert issued.supersedes is None
    assert issued.expires_at == desk.now + LIFETIME


def test_an_invitation_whose_time_went_by_unnoticed_expires_first_when_its_address_is_invited_again() -> None:
    desk = Desk()
    owner = desk.account("olga@example.com")
    acme = desk.organization(owner)
    older = desk.invited(acme, owner, "new@example.com")
    desk.now += LIFETIME

    expired, issued = desk.invite(acme, owner, "new@example.com")

    assert isinstance(expired, InvitationExpired)
    assert isinstance(issued, InvitationIssued)
    assert expired.invitation_id == older.id
    assert issued.supersedes is None


# --- what has not been heard of yet


def test_an_unknown_organization_is_waited_for_and_then_refused() -> None:
    desk = Desk()
    command = InviteMember(
        organization_id=uuid7(), actor_id=desk.account("olga@example.com"), address="new@example.com"
    )

    with pytest.raises(Deferred):
        desk.handle(command)
    assert reason(desk.handle(command, may_wait=False)) == "unknown_organization"


def test_a_client_that_has_seen_more_of_the_organization_is_not_refused_for_that() -> None:
    desk = Desk()
    owner, member = desk.account("olga@example.com"), desk.account("max@example.com")
    acme = desk.organization(owner)
    command = InviteMember(
        organization_id=acme, actor_id=member, address="new@example.com", seen_organization_version=3
    )

    with pytest.raises(Deferred):
        desk.handle(command)
    desk.join(acme, member, role="admin")
    assert kinds(desk.handle(command)) == ["InvitationIssued"]


def test_the_inviters_newest_name_is_waited_for_but_not_for_ever() -> None:
    desk = Desk()
    owner = desk.account("olga@example.com", name="Olga")
    acme = desk.organization(owner)
    command = InviteMember(organization_id=acme, actor_id=owner, address="new@example.com", seen_profile_version=2)

    with pytest.raises(Deferred):
        desk.handle(command)
    assert only(InvitationIssued, desk.handle(command, may_wait=False)).inviter_name == "Olga"
    desk.handle(AccountProfile(account_id=owner, version=2, address="o@example.com", name="Olga B.", verified=True))
    assert "Olga B." in desk.handle(command)[-1].model_dump_json()


# --- rate limits

DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def limited(organization: int = 0, inviter: int = 0, recipient: int = 0) -> Desk:
    return Desk(policy(RateLimits(Rate(organization, DAY), Rate(inviter, HOUR), Rate(recipient, DAY))))


def test_an_organization_sends_as_many_invitations_as_it_may_and_later_again() -> None:
    desk = limited(organization=3)
    owner = desk.account("olga@example.com")
    acme = desk.organization(owner)
    for number in range(3):
        assert kinds(desk.invite(acme, owner, f"p{number}@example.com")) == ["InvitationIssued"]

    refused = desk.invite(acme, owner, "p3@example.com")

    assert reason(refused) == "rate_limited_organization"
    assert "8 hours" in sentence(refused)
    desk.now += timedelta(hours=8)
    assert kinds(desk.invite(acme, owner, "p3@example.com")) == ["InvitationIssued"]
    assert reason(desk.invite(acme, owner, "p4@example.com")) == "rate_limited_organization"


def test_an_inviter_is_limited_by_themselves() -> None:
    desk = limited(inviter=1)
    owner, admin = desk.account("olga@example.com"), desk.account("anna@example.com")
    acme = desk.organization(owner)
    desk.join(acme, admin, role="admin")

    assert kinds(desk.invite(acme, owner, "p0@example.com")) == ["InvitationIssued"]
    assert reason(desk.invite(acme, owner, "p1@example.com")) == "rate_limited_inviter"
    assert kinds(desk.invite(acme, admin, "p1@example.com")) == ["InvitationIssued"]


def test_a_recipient_is_protected_from_all_organizations_and_under_all_aliases() -> None:
    desk = limited(recipient=2)
    owner, other = desk.account("olga@example.com"), desk.account("oscar@example.com")
    acme, another = desk.organization(owner), desk.organization(other)
    desk.invite(acme, owner, "new.person@example.com")
    desk.invite(another, other, "newperson+tag@example.com")

    refused = desk.invite(acme, owner, "NewPerson@example.com")

    assert reason(refused) == "rate_limited_recipient"
    assert "organization" not in sentence(refused)


def test_what_is_refused_costs_nothing() -> None:
    desk = limited(organization=5, inviter=1)
    owner = desk.account("olga@example.com")
    acme = desk.organization(owner)
    desk.invite(acme, owner, "p0@example.com")
    for _ in range(10):
        assert reason(desk.invite(acme, owner, "p1@example.com")) == "rate_limited_inviter"

    desk.now += HOUR
    assert kinds(desk.invite(acme, owner, "p1@example.com")) == ["InvitationIssued"]


def test_a_limit_of_zero_is_none() -> None:
    desk = Desk(policy(NO_LIMITS))
    owner = desk.account("olga@example.com")
    acme = desk.organization(owner)
    for _ in range(50):
        assert kinds(desk.invite(acme, owner, "new@example.com"))[-1] == "InvitationIssued"
    assert not desk.known.spending.spent_until
