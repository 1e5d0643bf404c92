"""The story of the demo: what people do with invitations, and what must come of it. They do it over the console's API,
and read their letters; the topics are watched on the way. Every line that is claimed is checked."""

import asyncio
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID

from uuid_utils.compat import uuid7

from contracts import (
    BillingChainEstablished,
    InvitationAccepted,
    InvitationReopened,
    LetterBounced,
    LetterSent,
    MemberJoined,
)
from stack.client import Client, Seen
from stack.console_client import ConsoleClient, Refused
from stack.mailbox.reader import Mailbox, Reader
from stack.who_pays import Bank, WhoPays

_SOON = 5.0
"""Seconds within which what one sees has followed what has happened."""


class Narrator(Protocol):
    """Who tells the story to a person."""

    def scene(self, title: str, rule: str) -> None: ...
    def says(self, line: str) -> None: ...
    def claims(self, line: str, came_true: bool) -> None: ...
    def shows_flow(self, flow: list[tuple[str, str, float]]) -> None: ...


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an account, and the browser that they are signed in with."""

    account_id: UUID
    address: str
    name: str
    console: ConsoleClient


@dataclass
class Story:
    """Plays the scenes in their order; `promises` holds what was claimed and whether it came true."""

    watcher: Client
    """Sees every fact."""
    console_address: str
    mailbox: Mailbox
    narrator: Narrator
    bank: Bank
    password: str
    """Everybody's."""
    promises: list[tuple[str, bool]] = field(default_factory=list)
    tag: str = field(default_factory=lambda: uuid7().hex[-6:])
    """What tells the addresses and names of this play from those of an earlier one."""
    people: dict[UUID, str] = field(default_factory=dict)
    """Everybody's address by their account's id."""

    async def play(self) -> None:
        """Raises NothingCame, NoLetter, Refused or TimeoutError where the platform does not do what is expected."""
        self.organization, self.other_organization = f"Acme {self.tag}", f"Example Org {self.tag}"
        self.reader = Reader(self.mailbox)
        async with AsyncExitStack() as self._browsers:
            await self._accounts_and_organizations()
            await self._an_invitation_is_accepted()
            await self._signing_up_through_the_link()
            await self._invited_again()
            await self._revoked()
            await self._the_wrong_address()
            await self._in_another_organization()
            await WhoPays(self, self.bank).play()
            await self._left_to_be_clicked()

    @property
    def came_true(self) -> bool:
        """Whether all that was claimed came true."""
        return bool(self.promises) and all(kept for _, kept in self.promises)

    def address(self, who: str) -> str:
        """Of somebody in this play."""
        return f"{who}.{self.tag}@example.com"

    # --- the scenes

    async def _accounts_and_organizations(self) -> None:
        self.narrator.scene("Accounts and organizations", "Nobody acts before the mailbox is proven.")
        self.owner = await self._sign_up("owner", acts_too_early=True)
        self.organization_id = await self.owner.console.create_organization(self.organization)
        joined = await self.watcher.fact(MemberJoined, organization_id=self.organization_id)
        self.claim(
            f"{self.organization} is there, and {self.owner.address} owns it",
            (joined.account_id, joined.role) == (self.owner.account_id, "owner"),
        )
        self.other_owner = await self._sign_up("other-owner")
        self.other_organization_id = await self.other_owner.console.create_organization(self.other_organization)
        refused = await _refusal(self.other_owner.console.create_organization(f"Second Org {self.tag}"))
        self.claim(f"a second one for the same account is refused: “{refused.detail}”", refused.status == 409)

    async def _an_invitation_is_accepted(self) -> None:
        self.narrator.scene(
            "An invitation is accepted", "A click on the link makes one membership and one billing chain."
        )
        self.member = await self._sign_up("member")
        invitation_id = await self._invite(self.member.address)
        link = await self.reader.link_code(self.member.address)
        self.narrator.says(f"{self.member.address} clicks the link in the letter.")
        clicked_at, clicked, first_of_flow = datetime.now(UTC), time.perf_counter(), len(self.watcher.seen)
        await self.member.console.accept(link)
        answered = time.perf_counter()
        place = (await self.member.console.me())["membership"]
        self.claim(
            f"the answer came when they were a member of {self.organization}",
            place is not None and place["organization_id"] == str(self.organization_id),
        )
        accepted = await self.watcher.wait_for(lambda seen: _accepts(seen, self.member), "InvitationAccepted")
        joined = await self.watcher.fact(MemberJoined, account_id=self.member.account_id)
        chain = await self.watcher.fact(BillingChainEstablished, membership_id=joined.membership_id)
        for kind in ("welcome", "has_joined"):
            await self.watcher.fact(LetterSent, kind=kind, organization_id=self.organization_id)
        command = await self.member.console.command(accepted.correlation_id)
        sent = (datetime.fromisoformat(command["sent_at"]) - clicked_at).total_seconds()
        flow = [
            ("HTTP", "POST /api/v1/invitation-links/accept", 0.0),
            ("invites.commands", "AcceptInvitation", sent * 1000),
            ("HTTP", "200: a member", (answered - clicked) * 1000),
            *(
                (seen.topic, _named(seen), (seen.arrived - clicked) * 1000)
                for seen in self.watcher.seen[first_of_flow:]
                if seen.correlation_id == accepted.correlation_id
            ),
        ]
        self.narrator.shows_flow(sorted(flow, key=lambda step: step[2]))
        self.claim("one membership, by this invitation", joined.invitation_id == invitation_id)
        order = [source.kind for source in chain.sources]
        self.claim(
            "a billing chain of four sources: " + ", ".join(kind.replace("_", " ") for kind in order),
            order == ["organization_credit", "organization_card", "member_credit", "member_card"],
        )
        self.narrator.says("They click once more, in a second tab.")
        repeated = await self.member.console.accept(link)
        self.claim(
            "the second click is a success, and changes nothing", repeated and self._memberships_of(self.member) == 1
        )

    async def _signing_up_through_the_link(self) -> None:
        self.narrator.scene("Signing up through the link", "Who has no account yet joins with the sign-up.")
        address = self.address("admin")
        await self._invite(address)
        link = await self.reader.link_code(address)
        self.narrator.says(f"{address}, who has no account, follows the link.")
        seen = await (await self._browser()).preview(link)
        self.claim(
            f"the page says who invites, and where to: {seen['inviter_name']}, to {seen['organization_name']}",
            (seen["inviter_name"], seen["organization_name"]) == (self.owner.name, self.organization),
        )
        self.admin = await self._sign_up("admin", by_link=link)
        place = (await self.admin.console.me())["membership"]
        self.claim(
            "with the code from their mailbox they have an account, and are a member",
            place is not None and place["organization_name"] == self.organization,
        )
        self.narrator.says(f"{self.owner.address} makes them an admin.")
        await self.owner.console.change_role(self.organization_id, self.admin.account_id, "admin")
        roles = {each["account_id"]: each["role"] for each in await self.owner.console.members(self.organization_id)}
        self.claim("the members table says so", roles.get(str(self.admin.account_id)) == "admin")

    async def _invited_again(self) -> None:
        self.narrator.scene("Invited again", "A new invitation of the same address kills the older link.")
        invitee = await self._sign_up("twice")
        await self._invite(invitee.address)
        older = await self.reader.link_code(invitee.address)
        invitation_id = await self._invite(invitee.address)
        newer = await self.reader.link_code(invitee.address, after=1)
        refused = await _refusal(invitee.console.accept(older))
        self.claim(f"the older link is dead: “{refused.detail}”", refused.reason == "superseded")
        await invitee.console.accept(newer)
        joined = await self.watcher.fact(MemberJoined, account_id=invitee.account_id)
        self.claim("the newer link is the one that works", joined.invitation_id == invitation_id)

    async def _revoked(self) -> None:
        self.narrator.scene("Revoked", "Revoking kills the link at once, and the answer is the truth.")
        invitee = await self._sign_up("outsider")
        invitation_id = await self._invite(invitee.address)
        link = await self.reader.link_code(invitee.address)
        self.narrator.says(f"{self.admin.address} revokes it: any admin may.")
        await self.admin.console.revoke(self.organization_id, invitation_id)
        refused = await _refusal(invitee.console.accept(link))
        self.claim(f"the link is dead: “{refused.detail}”", refused.reason == "revoked")
        self.claim("nobody joined", (await invitee.console.me())["membership"] is None)
        self.outsider = invitee

    async def _the_wrong_address(self) -> None:
        self.narrator.scene("The wrong address", "Only the account with the invited address may accept.")
        invitee = await self._sign_up("meant")
        await self._invite(invitee.address)
        link = await self.reader.link_code(invitee.address)
        self.narrator.says(f"The letter is forwarded, and {self.outsider.address} clicks its link.")
        refused = await _refusal(self.outsider.console.accept(link))
        self.claim(f"refused: “{refused.detail}”", refused.reason == "address_differs")
        await invitee.console.accept(link)
        joined = await self.watcher.fact(MemberJoined, account_id=invitee.account_id)
        self.claim("the invitation stayed pending: who was meant can still accept", joined.role == "member")

    async def _in_another_organization(self) -> None:
        self.narrator.scene("In another organization", "An account is in at most one organization, and is never moved.")
        invitation_id = await self._invite(self.other_owner.address)
        link = await self.reader.link_code(self.other_owner.address)
        self.narrator.says(f"{self.other_owner.address}, who owns {self.other_organization}, clicks the link.")
        refused = await _refusal(self.other_owner.console.accept(link))
        self.claim(f"refused: “{refused.detail}”", refused.reason == "in_another_organization")
        await self.watcher.fact(InvitationReopened, invitation_id=invitation_id)
        self.claim("the invitation is pending again", await self._is_pending_soon(invitation_id))

    async def _left_to_be_clicked(self) -> None:
        self.narrator.scene("Left to be clicked", "What the members table shows of invitations, and a person can do.")
        self.invited = await self._sign_up("invited")
        bounces = self.address("bounce")
        results = await self.admin.console.invite_many(
            self.organization_id, [self.invited.address, self.address("newcomer"), bounces, "nobody@nowhere"]
        )
        self.narrator.says(f"{self.admin.address} pastes four addresses at once.")
        self.claim(
            "each has its own answer: three are invited, and the last one is no address",
            [result["status"] for result in results] == ["created"] * 3 + ["refused"],
        )
        for address in (self.invited.address, self.address("newcomer")):
            await self.reader.link_code(address)
        await self.watcher.fact(LetterBounced, organization_id=self.organization_id)
        self.narrator.says(f"The mail server of {bounces} does not know it: its row says so.")

    # --- what people do

    async def _browser(self) -> ConsoleClient:
        return await self._browsers.enter_async_context(ConsoleClient(self.console_address))

    async def _sign_up(self, who: str, *, by_link: str | None = None, acts_too_early: bool = False) -> Person:
        """In a browser of their own, with the code from their mailbox."""
        console, address, name = await self._browser(), self.address(who), who.replace("-", " ").capitalize()
        await console.sign_up(address, name, self.password, invitation_code=by_link)
        if acts_too_early:
            refused = await _refusal(console.create_organization(self.organization))
            self.claim(f"before that, an organization is refused: “{refused.detail}”", refused.status == 403)
        proven = await console.prove(await self.reader.mailbox_code(address))
        person = Person(UUID(proven["account"]["account_id"]), address, name, console)
        self.people[person.account_id] = address
        return person

    async def _invite(self, address: str) -> UUID:
        self.narrator.says(f"{self.owner.address} invites {address}.")
        return await self.owner.console.invite(self.organization_id, address)

    # --- what is looked at

    async def _is_pending_soon(self, invitation_id: UUID) -> bool:
        """Whether the members table shows it so; it follows the topics by some milliseconds."""
        deadline = time.monotonic() + _SOON
        while time.monotonic() < deadline:
            rows = await self.owner.console.invitations(self.organization_id)
            if any((row["invitation_id"], row["state"]) == (str(invitation_id), "pending") for row in rows):
                return True
            await asyncio.sleep(0.05)
        return False

    def _memberships_of(self, person: Person) -> int:
        return sum(fact.account_id == person.account_id for fact in self.watcher.facts(MemberJoined))

    def claim(self, line: str, came_true: bool) -> None:
        """Says what is so, if it is."""
        self.promises.append((line, came_true))
        self.narrator.claims(line, came_true)


async def _refusal(attempt: Awaitable[object]) -> Refused:
    """Of what must not work."""
    try:
        await attempt
    except Refused as refused:
        return refused
    return Refused(200, "not_refused", "it was not refused at all")


def _accepts(seen: Seen, person: Person) -> bool:
    return isinstance(seen.message, InvitationAccepted) and seen.message.account_id == person.account_id


def _named(seen: Seen) -> str:
    name = type(seen.message).__name__
    return f"{name} ({seen.message.kind.replace('_', ' ')})" if isinstance(seen.message, LetterSent) else name
