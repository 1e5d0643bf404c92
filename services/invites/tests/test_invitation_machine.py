"""No sequence of messages, in whatever order the topics are read, breaks the promises about links and answers."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from invites_desk import Desk

from contracts import (
    CommandRefused,
    InvitationAccepted,
    InvitationDeclined,
    InvitationExpired,
    InvitationIssued,
    InvitationReopened,
    InvitationRevoked,
    InvitationSuperseded,
)
from invites.domain.invitations import Invitation, State
from postroom.ids import uuid7

NUMBERS = st.integers(0, 3)
ENDED = {
    State.SUPERSEDED: InvitationSuperseded,
    State.REVOKED: InvitationRevoked,
    State.DECLINED: InvitationDeclined,
    State.EXPIRED: InvitationExpired,
}
TURNS = (InvitationIssued, InvitationAccepted, InvitationReopened, *ENDED.values())


class Invitations(RuleBasedStateMachine):
    """Two organizations, two people, of whom one is in an organization already, and membership, which answers later."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.owners = [self.desk.account(f"owner{n}@example.com") for n in range(2)]
        self.organizations = [self.desk.organization(owner, f"O{n}") for n, owner in enumerate(self.owners)]
        self.addresses = [f"p{n}@example.com" for n in range(2)]
        self.people = [self.desk.account(address) for address in self.addresses]
        self.in_flight: list[InvitationAccepted] = []
        self.home = {self.people[0]: self.organizations[0]}
        self.desk.join(self.organizations[0], self.people[0])
        self.joined: set[UUID] = set()
        """Invitations that membership has admitted somebody by."""
        self.revocations: dict[str, Invitation] = {}
        """The wishes to revoke, by command."""
        for organization in range(2):
            for person in range(2):
                self.invite(organization, person)
        for number in range(3):
            self.accept(number, right=True)

    def _invitation(self, number: int) -> Invitation | None:
        """Any of them, the live ones and the newest more often."""
        invitations = sorted(
            self.desk.known.invitations.values(), key=lambda each: (not each.is_live, -each.issued_at.timestamp())
        )
        return invitations[number % len(invitations)] if invitations else None

    @rule(organization=st.integers(0, 1), person=st.integers(0, 1))
    def invite(self, organization: int, person: int) -> None:
        self.desk.invite(self.organizations[organization], self.owners[organization], self.addresses[person])

    @rule(number=NUMBERS, right=st.booleans())
    def accept(self, number: int, right: bool) -> None:
        if invitation := self._invitation(number):
            whose = self.addresses.index(invitation.address)
            told = self.desk.accept(invitation, self.people[whose if right else 1 - whose])
            assert len([fact for fact in told if not isinstance(fact, InvitationRevoked)]) == 1, "one answer"
            self.in_flight += [fact for fact in told if isinstance(fact, InvitationAccepted)]

    @rule(number=NUMBERS)
    def revoke(self, number: int) -> None:
        if invitation := self._invitation(number):
            owner = self.owners[self.organizations.index(invitation.organization_id)]
            command_id = str(uuid7())
            self.revocations[command_id] = invitation
            self.desk.revoke(invitation, owner, command_id)

    @rule(number=NUMBERS)
    def decline(self, number: int) -> None:
        if invitation := self._invitation(number):
            self.desk.decline(invitation)

    @precondition(lambda self: self.in_flight)
    @rule()
    def membership_speaks(self) -> None:
        accepted = self.in_flight.pop(0)
        invitation = self.desk.known.invitations[accepted.invitation_id]
        home = self.home.get(accepted.account_id)
        if home is None:
            self.home[accepted.account_id] = accepted.organization_id
            self.joined.add(accepted.invitation_id)
            self.desk.join(accepted.organization_id, accepted.account_id, accepted.invitation_id)
        elif home == accepted.organization_id:
            self.desk.turn_away(invitation, accepted.account_id, "already_a_member")
        else:
            self.desk.turn_away(invitation, accepted.account_id)

    @rule(person=st.integers(0, 1), organization=st.integers(0, 1))
    def join_unheard(self, person: int, organization: int) -> None:
        """Membership has admitted somebody, and invites has not heard of it yet."""
        self.home.setdefault(self.people[person], self.organizations[organization])

    @rule(person=st.integers(0, 1))
    def remove(self, person: int) -> None:
        account = self.people[person]
        if home := self.home.pop(account, None):
            self.desk.remove(home, account, self.owners[self.organizations.index(home)])

    @rule(days=st.integers(1, 4))
    def wait(self, days: int) -> None:
        self.desk.wait(timedelta(days=days))

    @rule(days=st.integers(1, 4))
    def sleep_through(self, days: int) -> None:
        """Time passes, and the timer does not run."""
        self.desk.now += timedelta(days=days)

    @invariant()
    def an_organization_and_an_address_have_one_live_link_at_most(self) -> None:
        live = [each for each in self.desk.known.invitations.values() if each.is_live]
        assert len({(each.organization_id, each.address_normalized) for each in live}) == len(live)

    @invariant()
    def nobody_has_joined_by_an_invitation_that_was_revoked_or_is_live(self) -> None:
        for invitation_id in self.joined:
            assert self.desk.known.invitations[invitation_id].state is State.ACCEPTED

    @invariant()
    def every_wish_to_revoke_has_one_answer_and_it_is_the_truth(self) -> None:
        for command_id, invitation in self.revocations.items():
            answers = self.desk.answers.get(command_id, [])
            if not answers:
                assert invitation.state is State.ACCEPTING, "it waits only while an acceptance is in flight"
                continue
            (answer,) = answers
            if isinstance(answer, InvitationRevoked):
                assert invitation.id not in self.joined
                assert invitation.state is State.REVOKED
            elif isinstance(answer, CommandRefused) and answer.reason == "already_accepted":
                assert invitation.id in self.joined

    @invariant()
    def the_facts_tell_the_state_and_their_versions_grow(self) -> None:
        for invitation in self.desk.known.invitations.values():
            facts = [fact for fact in self.desk.told if getattr(fact, "invitation_id", None) == invitation.id]
            turns: list[Any] = [fact for fact in facts if isinstance(fact, TURNS)]
            versions = [fact.version for fact in turns]
            assert versions == sorted(set(versions))
            if invitation.state in ENDED:
                assert type(turns[-1]) is ENDED[invitation.state]
            elif invitation.state in (State.ACCEPTING, State.ACCEPTED):
                assert type(turns[-1]) is InvitationAccepted
            else:
                assert type(turns[-1]) in (InvitationIssued, InvitationReopened)


Invitations.TestCase.settings = settings(max_examples=200, stateful_step_count=40, deadline=None, derandomize=True)
test_invitations = Invitations.TestCase
