"""Who may create an organization, and what it may be called."""

from uuid import UUID

import pytest
from membership_desk import ACME, GLOBEX, MEMBER, OWNER, RIVAL, STRANGER, Desk, create, leave

from contracts import MemberJoined, OrganizationCreated, Reason


def test_an_account_in_no_organization_creates_one_and_becomes_its_owner(desk: Desk) -> None:
    created, joined = desk.tell(create(ACME, OWNER, "Acme"))
    assert isinstance(created, OrganizationCreated)
    assert (created.organization_id, created.name, created.owner_id) == (ACME, "Acme", OWNER)
    assert isinstance(joined, MemberJoined)
    assert (joined.organization_id, joined.account_id, joined.role) == (ACME, OWNER, "owner")
    assert (joined.invitation_id, joined.inviter_id) == (None, None)
    assert created.created_at == joined.joined_at == desk.now
    assert desk.role(OWNER) == "owner"


def test_a_new_organization_is_version_1_and_its_owner_joining_version_2(desk: Desk) -> None:
    versions = [fact.version for fact in desk.tell(create()) if isinstance(fact, OrganizationCreated | MemberJoined)]
    assert versions == [1, 2]


@pytest.mark.parametrize(
    "name",
    ["", "A", " A ", "A" * 256, "Ac\nme", "Ac\x00me", "Ac\u2028me", "   ", "e\u0301"],
    ids=ascii,
)
def test_a_name_that_is_not_2_to_255_characters_on_one_line_is_malformed(desk: Desk, name: str) -> None:
    assert desk.refusal(create(name=name)).reason == Reason.MALFORMED_NAME


@pytest.mark.parametrize("name", ["HP", "A" * 255, "Ünïcode & Søns", "株式会社", "👩‍💻 Guild"])
def test_a_name_of_2_to_255_characters_is_kept_as_it_was_typed(desk: Desk, name: str) -> None:
    created, _ = desk.tell(create(name=name))
    assert isinstance(created, OrganizationCreated)
    assert created.name == name


def test_space_around_a_name_does_not_count(desk: Desk) -> None:
    created, _ = desk.tell(create(name="  Acme \t"))
    assert isinstance(created, OrganizationCreated)
    assert created.name == "Acme"


def test_a_name_is_kept_in_composed_form(desk: Desk) -> None:
    created, _ = desk.tell(create(name="Cafe\u0301"))
    assert isinstance(created, OrganizationCreated)
    assert created.name == "Caf\u00e9"


@pytest.mark.parametrize(
    ("first", "second"),
    [("Acme", "Acme"), ("Acme", "ACME "), ("Straße", "STRASSE"), ("Café", "CAFE\u0301"), ("ΣΊΣΥΦΟΣ", "σίσυφος")],
)
def test_names_are_unique_whatever_the_case(desk: Desk, first: str, second: str) -> None:
    desk.tell(create(ACME, OWNER, first))
    refusal = desk.refusal(create(GLOBEX, STRANGER, second))
    assert refusal.reason == Reason.NAME_TAKEN


def test_names_that_differ_in_an_accent_are_two(desk: Desk) -> None:
    desk.tell(create(ACME, OWNER, "Resume"))
    assert len(desk.tell(create(GLOBEX, STRANGER, "Résumé"))) == 2


def test_an_organization_is_created_once(acme: Desk) -> None:
    assert acme.refusal(create(ACME, STRANGER, "Another")).reason == Reason.ORGANIZATION_EXISTS


@pytest.mark.parametrize("account_id", [OWNER, MEMBER, RIVAL], ids=["owner", "member", "elsewhere"])
def test_who_is_in_an_organization_cannot_create_another(acme: Desk, account_id: UUID) -> None:
    assert acme.refusal(create(STRANGER, account_id, "Mine")).reason == Reason.ALREADY_IN_AN_ORGANIZATION


def test_who_has_left_an_organization_may_create_one(acme: Desk) -> None:
    acme.tell(leave(MEMBER))
    assert len(acme.tell(create(STRANGER, MEMBER, "Mine"))) == 2
    assert acme.role(MEMBER, STRANGER) == "owner"
