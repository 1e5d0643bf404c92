"""The story of the demo: what people do with invitations, and what must come of it. Played by a client that has nothing
but the contracts; every line that it claims is checked."""

import re
import time
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from uuid_utils.compat import uuid7

from contracts import (
    AcceptanceRepeated,
    AcceptInvitation,
    AccountProfile,
    BillingChainEstablished,
    CreateOrganization,
    InvitationAccepted,
    InvitationIssued,
    InvitationReopened,
    InvitationRevoked,
    InviteMember,
    LetterSent,
    MemberJoined,
    OrganizationCreated,
    RevokeInvitation,
    code_digest,
)
from stack.client import Client, NothingCame, Seen

_LINK = re.compile(r"/org-invite/([A-Za-z0-9_-]{43})/")


class Mailbox(Protocol):
    """Where the letters arrive."""

    def letters(self, to: str | None = None) -> list[dict[str, Any]]: ...


class Narrator(Protocol):
    """Who tells the story to a person."""

    def scene(self, title: str, rule: str) -> None: ...
    def says(self, line: str) -> None: ...
    def claims(self, line: str, came_true: bool) -> None: ...
    def shows_flow(self, flow: list[tuple[str, str, float]]) -> None: ...


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account."""

    account_id: UUID
    address: str
    name: str


@dataclass
class Story:
    """Plays the scenes in their order; `promises` holds what was claimed and whether it came true."""

    client: Client
    mailbox: Mailbox
    narrator: Narrator
    promises: list[tuple[str, bool]] = field(default_factory=list)
    organization_id: UUID = field(default_factory=uuid7)
    other_organization_id: UUID = field(default_factory=uuid7)
    people: dict[UUID, str] = field(default_factory=dict)
    """Everybody's address by their account's id."""

    async def play(self) -> None:
        """Raises NothingCame where the platform does not answer."""
        self.organization, self.other_organization = f"Acme {self.tag}", f"Example Org {self.tag}"
        self.owner = await self._sign_up("owner")
        await self._create_organizations()
        await self._an_invitation_is_accepted()
        await self._invited_again()
        await self._revoked()
        await self._the_wrong_address()
        await self._in_another_organization()

    @property
    def tag(self) -> str:
        """What tells the addresses and names of this play from those of an earlier one."""
        return self.organization_id.hex[-6:]

    @property
    def came_true(self) -> bool:
        """Whether all that was claimed came true."""
        return bool(self.promises) and all(kept for _, kept in self.promises)

    # --- the scenes

    async def _create_organizations(self) -> None:
        self.narrator.scene("Two organizations", "An account in no organization may create one, and owns it.")
        created = await self.client.ask(
            CreateOrganization(
                organization_id=self.organization_id, actor_id=self.owner.account_id, name=self.organization
            ),
            OrganizationCreated,
        )
        self._claim(
            f"{self.organization} is there, and {self.owner.address} owns it", created.owner_id == self.owner.account_id
        )
        self.other_owner = await self._sign_up("other-owner")
        await self.client.ask(
            CreateOrganization(
                organization_id=self.other_organization_id,
                actor_id=self.other_owner.account_id,
                name=self.other_organization,
            ),
            OrganizationCreated,
        )
        await self.client.fact(MemberJoined, organization_id=self.other_organization_id)

    async def _an_invitation_is_accepted(self) -> None:
        self.narrator.scene(
            "An invitation is accepted", "A click on the link makes one membership and one billing chain."
        )
        invitee = await self._sign_up("invitee")
        issued = await self._invite(invitee.address)
        link = await self._link_in_letter(invitee.address)
        self.narrator.says(f"{invitee.address} clicks the link in the letter.")
        clicked = time.perf_counter()
        first_of_flow = len(self.client.seen)
        command = await self.client.send(self._accept(invitee, link))
        await self.client.outcome(command, InvitationAccepted)
        joined = await self.client.fact(MemberJoined, account_id=invitee.account_id)
        chain = await self.client.fact(BillingChainEstablished, membership_id=joined.membership_id)
        for kind in ("welcome", "has_joined"):
            await self.client.fact(LetterSent, kind=kind, organization_id=self.organization_id)
        self.narrator.shows_flow(
            [
                ("invites.commands", "AcceptInvitation", 0.0),
                *(
                    (seen.topic, _named(seen), (seen.arrived - clicked) * 1000)
                    for seen in self.client.seen[first_of_flow:]
                    if seen.correlation_id == command
                ),
            ]
        )
        self._claim("one membership, by this invitation", joined.invitation_id == issued.invitation_id)
        order = [source.kind for source in chain.sources]
        self._claim(
            "a billing chain of four sources: " + ", ".join(kind.replace("_", " ") for kind in order),
            order == ["organization_credit", "organization_card", "member_credit", "member_card"],
        )
        self.narrator.says("They click once more, in a second tab.")
        again = await self.client.ask(self._accept(invitee, link), AcceptanceRepeated)
        memberships = [fact for fact in self.client.facts(MemberJoined) if fact.account_id == invitee.account_id]
        self._claim("the second click is a success, and changes nothing", len(memberships) == 1 and bool(again))

    async def _invited_again(self) -> None:
        self.narrator.scene("Invited again", "A new invitation of the same address kills the older link.")
        invitee = await self._sign_up("twice")
        await self._invite(invitee.address)
        older = await self._link_in_letter(invitee.address)
        issued = await self._invite(invitee.address)
        newer = await self._link_in_letter(invitee.address, after=1)
        refused = await self.client.refusal(self._accept(invitee, older))
        self._claim(f"the older link is dead: “{refused.message}”", refused.reason == "superseded")
        await self.client.ask(self._accept(invitee, newer), InvitationAccepted)
        joined = await self.client.fact(MemberJoined, account_id=invitee.account_id)
        self._claim("the newer link is the one that works", joined.invitation_id == issued.invitation_id)

    async def _revoked(self) -> None:
        self.narrator.scene("Revoked", "Revoking kills the link at once.")
        invitee = await self._sign_up("revoked")
        issued = await self._invite(invitee.address)
        link = await self._link_in_letter(invitee.address)
        await self.client.ask(
            RevokeInvitation(
                organization_id=self.organization_id,
                actor_id=self.owner.account_id,
                invitation_id=issued.invitation_id,
            ),
            InvitationRevoked,
        )
        refused = await self.client.refusal(self._accept(invitee, link))
        self._claim(f"the link is dead: “{refused.message}”", refused.reason == "revoked")

    async def _the_wrong_address(self) -> None:
        self.narrator.scene("The wrong address", "Only the account with the invited address may accept.")
        invitee, stranger = await self._sign_up("meant"), await self._sign_up("forwarded-to")
        await self._invite(invitee.address)
        link = await self._link_in_letter(invitee.address)
        self.narrator.says(f"The letter is forwarded, and {stranger.address} clicks its link.")
        refused = await self.client.refusal(self._accept(stranger, link))
        self._claim(f"refused: “{refused.message}”", refused.reason == "address_differs")
        await self.client.ask(self._accept(invitee, link), InvitationAccepted)
        joined = await self.client.fact(MemberJoined, account_id=invitee.account_id)
        self._claim("the invitation stayed pending: who was meant can still accept", joined.role == "member")

    async def _in_another_organization(self) -> None:
        self.narrator.scene("In another organization", "An account is in at most one organization, and is never moved.")
        issued = await self._invite(self.other_owner.address)
        link = await self._link_in_letter(self.other_owner.address)
        self.narrator.says(f"{self.other_owner.address}, who owns {self.other_organization}, clicks the link.")
        await self.client.ask(self._accept(self.other_owner, link), InvitationAccepted)
        reopened = await self.client.fact(InvitationReopened, invitation_id=issued.invitation_id)
        self._claim(
            f"refused ({reopened.reason.replace('_', ' ')}), and the invitation is pending again",
            reopened.reason == "in_another_organization",
        )

    # --- what people do

    async def _sign_up(self, role: str) -> Person:
        person = Person(uuid7(), f"{role}.{self.tag}@example.com", role.replace("-", " ").capitalize())
        await self.client.introduce(
            AccountProfile(
                account_id=person.account_id, version=1, address=person.address, name=person.name, verified=True
            )
        )
        self.people[person.account_id] = person.address
        return person

    async def _invite(self, address: str) -> InvitationIssued:
        self.narrator.says(f"{self.owner.address} invites {address}.")
        return await self.client.ask(
            InviteMember(
                organization_id=self.organization_id,
                actor_id=self.owner.account_id,
                address=address,
                seen_profile_version=1,
            ),
            InvitationIssued,
        )

    async def _link_in_letter(self, address: str, after: int = 0) -> str:
        """The code in the newest letter, once there are more than `after`; as a person finds it, in the mailbox."""
        await self.client.wait_for(
            lambda seen: self._is_sent_letter(seen) and len(self.mailbox.letters(address)) > after,
            f"letter to {address}",
        )
        letters = self.mailbox.letters(address)
        found = _LINK.search(str(letters[-1]["text"]))
        if found is None:
            raise NothingCame(f"The letter to {address} holds no link.")
        return found[1]

    def _is_sent_letter(self, seen: Seen) -> bool:
        return isinstance(seen.message, LetterSent) and seen.message.organization_id == self.organization_id

    def _accept(self, person: Person, code: str) -> AcceptInvitation:
        return AcceptInvitation(
            organization_id=self.organization_id,
            actor_id=person.account_id,
            code_digest=code_digest(code),
            seen_profile_version=1,
        )

    def _claim(self, line: str, came_true: bool) -> None:
        self.promises.append((line, came_true))
        self.narrator.claims(line, came_true)


def _named(seen: Seen) -> str:
    name = type(seen.message).__name__
    return f"{name} ({seen.message.kind.replace('_', ' ')})" if isinstance(seen.message, LetterSent) else name
