"""Delivery to a real mail server over SMTP, from a real database, with the faults that happen."""

import asyncio
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from notifier_facts import (
    ABOUT_ACCOUNTS,
    ACCOUNTS_KEY,
    ACME,
    CHALLENGE,
    ENDS,
    INVITATION,
    LINK_KEY,
    MEMBER,
    NOW,
    OWNER,
    created,
    erased,
    issued,
    joined,
    profile,
    proof_requested,
    reset_requested,
)
from notifier_mailbox import DROP, HANG, Mailbox
from notifier_office import Office, new_id

from contracts import LetterBounced, LetterFailed, LetterSent, Message, link_code, mailbox_code, reset_code
from postroom import tracing

SECOND = timedelta(seconds=1)


class Naming:
    """A tracer that keeps the names of spans, and nothing else."""

    traceparent = None

    def __init__(self, names: list[str]) -> None:
        self._names = names

    @contextmanager
    def span(self, name: str, **_: object) -> Iterator["Naming"]:
        self._names.append(name)
        yield self

    def note(self, attributes: object) -> None: ...


async def test_an_invitation_goes_to_the_invited_address_with_its_link(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(issued())
    await office.deliver()

    (letter,) = mailbox.letters
    assert mailbox.recipients == ["new.member@example.com"]
    body = letter.get_body(("plain",))
    assert body is not None
    link = re.search(r"https://console\.example\.com/org-invite/([\w-]{43})/", body.get_content())
    assert link is not None
    assert link[1] == link_code(LINK_KEY, INVITATION)


async def test_a_letter_that_has_left_is_told_with_the_fact_that_it_is_about(office: Office, mailbox: Mailbox) -> None:
    cause = str(new_id())
    await office.hand_in(issued(), ce_id=cause)
    await office.deliver()

    (told,) = await office.told()
    row = await office.letter()
    assert isinstance(told.fact, LetterSent)
    assert (told.fact.letter_id, told.fact.kind, told.fact.attempts) == (row.letter_id, "invitation", 1)
    assert (told.fact.cause_id, told.fact.cause_key, told.fact.organization_id) == (cause, ACME, ACME)
    assert (told.fact.invitation_id, told.fact.recipient_id, told.fact.sent_at) == (INVITATION, None, NOW)
    assert (told.key, told.causation_id, told.correlation_id) == (str(ACME), cause, row.correlation_id)
    assert mailbox.idempotency_keys == [str(row.letter_id)]


async def test_a_joining_is_told_to_the_new_member_and_to_who_invited_them(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(created(), profile(MEMBER, "Mem Ber"), profile(OWNER, "Ada Owner"), joined())
    await office.deliver()

    by_recipient = dict(zip(mailbox.recipients, mailbox.letters, strict=True))
    assert by_recipient[profile(MEMBER).address]["Subject"] == "Welcome to Acme"
    assert by_recipient[profile(OWNER).address]["Subject"] == "Mem Ber has joined Acme"
    assert {(fact.kind, fact.recipient_id) for fact in await office.facts()} == {
        ("welcome", MEMBER),
        ("has_joined", OWNER),
    }


async def test_a_code_goes_to_the_account_s_address_and_is_the_one_that_console_derives(
    office: Office, mailbox: Mailbox
) -> None:
    await office.hand_in(proof_requested(), profile(MEMBER), reset_requested())
    await office.deliver()

    assert set(mailbox.recipients) == {profile(MEMBER).address}
    texts = {letter["Subject"]: letter.get_body(("plain",)) for letter in mailbox.letters}
    proof, reset = texts["Your code for Latchkey"], texts["Set a new password for Latchkey"]
    assert proof is not None
    assert reset is not None
    groups = re.search(r"^ +(\d{3}) (\d{3})\r?$", proof.get_content(), re.MULTILINE)
    assert groups is not None
    assert groups[1] + groups[2] == mailbox_code(ACCOUNTS_KEY, CHALLENGE)
    link = re.search(r"https://console\.example\.com/password-reset/([\w-]{43})/", reset.get_content())
    assert link is not None
    assert link[1] == reset_code(ACCOUNTS_KEY, CHALLENGE)


@pytest.mark.parametrize("about", ABOUT_ACCOUNTS)
async def test_a_letter_about_an_account_is_told_with_the_fact_that_it_is_about(
    office: Office, mailbox: Mailbox, about: Callable[[], Message]
) -> None:
    await office.hand_in(profile(MEMBER))
    cause = str(new_id())
    await office.hand_in(about(), ce_id=cause)
    await office.deliver()

    (told,) = await office.told()
    row = await office.letter()
    assert isinstance(told.fact, LetterSent)
    assert (told.fact.letter_id, told.fact.kind, told.fact.cause_id) == (row.letter_id, row.kind, cause)
    assert (told.fact.cause_key, told.fact.recipient_id) == (MEMBER, MEMBER)
    assert (told.fact.organization_id, told.fact.invitation_id) == (None, None)
    assert (told.key, told.causation_id) == (str(MEMBER), cause)


@pytest.mark.parametrize("about", ABOUT_ACCOUNTS)
async def test_an_account_that_was_erased_since_is_not_written_to(
    office: Office, mailbox: Mailbox, about: Callable[[], Message]
) -> None:
    await office.hand_in(profile(MEMBER), about())
    await office.hand_in(erased(MEMBER))
    await office.deliver()
    assert (mailbox.letters, await office.facts(), await office.states()) == ([], [], ["withdrawn"])


@pytest.mark.parametrize("stage", ["to_rcpt", "to_data"])
async def test_a_letter_that_is_refused_for_good_bounces_at_once(office: Office, mailbox: Mailbox, stage: str) -> None:
    getattr(mailbox, stage).append("550 5.1.1 No such mailbox: new.member@example.com")
    await office.hand_in(issued())
    await office.deliver()

    (fact,) = await office.facts()
    assert isinstance(fact, LetterBounced)
    assert (fact.smtp_code, fact.attempts) == (550, 1)
    assert await office.states() == ["bounced"]
    assert mailbox.letters == []


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("to_rcpt", "451 4.2.1 Try again later"),
        ("to_data", "452 4.3.1 The disk is full"),
        ("to_rcpt", "421 4.3.2 Shutting down"),
        ("to_mail", "451 4.7.1 Greylisted"),
        ("to_mail", "530 5.7.0 Who are you?"),
        ("to_rcpt", DROP),
        ("to_data", DROP),
    ],
)
async def test_a_letter_that_is_put_off_is_tried_again(
    office: Office, mailbox: Mailbox, stage: str, answer: str
) -> None:
    getattr(mailbox, stage).append(answer)
    await office.hand_in(issued())
    await office.deliver()
    assert (await office.states(), mailbox.letters) == (["queued"], [])
    assert (await office.letter()).due_at == NOW + 2 * SECOND

    office.clock.passes(2 * SECOND)
    await office.deliver()
    (fact,) = await office.facts()
    assert isinstance(fact, LetterSent)
    assert fact.attempts == 2
    assert len(mailbox.letters) == 1


async def test_a_server_that_does_not_answer_is_not_waited_for(office: Office, mailbox: Mailbox) -> None:
    mailbox.to_rcpt.append(HANG)
    await office.hand_in(issued())
    await office.deliver(smtp_timeout=timedelta(milliseconds=200))
    assert (await office.states(), (await office.letter()).attempts) == (["queued"], 1)

    office.clock.passes(2 * SECOND)
    await office.deliver()
    assert await office.states() == ["sent"]


async def test_one_hanging_letter_does_not_hold_up_the_others(office: Office, mailbox: Mailbox) -> None:
    mailbox.to_data.append(HANG)
    await office.hand_in(*(issued(new_id(), f"p{n}@example.com") for n in range(30)))
    async with office.delivering(claim_size=3, smtp_timeout=timedelta(seconds=1)):
        await office.until(lambda: _count_is(mailbox, 27))


async def test_the_pauses_double_until_the_letter_has_failed(office: Office, mailbox: Mailbox) -> None:
    mailbox.to_rcpt.extend(["451 Later"] * 4)
    await office.hand_in(issued())
    pauses = []
    for _ in range(3):
        await office.deliver(attempts_per_letter=4)
        pauses.append((await office.letter()).due_at - office.clock.now)
        office.clock.passes(pauses[-1])
    await office.deliver(attempts_per_letter=4)

    assert pauses == [2 * SECOND, 4 * SECOND, 8 * SECOND]
    (fact,) = await office.facts()
    assert isinstance(fact, LetterFailed)
    assert (fact.attempts, fact.reason) == (4, "The mail server put the letter off (451).")
    assert await office.states() == ["failed"]


async def test_a_server_that_is_away_costs_no_attempt(office: Office, mailbox: Mailbox) -> None:
    await mailbox.close()
    await office.hand_in(issued())
    delivery = office.delivery()
    room = office.room()
    working = asyncio.create_task(delivery.deliver(room))
    while delivery.failures < 2:
        await asyncio.sleep(0.005)
    assert ((await office.letter()).state, (await office.letter()).attempts) == ("queued", 0)

    await mailbox.open()
    await office.until(lambda: _count_is(mailbox, 1))
    room.stopping.set()
    await working
    (fact,) = await office.facts()
    assert fact.attempts == 1


async def test_a_letter_that_no_server_would_take_for_three_days_has_failed(office: Office, mailbox: Mailbox) -> None:
    await mailbox.close()
    await office.hand_in(issued())
    await office.time_passes(timedelta(days=2, hours=23))
    assert await office.states() == ["queued"]

    await office.time_passes(timedelta(hours=2))
    (told,) = await office.told()
    assert isinstance(told.fact, LetterFailed)
    assert told.causation_id == told.fact.cause_id
    assert await office.states() == ["failed"]
    assert office.counted() == {"failed": 1}, "an alert hears of it"


async def test_a_crash_after_the_server_took_the_letter_offers_the_same_letter_again(
    office: Office, mailbox: Mailbox
) -> None:
    """Between the server's 250 and our commit; the provider recognizes the second by its key."""
    mailbox.may_answer.clear()
    await office.hand_in(issued())
    crashing = asyncio.create_task(office.delivery().deliver(office.room()))
    await mailbox.taken.wait()
    crashing.cancel()
    await asyncio.gather(crashing, return_exceptions=True)
    mailbox.may_answer.set()
    assert (await office.states(), await office.facts()) == (["sending"], [])

    await office.deliver()
    assert len(mailbox.letters) == 1, "nobody else takes it while the lease lasts"
    office.clock.passes(timedelta(seconds=16))
    await office.deliver()
    first, second = mailbox.letters
    assert first.as_bytes() == second.as_bytes(), "byte by byte"
    assert first["Message-ID"] == second["Message-ID"]
    assert len(set(mailbox.idempotency_keys)) == 1
    assert [type(fact) for fact in await office.facts()] == [LetterSent]


async def test_who_comes_back_after_the_lease_changes_and_tells_nothing(office: Office, mailbox: Mailbox) -> None:
    mailbox.may_answer.clear()
    await office.hand_in(issued())
    async with office.delivering():
        await mailbox.taken.wait()
        office.clock.passes(timedelta(seconds=16))
        async with office.delivering():
            await office.until(lambda: _count_is(mailbox, 2))
            mailbox.may_answer.set()
    assert await office.states() == ["sent"]
    (fact,) = await office.facts()
    assert fact.attempts == 2
    assert office.counted() == {"sent": 1}


async def test_a_letter_that_the_server_takes_its_time_with_stays_ours(office: Office, mailbox: Mailbox) -> None:
    mailbox.may_answer.clear()
    await office.hand_in(issued())
    async with office.delivering(lease=timedelta(seconds=1)):
        await mailbox.taken.wait()
        office.clock.passes(timedelta(milliseconds=900))
        await office.until(lambda: _leased_until(office, NOW + timedelta(milliseconds=1900)))
        mailbox.may_answer.set()
    assert await office.states() == ["sent"]


async def test_a_letter_that_breaks_its_process_each_time_fails_in_the_end(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(issued())
    for _ in range(2):
        mailbox.taken.clear()
        mailbox.may_answer.clear()
        crashing = asyncio.create_task(office.delivery().deliver(office.room()))
        await mailbox.taken.wait()
        crashing.cancel()
        await asyncio.gather(crashing, return_exceptions=True)
        mailbox.may_answer.set()
        office.clock.passes(timedelta(seconds=16))
    await office.deliver(attempts_per_letter=2)
    (fact,) = await office.facts()
    assert isinstance(fact, LetterFailed)
    assert len(mailbox.letters) == 2


@pytest.mark.parametrize("end", ENDS)
async def test_a_letter_whose_link_is_dead_never_leaves(office: Office, mailbox: Mailbox, end: object) -> None:
    await office.hand_in(issued())
    await office.hand_in(end())  # type: ignore[operator]
    await office.deliver()
    assert (mailbox.letters, await office.facts(), await office.states()) == ([], [], ["withdrawn"])


async def test_a_letter_that_was_put_off_is_withdrawn_when_its_link_dies(office: Office, mailbox: Mailbox) -> None:
    mailbox.to_rcpt.append("451 Later")
    await office.hand_in(issued())
    await office.deliver()
    await office.hand_in(ENDS[1]())
    office.clock.passes(timedelta(hours=1))
    await office.deliver()
    assert (mailbox.letters, await office.facts(), await office.states()) == ([], [], ["withdrawn"])


async def test_a_letter_that_is_put_off_after_its_link_has_died_stays_withdrawn(
    office: Office, mailbox: Mailbox
) -> None:
    mailbox.to_rcpt.append(HANG)
    await office.hand_in(issued())
    async with office.delivering(smtp_timeout=timedelta(milliseconds=300)):
        await office.until(lambda: _is_sending(office))
        await office.hand_in(ENDS[0]())
    assert (mailbox.letters, await office.facts(), await office.states()) == ([], [], ["withdrawn"])


async def test_a_letter_that_left_while_its_link_died_is_told_as_sent(office: Office, mailbox: Mailbox) -> None:
    mailbox.may_answer.clear()
    await office.hand_in(issued())
    async with office.delivering():
        await mailbox.taken.wait()
        await office.hand_in(ENDS[0]())
        assert await office.states() == ["withdrawn"]
        mailbox.may_answer.set()
    assert await office.states() == ["sent"]
    assert [type(fact) for fact in await office.facts()] == [LetterSent]


async def test_a_letter_does_not_leave_after_its_link_has_expired(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(issued(expires_at=NOW + timedelta(hours=1)))
    office.clock.passes(timedelta(hours=1))
    async with office.delivering():
        await office.time_passes(timedelta(0))
        await office.until(lambda: _all_are(office, "withdrawn"))
    assert mailbox.letters == []


async def test_nobody_is_written_to_who_is_gone(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(created(), profile(MEMBER), profile(OWNER), joined())
    await office.hand_in(erased(MEMBER))
    await office.deliver()
    assert mailbox.letters == [], "neither to the person nor about them"
    assert (await office.facts(), await office.states()) == ([], ["withdrawn", "withdrawn"])


async def test_a_letter_goes_to_the_address_that_the_account_has_by_then(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(created(), profile(MEMBER), profile(OWNER), joined(inviter_id=None))
    await office.hand_in(profile(MEMBER, version=2, address="newer@example.com"))
    await office.deliver()
    assert mailbox.recipients == ["newer@example.com"]


async def test_connections_are_kept_for_many_letters(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(*(issued(new_id(), f"p{n}@example.com") for n in range(60)))
    await office.deliver(smtp_connections=3, claim_size=5)
    assert len(set(mailbox.recipients)) == 60
    assert mailbox.connections <= 3


async def test_letters_go_over_all_connections_at_the_same_time(office: Office, mailbox: Mailbox) -> None:
    mailbox.may_answer.clear()
    await office.hand_in(*(issued(new_id(), f"p{n}@example.com") for n in range(8)))
    async with office.delivering(smtp_connections=3, claim_size=1):
        await office.until(lambda: _count_is(mailbox, 3))
        mailbox.may_answer.set()
        await office.until(lambda: _all_are(office, "sent"))


async def test_two_processes_share_the_letters(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(*(issued(new_id(), f"p{n}@example.com") for n in range(100)))
    async with office.delivering(claim_size=5), office.delivering(claim_size=5):
        await office.until(lambda: _all_are(office, "sent"))
    assert sorted(mailbox.recipients) == sorted(f"p{n}@example.com" for n in range(100))
    assert len(await office.facts()) == 100


async def test_stopping_finishes_the_letter_in_hand_and_gives_back_the_others(office: Office, mailbox: Mailbox) -> None:
    mailbox.may_answer.clear()
    await office.hand_in(*(issued(new_id(), f"p{n}@example.com") for n in range(5)))
    async with office.delivering(smtp_connections=1) as room:
        await mailbox.taken.wait()
        room.stopping.set()
        mailbox.may_answer.set()
    assert await office.states() == ["queued"] * 4 + ["sent"]
    assert sorted(row.attempts for row in await office.letters()) == [0, 0, 0, 0, 1]
    assert len(await office.facts()) == len(mailbox.letters) == 1
    assert office.counted() == {"sent": 1}, "what is given back was no attempt"


async def test_a_letter_that_is_given_back_untried_is_no_span(office: Office, mailbox: Mailbox) -> None:
    mailbox.may_answer.clear()
    await office.hand_in(*(issued(new_id(), f"p{n}@example.com") for n in range(5)))
    names: list[str] = []
    tracing.use(cast(Any, Naming(names)))
    try:
        async with office.delivering(smtp_connections=1) as room:
            await mailbox.taken.wait()
            room.stopping.set()
            mailbox.may_answer.set()
    finally:
        tracing.use(None)
    assert names == ["deliver invitation"]


async def test_what_the_server_took_is_noted_however_long_the_database_is_away(
    office: Office, mailbox: Mailbox
) -> None:
    mailbox.may_answer.clear()
    await office.hand_in(issued())
    async with office.delivering() as room:
        await mailbox.taken.wait()
        room.outages = 3
        mailbox.may_answer.set()
        await office.until(lambda: _all_are(office, "sent"))
    assert len(mailbox.letters) == 1
    assert len(await office.facts()) == 1


async def test_a_database_that_is_away_stops_no_delivery_for_ever(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(issued())
    room = office.room()
    room.outages = 2
    working = asyncio.create_task(office.delivery().deliver(room))
    await office.until(lambda: _all_are(office, "sent"))
    room.stopping.set()
    await working


async def test_a_letter_that_cannot_be_written_does_not_hold_up_the_others(office: Office, mailbox: Mailbox) -> None:
    await office.hand_in(issued(new_id(), "not an address"), issued(new_id(), "fine@example.com"))
    await office.deliver()
    assert mailbox.recipients == ["fine@example.com"]
    assert await office.states() == ["failed", "sent"]


async def _count_is(mailbox: Mailbox, count: int) -> bool:
    return len(mailbox.letters) >= count


async def _all_are(office: Office, state: str) -> bool:
    return set(await office.states()) == {state}


async def _is_sending(office: Office) -> bool:
    return "sending" in await office.states()


async def _leased_until(office: Office, moment: datetime) -> bool:
    return bool((await office.letter()).due_at == moment)
