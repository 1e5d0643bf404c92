"""What somebody sees who follows a link: the rows of the design's table, without a browser."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from console.accounts.domain import Account
from console.view.nouns import Invitation, InvitationState, Membership
from console.web.pages.link_states import Step, what_to_show, why_not
from contracts import Reason

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
INVITATION = Invitation(
    invitation_id=UUID(int=1),
    organization_id=UUID(int=2),
    organization_name="Example Org",
    address="Invitee@example.com",
    address_normalized="invitee@example.com",
    code_digest="0" * 64,
    state="pending",
    inviter_id=UUID(int=3),
    inviter_name="The Inviter",
    issued_at=NOON,
    expires_at=NOON + timedelta(days=7),
    ended_at=None,
    delivery="sent",
)
INVITEE = Account(
    account_id=UUID(int=4),
    address="invitee@example.com",
    address_normalized="invitee@example.com",
    name="The Invitee",
    version=2,
    created_at=NOON,
    proven=True,
)
SOMEBODY_ELSE = replace(INVITEE, account_id=UUID(int=5), address="e@example.com", address_normalized="e@example.com")
HERE = Membership(INVITATION.organization_id, "Example Org", 1, 1, "member", NOON)
THERE = replace(HERE, organization_id=UUID(int=6), organization_name="Another Org")


def shown(
    account: Account | None = None,
    membership: Membership | None = None,
    *,
    state: InvitationState = "pending",
    by_person: bool = True,
    now: datetime = NOON,
) -> Step:
    return what_to_show(replace(INVITATION, state=state), account, membership, now, by_person=by_person)


def test_who_is_signed_out_signs_up() -> None:
    assert shown() is Step.SIGN_UP


def test_the_right_person_joins_with_a_click_and_is_asked_without() -> None:
    assert shown(INVITEE) is Step.JOIN
    assert shown(INVITEE, by_person=False) is Step.ASK


def test_a_second_click_while_the_first_is_at_work_joins_too() -> None:
    assert shown(INVITEE, state="accepting") is Step.JOIN


@pytest.mark.parametrize("state", ["pending", "accepting", "accepted", "superseded", "revoked", "declined", "expired"])
def test_a_member_succeeds_again_whatever_became_of_the_link(state: InvitationState) -> None:
    assert shown(INVITEE, HERE, state=state) is Step.MEMBER


def test_a_member_with_another_address_has_not_been_invited_by_it() -> None:
    assert shown(SOMEBODY_ELSE, HERE) is Step.DIFFERS
    assert shown(SOMEBODY_ELSE, HERE, state="accepted") is Step.USED


def test_nobody_is_moved_out_of_another_organization() -> None:
    assert shown(INVITEE, THERE) is Step.ELSEWHERE
    assert shown(SOMEBODY_ELSE, THERE) is Step.DIFFERS


def test_a_forwarded_link_is_for_another_address() -> None:
    assert shown(SOMEBODY_ELSE) is Step.DIFFERS


def test_a_mailbox_that_is_not_proven_is_proven_first_even_with_the_right_address() -> None:
    assert shown(replace(INVITEE, proven=False)) is Step.PROVE


@pytest.mark.parametrize(
    ("state", "step"),
    [
        ("superseded", Step.SUPERSEDED),
        ("revoked", Step.REVOKED),
        ("expired", Step.EXPIRED),
        ("declined", Step.DECLINED),
        ("accepted", Step.USED),
    ],
)
@pytest.mark.parametrize("account", [None, INVITEE, SOMEBODY_ELSE, replace(INVITEE, proven=False)])
@pytest.mark.parametrize("membership", [None, THERE])
def test_a_dead_link_says_why_to_whoever_has_it(
    state: InvitationState, step: Step, account: Account | None, membership: Membership | None
) -> None:
    assert shown(account, membership, state=state) is step


def test_a_link_expires_though_nobody_has_said_so_yet() -> None:
    assert shown(now=INVITATION.expires_at) is Step.EXPIRED
    assert shown(INVITEE, now=INVITATION.expires_at) is Step.EXPIRED


@pytest.mark.parametrize(
    ("reason", "step"),
    [
        (Reason.ADDRESS_DIFFERS, Step.DIFFERS),
        (Reason.IN_ANOTHER_ORGANIZATION, Step.ELSEWHERE),
        (Reason.ALREADY_ACCEPTED, Step.USED),
        (Reason.ALREADY_A_MEMBER, Step.MEMBER),
        (Reason.SUPERSEDED, Step.SUPERSEDED),
        (Reason.REVOKED, Step.REVOKED),
        (Reason.EXPIRED, Step.EXPIRED),
        (Reason.DECLINED, Step.DECLINED),
        (Reason.UNKNOWN_INVITATION, Step.UNKNOWN),
        ("a reason of tomorrow", Step.REFUSED),
    ],
)
def test_a_refusal_leads_to_the_page_that_explains_it(reason: str, step: Step) -> None:
    assert why_not(reason) is step
