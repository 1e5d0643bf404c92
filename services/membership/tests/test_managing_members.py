"""Who may promote, demote and remove whom, and who may leave."""

from collections.abc import Callable
from uuid import UUID

import pytest
from membership_desk import ACME, ADMIN, GLOBEX, MEMBER, OWNER, RIVAL, STRANGER, Desk, demote, leave, promote, remove

from contracts import Command, MemberDemoted, MemberLeft, MemberPromoted, MemberRemoved, Reason

Managing = Callable[[UUID, UUID, UUID], Command]
MANAGING = pytest.mark.parametrize("managing", [promote, demote, remove])


@pytest.mark.parametrize("actor_id", [OWNER, ADMIN], ids=["owner", "admin"])
def test_the_owner_and_admins_promote_a_member_to_admin(acme: Desk, actor_id: UUID) -> None:
    (fact,) = acme.tell(promote(MEMBER, actor_id))
    assert isinstance(fact, MemberPromoted)
    assert (fact.account_id, fact.role, fact.promoted_by, fact.promoted_at) == (MEMBER, "admin", actor_id, acme.now)
    assert fact.membership_id == acme.roster.members[MEMBER].membership_id
    assert acme.role(MEMBER) == "admin"


@pytest.mark.parametrize("actor_id", [OWNER, ADMIN], ids=["owner", "admin"])
def test_the_owner_and_admins_demote_an_admin(acme: Desk, actor_id: UUID) -> None:
    acme.tell(promote(MEMBER))
    (fact,) = acme.tell(demote(MEMBER, actor_id))
    assert isinstance(fact, MemberDemoted)
    assert (fact.account_id, fact.role, fact.demoted_by, fact.demoted_at) == (MEMBER, "member", actor_id, acme.now)
    assert acme.role(MEMBER) == "member"


@pytest.mark.parametrize("actor_id", [OWNER, ADMIN], ids=["owner", "admin"])
def test_the_owner_and_admins_remove_a_member(acme: Desk, actor_id: UUID) -> None:
    membership_id = acme.roster.members[MEMBER].membership_id
    (fact,) = acme.tell(remove(MEMBER, actor_id))
    assert isinstance(fact, MemberRemoved)
    assert (fact.account_id, fact.membership_id) == (MEMBER, membership_id)
    assert (fact.removed_by, fact.removed_at) == (actor_id, acme.now)
    assert acme.role(MEMBER) is None


def test_an_admin_can_be_removed_by_another_admin(acme: Desk) -> None:
    acme.tell(promote(MEMBER))
    acme.tell(remove(ADMIN, MEMBER))
    assert acme.role(ADMIN) is None


def test_every_change_has_the_next_version_of_the_organization(acme: Desk) -> None:
    before = acme.roster.organizations[ACME].version
    changes = [promote(MEMBER), demote(MEMBER), remove(MEMBER), leave(ADMIN)]
    facts = [fact for change in changes for fact in acme.tell(change)]
    versions = [f.version for f in facts if isinstance(f, MemberPromoted | MemberDemoted | MemberRemoved | MemberLeft)]
    assert versions == [before + 1, before + 2, before + 3, before + 4]


@MANAGING
@pytest.mark.parametrize("actor_id", [MEMBER, STRANGER, RIVAL], ids=["member", "stranger", "owner elsewhere"])
def test_members_and_strangers_can_change_nobody(acme: Desk, managing: Managing, actor_id: UUID) -> None:
    assert acme.refusal(managing(ADMIN, actor_id, ACME)).reason == Reason.NOT_AN_ADMIN


@MANAGING
@pytest.mark.parametrize("account_id", [STRANGER, RIVAL], ids=["stranger", "member elsewhere"])
def test_who_is_no_member_cannot_be_changed(acme: Desk, managing: Managing, account_id: UUID) -> None:
    assert acme.refusal(managing(account_id, OWNER, ACME)).reason == Reason.NOT_A_MEMBER


@MANAGING
def test_nobody_is_changed_in_an_organization_that_does_not_exist(acme: Desk, managing: Managing) -> None:
    assert acme.refusal(managing(MEMBER, OWNER, STRANGER)).reason == Reason.UNKNOWN_ORGANIZATION


@MANAGING
def test_an_admin_who_was_demoted_can_change_nobody_any_more(acme: Desk, managing: Managing) -> None:
    acme.tell(demote(ADMIN))
    assert acme.refusal(managing(MEMBER, ADMIN, ACME)).reason == Reason.NOT_AN_ADMIN


@pytest.mark.parametrize("actor_id", [OWNER, ADMIN], ids=["owner", "admin"])
@pytest.mark.parametrize("managing", [demote, remove])
def test_the_owner_can_be_neither_demoted_nor_removed(acme: Desk, managing: Managing, actor_id: UUID) -> None:
    assert acme.refusal(managing(OWNER, actor_id, ACME)).reason == Reason.OWNER_IS_FIXED
    assert acme.role(OWNER) == "owner"


@pytest.mark.parametrize("account_id", [OWNER, ADMIN], ids=["owner", "admin"])
def test_who_is_an_admin_is_not_promoted_again(acme: Desk, account_id: UUID) -> None:
    assert acme.refusal(promote(account_id, ADMIN)).reason == Reason.ALREADY_AN_ADMIN


def test_who_is_no_admin_is_not_demoted(acme: Desk) -> None:
    assert acme.refusal(demote(MEMBER)).reason == Reason.NOT_AN_ADMIN_ROLE


@pytest.mark.parametrize("account_id", [ADMIN, MEMBER], ids=["admin", "member"])
def test_admins_and_members_may_leave(acme: Desk, account_id: UUID) -> None:
    membership_id = acme.roster.members[account_id].membership_id
    (fact,) = acme.tell(leave(account_id))
    assert isinstance(fact, MemberLeft)
    assert (fact.account_id, fact.membership_id, fact.left_at) == (account_id, membership_id, acme.now)
    assert acme.role(account_id) is None


def test_the_owner_cannot_leave(acme: Desk) -> None:
    assert acme.refusal(leave(OWNER)).reason == Reason.OWNER_IS_FIXED


@pytest.mark.parametrize("account_id", [STRANGER, RIVAL], ids=["stranger", "member elsewhere"])
def test_who_is_no_member_cannot_leave(acme: Desk, account_id: UUID) -> None:
    assert acme.refusal(leave(account_id)).reason == Reason.NOT_A_MEMBER


def test_nobody_leaves_an_organization_that_does_not_exist(acme: Desk) -> None:
    assert acme.refusal(leave(MEMBER, STRANGER)).reason == Reason.UNKNOWN_ORGANIZATION


def test_a_refusal_tells_nothing_about_another_organization(acme: Desk) -> None:
    refusal = acme.refusal(remove(RIVAL))
    assert "Globex" not in refusal.message
    assert acme.role(RIVAL, GLOBEX) == "owner"
