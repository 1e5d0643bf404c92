"""Wrong changes to the contracts, tried: each is refused with a sentence that tells what to do. Right ones pass."""

import re
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from generated import records
from hypothesis import HealthCheck, given, settings
from jsonschema import Draft202012Validator

from contracts import TOPICS
from contracts.compatibility import JsonSchema
from contracts.gate import breaches
from contracts.releases import FrozenMessage, Retired, Snapshot, earlier, retired, snapshot

JOINED = "io.carolinacloud.member.joined.v1"
INVITE = "io.carolinacloud.member.invite.v1"
ACCEPT = "io.carolinacloud.invitation.accept.v1"
CHARGED = "io.carolinacloud.usage.charged.v1"
ISSUED = "io.carolinacloud.invitation.issued.v1"
CREATE = "io.carolinacloud.organization.create.v1"
BESIDE = (
    "Leave it as it was, and publish `io.carolinacloud.member.joined.v2` beside `io.carolinacloud.member.joined.v1` "
    "until every reader has moved (docs/changing-a-message.md)."
)

Contracts = dict[str, Any]
Change = Callable[[Contracts], None]


@pytest.fixture(scope="module")
def released() -> Snapshot:
    """What there is today, as if it had been released."""
    return snapshot(TOPICS, "1.0.0")


def changed(released: Snapshot, change: Change) -> Snapshot:
    """The same with a change, as it would be read from the registry."""
    contracts = deepcopy(released.model_dump(mode="json")) | {"version": "now"}
    change(contracts)
    return Snapshot.model_validate(contracts)


def refusals(released: Snapshot, change: Change, *gone: str) -> list[str]:
    records = [Retired(what=what, since="1.1.0", reason="Nobody has read it for a year.") for what in gone]
    return [str(breach) for breach in breaches(changed(released, change), [released], records)]


def field(ce_type: str, name: str, **keywords: Any) -> Change:
    """Writes keywords into the schema of a field; None takes one out."""

    def change(contracts: Contracts) -> None:
        schema = contracts["schemas"][ce_type]["properties"][name]
        schema |= keywords
        for keyword in [keyword for keyword, value in keywords.items() if value is None]:
            del schema[keyword]

    return change


def without_field(ce_type: str, name: str) -> Change:
    def change(contracts: Contracts) -> None:
        schema = contracts["schemas"][ce_type]
        del schema["properties"][name]
        schema["required"] = [required for required in schema["required"] if required != name]

    return change


def new_field(ce_type: str, name: str, schema: dict[str, Any]) -> Change:
    """A field that is optional where its schema has a default."""

    def change(contracts: Contracts) -> None:
        contracts["schemas"][ce_type]["properties"][name] = schema
        if "default" not in schema:
            contracts["schemas"][ce_type]["required"].append(name)

    return change


def renamed_field(ce_type: str, name: str, other: str) -> Change:
    def change(contracts: Contracts) -> None:
        schema = contracts["schemas"][ce_type]
        schema["properties"][other] = schema["properties"].pop(name)
        schema["required"] = [other if required == name else required for required in schema["required"]]

    return change


def required(ce_type: str, name: str, *, is_required: bool) -> Change:
    def change(contracts: Contracts) -> None:
        names = contracts["schemas"][ce_type]["required"]
        if is_required:
            names.append(name)
        else:
            names.remove(name)

    return change


def schema_of(ce_type: str, name: str, schema: dict[str, Any]) -> Change:
    def change(contracts: Contracts) -> None:
        contracts["schemas"][ce_type]["properties"][name] = schema

    return change


def part(ce_type: str, definition: str, edit: Callable[[dict[str, Any]], None]) -> Change:
    """Edits the schema of what a message has a list of."""
    return lambda contracts: edit(contracts["schemas"][ce_type]["$defs"][definition])


def topic(name: str, **values: Any) -> Change:
    return lambda contracts: contracts["topics"][name].update(values)


def without_message(ce_type: str) -> Change:
    def change(contracts: Contracts) -> None:
        del contracts["schemas"][ce_type]
        for each in contracts["topics"].values():
            each["messages"].pop(ce_type, None)

    return change


def moved_message(ce_type: str, source: str, target: str) -> Change:
    def change(contracts: Contracts) -> None:
        topics = contracts["topics"]
        topics[target]["messages"][ce_type] = topics[source]["messages"].pop(ce_type)

    return change


def retyped_message(ce_type: str, other: str, source: str) -> Change:
    def change(contracts: Contracts) -> None:
        messages = contracts["topics"][source]["messages"]
        messages[other] = messages.pop(ce_type)
        contracts["schemas"][other] = contracts["schemas"].pop(ce_type)

    return change


def message(ce_type: str, source: str, **values: str) -> Change:
    return lambda contracts: contracts["topics"][source]["messages"][ce_type].update(values)


def new_message(ce_type: str, target: str, like: str) -> Change:
    def change(contracts: Contracts) -> None:
        contracts["schemas"][ce_type] = contracts["schemas"][like]
        contracts["topics"][target]["messages"][ce_type] = FrozenMessage(
            name="Another", key_field="organization_id"
        ).model_dump()

    return change


TEXT = {"type": "string"}
ID = {"type": "string", "format": "uuid"}
ADDRESS = {"type": "string", "format": "email"}
OLD_READERS = "readers of 1.0.0 refuse records that are written now"
OLD_RECORDS = "records of 1.0.0, which are still kept or still written, are refused now"

WRONG = {
    "a field that readers need is gone": (
        without_field(JOINED, "inviter_id"),
        f"`inviter_id` of MemberJoined is gone: {OLD_READERS}. Keep the field and go on writing it; to be rid of it, "
        f"publish `io.carolinacloud.member.joined.v2` beside `{JOINED}` until every reader has moved",
    ),
    "an optional field is gone": (
        without_field(INVITE, "seen_profile_version"),
        "`seen_profile_version` of InviteMember is gone: readers of 1.0.0 look for it in vain. Keep the field",
    ),
    "a field has another name": (
        renamed_field(JOINED, "joined_at", "member_since"),
        "`joined_at` of MemberJoined is gone (it is not `member_since`: another name is another field): ",
    ),
    "a new field is required": (
        new_field(JOINED, "team", TEXT),
        f"`team` of MemberJoined is new and required: {OLD_RECORDS}. Give it a default that means",
    ),
    "a new field is required, though it may be null": (
        new_field(JOINED, "team", {"anyOf": [TEXT, {"type": "null"}]}),
        f"`team` of MemberJoined is new and required: {OLD_RECORDS}.",
    ),
    "a field is of another type": (
        schema_of(JOINED, "version", TEXT),
        f"`version` of MemberJoined was an integer and is a text: {OLD_READERS}, and {OLD_RECORDS}. {BESIDE}",
    ),
    "an integer may be a fraction": (
        field(JOINED, "version", type="number"),
        f"`version` of MemberJoined was an integer and is a number: {OLD_READERS}. {BESIDE}",
    ),
    "an enumeration gains a value": (
        field(JOINED, "role", enum=["owner", "admin", "member", "guest"]),
        f"`role` of MemberJoined gained the value `guest`: {OLD_READERS}. {BESIDE}",
    ),
    "an enumeration loses a value": (
        field(JOINED, "role", enum=["owner", "member"]),
        f"`role` of MemberJoined lost the value `admin`: {OLD_RECORDS}. Leave the model as wide as it was, and check "
        "the value where it is made or handled; or publish",
    ),
    "an enumeration is opened": (
        field(JOINED, "role", enum=None),
        f"`role` of MemberJoined takes any value now, and not only `owner`, `admin`, `member`: {OLD_READERS}. {BESIDE}",
    ),
    "a text is closed to an enumeration": (
        field(CHARGED, "resource", enum=["gpu-a100"]),
        f"`resource` of UsageCharged takes nothing but `gpu-a100` now: {OLD_RECORDS}.",
    ),
    "a pattern is narrowed": (
        field(ACCEPT, "code_digest", pattern="^[0-9a-f]{32}$"),
        "`code_digest` of AcceptInvitation had the pattern `^[0-9a-f]{64}$` and has the pattern `^[0-9a-f]{32}$`: "
        f"{OLD_READERS}, and {OLD_RECORDS}.",
    ),
    "a pattern is widened": (
        field(ACCEPT, "code_digest", pattern="^[0-9a-f]{64,128}$"),
        f"has the pattern `^[0-9a-f]{{64,128}}$`: {OLD_READERS}, and {OLD_RECORDS}. Leave it as it was",
    ),
    "a minimum rises": (
        field(JOINED, "version", minimum=2),
        f"`version` of MemberJoined had the minimum `1` and has the minimum `2`: {OLD_RECORDS}. Leave the model",
    ),
    "a minimum goes": (
        field(JOINED, "version", minimum=None),
        f"`version` of MemberJoined had the minimum `1` and has no minimum: {OLD_READERS}. {BESIDE}",
    ),
    "a limit excludes what it included": (
        field(JOINED, "version", minimum=None, exclusiveMinimum=1),
        f"had no exclusiveMinimum and has the exclusiveMinimum `1`: {OLD_RECORDS}.",
    ),
    "a text may be shorter only": (
        field(CREATE, "name", maxLength=255),
        f"`name` of CreateOrganization had the maxLength `1000` and has the maxLength `255`: {OLD_RECORDS}. Leave the "
        "model as wide as it was, and check the value where it is made or handled",
    ),
    "a text may be longer": (
        field(INVITE, "address", maxLength=2000),
        f"`address` of InviteMember had the maxLength `1000` and has the maxLength `2000`: {OLD_READERS}.",
    ),
    "what may be null may not be any more": (
        schema_of(JOINED, "inviter_id", {"type": "string", "format": "uuid"}),
        f"`inviter_id` of MemberJoined may not be null any more: {OLD_RECORDS}.",
    ),
    "what was always there may be null": (
        schema_of(JOINED, "account_id", {"anyOf": [{"type": "string", "format": "uuid"}, {"type": "null"}]}),
        f"`account_id` of MemberJoined may be null now: {OLD_READERS}. {BESIDE}",
    ),
    "an optional field is required": (
        required(INVITE, "seen_profile_version", is_required=True),
        f"`seen_profile_version` of InviteMember is required now: {OLD_RECORDS}. Give it a default",
    ),
    "a required field is optional": (
        required(JOINED, "role", is_required=False),
        f"`role` of MemberJoined may be missing now: {OLD_READERS}. Keep the field and go on writing it",
    ),
    "a default is another": (
        field(INVITE, "seen_profile_version", default=1),
        "`seen_profile_version` of InviteMember was null where it is missing, and is `1`: the same record says another "
        "thing: readers of 1.0.0 understand it otherwise.",
    ),
    "an id is written in another form": (
        field(JOINED, "account_id", format="email"),
        f"`account_id` of MemberJoined had the format `uuid` and has the format `email`: {OLD_READERS}, and",
    ),
    "something in a list changes": (
        part(CHARGED, "SourceShare", lambda share: share["properties"]["kind"]["enum"].append("voucher")),
        f"`shares[].kind` of UsageCharged gained the value `voucher`: {OLD_READERS}.",
    ),
    "a list must not be empty": (
        field(CHARGED, "shares", minItems=1),
        f"`shares` of UsageCharged had no minItems and has the minItems `1`: {OLD_RECORDS}.",
    ),
    "a keyword that nobody can judge": (
        field(JOINED, "role", contentEncoding="base64"),
        "MemberJoined says `contentEncoding`, which the gate cannot compare: nobody knows what it does to readers of "
        "1.0.0. Describe the field by what the other messages use",
    ),
    "a message is gone": (
        without_message(JOINED),
        f"MemberJoined (`{JOINED}`) is gone from `membership.events`: readers of 1.0.0 wait for it, and records of it "
        "are still kept. Keep the class: write it until nobody reads it, read it until",
    ),
    "a message is of another type": (
        retyped_message(JOINED, "io.carolinacloud.member.joined.v2", "membership.events"),
        f"MemberJoined was `{JOINED}` and is `io.carolinacloud.member.joined.v2`: readers of 1.0.0 do not know that "
        "type, and pass it by. Keep MemberJoined as it was; let `io.carolinacloud.member.joined.v2` be a class of its "
        "own, and publish both",
    ),
    "a message is on another topic": (
        moved_message(JOINED, "membership.events", "accounts.events"),
        "MemberJoined was on `membership.events` and is on `accounts.events`: readers of 1.0.0 do not look for it "
        "there, and it has lost its order with its neighbours. Leave it where it was, and publish",
    ),
    "a message has another key": (
        message(JOINED, "membership.events", key_field="account_id"),
        "The key of MemberJoined was `organization_id` and is `account_id`: its records come in another order than "
        "readers of 1.0.0 count on. Leave the key, and publish `io.carolinacloud.member.joined.v2` with the other key",
    ),
    "a class has another name": (
        message(JOINED, "membership.events", name="MemberHasJoined"),
        f"The class of `{JOINED}` was MemberJoined and is MemberHasJoined: programs in Python import it by the name",
    ),
    "a message takes no fields more": (
        lambda contracts: contracts["schemas"][JOINED].update(additionalProperties=False),
        'MemberJoined takes no fields but its own now (`extra="forbid"`): its readers refuse the next field that '
        "is added, where those of 1.0.0 ignore it. Let it ignore what it does not know, as all messages do.",
    ),
    "a part of a message takes no fields more": (
        part(CHARGED, "SourceShare", lambda share: share.update(additionalProperties=False)),
        '`SourceShare` in UsageCharged takes no fields but its own now (`extra="forbid"`): ',
    ),
    "a field names people after its release": (
        field(JOINED, "role", **{"x-personal-data": True}),
        "`role` of MemberJoined is marked as personal data now: readers of 1.0.0 hold that it names nobody, and have "
        "kept it where nobody is erased. Leave it as it was, and write nothing into it that names people: that is "
        "another field",
    ),
    "a mark of personal data is gone": (
        field(ISSUED, "inviter_name", **{"x-personal-data": None}),
        "`inviter_name` of InvitationIssued is no longer marked as personal data: readers of 1.0.0 hold it to be",
    ),
    "a topic is gone": (
        lambda contracts: contracts["topics"].pop("accounts.events"),
        "The topic `accounts.events` is gone: what runs since 1.0.0 still uses it. Keep it until nobody reads it",
    ),
    "a topic has another owner": (
        topic("membership.events", owner="billing"),
        "`membership.events` was membership's and is billing's: the membership of 1.0.0 still decides what is true "
        "there, and two that decide contradict each other. Leave it, and declare a topic of billing's beside it",
    ),
    "a topic has more partitions": (
        topic("membership.events", partitions=12),
        "`membership.events` had 6 partitions and has 12: the keys move to other partitions, and what was written "
        "since 1.0.0 loses its order. Leave them; declare a topic beside it, `membership.events.2`",
    ),
    "a topic keeps records for a shorter time": (
        topic("membership.events", retention_ms=30 * 24 * 3600 * 1000),
        "`membership.events` kept records for 365 days and keeps them for 30 days: a reader of 1.0.0 that was away, or "
        "starts anew, finds them gone. Leave it at 365 days; a longer time is no harm.",
    ),
    "a topic is cleaned up in another way": (
        topic("accounts.profiles", cleanup="delete", retention_ms=1000),
        "`accounts.profiles` had the cleanup `compact` and has `delete`: readers of 1.0.0 miss records",
    ),
    "a topic may name people": (
        topic("membership.events", personal_data="addresses"),
        "`membership.events` named nobody and may hold addresses and names now: readers of 1.0.0 keep its records in "
        "places from which nobody is erased. Leave it as it was, and publish what names people on a topic of",
    ),
    "an erasure means another thing": (
        topic("accounts.profiles", tombstone=None),
        "A record without a value meant `io.carolinacloud.account.erased.v1` on `accounts.profiles` and means `None`",
    ),
    "a reader has lost a topic": (
        topic("membership.events", readers=["invites", "billing", "console"]),
        "`notifier` no longer reads `membership.events`: the notifier of 1.0.0 still does, and stops where the right "
        "is taken from it. Keep the right until no notifier of that kind runs, then retire `notifier reads membership",
    ),
    "a writer has lost a topic": (
        topic("invites.commands", writers=["gateway"]),
        "`console` no longer writes `invites.commands`: the console of 1.0.0 still does",
    ),
}

RIGHT = {
    "nothing": lambda contracts: None,
    "a new field with a default": new_field(
        JOINED, "team", {"anyOf": [TEXT, {"type": "null"}], "default": None, "title": "Team"}
    ),
    "a new field with a default, in a list": part(
        CHARGED,
        "SourceShare",
        lambda share: share["properties"].update(note={"anyOf": [TEXT, {"type": "null"}], "default": None}),
    ),
    "a new message": new_message("io.carolinacloud.member.suspended.v1", "membership.events", JOINED),
    "another version beside the first": new_message("io.carolinacloud.member.joined.v2", "membership.events", JOINED),
    "other words": field(JOINED, "role", description="What a member may do, in other words."),
    "another name of what a list holds": lambda contracts: _renamed_definition(contracts["schemas"][CHARGED]),
    "a new field is marked as personal data": new_field(
        ISSUED, "place", TEXT | {"default": "", "x-personal-data": True}
    ),
    "a longer time": topic("invites.events", retention_ms=60 * 24 * 3600 * 1000),
    "a new reader": topic("membership.events", readers=["invites", "billing", "notifier", "console", "audit"]),
    "a new writer": topic("invites.commands", writers=["console", "gateway"]),
    "a new topic": lambda contracts: contracts["topics"].update(
        {"audit.events": contracts["topics"]["notifier.events"] | {"messages": {}}}
    ),
}


@pytest.mark.parametrize(("change", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_change_is_refused_with_a_sentence_that_tells_what_to_do(
    released: Snapshot, change: Change, sentence: str
) -> None:
    refused = refusals(released, change)

    assert any(sentence in refusal for refusal in refused), refused
    assert all(refusal.endswith(".") and not re.search(r"None:|\{releases", refusal) for refusal in refused)


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
def test_a_right_change_passes(released: Snapshot, change: Change) -> None:
    assert refusals(released, change) == []


@pytest.mark.parametrize("change", RIGHT.values(), ids=RIGHT)
def test_what_passes_is_understood_by_old_readers_and_new(released: Snapshot, change: Change) -> None:
    """Of whatever records there may be: the verdict is not taken on trust."""
    now = changed(released, change)
    pairs = [(then, now.schemas[name]) for name, then in released.schemas.items() if then != now.schemas[name]]
    for pair in pairs:
        for writer, reader in (pair, pair[::-1]):
            assert_understood(writer, reader)


def test_a_change_is_told_once_with_all_the_releases_that_it_hurts(released: Snapshot) -> None:
    releases = [released.model_copy(update={"version": version}) for version in ("1.0.0", "1.1.0", "2.0.0")]
    guests = changed(released, field(JOINED, "role", enum=["owner", "admin", "member", "guest"]))

    (breach,) = breaches(guests, releases)

    assert "readers of 1.0.0, 1.1.0 and 2.0.0 refuse records" in str(breach)


def test_a_change_that_hurts_only_an_old_release_is_refused_too(released: Snapshot) -> None:
    """A field that came and went in between: its name is taken for ever."""
    with_team = changed(released, new_field(JOINED, "team", TEXT | {"default": ""})).model_copy(
        update={"version": "1.1.0"}
    )
    later = changed(released, new_field(JOINED, "team", {"type": "integer", "default": 0}))

    (first, second) = (str(breach) for breach in breaches(later, [released, with_team]))

    assert first.startswith("`team` of MemberJoined was `` where it is missing, and is `0`")
    assert second.startswith("`team` of MemberJoined was a text and is an integer: readers of 1.1.0 refuse records")


def test_what_the_gate_has_no_words_for_is_refused_all_the_same(released: Snapshot) -> None:
    """Where readers of old took no other fields, a new one hurts them, though it is optional."""
    strict = changed(released, lambda contracts: contracts["schemas"][JOINED].update(additionalProperties=False))
    later = changed(released, new_field(JOINED, "team", TEXT | {"default": ""}))

    (breach,) = breaches(later, [strict])

    assert str(breach).startswith("MemberJoined is not understood alike: readers of now refuse records")


@pytest.mark.parametrize(
    ("then", "now", "told"),
    [
        (
            {"type": "object", "additionalProperties": ID},
            {"type": "object", "additionalProperties": ADDRESS},
            "`by.*` of MemberJoined had the format `uuid` and has the format `email`",
        ),
        (
            {"type": "object", "additionalProperties": {"type": "array", "items": ID}},
            {"type": "object", "additionalProperties": {"type": "array", "items": ADDRESS}},
            "`by.*[]` of MemberJoined had the format `uuid` and has the format `email`",
        ),
        (
            {"anyOf": [ID, TEXT]},
            {"anyOf": [ADDRESS, TEXT]},
            "`by` of MemberJoined is not understood alike",
        ),
        (
            {"anyOf": [{"type": "array", "items": ID}, {"type": "array", "items": TEXT}]},
            {"anyOf": [{"type": "array", "items": ADDRESS}, {"type": "array", "items": TEXT}]},
            "`by` of MemberJoined is not understood alike",
        ),
    ],
    ids=["in a mapping", "in lists in a mapping", "in one of two texts", "in one of two lists"],
)
def test_a_form_that_changes_deep_inside_is_refused(
    released: Snapshot, then: dict[str, Any], now: dict[str, Any], told: str
) -> None:
    before = changed(released, new_field(JOINED, "by", then))

    (breach,) = breaches(changed(released, new_field(JOINED, "by", now)), [before])

    assert str(breach).startswith(f"{told}: readers of now refuse records that are written now, and records of now")


def test_the_order_of_what_a_field_may_be_is_no_difference(released: Snapshot) -> None:
    before = changed(released, new_field(JOINED, "by", {"anyOf": [ID, TEXT]}))

    assert breaches(changed(released, new_field(JOINED, "by", {"anyOf": [TEXT, ID]})), [before]) == ()


def test_what_nobody_reads_any_more_may_be_retired_with_a_reason(released: Snapshot) -> None:
    assert refusals(released, without_message(JOINED), JOINED) == []
    assert refusals(released, lambda contracts: contracts["topics"].pop("accounts.events"), "accounts.events") == []
    without_notifier = topic("membership.events", readers=["invites", "billing", "console"])
    assert refusals(released, without_notifier, "notifier reads membership.events") == []


def test_nothing_is_retired_that_is_still_there_or_never_was(released: Snapshot) -> None:
    (there,) = refusals(released, RIGHT["nothing"], JOINED)
    (never,) = refusals(released, RIGHT["nothing"], "io.carolinacloud.member.joint.v1")

    assert there.startswith(f"`{JOINED}` is retired and still there: it cannot be both.")
    assert never.startswith("`io.carolinacloud.member.joint.v1` is retired, and no release had it")


def test_a_record_of_what_is_retired_says_why() -> None:
    with pytest.raises(ValueError, match="reason"):
        Retired(what=JOINED, since="1.1.0", reason="")


def test_every_earlier_release_can_live_with_what_there_is_now() -> None:
    refused = [str(breach) for breach in breaches(snapshot(TOPICS), earlier(), retired())]

    assert not refused, "\n".join(refused)


def assert_understood(writer: JsonSchema, reader: JsonSchema) -> None:
    @settings(max_examples=20, database=None, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(record=records(writer))
    def is_read(record: Any) -> None:
        Draft202012Validator(reader).validate(record)

    is_read()


def _renamed_definition(schema: dict[str, Any]) -> None:
    schema["$defs"]["Share"] = schema["$defs"].pop("SourceShare")
    schema["properties"]["shares"]["items"]["$ref"] = "#/$defs/Share"
