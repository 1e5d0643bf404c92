"""notifier on a real PostgreSQL: what waits, what is remembered, for how long, and who wins when several are at it."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from notifier_facts import (
    ABOUT_ACCOUNTS,
    ACCOUNTS_KEY,
    ACME,
    CHALLENGE,
    CODE_EXPIRY,
    ENDS,
    EXPIRY,
    INVITATION,
    MEMBER,
    NOW,
    OWNER,
    accepted,
    context,
    created,
    erased,
    expiring,
    issued,
    joined,
    password_changed,
    profile,
    proof_requested,
    reset_requested,
)
from notifier_mailbox import Mailbox
from notifier_office import Office, new_id
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from contracts import LetterFailed, Message, code_digest, mailbox_code, reset_code
from notifier.counts import read_letters
from notifier.domain import Patience
from notifier.handlers import REACTIONS
from notifier.store import LetterStore

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


async def test_a_letter_is_kept_with_what_is_needed_to_write_it(office: Office) -> None:
    await office.hand_in(issued(), ce_id="019cadc6-9a89-7522-b57a-03bd23280224")
    row = await office.letter()
    assert (row.kind, row.state, row.attempts, row.due_at) == ("invitation", "queued", 0, NOW)
    assert (row.cause_id, row.organization_id, row.invitation_id) == (
        "019cadc6-9a89-7522-b57a-03bd23280224",
        ACME,
        INVITATION,
    )
    assert (row.address, row.person_id, row.person_name) == ("new.member@example.com", OWNER, "Ada Owner")
    assert (row.expires_at, row.overtime_at, row.ended_at) == (EXPIRY, NOW + timedelta(days=3), None)


async def test_letters_that_have_not_ended_are_counted_by_what_they_wait_for(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(issued(), issued(new_id(), "other@example.com"))
    await office.deliver()
    await office.hand_in(issued(new_id(), "third@example.com"), joined())
    office.clock.passes(timedelta(seconds=5))

    async with office.engine.connect() as connection:
        number, oldest = await read_letters(connection, office.clock())
    counted = {sample.labels["state"]: sample.value for sample in number.samples}
    ages = {sample.labels["state"]: sample.value for sample in oldest.samples}
    assert counted == {"waiting": 2, "queued": 1, "sending": 0}, "the two that have left are over"
    assert ages == {"waiting": 5, "queued": 5, "sending": 0}


async def test_a_letter_with_a_code_is_kept_with_the_challenge_alone(office: Office) -> None:
    await office.hand_in(profile(MEMBER), proof_requested())
    row = await office.letter()
    assert (row.kind, row.state, row.recipient_id, row.challenge_id) == ("mailbox_code", "queued", MEMBER, CHALLENGE)
    assert (row.organization_id, row.invitation_id, row.address, row.person_id) == (None, None, None, None)
    assert (row.expires_at, row.overtime_at) == (CODE_EXPIRY, CODE_EXPIRY)


@pytest.mark.parametrize("about", ABOUT_ACCOUNTS)
async def test_a_letter_about_an_account_waits_for_its_profile_alone(
    office: Office, about: Callable[[], Message]
) -> None:
    await office.hand_in(about())
    assert await office.states() == ["waiting"]

    await office.hand_in(profile(new_id()), created())
    await office.time_passes(timedelta(seconds=1))
    assert await office.states() == ["waiting"], "what others bring, does not help it"

    await office.hand_in(profile(MEMBER))
    assert await office.states() == ["queued"]


async def test_a_letter_about_an_account_is_found_by_and_by_where_its_profile_came_at_once_with_it(
    office: Office, engine: AsyncEngine
) -> None:
    store = LetterStore(Patience())
    async with engine.connect() as here, engine.connect() as there:
        mine: list[Message] = [proof_requested()]
        theirs: list[Message] = [profile(MEMBER)]
        both = [(here, mine, await store.load(here, mine)), (there, theirs, await store.load(there, theirs))]
        for connection, messages, post in both:
            for message in messages:
                REACTIONS[type(message)](message, post, context())
            await store.save(connection, post)
        await here.commit()
        await there.commit()
    assert await office.states() == ["waiting"]

    await office.time_passes(timedelta(seconds=1))
    assert await office.states() == ["queued"]


@pytest.mark.parametrize("known", [True, False])
async def test_a_code_is_not_sent_when_its_time_is_over(office: Office, mailbox: Mailbox, known: bool) -> None:
    await office.hand_in(reset_requested(), *([profile(MEMBER)] if known else []))
    await office.time_passes(CODE_EXPIRY - NOW)
    await office.deliver()
    assert (await office.states(), await office.facts(), mailbox.letters) == (["withdrawn"], [], [])


async def test_news_about_an_account_that_is_never_known_have_failed(office: Office) -> None:
    await office.hand_in(password_changed())
    await office.time_passes(timedelta(hours=24))
    (told,) = await office.told()
    assert isinstance(told.fact, LetterFailed)
    assert (told.key, told.fact.organization_id) == (str(MEMBER), None)


@pytest.mark.parametrize("last", [profile(MEMBER), profile(OWNER), created()], ids=["member", "inviter", "name"])
async def test_letters_wait_for_what_another_topic_brings(office: Office, last: Message) -> None:
    everything: list[Message] = [profile(MEMBER), profile(OWNER), created()]
    await office.hand_in(joined())
    await office.hand_in(*(message for message in everything if type(message) is not type(last) or message != last))
    assert "waiting" in await office.states()

    await office.hand_in(last)
    assert await office.states() == ["queued", "queued"]


async def test_an_invitation_brings_the_name_that_letters_wait_for(office: Office) -> None:
    await office.hand_in(profile(MEMBER), profile(OWNER), joined())
    await office.hand_in(issued(new_id()))
    assert await office.states() == ["queued", "queued", "queued"]


async def test_letters_that_are_complete_are_found_by_and_by_where_two_were_at_it_at_once(
    office: Office, engine: AsyncEngine
) -> None:
    """Neither of two transactions sees what the other one brings."""
    store = LetterStore(Patience())
    async with engine.connect() as here, engine.connect() as there:
        mine: list[Message] = [created(), joined(inviter_id=None)]
        theirs: list[Message] = [profile(MEMBER)]
        both = [(here, mine, await store.load(here, mine)), (there, theirs, await store.load(there, theirs))]
        for connection, messages, post in both:
            for message in messages:
                REACTIONS[type(message)](message, post, context())
            await store.save(connection, post)
        await here.commit()
        await there.commit()
    assert await office.states() == ["waiting"]

    await office.time_passes(timedelta(seconds=1))
    assert await office.states() == ["queued"]


async def test_a_letter_that_waits_for_more_than_a_day_has_failed(office: Office) -> None:
    await office.hand_in(profile(MEMBER), joined(inviter_id=None))
    await office.time_passes(timedelta(hours=23, minutes=59))
    assert await office.states() == ["waiting"]

    await office.time_passes(timedelta(minutes=1))
    (told,) = await office.told()
    row = await office.letter()
    assert isinstance(told.fact, LetterFailed)
    assert (told.fact.letter_id, told.fact.attempts) == (row.letter_id, 0)
    assert (told.causation_id, told.correlation_id) == (row.cause_id, row.correlation_id)
    assert row.state == "failed"


async def test_a_letter_that_has_waited_may_be_tried_as_long_as_any_other(office: Office) -> None:
    await office.hand_in(profile(MEMBER), joined(inviter_id=None))
    await office.time_passes(timedelta(hours=23))
    await office.hand_in(created())
    assert (await office.letter()).overtime_at == NOW + timedelta(days=3)


async def test_the_same_fact_makes_one_letter_however_often_it_comes(office: Office) -> None:
    ce_id = str(new_id())
    await office.hand_in(issued(), ce_id=ce_id)
    await office.hand_in(issued(), ce_id=ce_id)
    assert len(await office.letters()) == 1


async def test_a_letter_is_not_made_again_by_a_fact_that_the_inbox_does_not_know(
    office: Office, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    """A dead letter that is handed in again has the id of its fact, and an inbox row of its own."""
    store = LetterStore(Patience())
    for _ in range(2):
        async with engine.begin() as connection:
            post = await store.load(connection, [issued()])
            REACTIONS[type(issued())](issued(), post, context(ce_id="the same"))
            await store.save(connection, post)
        await office.deliver()
    assert (len(mailbox.letters), await office.states()) == (1, ["sent"])


async def test_twenty_deliveries_at_once_make_one_letter(office: Office) -> None:
    await office.hand_in_at_once(*(issued(new_id()) for _ in range(20)))
    assert len(await office.letters()) == 20
    await office.hand_in_at_once(*(joined() for _ in range(20)))
    assert len(await office.letters()) == 60


@pytest.mark.parametrize("end", ENDS)
async def test_letters_with_a_dead_link_are_withdrawn_and_others_are_not(
    office: Office, end: Callable[..., Message]
) -> None:
    other = new_id()
    await office.hand_in(created(), profile(MEMBER), profile(OWNER))
    await office.hand_in(issued(), expiring(), issued(other), joined())
    await office.hand_in(end())
    states = {(row.kind, row.invitation_id): row.state for row in await office.letters()}
    assert states == {
        ("invitation", INVITATION): "withdrawn",
        ("reminder", INVITATION): "withdrawn",
        ("invitation", other): "queued",
        ("welcome", INVITATION): "queued",
        ("has_joined", INVITATION): "queued",
    }


async def test_who_has_accepted_is_not_reminded(office: Office) -> None:
    await office.hand_in(issued(), expiring())
    await office.hand_in(accepted())
    assert {row.kind: row.state for row in await office.letters()} == {"invitation": "queued", "reminder": "withdrawn"}


async def test_a_fact_that_comes_after_the_end_makes_no_letter(office: Office) -> None:
    await office.hand_in(ENDS[1]())
    await office.hand_in(issued())
    assert await office.letters() == []


async def test_an_ended_letter_names_nobody_and_holds_no_address(office: Office, mailbox: Mailbox) -> None:
    mailbox.to_rcpt.append("550 No")
    await office.hand_in(issued())
    await office.deliver()
    await office.hand_in(issued(new_id()))
    await office.deliver()
    withdrawn = new_id()
    await office.hand_in(issued(withdrawn))
    await office.hand_in(ENDS[0](withdrawn))
    rows = await office.letters()
    assert sorted(row.state for row in rows) == ["bounced", "sent", "withdrawn"]
    assert {(row.address, row.person_name) for row in rows} == {(None, None)}


async def test_an_erased_person_leaves_an_id_and_nothing_else(office: Office) -> None:
    await office.hand_in(profile(MEMBER, "Mem Ber"))
    await office.hand_in(erased(MEMBER))
    await office.hand_in(profile(MEMBER, "Mem Ber", version=2))
    async with office.engine.connect() as connection:
        (row,) = (await connection.exec_driver_sql("SELECT account_id, address, name FROM profiles")).all()
    assert tuple(row) == (MEMBER, None, None)


async def test_an_older_profile_does_not_replace_a_newer_one(office: Office) -> None:
    await office.hand_in(profile(MEMBER, "Newer", version=2))
    await office.hand_in(profile(MEMBER, "Older", version=1))
    async with office.engine.connect() as connection:
        assert (await connection.exec_driver_sql("SELECT name FROM profiles")).scalar_one() == "Newer"


async def test_ended_letters_and_invitations_are_forgotten_after_35_days(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(created(), profile(MEMBER), joined(inviter_id=None), ENDS[0](new_id()))
    await office.deliver()
    await office.time_passes(timedelta(days=34))
    assert (await office.count("letters"), await office.count("ended_invitations")) == (1, 1)

    await office.time_passes(timedelta(days=2))
    assert (await office.count("letters"), await office.count("ended_invitations")) == (0, 0)


async def test_news_that_are_delivered_again_when_their_letter_is_forgotten_make_no_letter(office: Office) -> None:
    await office.hand_in(created(), profile(MEMBER), joined(inviter_id=None))
    await office.deliver()
    await office.time_passes(timedelta(days=36))
    await office.hand_in(joined(inviter_id=None), issued())
    assert await office.letters() == []


async def test_no_table_holds_a_code(office: Office, engine: AsyncEngine, mailbox: Mailbox) -> None:
    mailbox.to_rcpt.append("451 Later")
    await office.hand_in(issued())
    await office.deliver()
    async with engine.connect() as connection:
        for table in ("letters", "postroom_outbox", "postroom_inbox", "ended_invitations"):
            rows = (await connection.exec_driver_sql(f"SELECT CAST(t AS text) FROM {table} AS t")).scalars().all()
            assert not [row for row in rows if "org-invite" in row or office.code(INVITATION) in row]


async def test_no_table_and_no_log_holds_an_account_s_code_or_its_digest(
    office: Office, engine: AsyncEngine, mailbox: Mailbox
) -> None:
    mailbox.to_rcpt.extend(["451 Later", "550 No"])
    await office.hand_in(profile(MEMBER), proof_requested(), reset_requested())
    with capture_logs() as logs:
        await office.deliver(smtp_connections=1)
    assert await office.states() == ["bounced", "queued"]
    code, reset = mailbox_code(ACCOUNTS_KEY, CHALLENGE), reset_code(ACCOUNTS_KEY, CHALLENGE)
    # Six digits may also be a part of some id: the code stands by itself.
    usable = re.compile(rf"(?<![0-9a-f]){code}(?![0-9a-f])|{reset}|{code_digest(code)}|password-reset")
    assert usable.search(f"the code {code}")
    assert logs
    assert not usable.search(str(logs))
    async with engine.connect() as connection:
        tables = (await connection.exec_driver_sql(_TABLES)).scalars().all()
        assert {"letters", "postroom_outbox", "postroom_inbox"} <= set(tables)
        for table in tables:
            rows = (await connection.exec_driver_sql(f"SELECT CAST(t AS text) FROM {table} AS t")).scalars().all()
            assert not [row for row in rows if usable.search(row)]


async def test_two_hundred_joinings_are_two_statements_to_load_and_one_to_save(engine: AsyncEngine) -> None:
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    store = LetterStore(Patience())
    batch: list[Message] = [joined(new_id()) for _ in range(200)]
    event.listen(engine.sync_engine, "before_cursor_execute", note)
    async with engine.begin() as connection:
        post = await store.load(connection, batch)
        for message in batch:
            REACTIONS[type(message)](message, post, context())
        await store.save(connection, post)
    assert [" ".join(statement.split()[:3]) for statement in statements] == [
        "SELECT account_id, version,",
        "SELECT organization_id, name",
        "INSERT INTO letters",
    ]
