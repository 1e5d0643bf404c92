"""The main rules again, as stories on the real platform: nothing but messages go in, and nothing but messages and
letters are looked at."""

import re
from uuid import UUID

import pytest
from crowd import profile
from uuid_utils.compat import uuid7

from contracts import (
    AcceptanceRepeated,
    AcceptInvitation,
    AdmissionRefused,
    BillingChainClosed,
    BillingChainEstablished,
    CreateOrganization,
    DeclineInvitation,
    InvitationAccepted,
    InvitationDeclined,
    InvitationIssued,
    InvitationReopened,
    InvitationRevoked,
    InvitationSuperseded,
    InviteMember,
    LeaveOrganization,
    LetterBounced,
    LetterSent,
    MemberJoined,
    MemberLeft,
    MemberPromoted,
    MemberRemoved,
    OrganizationCreated,
    PromoteMember,
    RemoveMember,
    RevokeInvitation,
    code_digest,
)
from stack.client import Client
from stack.platform import Platform

pytestmark = [pytest.mark.platform, pytest.mark.timeout(120)]


class People:
    """An organization with an owner, and whoever else a story needs."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.organization_id = uuid7()
        self.tag = self.organization_id.hex[-8:]
        self.owner_id = uuid7()

    def address(self, who: str) -> str:
        return f"{who}.{self.tag}@example.com"

    async def found(self) -> "People":
        await self.client.send(profile(self.owner_id, self.address("owner"), "The owner"))
        await self.client.ask(
            CreateOrganization(
                organization_id=self.organization_id, actor_id=self.owner_id, name=f"Organization {self.tag}"
            ),
            OrganizationCreated,
        )
        return self

    async def sign_up(self, who: str, *, verified: bool = True) -> UUID:
        account_id: UUID = uuid7()
        await self.client.send(profile(account_id, self.address(who), who.capitalize(), verified=verified))
        return account_id

    async def invite(self, who: str, *, by: UUID | None = None) -> InvitationIssued:
        return await self.client.ask(self.invitation(who, by=by), InvitationIssued)

    def invitation(self, who: str, *, by: UUID | None = None) -> InviteMember:
        return InviteMember(
            organization_id=self.organization_id, actor_id=by or self.owner_id, address=self.address(who)
        )

    def acceptance(self, account_id: UUID, issued: InvitationIssued) -> AcceptInvitation:
        return AcceptInvitation(
            organization_id=self.organization_id,
            actor_id=account_id,
            code_digest=issued.code_digest,
            seen_profile_version=1,
        )

    def revocation(self, issued: InvitationIssued, *, by: UUID | None = None) -> RevokeInvitation:
        return RevokeInvitation(
            organization_id=self.organization_id, actor_id=by or self.owner_id, invitation_id=issued.invitation_id
        )

    async def join(self, who: str) -> tuple[UUID, MemberJoined]:
        account_id = await self.sign_up(who)
        issued = await self.invite(who)
        await self.client.ask(self.acceptance(account_id, issued), InvitationAccepted)
        return account_id, await self.client.fact(MemberJoined, account_id=account_id)


@pytest.fixture
async def people(client: Client) -> People:
    return await People(client).found()


async def test_the_link_in_the_letter_makes_a_membership_and_a_billing_chain(
    platform: Platform, client: Client, people: People
) -> None:
    account_id = await people.sign_up("invitee")
    issued = await people.invite("invitee")
    await client.fact(LetterSent, invitation_id=issued.invitation_id, kind="invitation")
    (letter,) = platform.mailbox.letters(people.address("invitee"))
    code = re.search(r"/org-invite/([\w-]{43})/", letter["text"])
    assert code is not None
    accept = people.acceptance(account_id, issued).model_copy(update={"code_digest": code_digest(code[1])})
    await client.ask(accept, InvitationAccepted)

    joined = await client.fact(MemberJoined, account_id=account_id)
    chain = await client.fact(BillingChainEstablished, membership_id=joined.membership_id)
    assert joined.invitation_id == issued.invitation_id
    assert [(source.position, source.kind) for source in chain.sources] == [
        (1, "organization_credit"),
        (2, "organization_card"),
        (3, "member_credit"),
        (4, "member_card"),
    ]
    await client.fact(LetterSent, recipient_id=account_id, kind="welcome")
    await client.fact(LetterSent, recipient_id=people.owner_id, kind="has_joined")


async def test_accepting_again_with_the_same_account_is_a_success(client: Client, people: People) -> None:
    account_id = await people.sign_up("invitee")
    issued = await people.invite("invitee")
    await client.ask(people.acceptance(account_id, issued), InvitationAccepted)
    await client.ask(people.acceptance(account_id, issued), AcceptanceRepeated)
    await client.fact(MemberJoined, account_id=account_id)
    await client.ask(people.acceptance(account_id, issued), AcceptanceRepeated)


async def test_inviting_again_supersedes_and_the_older_link_is_dead(client: Client, people: People) -> None:
    account_id = await people.sign_up("invitee")
    older = await people.invite("invitee")
    newer = await people.invite("invitee")

    assert newer.supersedes == older.invitation_id
    await client.fact(InvitationSuperseded, invitation_id=older.invitation_id, superseded_by=newer.invitation_id)
    assert (await client.refusal(people.acceptance(account_id, older))).reason == "superseded"
    await client.ask(people.acceptance(account_id, newer), InvitationAccepted)


async def test_a_revoked_link_is_dead_and_the_address_can_be_invited_again(client: Client, people: People) -> None:
    account_id = await people.sign_up("invitee")
    issued = await people.invite("invitee")
    await client.ask(people.revocation(issued), InvitationRevoked)

    assert (await client.refusal(people.acceptance(account_id, issued))).reason == "revoked"
    again = await people.invite("invitee")
    await client.ask(people.acceptance(account_id, again), InvitationAccepted)


async def test_another_address_is_refused_and_the_invitation_stays_pending(client: Client, people: People) -> None:
    account_id, stranger_id = await people.sign_up("invitee"), await people.sign_up("stranger")
    issued = await people.invite("invitee")
    refused = await client.refusal(people.acceptance(stranger_id, issued))

    assert refused.reason == "address_differs"
    await client.ask(people.acceptance(account_id, issued), InvitationAccepted)


async def test_a_member_of_another_organization_is_not_moved_and_the_invitation_stays_pending(
    client: Client, people: People
) -> None:
    elsewhere = await People(client).found()
    issued = await people.client.ask(
        people.invitation("x").model_copy(update={"address": elsewhere.address("owner")}), InvitationIssued
    )
    await client.ask(people.acceptance(elsewhere.owner_id, issued), InvitationAccepted)
    refused = await client.fact(AdmissionRefused, invitation_id=issued.invitation_id)
    reopened = await client.fact(InvitationReopened, invitation_id=issued.invitation_id)

    assert (refused.reason, reopened.reason) == ("in_another_organization", "in_another_organization")
    await client.ask(people.revocation(issued), InvitationRevoked)


async def test_who_has_not_proven_the_mailbox_cannot_accept(client: Client, people: People) -> None:
    account_id = await people.sign_up("invitee", verified=False)
    issued = await people.invite("invitee")

    assert (await client.refusal(people.acceptance(account_id, issued))).reason == "mailbox_not_proven"


async def test_a_declined_invitation_is_over(client: Client, people: People) -> None:
    account_id = await people.sign_up("invitee")
    issued = await people.invite("invitee")
    decline = DeclineInvitation(organization_id=people.organization_id, code_digest=issued.code_digest)
    await client.ask(decline, InvitationDeclined)

    assert (await client.refusal(people.acceptance(account_id, issued))).reason == "declined"


async def test_only_the_owner_and_admins_invite_and_a_promotion_counts_at_once(client: Client, people: People) -> None:
    member_id, _ = await people.join("member")
    assert (await client.refusal(people.invitation("somebody", by=member_id))).reason == "not_an_admin"

    promoted = await client.ask(
        PromoteMember(organization_id=people.organization_id, actor_id=people.owner_id, account_id=member_id),
        MemberPromoted,
    )
    at_once = people.invitation("somebody", by=member_id).model_copy(
        update={"seen_organization_version": promoted.version}
    )
    await client.ask(at_once, InvitationIssued)


async def test_a_malformed_address_and_a_member_of_the_organization_are_not_invited(
    client: Client, people: People
) -> None:
    malformed = people.invitation("x").model_copy(update={"address": "not an address"})
    assert (await client.refusal(malformed)).reason == "malformed_address"

    _, joined = await people.join("member")
    again = people.invitation("member").model_copy(update={"seen_organization_version": joined.version})
    assert (await client.refusal(again)).reason == "already_a_member"


async def test_removing_somebody_closes_their_chain_and_revokes_what_they_sent(client: Client, people: People) -> None:
    admin_id, joined = await people.join("admin")
    await client.fact(BillingChainEstablished, membership_id=joined.membership_id)
    promoted = await client.ask(
        PromoteMember(organization_id=people.organization_id, actor_id=people.owner_id, account_id=admin_id),
        MemberPromoted,
    )
    issued = await client.ask(
        people.invitation("guest", by=admin_id).model_copy(update={"seen_organization_version": promoted.version}),
        InvitationIssued,
    )
    removed = await client.ask(
        RemoveMember(organization_id=people.organization_id, actor_id=people.owner_id, account_id=admin_id),
        MemberRemoved,
    )

    closed = await client.fact(BillingChainClosed, membership_id=joined.membership_id)
    revoked = await client.fact(InvitationRevoked, invitation_id=issued.invitation_id)
    assert (closed.reason, closed.effective_at) == ("removed", removed.removed_at)
    assert revoked.reason == "inviter_removed"


async def test_a_member_may_leave_and_the_owner_may_not(client: Client, people: People) -> None:
    member_id, joined = await people.join("member")
    await client.fact(BillingChainEstablished, membership_id=joined.membership_id)
    await client.ask(LeaveOrganization(organization_id=people.organization_id, actor_id=member_id), MemberLeft)
    assert (await client.fact(BillingChainClosed, membership_id=joined.membership_id)).reason == "left"

    stay = LeaveOrganization(organization_id=people.organization_id, actor_id=people.owner_id)
    assert (await client.refusal(stay)).reason == "owner_is_fixed"


async def test_organization_names_are_unique_whatever_their_case(client: Client, people: People) -> None:
    other_id = await people.sign_up("other")
    shouted = CreateOrganization(organization_id=uuid7(), actor_id=other_id, name=f"ORGANIZATION {people.tag.upper()}")
    assert (await client.refusal(shouted)).reason == "name_taken"


async def test_a_letter_that_is_refused_for_good_is_a_fact(client: Client, people: People) -> None:
    issued = await people.invite("bounce")
    bounced = await client.fact(LetterBounced, invitation_id=issued.invitation_id)
    assert bounced.smtp_code == 550


async def test_a_letter_that_is_put_off_is_tried_again(platform: Platform, client: Client, people: People) -> None:
    issued = await people.invite("tempfail-1")
    sent = await client.fact(LetterSent, invitation_id=issued.invitation_id)
    assert sent.attempts == 2
    assert len(platform.mailbox.letters(people.address("tempfail-1"))) == 1
