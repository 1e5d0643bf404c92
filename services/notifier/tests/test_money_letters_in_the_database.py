"""Letters about money on a real PostgreSQL and over SMTP: once, with the right card, and not when overtaken."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from notifier_facts import (
    CARD,
    MEMBER,
    MONEY,
    NOW,
    OWNER,
    PAYMENT,
    card_attached,
    card_declined,
    card_detached,
    context,
    created,
    erased,
    exhausted,
    issued,
    low,
    profile,
    restored,
    superseded,
    topped_up,
    usage_charged,
)
from notifier_mailbox import Mailbox
from notifier_office import Office, new_id
from notifier_reading import text_of
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from contracts import LetterSent, Message
from notifier.domain import MoneyFact, Patience
from notifier.handlers import REACTIONS
from notifier.store import LetterStore

EVERYBODY: tuple[Message, ...] = (created(), profile(MEMBER), profile(OWNER))


@pytest.mark.parametrize("fact", MONEY.values())
async def test_a_letter_about_money_leaves_once_and_is_told_with_its_fact(
    office: Office, mailbox: Mailbox, fact: MoneyFact
) -> None:
    await office.hand_in(*EVERYBODY)
    cause = str(new_id())
    for _ in range(2):
        await office.hand_in(fact, ce_id=cause)
        await office.deliver()

    row = await office.letter()
    (told,) = await office.told()
    assert isinstance(told.fact, LetterSent)
    assert (told.fact.kind, told.fact.cause_id, told.fact.cause_key) == (row.kind, cause, fact.partition_key)
    assert (told.key, told.fact.recipient_id) == (str(fact.partition_key), row.recipient_id)
    (letter,) = mailbox.letters
    assert letter["Message-ID"] == f"<{row.letter_id}@latchkey.example>"


@pytest.mark.parametrize("fact", MONEY.values())
async def test_a_letter_about_money_is_not_made_again_by_a_fact_that_the_inbox_does_not_know(
    office: Office, engine: AsyncEngine, mailbox: Mailbox, fact: MoneyFact
) -> None:
    await office.hand_in(*EVERYBODY)
    store = LetterStore(Patience())
    for _ in range(2):
        async with engine.begin() as connection:
            post = await store.load(connection, [fact])
            REACTIONS[type(fact)](fact, post, context(ce_id="the same"))
            await store.save(connection, post)
        await office.deliver()
    assert (len(mailbox.letters), await office.states()) == (1, ["sent"])


async def test_a_letter_about_money_is_kept_with_its_fact(office: Office, mailbox: Mailbox) -> None:
    mailbox.to_rcpt.append("451 Later")
    await office.hand_in(*EVERYBODY, topped_up(balance=2**53 + 1))
    await office.deliver()
    office.clock.passes(timedelta(seconds=2))
    await office.deliver()
    (letter,) = mailbox.letters
    for line in (
        "Amount: $50.00",
        "Credit after it: $9,007,199,254.740993",
        "Paid on: Monday, 2 March 2026 at 09:00 UTC",
        f"Receipt number: {PAYMENT}",
    ):
        assert line in text_of(letter).splitlines()


@pytest.mark.parametrize(
    "last", [*EVERYBODY], ids=["the organization's name", "the member's profile", "the owner's profile"]
)
async def test_letters_about_money_wait_for_what_another_topic_brings(office: Office, last: Message) -> None:
    await office.hand_in(*MONEY.values(), *(each for each in EVERYBODY if each != last))
    assert "waiting" in await office.states()
    await office.hand_in(last)
    assert "waiting" not in await office.states()


async def test_who_put_the_card_on_file_is_told_which_card_it_is(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(*EVERYBODY, card_attached("pm_first", 2, "0341"))
    await office.hand_in(card_attached(CARD, 3, "4242"), card_attached("pm_own", 1, "1881", **_own(MEMBER)))
    await office.hand_in(card_declined())
    await office.deliver()
    assert mailbox.recipients == [profile(OWNER).address]
    assert "The card of Acme (Visa ending in 4242) was declined" in text_of(mailbox.letters[0])


async def test_an_older_card_does_not_replace_a_newer_one(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(*EVERYBODY, card_attached(CARD, 3, "4242"))
    await office.hand_in(card_attached("pm_first", 2, "0341"))
    await office.hand_in(card_declined())
    await office.deliver()
    assert "ending in 4242" in text_of(mailbox.letters[0])


async def test_a_card_that_is_not_known_is_told_of_without_its_digits(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(*EVERYBODY, card_declined())
    await office.deliver()
    assert text_of(mailbox.letters[0]).startswith("The card of Acme was declined")


@pytest.mark.parametrize("end", [card_attached("pm_newer", 5, "1881"), card_detached(5)], ids=["replaced", "detached"])
async def test_of_a_card_that_is_not_on_file_any_more_nobody_is_told(
    office: Office, mailbox: Mailbox, end: Message
) -> None:
    await office.hand_in(*EVERYBODY, card_attached(), card_declined())
    await office.hand_in(end)
    await office.deliver()
    assert (mailbox.letters, await office.facts(), await office.states()) == ([], [], ["withdrawn"])


async def test_the_card_of_a_person_is_forgotten_with_the_person(office: Office) -> None:
    await office.hand_in(*EVERYBODY, card_attached(), card_attached("pm_own", 1, **_own(MEMBER)))
    assert await office.count("cards") == 2
    await office.hand_in(erased(MEMBER))
    assert await office.count("cards") == 1


@pytest.mark.parametrize("known", [True, False])
async def test_funds_that_are_restored_withdraw_what_has_not_left(
    office: Office, mailbox: Mailbox, known: bool
) -> None:
    await office.hand_in(low(version=7), *(EVERYBODY if known else ()))
    await office.hand_in(exhausted(version=8), exhausted(OWNER, version=8))
    await office.hand_in(restored(version=9))
    await office.hand_in(*EVERYBODY)
    await office.deliver()
    assert mailbox.recipients == [profile(OWNER).address], "whose funds are not restored"
    assert await office.states() == ["sent", "withdrawn", "withdrawn"]
    assert len(await office.facts()) == 1


async def test_a_warning_is_withdrawn_when_nothing_is_left(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(*EVERYBODY, low(version=7))
    await office.hand_in(exhausted(version=8))
    await office.deliver()
    (letter,) = mailbox.letters
    assert letter["Subject"] == "Your instances on Latchkey are told to stop"


async def test_funds_restored_that_come_late_withdraw_nothing_newer(office: Office, mailbox: Mailbox) -> None:
    """A dead letter that is handed in again."""
    await office.hand_in(*EVERYBODY, exhausted(version=8))
    await office.hand_in(restored(version=6))
    await office.deliver()
    assert await office.states() == ["sent"]


async def test_exhausted_again_is_told_again(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(*EVERYBODY, exhausted(version=8))
    await office.deliver()
    await office.hand_in(restored(version=9), exhausted(version=12))
    await office.deliver()
    assert (len(mailbox.letters), await office.states()) == (2, ["sent", "sent"])


async def test_a_warning_does_not_leave_after_what_it_warns_of(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(*EVERYBODY, low(exhausted_by=NOW + timedelta(minutes=30)))
    await office.time_passes(timedelta(minutes=30))
    await office.deliver()
    assert (mailbox.letters, await office.facts(), await office.states()) == ([], [], ["withdrawn"])


async def test_links_and_news_of_funds_are_withdrawn_in_one_statement(engine: AsyncEngine, office: Office) -> None:
    """Rows are locked in the order of the letters' ids, or two transactions could wait for each other."""
    await office.hand_in(*EVERYBODY, issued(), exhausted(version=8))
    statements = _noting(engine)
    await office.hand_in(superseded(), restored(version=9))
    assert len([statement for statement in statements if "'withdrawn'" in statement]) == 1
    assert await office.states() == ["withdrawn", "withdrawn"]


async def test_usage_is_skipped_without_being_read_or_brought_to_the_database(
    office: Office, engine: AsyncEngine
) -> None:
    """There are thousands a second, and none of them is written about."""
    statements = _noting(engine)
    await office.hand_in(*(usage_charged(new_id()) for _ in range(500)))
    assert statements == []
    assert await office.count("postroom_inbox") == 0


async def test_two_hundred_accounts_whose_funds_are_exhausted_are_as_many_statements_as_one(
    engine: AsyncEngine,
) -> None:
    store = LetterStore(Patience())
    counts = []
    for accounts in (1, 200):
        statements = _noting(engine)
        batch: list[Message] = [make(new_id()) for make in _FUNDS for _ in range(accounts)]
        async with engine.begin() as connection:
            post = await store.load(connection, batch)
            for message in batch:
                REACTIONS[type(message)](message, post, context())
            await store.save(connection, post)
        counts.append(len(statements))
    assert counts[0] == counts[1] == 4, "profiles, names, what is overtaken, the letters"


_FUNDS: tuple[Callable[..., Message], ...] = (low, exhausted)


def _own(account_id: UUID) -> dict[str, Any]:
    return {"payer_kind": "account", "payer_id": account_id, "attached_by": account_id}


def _noting(engine: AsyncEngine) -> list[str]:
    """From now on, what the database is asked."""
    statements: list[str] = []

    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    return statements
