"""What every message is: a frozen Pydantic model with a type name for the wire and a key that orders it."""

from typing import Annotated, ClassVar, Final, Literal, cast
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

PERSONAL: Final[JsonDict] = {"x-personal-data": True}
"""Marks a field that names a person or where to write to them, here and in the JSON Schemas. Such fields travel only on
topics of `PersonalData.ADDRESSES`; `json_schema_extra=PERSONAL`."""

AccountId = Annotated[UUID, Field(description="The account's id (UUIDv7). People are named by it everywhere.")]
ActorId = Annotated[UUID, Field(description="The account on whose behalf the command is sent; its rights decide.")]
OrganizationId = Annotated[UUID, Field(description="The organization's id (UUIDv7), chosen by whoever creates it.")]
InvitationId = Annotated[UUID, Field(description="The invitation's id (UUIDv7), made by invites.")]
MembershipId = Annotated[
    UUID,
    Field(description="One stay of one account in one organization (UUIDv7); joining again makes a new one."),
]
Version = Annotated[
    int,
    Field(
        ge=1,
        description="The version of the aggregate after this fact; it only grows, so an older fact can be told.",
    ),
]
Instant = Annotated[AwareDatetime, Field(description="When it happened, with its time zone (written in UTC).")]
Address = Annotated[
    str,
    Field(
        min_length=3,
        max_length=320,
        description="An e-mail address as its owner wrote it. Personal data.",
        json_schema_extra=PERSONAL,
    ),
]
CodeDigest = Annotated[
    str,
    Field(
        pattern=r"^[0-9a-f]{64}$",
        description="SHA-256 of the link's code, in hexadecimal. The code itself, which is usable, is in no message.",
    ),
]
MicroDollars = Annotated[
    int, Field(description="Money in millionths of a US dollar, an integer; 1 dollar is 1_000_000.")
]
Role = Annotated[
    Literal["owner", "admin", "member"],
    Field(description="What the member may do: the owner and admins manage people; members use the organization."),
]
SeenProfileVersion = Annotated[
    int | None,
    Field(
        default=None,
        ge=1,
        description="The version of the actor's AccountProfile that the client saw. A service whose copy is older "
        "waits for it, rather than refuse because another topic is slower.",
    ),
]
SeenOrganizationVersion = Annotated[
    int | None,
    Field(
        default=None,
        ge=1,
        description="The version of the organization (of a membership fact) that the client saw. A service whose copy "
        "is older waits for it, rather than refuse because another topic is slower.",
    ),
]


class Message(BaseModel):
    """The body of a CloudEvent. Instances never change; readers ignore fields that they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

    ce_type: ClassVar[str]
    """The CloudEvents type, a literal: `io.carolinacloud.<noun>.<past participle or verb>.v<major>`."""
    key_field: ClassVar[str]
    """The field whose value is the Kafka key, and so what the message is ordered with."""

    @property
    def partition_key(self) -> UUID:
        """The id that orders this message among its neighbours; its text form is the Kafka key."""
        return cast(UUID, getattr(self, self.key_field))


class Command(Message):
    """A wish, in the imperative. It has exactly one outcome: facts that name its id as their causation, or a
    CommandRefused."""

    @property
    def actor(self) -> UUID | None:
        """The account on whose behalf it is sent, where there is one."""
        return cast(UUID | None, getattr(self, "actor_id", None))


class Fact(Message):
    """Something that happened, in the past participle. It is never taken back, only followed by another."""


class CommandRefused(Fact):
    """A command was understood and not carried out; nothing changed. It is written to the event topic of the service
    that was asked, with the key of the command."""

    ce_type: ClassVar[str] = "io.carolinacloud.command.refused.v1"
    key_field: ClassVar[str] = "command_key"

    command_type: str
    """The CloudEvents type of the command."""
    command_id: str
    """The CloudEvents id of the command."""
    command_key: UUID
    """The Kafka key of the command: an organization's or an account's id."""
    actor_id: UUID | None
    """The account that asked; none where somebody without an account declined."""
    reason: str
    """Why, as a code for programs (see `contracts.Reason`). New codes may appear: treat an unknown one as a refusal."""
    message: str
    """Why, as a sentence for the person who asked."""
