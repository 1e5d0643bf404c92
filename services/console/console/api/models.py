"""What goes in and comes out, as JSON. Instants are ISO 8601 in UTC; ids are UUIDs."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from console.accounts.domain import Scope
from console.accounts.passwords import MAX_LENGTH, MIN_LENGTH
from console.commands.outcome import State
from console.view.nouns import Delivery, InvitationState, Role

MOST_ADDRESSES = 100
"""Of one batch of invitations."""


def _without_nul(text: str) -> str:
    """JSON can say NUL, PostgreSQL cannot."""
    if "\0" in text:
        raise ValueError("NUL is no character of a text")
    return text


def _all_different(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise ValueError("Name each once")
    return values


_EACH_ONCE = (AfterValidator(_all_different), Field(json_schema_extra={"uniqueItems": True}))
# What people type is taken up to a generous length. Whether it is good is for the domain to say, which has a reason and
# a sentence for it.
Typed = Annotated[str, StringConstraints(max_length=1000), AfterValidator(_without_nul)]
Address = Annotated[
    Typed,
    Field(description="An e-mail address.", examples=["owner@example.com"], json_schema_extra={"format": "email"}),
]
PersonName = Annotated[
    Typed,
    Field(description="What it is called: one line, 1 to 255 characters.", examples=["The owner"]),
]
NewPassword = Annotated[
    Typed,
    Field(
        description=f"{MIN_LENGTH} to {MAX_LENGTH} characters, none of the first that anybody tries, nor name or "
        "address.",
        examples=["correct horse battery staple"],
    ),
]
LinkCode = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200),
    Field(description="What the link in the letter holds: `/org-invite/<code>/`. It is a secret, and in no URL here."),
]
NextCursor = Annotated[str | None, Field(description="For the next page, as `cursor`; none at the end.")]
CsrfToken = Annotated[str, Field(description="For the header X-CSRF-Token, for as long as this session is.")]


class Input(BaseModel):
    """A body. Members that it does not know are refused, since they are typing errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, hide_input_in_errors=True)


class Output(BaseModel):
    """An answer. New members may appear in it."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


# --- problems


class ValidationIssue(Output):
    """One thing that is wrong with the request."""

    pointer: str | None = None
    """Which member of the body, as a JSON Pointer (RFC 6901)."""
    parameter: str | None = None
    """Which parameter of the path, the query or the header."""
    detail: str
    """What is wrong with it."""


class ProblemDetails(Output):
    """An error (RFC 9457)."""

    type: Annotated[str, Field(examples=["urn:latchkey:problem:name_taken"])]
    """`urn:latchkey:problem:` and the reason."""
    title: str
    """The same for every problem of this reason."""
    status: Annotated[int, Field(ge=400, le=599)]
    detail: str
    """A sentence for the person."""
    reason: Annotated[str, Field(examples=["name_taken"])]
    """A code for programs. New ones may appear: treat an unknown one by its status."""
    command_id: UUID | None = None
    """The command that was refused, where the problem is the outcome of one."""
    errors: list[ValidationIssue] | None = None
    attempts_left: int | None = None
    """After a wrong code: how many more may be tried before a new one has to be asked for."""


# --- commands


class Command(Output):
    """Something that was asked of another service, and what became of it."""

    command_id: UUID
    type: Annotated[str, Field(examples=["io.carolinacloud.member.invite.v1"])]
    """The CloudEvents type of the command."""
    organization_id: UUID
    """Of a command about the caller's own card, the caller's account."""
    state: State
    """`waiting` while the service that was asked has not answered; `done` when what was asked for is so."""
    reason: str | None
    """Why it was refused, as a code."""
    message: str | None
    """Why it was refused, as a sentence."""
    result: dict[str, Any]
    """What came of it, such as the ids of what was made."""
    sent_at: datetime
    ended_at: datetime | None


# --- people


class Membership(Output):
    """The caller's place in their organization."""

    organization_id: UUID
    organization_name: str
    role: Role
    joined_at: datetime


class Account(Output):
    """Who the caller is."""

    account_id: UUID
    address: str
    name: str
    proven: bool
    """Whether the mailbox is proven. Until then the account may do nothing but prove it."""
    created_at: datetime


class Me(Account):
    """Who the caller is, and where they belong."""

    membership: Membership | None
    csrf_token: CsrfToken | None
    """None for a token, which needs none."""


class SignedIn(Output):
    """A session has begun: its cookie comes with this answer."""

    account: Account
    csrf_token: CsrfToken


class Proof(SignedIn):
    """The mailbox is proven, and the session is a new one."""

    joining: Command | None
    """The acceptance of the invitation that the person came by, where they came by one."""


class Csrf(Output):
    """What this browser shows that it can read our answers."""

    csrf_token: CsrfToken


class SignUp(Input):
    """Somebody new."""

    address: Address
    name: PersonName
    password: NewPassword
    invitation_code: LinkCode | None = None
    """The code of the link that the person came by: accepted when the mailbox is proven."""


class SignIn(Input):
    """Somebody who has an account."""

    address: Address
    password: Typed


class MailboxCode(Input):
    """The code from the newest letter."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=20), Field(examples=["048213"])]
    """Six digits; spaces do not count."""


class LetterSent(Output):
    """A letter is on its way, if there is somebody whom it is for: whether there is, is not told."""

    message: str


class ResetRequest(Input):
    """Whose password is forgotten."""

    address: Address


class Reset(Input):
    """Another password, by the link in a letter."""

    code: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    """What the link holds: `/password-reset/<code>/`."""
    password: NewPassword


class Rename(Input):
    """Another name."""

    name: PersonName


class PasswordChange(Input):
    """Another password, for who knows the old one."""

    old: Typed
    new: NewPassword


class Session(Output):
    """A browser that is signed in."""

    session_id: UUID
    current: bool
    """Whether it is the one that asks."""
    created_at: datetime
    seen_at: datetime
    """Within a few minutes."""
    expires_at: datetime
    user_agent: str
    network_address: str


class SessionList(Output):
    items: list[Session]


class Ended(Output):
    """How many sessions were ended."""

    ended: int


class TokenRequest(Input):
    """A token for a program."""

    name: PersonName
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=len(Scope)), *_EACH_ONCE]
    """`read`: everything that changes nothing. `organization`: organizations, members and invitations.
    `billing`: cards, top-ups and spend caps. `account`: the caller's own name and sessions."""
    lifetime_days: Annotated[int | None, Field(strict=True, ge=1, le=3650)] = None
    """After how many days it ends by itself; none: when it is revoked."""


class Token(Output):
    """A program that may act for the caller."""

    token_id: UUID
    name: str
    scopes: list[Scope]
    created_at: datetime
    expires_at: datetime | None
    used_at: datetime | None
    """Within a few minutes."""


class NewToken(Token):
    secret: Annotated[str | None, Field(examples=["lk_..."])]
    """Shown once: keep it. None where the answer is repeated (Idempotency-Key), since it is stored nowhere."""


class TokenList(Output):
    items: list[Token]


# --- organizations


class OrganizationRequest(Input):
    """A new organization, whose owner the caller will be."""

    name: Annotated[Typed, Field(examples=["Example Org"])]
    """2 to 255 characters, unique whatever the case."""


class Organization(Output):
    """The organization that the caller is in."""

    organization_id: UUID
    name: str
    created_at: datetime | None
    members: int
    pending: int
    """Invitations whose links work."""
    my_role: Role


class Member(Output):
    """Somebody in the organization."""

    account_id: UUID
    membership_id: UUID
    name: str
    address: str
    role: Role
    joined_at: datetime


class RoleChange(Input):
    """What a member shall be."""

    role: Literal["admin", "member"]


class Invitation(Output):
    """An invitation of an address into an organization."""

    invitation_id: UUID
    organization_id: UUID
    address: str
    state: InvitationState
    delivery: Delivery
    """Of the letter with the link."""
    inviter_id: UUID
    inviter_name: str
    issued_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class MemberPage(Output):
    """Some of the members."""

    items: list[Member]
    next: NextCursor


class InvitationPage(Output):
    """Some of the invitations."""

    items: list[Invitation]
    next: NextCursor


class InvitationRequest(Input):
    """Who is invited."""

    address: Address


class InvitationBatch(Input):
    """Several who are invited at once."""

    addresses: Annotated[list[Typed], Field(min_length=1, max_length=MOST_ADDRESSES), *_EACH_ONCE]
    """Each gets a result of its own, also where it is no address at all."""


class InvitationResult(Output):
    """What became of one address of a batch."""

    address: str
    status: Literal["created", "refused", "waiting"]
    command_id: UUID
    """Where the outcome is, or will be: GET /commands/{command_id}."""
    invitation: Invitation | None
    reason: str | None
    message: str | None


class InvitationResults(Output):
    """In the order of the addresses."""

    results: list[InvitationResult]


# --- links


class Link(Input):
    """An invitation, by its link."""

    code: LinkCode


class LinkPreview(Output):
    """What a link is for. Whose address it was sent to is not told."""

    organization_name: str
    inviter_name: str
    state: InvitationState
    issued_at: datetime
    expires_at: datetime
    ended_at: datetime | None


class JoinedMembership(Output):
    """The membership that the acceptance has led to."""

    membership_id: UUID
    organization_id: UUID
    organization_name: str


class Acceptance(Output):
    """The caller is a member."""

    membership: JoinedMembership
    invitation_id: UUID
    repeated: bool
    """Whether they were one already, by this invitation."""


class Declined(Output):
    """The invitation is declined."""

    invitation_id: UUID
