"""The rows of the members table: what they say, and what their reader may do there."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import UUID

import pytest

from console.view.nouns import Delivery, Invitation, InvitationState, Member, Membership, Role
from console.web.pages.rows import InvitationRow, MemberRow, invitation_rows, member_rows

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ORGANIZATION = UUID(int=1)
READER, OTHER = UUID(int=2), UUID(int=3)
ADMINS: tuple[Role, ...] = ("owner", "admin")


def reading_as(role: Role) -> Membership:
    """The place of the reader."""
    return Membership(ORGANIZATION, "Example Org", 1, 1, role, NOON)


def row_of(role: Role, *, reader: Role, account_id: UUID = OTHER, **changed: Any) -> MemberRow:
    """A member's row, as a reader sees it who is in this role."""
    fields: dict[str, Any] = {"name": "The Other", "address": "other@example.com"}
    member = Member(account_id=account_id, membership_id=UUID(int=4), role=role, joined_at=NOON, **fields | changed)
    (row,) = member_rows([member], READER, reading_as(reader))
    return row


def invited(reader: Role = "admin", *, now: datetime = NOON, **changed: Any) -> list[InvitationRow]:
    """The row of an invitation of a moment ago, if it has one, as a reader sees it who is in this role."""
    fields: dict[str, Any] = {"state": "pending", "delivery": "queued", "expires_at": NOON + 7 * DAY}
    invitation = Invitation(
        invitation_id=UUID(int=5),
        organization_id=ORGANIZATION,
        organization_name="Example Org",
        address="invitee@example.com",
        address_normalized="invitee@example.com",
        code_digest="digest",
        inviter_id=READER,
        inviter_name="The Inviter",
        issued_at=NOON,
        ended_at=None,
        **fields | changed,
    )
    return invitation_rows([invitation], reading_as(reader), now)


# --- members


@pytest.mark.parametrize("reader", ADMINS)
def test_admins_and_the_owner_may_promote_a_member_demote_an_admin_and_remove_both(reader: Role) -> None:
    member, admin = row_of("member", reader=reader), row_of("admin", reader=reader)

    assert (member.may_promote, member.may_demote, member.may_remove) == (True, False, True)
    assert (admin.may_promote, admin.may_demote, admin.may_remove) == (False, True, True)


def test_the_owner_can_be_neither_demoted_nor_removed_and_cannot_leave() -> None:
    for row in (row_of("owner", reader="admin"), row_of("owner", reader="owner", account_id=READER)):
        assert not any((row.may_promote, row.may_demote, row.may_remove, row.may_leave))


@pytest.mark.parametrize("role", get_args(Role))
def test_members_can_change_nobody(role: Role) -> None:
    row = row_of(role, reader="member")

    assert not any((row.may_promote, row.may_demote, row.may_remove, row.may_leave))


@pytest.mark.parametrize("role", ["admin", "member"])
def test_who_is_not_the_owner_leaves_instead_of_removing_themselves(role: Role) -> None:
    row = row_of(role, reader=role, account_id=READER)

    assert (row.is_reader, row.may_leave, row.may_remove) == (True, True, False)


def test_nobody_leaves_for_another() -> None:
    row = row_of("member", reader="admin")

    assert (row.is_reader, row.may_leave) == (False, False)


def test_a_member_whose_profile_has_not_come_yet_has_a_row() -> None:
    row = row_of("member", reader="admin", name="", address="")

    assert (row.name, row.address) == ("Unknown", "")


# --- invitations


@pytest.mark.parametrize(
    ("left", "tag"),
    [
        (7 * DAY, "Pending · 7d"),
        (6 * DAY + timedelta(seconds=1), "Pending · 7d"),
        (6 * DAY, "Pending · 6d"),
        (timedelta(seconds=1), "Pending · 1d"),
    ],
)
def test_a_pending_row_says_how_many_days_are_left_begun_ones_included(left: timedelta, tag: str) -> None:
    (row,) = invited(expires_at=NOON + left)

    assert (row.state, row.tag) == ("pending", tag)


@pytest.mark.parametrize(
    ("delivery", "said", "is_undelivered"),
    [
        ("queued", "Letter queued", False),
        ("sent", "Letter sent", False),
        ("bounced", "Letter bounced", True),
        ("failed", "Letter failed", True),
    ],
)
def test_a_row_says_what_became_of_its_letter(delivery: Delivery, said: str, is_undelivered: bool) -> None:
    (row,) = invited(delivery=delivery)

    assert (row.delivery, row.is_undelivered) == (said, is_undelivered)
    assert (row.delivery_hint is not None) == is_undelivered


@pytest.mark.parametrize("delivery", get_args(Delivery))
def test_admins_may_revoke_what_is_pending_and_send_again_what_did_not_arrive(delivery: Delivery) -> None:
    (row,) = invited(delivery=delivery)

    assert row.may_revoke
    assert row.may_invite_again == (delivery in ("bounced", "failed"))


def test_while_somebody_is_joining_nobody_may_do_anything() -> None:
    (row,) = invited(state="accepting", delivery="bounced")

    assert (row.state, row.tag, row.may_revoke, row.may_invite_again) == ("accepting", "Joining…", False, False)


@pytest.mark.parametrize("state", ["pending", "expired"])
def test_an_expired_row_may_be_invited_again_also_before_its_expiry_was_told(state: InvitationState) -> None:
    (row,) = invited(state=state, now=NOON + 7 * DAY)

    assert (row.state, row.tag, row.may_revoke, row.may_invite_again) == ("expired", "Expired", False, True)


@pytest.mark.parametrize("state", ["pending", "expired"])
@pytest.mark.parametrize("delivery", get_args(Delivery))
def test_members_may_do_nothing_about_invitations(state: InvitationState, delivery: Delivery) -> None:
    (row,) = invited("member", state=state, delivery=delivery)

    assert not any((row.may_revoke, row.may_invite_again))


@pytest.mark.parametrize("state", ["accepted", "superseded", "revoked", "declined"])
def test_what_has_ended_has_no_row(state: InvitationState) -> None:
    assert invited(state=state) == []


def test_every_state_and_every_delivery_is_known_to_the_table() -> None:
    for state in get_args(InvitationState):
        for delivery in get_args(Delivery):
            assert len(invited(state=state, delivery=delivery)) == (state in ("pending", "accepting", "expired"))
