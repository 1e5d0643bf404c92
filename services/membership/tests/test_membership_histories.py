"""Whatever people do in whatever order: one organization per account, one owner per organization, one outcome each."""

from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from membership_desk import Desk, accepted, create, demote, leave, promote, remove

from contracts import (
    AdmissionRefused,
    CommandRefused,
    MemberDemoted,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    OrganizationCreated,
)
from postroom import AnswerTo, Message

PEOPLE = st.sampled_from([UUID(int=n) for n in range(1, 6)])
PLACES = st.sampled_from([UUID(int=n) for n in range(101, 104)])
INVITATIONS = st.sampled_from([UUID(int=n) for n in range(1001, 1006)])
NAMES = st.sampled_from(["Acme", "ACME", " acme ", "Globex", "Umbrella", "x"])


class Membership(RuleBasedStateMachine):
    """Believes nothing but the facts that are told, and compares what they add up to."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.roles: dict[UUID, dict[UUID, str]] = {}
        """By organization and account, as the facts tell."""
        self.names: dict[UUID, str] = {}
        self.versions: dict[UUID, int] = {}
        self.memberships: set[UUID] = set()
        self.used_invitations: set[UUID] = set()

    @rule(place=PLACES, actor=PEOPLE, name=NAMES)
    def somebody_creates_an_organization(self, place: UUID, actor: UUID, name: str) -> None:
        facts = self.desk.tell(create(place, actor, name))
        assert [type(fact) for fact in facts] in ([OrganizationCreated, MemberJoined], [CommandRefused])
        self.hear(facts)

    @rule(place=PLACES, account=PEOPLE, invitation=INVITATIONS)
    def somebody_accepts(self, place: UUID, account: UUID, invitation: UUID) -> None:
        facts = self.desk.tell(accepted(account, place, invitation), may_wait=False)
        assert [type(fact) for fact in facts] in ([MemberJoined], [AdmissionRefused], [])
        assert facts or invitation in self.used_invitations, "only what was answered before goes without an answer"
        self.hear(facts)

    @rule(place=PLACES, actor=PEOPLE, account=PEOPLE)
    def somebody_promotes(self, place: UUID, actor: UUID, account: UUID) -> None:
        self.hear_one(self.desk.tell(promote(account, actor, place)), MemberPromoted)

    @rule(place=PLACES, actor=PEOPLE, account=PEOPLE)
    def somebody_demotes(self, place: UUID, actor: UUID, account: UUID) -> None:
        self.hear_one(self.desk.tell(demote(account, actor, place)), MemberDemoted)

    @rule(place=PLACES, actor=PEOPLE, account=PEOPLE)
    def somebody_removes(self, place: UUID, actor: UUID, account: UUID) -> None:
        self.hear_one(self.desk.tell(remove(account, actor, place)), MemberRemoved)

    @rule(place=PLACES, actor=PEOPLE)
    def somebody_leaves(self, place: UUID, actor: UUID) -> None:
        self.hear_one(self.desk.tell(leave(actor, place)), MemberLeft)

    @invariant()
    def an_account_is_in_at_most_one_organization(self) -> None:
        everybody = [account for members in self.roles.values() for account in members]
        assert len(everybody) == len(set(everybody))

    @invariant()
    def an_organization_has_exactly_one_owner(self) -> None:
        assert all(list(members.values()).count("owner") == 1 for members in self.roles.values())

    @invariant()
    def names_differ_in_more_than_case(self) -> None:
        folded = [name.casefold() for name in self.names.values()]
        assert len(folded) == len(set(folded))

    @invariant()
    def the_facts_add_up_to_the_state(self) -> None:
        members = self.desk.roster.members.values()
        told = {(place, account, role) for place, roles in self.roles.items() for account, role in roles.items()}
        assert {(member.organization_id, member.account_id, member.role) for member in members} == told

    def hear_one(self, facts: tuple[Message | AnswerTo, ...], done: type[Message]) -> None:
        """A command has one outcome."""
        assert [type(fact) for fact in facts] in ([done], [CommandRefused])
        self.hear(facts)

    def hear(self, facts: tuple[Message | AnswerTo, ...]) -> None:
        for fact in facts:
            match fact:
                case OrganizationCreated():
                    assert fact.organization_id not in self.names
                    self.names[fact.organization_id] = fact.name
                    self.roles[fact.organization_id] = {}
                    self.versions[fact.organization_id] = 0
                case MemberJoined():
                    assert fact.membership_id not in self.memberships
                    assert fact.invitation_id not in self.used_invitations
                    assert fact.account_id not in self.roles[fact.organization_id]
                    self.memberships.add(fact.membership_id)
                    self.used_invitations |= {fact.invitation_id} if fact.invitation_id else set()
                    self.roles[fact.organization_id][fact.account_id] = fact.role
                case MemberPromoted() | MemberDemoted():
                    assert self.roles[fact.organization_id][fact.account_id] not in ("owner", fact.role)
                    self.roles[fact.organization_id][fact.account_id] = fact.role
                case MemberRemoved() | MemberLeft():
                    assert self.roles[fact.organization_id].pop(fact.account_id) != "owner"
                case AdmissionRefused():
                    assert fact.version == self.versions.get(fact.organization_id, 1)
            if not isinstance(fact, AdmissionRefused | CommandRefused | AnswerTo):
                organization_id, version = fact.partition_key, fact.version  # type: ignore[attr-defined]
                assert version == self.versions[organization_id] + 1
                self.versions[organization_id] = version


Membership.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMembership = Membership.TestCase
