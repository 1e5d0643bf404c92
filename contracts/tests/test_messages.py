"""What holds for every message, so that a subscriber can rely on it without looking."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

import contracts
from contracts import TOPICS, ChainSource, Command, CommandRefused, Fact, Message, Reason, Refused, SourceShare
from contracts.golden import example
from contracts.message import PERSONAL
from contracts.topic import PersonalData

TYPE_NAME = re.compile(r"io\.carolinacloud\.[a-z]+(-[a-z]+)*\.[a-z]+(-[a-z]+)*\.v[1-9][0-9]*")
MESSAGE_TYPES = [pytest.param(message_type, id=message_type.__name__) for message_type in TOPICS.message_types.values()]
MODELS = [*MESSAGE_TYPES, pytest.param(ChainSource, id="ChainSource"), pytest.param(SourceShare, id="SourceShare")]
every_message_type = pytest.mark.parametrize("message_type", MESSAGE_TYPES)
every_model = pytest.mark.parametrize("model", MODELS)


@every_message_type
def test_a_type_name_is_a_literal_of_the_class_in_the_agreed_form(message_type: type[Message]) -> None:
    assert "ce_type" in vars(message_type), "it is the class's own, and not one that it inherits"
    assert TYPE_NAME.fullmatch(message_type.ce_type)


def test_every_message_that_is_exported_is_on_a_topic() -> None:
    exported = {
        value
        for value in vars(contracts).values()
        if isinstance(value, type) and issubclass(value, Message) and value not in (Message, Command, Fact)
    }

    assert exported == set(TOPICS.message_types.values())


@every_message_type
def test_a_message_is_a_command_or_a_fact(message_type: type[Message]) -> None:
    assert issubclass(message_type, Command) != issubclass(message_type, Fact)


@every_message_type
def test_a_message_says_what_it_means(message_type: type[Message]) -> None:
    assert message_type.__doc__


@every_message_type
def test_the_key_is_a_field_that_is_always_there(message_type: type[Message]) -> None:
    assert message_type.model_fields[message_type.key_field].is_required()


@every_model
def test_every_field_is_explained(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


@every_model
def test_no_message_changes_after_it_is_made(model: type[BaseModel]) -> None:
    instance = model.model_construct()

    for name in model.model_fields:
        with pytest.raises(ValidationError, match="frozen_instance"):
            setattr(instance, name, None)


@every_model
def test_nothing_that_a_message_holds_can_change_either(model: type[BaseModel]) -> None:
    annotations = " ".join(str(field.annotation) for field in model.model_fields.values())

    assert not re.search(r"\b(list|dict|set|bytearray)\b", annotations)


@every_message_type
def test_an_instant_without_a_time_zone_is_refused(message_type: type[Message]) -> None:
    data = dict(example(message_type).data or {})
    for name in [name for name, value in data.items() if name.endswith(("_at", "_from", "_until")) and value]:
        with pytest.raises(ValidationError, match="timezone"):
            message_type.model_validate(data | {name: data[name].removesuffix("Z")})


def test_facts_about_an_aggregate_carry_its_version() -> None:
    without = {
        message_type.__name__
        for message_type in TOPICS.message_types.values()
        if issubclass(message_type, Fact) and "version" not in message_type.model_fields
    }

    # A tombstone has no body; the others are about something that happens once, and has no later version.
    assert without == {
        "AccountErased",
        "CommandRefused",
        "LetterSent",
        "LetterBounced",
        "LetterFailed",
        "MailboxProofRequested",
        "PasswordChanged",
        "PasswordResetRequested",
        "SignUpRepeated",
        "UsageRecorded",
    }


def test_people_are_named_only_in_these_fields() -> None:
    marked = {
        f"{message_type.__name__}.{name}"
        for message_type in TOPICS.message_types.values()
        for name, field in message_type.model_fields.items()
        if field.json_schema_extra == PERSONAL
    }

    assert marked == {
        "AccountProfile.address",
        "AccountProfile.name",
        "InviteMember.address",
        "InvitationIssued.address",
        "InvitationIssued.inviter_name",
        "InvitationExpiring.address",
        "InvitationExpiring.inviter_name",
    }


def test_a_field_that_sounds_like_a_person_is_marked_or_known_to_be_none() -> None:
    of_organizations = {"CreateOrganization.name", "OrganizationCreated.name"}
    unmarked = {
        f"{message_type.__name__}.{name}"
        for message_type in TOPICS.message_types.values()
        for name, field in message_type.model_fields.items()
        if re.search(r"(^|_)(name|address|email|phone)$", name) and field.json_schema_extra != PERSONAL
    }

    assert {field for field in unmarked if not field.endswith(".organization_name")} == of_organizations


@pytest.mark.parametrize(
    "topic",
    [pytest.param(topic, id=topic.name) for topic in TOPICS if topic.personal_data is PersonalData.IDENTIFIERS],
)
def test_a_topic_of_identifiers_names_nobody(topic: contracts.Topic) -> None:
    for message_type in topic.messages:
        for name, field in message_type.model_fields.items():
            assert field.json_schema_extra != PERSONAL, f"{message_type.__name__}.{name} names people"


def test_a_refusal_names_the_command_that_it_answers() -> None:
    command = contracts.RevokeInvitation.model_validate(example(contracts.RevokeInvitation).data)
    refused = Refused(Reason.ALREADY_ACCEPTED, "The invitation is accepted already.")

    assert refused.answer(command, "an id") == CommandRefused(
        command_type="io.carolinacloud.invitation.revoke.v1",
        command_id="an id",
        command_key=command.organization_id,
        actor_id=command.actor_id,
        reason="already_accepted",
        message="The invitation is accepted already.",
    )


def test_a_refusal_code_that_a_reader_does_not_know_is_read_as_it_is() -> None:
    data = dict(example(CommandRefused).data or {}) | {"reason": "a_reason_of_tomorrow"}

    assert CommandRefused.model_validate(data).reason == "a_reason_of_tomorrow"


def test_contracts_depend_on_nothing_but_pydantic_except_where_files_are_made_of_them() -> None:
    imported: dict[str, set[str]] = {}
    for path in Path(contracts.__file__).parent.rglob("*.py"):
        modules = imported[path.stem] = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{path.name} imports relatively"
                modules.add((node.module or "").split(".")[0])

    assert imported.pop("asyncapi") >= {"yaml"}
    assert imported.pop("compatibility") >= {"jsonsubschema"}
    assert set().union(*imported.values()) - sys.stdlib_module_names == {"contracts", "pydantic"}


def test_whoever_reads_messages_loads_no_library_but_pydantic() -> None:
    loaded = "import sys, contracts, contracts.golden; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    modules = subprocess.run([sys.executable, "-c", loaded], check=True, capture_output=True, text=True).stdout.split()

    assert "pydantic" in modules
    assert not {"yaml", "jsonsubschema", "jsonschema", "greenery"} & set(modules)
