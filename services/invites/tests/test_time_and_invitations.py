"""DESIGN §2, "Expiry": the reminder two days before, and the end."""

from datetime import timedelta

from invites_desk import LIFETIME, REMINDER_LEAD, START, Desk, kinds, only, policy

from contracts import InvitationExpired, InvitationExpiring, InvitationReopened


def pending(desk: Desk) -> None:
    owner = desk.account("olga@example.com", name="Olga")
    desk.invite(desk.organization(owner, "Acme"), owner, "new@example.com")


def test_two_days_before_the_end_there_is_one_reminder() -> None:
    desk = Desk()
    pending(desk)

    assert desk.wait(LIFETIME - REMINDER_LEAD - timedelta(microseconds=1)) == []
    reminder = only(InvitationExpiring, desk.wait(timedelta(microseconds=1)))

    assert (reminder.address, reminder.organization_name, reminder.inviter_name) == ("new@example.com", "Acme", "Olga")
    assert reminder.expires_at == START + LIFETIME
    assert desk.wait(timedelta(days=1)) == []


def test_at_the_end_it_expires_once() -> None:
    desk = Desk()
    pending(desk)
    desk.wait(timedelta(days=5))

    expired = only(InvitationExpired, desk.wait(timedelta(days=2)))

    assert expired.expired_at == START + LIFETIME
    assert expired.version == 3, "issued, reminded of, expired"
    assert desk.wait(timedelta(days=365)) == []


def test_after_an_outage_over_both_moments_it_expires_without_a_reminder() -> None:
    desk = Desk()
    pending(desk)
    assert kinds(desk.wait(timedelta(days=8))) == ["InvitationExpired"]


def test_an_invitation_that_lives_no_longer_than_the_lead_is_not_reminded_of() -> None:
    desk = Desk(policy(lifetime=REMINDER_LEAD))
    pending(desk)
    assert desk.wait(REMINDER_LEAD - timedelta(microseconds=1)) == []
    assert kinds(desk.wait(timedelta(microseconds=1))) == ["InvitationExpired"]


def test_what_has_ended_is_neither_reminded_of_nor_expires() -> None:
    desk = Desk()
    pending(desk)
    (invitation,) = desk.known.invitations.values()
    desk.decline(invitation)
    assert desk.wait(timedelta(days=30)) == []


def test_a_reminder_that_fell_into_an_acceptance_is_made_up_for_when_it_is_reopened() -> None:
    desk = Desk()
    pending(desk)
    (invitation,) = desk.known.invitations.values()
    guest = desk.account("new@example.com")
    desk.accept(invitation, guest)
    assert desk.wait(timedelta(days=6)) == []

    assert only(InvitationReopened, desk.turn_away(invitation, guest))
    assert kinds(desk.wait(timedelta(0))) == ["InvitationExpiring"]
