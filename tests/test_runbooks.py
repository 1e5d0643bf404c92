"""The runbooks: what they tell somebody to type works, and what they name is there."""

import re
import shlex
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import yaml
from pages_for_operators import FOLDER, PAGES, RUNBOOKS, SERVICES, blocks, sql_about, with_values

from contracts import (
    ACCOUNTS_PROFILES,
    INVITES_EVENTS,
    MEMBERSHIP_EVENTS,
    TOPICS,
    AccountErased,
    AccountProfile,
    InvitationAccepted,
    MemberJoined,
    Message,
    Topic,
)
from postroom.cli import _parser
from postroom.envelope import NotForUs, Reader, Received
from postroom.migrations import migrate
from postroom.record import StoredRecord
from postroom.relay import PostgresOutbox

ONE_SCREEN = 70
"""Lines."""
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
async def database(make_database: Callable[[], str], service: str) -> AsyncIterator["asyncpg.Connection[Any]"]:
    """A service's database, in the newest version."""
    url = make_database()
    await migrate(service, url)
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_every_block_of_sql_runs(database: "asyncpg.Connection[Any]", service: str) -> None:
    for block in blocks("sql"):
        if service in block.services:
            try:
                await database.execute(with_values(block.text))
            except asyncpg.PostgresError as error:
                pytest.fail(f"{block.page}: {error}\n{block.text}")


# --- what is put into the outbox by hand is as if the service had told it


@pytest.mark.parametrize("service", ["console"])
async def test_who_is_erased_is_gone_from_console_and_told_of(
    database: "asyncpg.Connection[Any]", service: str
) -> None:
    account_id = await an_account(database)
    kept = await an_account(database)

    await database.execute(with_values(sql_about("erasure-request", "console"), account_id=account_id))

    assert [row["account_id"] for row in await database.fetch("SELECT account_id FROM accounts")] == [kept]
    [told] = await heard(database, "notifier", ACCOUNTS_PROFILES)
    assert told == AccountErased(account_id=account_id)


@pytest.mark.parametrize("service", ["console"])
async def test_profiles_can_be_published_again(database: "asyncpg.Connection[Any]", service: str) -> None:
    account_id = await an_account(database)

    await database.execute(sql_about("broker-data-loss", "console"))

    [told] = await heard(database, "invites", ACCOUNTS_PROFILES)
    assert told == AccountProfile(
        account_id=account_id, version=3, address="someone@example.com", name="Some “One”", verified=True
    )


@pytest.mark.parametrize("service", ["invites"])
async def test_acceptances_that_nobody_has_decided_can_be_published_again(
    database: "asyncpg.Connection[Any]", service: str
) -> None:
    invitation_id, organization_id, account_id, inviter_id = (uuid4() for _ in range(4))
    for state, accepted_by, of in (("accepting", account_id, invitation_id), ("pending", None, uuid4())):
        await database.execute(
            "INSERT INTO invitations (id, organization_id, address, address_normalized, code_digest, inviter_id, state,"
            " version, issued_at, expires_at, accepted_by) VALUES ($1, $2, $3, $3, $3, $4, $5, 2, $6, $7, $8)",
            *(
                of,
                organization_id,
                f"{state}@example.com",
                inviter_id,
                state,
                NOW,
                NOW + timedelta(days=7),
                accepted_by,
            ),
        )

    await database.execute(sql_about("broker-data-loss", "invites"))

    [told] = await heard(database, "membership", INVITES_EVENTS)
    assert isinstance(told, InvitationAccepted)
    assert (told.organization_id, told.invitation_id, told.version) == (organization_id, invitation_id, 2)
    assert (told.account_id, told.inviter_id) == (account_id, inviter_id)


@pytest.mark.parametrize("service", ["membership"])
async def test_members_can_be_told_of_again_but_to_nobody_who_would_write_to_them(
    database: "asyncpg.Connection[Any]", service: str
) -> None:
    organization_id, account_id, membership_id, invitation_id = (uuid4() for _ in range(4))
    await database.execute(
        "INSERT INTO organizations (organization_id, name, folded_name, version, created_at)"
        " VALUES ($1, 'Example', 'example', 7, $2)",
        *(organization_id, NOW),
    )
    await database.execute(
        "INSERT INTO members (membership_id, organization_id, account_id, role, invitation_id, joined_at)"
        " VALUES ($1, $2, $3, 'member', $4, $5)",
        *(membership_id, organization_id, account_id, invitation_id, NOW),
    )

    await database.execute(sql_about("broker-data-loss", "membership"))

    for reader in ("invites", "billing", "console"):
        [told] = await heard(database, reader, MEMBERSHIP_EVENTS)
        assert told == MemberJoined(
            organization_id=organization_id,
            version=7,
            account_id=account_id,
            membership_id=membership_id,
            role="member",
            invitation_id=invitation_id,
            inviter_id=None,
            joined_at=NOW,
        )
    assert await heard(database, "notifier", MEMBERSHIP_EVENTS) == []


async def an_account(database: "asyncpg.Connection[Any]") -> UUID:
    account_id = uuid4()
    await database.execute(
        "INSERT INTO accounts (account_id, address, address_normalized, name, password_hash, version, created_at,"
        " proven_at) VALUES ($1, 'someone@example.com', $2, 'Some “One”', '', 3, $3, $3)",
        *(account_id, f"{account_id}@example.com", NOW),
    )
    return account_id


async def heard(database: "asyncpg.Connection[Any]", reader: str, topic: Topic) -> list[Message]:
    """What a reader of the topic would understand of the outbox; its headers are all that it can ask for."""
    await PostgresOutbox.prepare(database)
    understood = Reader(reader, [topic], dict.fromkeys([*topic.messages, *filter(None, [topic.tombstone])]))
    messages: list[Message] = []
    for row in await PostgresOutbox(database).oldest(100):
        record = row.record
        assert record.topic == topic.name
        stored = StoredRecord(record.topic, 0, row.id, 0, record.key, record.value, record.headers)
        try:
            received = understood.read(stored)
        except NotForUs:
            continue
        assert isinstance(received, Received)
        assert record.key == str(received.message.partition_key).encode()
        assert dict(record.headers)["ce_type"] == type(received.message).ce_type.encode()
        assert received.correlation_id == received.ce_id
        UUID(received.ce_id)
        messages.append(received.message)  # type: ignore[arg-type]
    return messages


# --- what the pages name


def test_every_command_of_postroom_is_one() -> None:
    commands = [
        command
        for page in PAGES
        for command in re.findall(r"python -m postroom ([^`\n|#]+)", page.read_text(encoding="utf-8"))
    ]
    assert commands
    for command in commands:
        if "..." not in command and "/" not in command.split()[0]:
            _parser().parse_args(shlex.split(command.replace("<topic>", "a.b.dlt")))


def test_every_metric_is_one_of_those_that_there_are() -> None:
    known = set(re.findall(r"^\| `(\w+)`", (FOLDER / "observability.md").read_text(encoding="utf-8"), re.MULTILINE))
    assert known
    for page in PAGES:
        named = re.findall(r"`((?:postroom|latchkey|messaging|db_client|http_server)_\w+)", page.read_text("utf-8"))
        unknown = set(named) - known - {"postroom_outbox", "postroom_inbox", "postroom_deferred"}
        assert not unknown, page.name


def test_every_alert_is_one_and_has_its_runbook(repository: Path) -> None:
    rules = yaml.safe_load((repository / "deploy/observability/alerts.yml").read_text(encoding="utf-8"))
    alerts = {rule["alert"]: rule["annotations"] for group in rules["groups"] for rule in group["rules"]}
    index = (FOLDER / "runbooks" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(Latchkey\w+)`", index)) == set(alerts)
    for name, annotations in alerts.items():
        runbook = repository / annotations["runbook_url"]
        assert name in runbook.read_text(encoding="utf-8"), f"{runbook.name} does not speak of {name}"
    for page in PAGES:
        assert set(re.findall(r"`(Latchkey\w+)`", page.read_text(encoding="utf-8"))) <= set(alerts), page.name


@pytest.mark.parametrize(
    "line",
    [
        "relay begins again",
        "partitions assigned",
        "database is away",
        "task begins again",
        "delivery waits",
        "message is a dead letter",
        "the books do not balance",
        "payment waits",
    ],
)
def test_every_line_of_a_log_that_is_named_is_written_somewhere(line: str, repository: Path) -> None:
    assert any(f"`{line}" in page.read_text(encoding="utf-8") for page in PAGES), "no page names it"
    code = [*repository.glob("postroom/postroom/*.py"), *repository.glob("services/*/[a-z]*/**/*.py")]
    assert any(line in path.read_text(encoding="utf-8") for path in code)


def test_every_setting_that_is_named_is_one() -> None:
    known = set(re.findall(r"^\| `(\w+)`", (FOLDER / "settings.md").read_text(encoding="utf-8"), re.MULTILINE))
    for page in PAGES:
        prose = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b", prose))
        assert named <= known | {"SECRETS_DIR", "SASL_SSL"}, page.name


def test_every_topic_that_is_named_is_one() -> None:
    known = {topic.name for topic in TOPICS}
    known |= {f"{topic.name}.{reader}.dlt" for topic in TOPICS for reader in topic.readers}
    owners = "|".join({topic.name.split(".")[0] for topic in TOPICS})
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = set(re.findall(rf"\b((?:{owners})\.(?:commands|events|profiles|usage)(?:\.\w+\.dlt)?)\b", text))
        assert named <= known, page.name


def test_each_runbook_fits_a_screen_and_is_in_the_index() -> None:
    index = (FOLDER / "runbooks" / "README.md").read_text(encoding="utf-8")
    for runbook in RUNBOOKS:
        assert len(runbook.read_text(encoding="utf-8").splitlines()) <= ONE_SCREEN, runbook.name
        assert runbook.name == "README.md" or f"({runbook.name})" in index, runbook.name


def test_every_link_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
