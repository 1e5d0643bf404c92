"""invites' own copy of accounts, organizations and members, whatever comes late, twice or never."""

from invites_desk import START, Desk, only

from contracts import AccountErased, AccountProfile, InvitationRevoked, MemberPromoted, OrganizationCreated
from postroom.ids import uuid7


def test_the_newest_profile_counts_in_whatever_order_they_come() -> None:
    desk = Desk()
    account = uuid7()
    for version in (1, 3, 2):
        address = f"v{version}@example.com"
        desk.handle(AccountProfile(account_id=account, version=version, address=address, name="", verified=True))
    assert desk.known.profiles[account].address == "v3@example.com"


def test_an_erased_person_is_forgotten_and_not_brought_back_by_an_older_profile() -> None:
    desk = Desk()
    account = desk.account("max@example.com", name="Max")
    desk.handle(AccountErased(account_id=account))
    desk.handle(AccountProfile(account_id=account, version=1, address="max@example.com", name="Max", verified=True))

    profile = desk.known.profiles[account]
    assert (profile.address, profile.address_normalized, profile.name, profile.verified) == (None, None, "", False)
    assert profile.version == 1
    assert list(desk.known.accounts_at("max@example.com")) == []


def test_an_account_that_was_never_heard_of_can_be_erased() -> None:
    desk = Desk()
    assert desk.handle(AccountErased(account_id=uuid7())) == []


def test_who_changes_their_address_is_known_by_the_new_one_alone() -> None:
    desk = Desk()
    account = desk.account("old@example.com")
    desk.handle(AccountProfile(account_id=account, version=2, address="new@example.com", name="", verified=True))
    assert list(desk.known.accounts_at("old@example.com")) == []
    assert list(desk.known.accounts_at("new@example.com")) == [account]


def test_a_fact_about_a_member_that_comes_late_changes_nothing() -> None:
    desk = Desk()
    owner, member = desk.account("olga@example.com"), desk.account("max@example.com")
    acme = desk.organization(owner)
    late = MemberPromoted(
        organization_id=acme,
        version=desk.next_version(acme),
        account_id=member,
        membership_id=uuid7(),
        role="admin",
        promoted_by=owner,
        promoted_at=START,
    )
    desk.join(acme, member)
    desk.handle(late)
    assert not desk.known.is_admin(acme, member)
    assert desk.known.organizations[acme].version == 4


def test_an_organizations_creation_that_comes_after_its_members_still_names_it() -> None:
    desk = Desk()
    acme, owner = uuid7(), desk.account("olga@example.com")
    desk.versions[acme] = 1
    desk.join(acme, owner, role="owner")
    desk.handle(OrganizationCreated(organization_id=acme, version=1, name="Acme", owner_id=owner, created_at=START))
    organization = desk.known.organizations[acme]
    assert (organization.name, organization.version) == ("Acme", 2)
    assert desk.known.is_admin(acme, owner)


def test_what_is_pending_for_somebody_who_joined_in_another_way_is_revoked() -> None:
    desk = Desk()
    owner, guest = desk.account("olga@example.com"), desk.account("new@example.com")
    acme = desk.organization(owner)
    invitation = desk.invited(acme, owner, "new@example.com")

    revoked = only(InvitationRevoked, desk.join(acme, guest, uuid7()))

    assert (revoked.invitation_id, revoked.reason) == (invitation.id, "already_a_member")
