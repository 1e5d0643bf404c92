"""What an accepted invitation leads to: exactly one membership, or a refusal that is told."""

from uuid import UUID

import pytest
from membership_desk import ACME, ADMIN, GLOBEX, MEMBER, OWNER, STRANGER, Desk, accepted, leave, remove

from contracts import AdmissionRefused, MemberJoined
from postroom import AnswerTo, Deferred, Message
from postroom.ids import uuid7


def joined(facts: tuple[Message | AnswerTo, ...]) -> MemberJoined:
    (fact,) = facts
    assert isinstance(fact, MemberJoined)
    return fact


def refused(facts: tuple[Message | AnswerTo, ...]) -> AdmissionRefused:
    (fact,) = facts
    assert isinstance(fact, AdmissionRefused)
    return fact


def test_who_accepts_an_invitation_joins_as_a_member(acme: Desk) -> None:
    message = accepted(STRANGER, inviter_id=ADMIN)
    fact = joined(acme.tell(message))
    assert (fact.organization_id, fact.account_id, fact.role) == (ACME, STRANGER, "member")
    assert (fact.invitation_id, fact.inviter_id) == (message.invitation_id, ADMIN)
    assert fact.joined_at == acme.now
    assert acme.role(STRANGER) == "member"


def test_each_admission_has_the_next_version_of_the_organization(acme: Desk) -> None:
    before = acme.roster.organizations[ACME].version
    assert [joined(acme.tell(accepted(uuid7()))).version for _ in range(3)] == [before + 1, before + 2, before + 3]


def test_each_stay_has_a_membership_id_of_its_own(acme: Desk) -> None:
    first = joined(acme.tell(accepted(STRANGER)))
    acme.tell(leave(STRANGER))
    second = joined(acme.tell(accepted(STRANGER)))
    assert first.membership_id != second.membership_id


def test_who_is_in_another_organization_is_refused_and_never_moved(acme: Desk) -> None:
    version = acme.roster.organizations[GLOBEX].version
    fact = refused(acme.tell(accepted(MEMBER, GLOBEX)))
    assert fact.reason == "in_another_organization"
    assert fact.version == version, "a refusal is no change"
    assert (acme.role(MEMBER, ACME), acme.role(MEMBER, GLOBEX)) == ("member", None)


def test_a_reopened_invitation_admits_who_has_left_the_other_organization(acme: Desk) -> None:
    invitation_id = uuid7()
    refused(acme.tell(accepted(MEMBER, GLOBEX, invitation_id)))
    acme.tell(leave(MEMBER))
    assert joined(acme.tell(accepted(MEMBER, GLOBEX, invitation_id))).organization_id == GLOBEX


@pytest.mark.parametrize("account_id", [OWNER, ADMIN, MEMBER], ids=["owner", "admin", "member"])
def test_who_is_a_member_by_another_way_is_refused_and_stays_what_they_are(acme: Desk, account_id: UUID) -> None:
    role = acme.role(account_id)
    fact = refused(acme.tell(accepted(account_id)))
    assert fact.reason == "already_a_member"
    assert acme.role(account_id) == role


def test_an_acceptance_that_comes_again_makes_no_second_membership(acme: Desk) -> None:
    message = accepted(STRANGER)
    first = joined(acme.tell(message))
    assert acme.tell(message) == ()
    assert acme.roster.members[STRANGER].membership_id == first.membership_id


@pytest.mark.parametrize("gone", [leave(STRANGER), remove(STRANGER)], ids=["left", "removed"])
def test_an_acceptance_that_comes_again_does_not_bring_back_who_has_gone(acme: Desk, gone: Message) -> None:
    message = accepted(STRANGER)
    acme.tell(message)
    acme.tell(gone)
    assert acme.tell(message) == ()
    assert acme.role(STRANGER) is None


def test_an_invitation_that_has_admitted_one_account_admits_no_other(acme: Desk) -> None:
    message = accepted(STRANGER)
    acme.tell(message)
    fact = refused(acme.tell(accepted(uuid7(), invitation_id=message.invitation_id)))
    assert fact.reason == "already_accepted"


def test_an_acceptance_waits_for_an_organization_that_is_not_known_yet(desk: Desk) -> None:
    with pytest.raises(Deferred):
        desk.tell(accepted(STRANGER))
    assert desk.role(STRANGER) is None


def test_an_acceptance_that_has_waited_in_vain_is_refused_and_told(desk: Desk) -> None:
    fact = refused(desk.tell(accepted(STRANGER), may_wait=False))
    assert (fact.reason, fact.version) == ("unknown_organization", 1)
    assert desk.role(STRANGER) is None
