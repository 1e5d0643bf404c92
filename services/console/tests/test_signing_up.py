"""Signing up, and proving the mailbox: an address belongs to who has proven it."""

import asyncio
from datetime import timedelta

import pytest
from accounts_desk import ANOTHER_PASSWORD, ELSEWHERE, HOME, NOON, AccountsDesk, wrong

from console.accounts.desk import Proven
from console.accounts.domain import Malformed, NewSession, WrongCode, WrongPassword
from console.accounts.retention import forget_challenges, forget_unproven
from contracts import AccountErased, AccountProfile, MailboxProofRequested, SignUpRepeated

VICTIM = "victim@example.com"


async def test_a_sign_up_makes_an_account_that_must_prove_its_mailbox(desk: AccountsDesk) -> None:
    new = await desk.sign_up("Owner@Example.com", name="  The owner ")

    account = new.session.account
    assert (account.address, account.address_normalized) == ("Owner@Example.com", "owner@example.com")
    assert (account.name, account.proven, account.version) == ("The owner", False, 1)
    assert await desk.accounts.session(new.token) == new.session


async def test_its_profile_and_the_wish_for_a_letter_are_told(desk: AccountsDesk) -> None:
    account = (await desk.sign_up()).session.account

    profile, requested = await desk.told()
    assert profile == AccountProfile(
        account_id=account.account_id, version=1, address="owner@example.com", name="The owner", verified=False
    )
    assert isinstance(requested, MailboxProofRequested)
    assert requested.account_id == account.account_id
    assert (requested.requested_at, requested.expires_at) == (NOON, NOON + timedelta(minutes=15))


async def test_the_code_in_the_letter_proves_the_mailbox(desk: AccountsDesk) -> None:
    new = await desk.sign_up()

    proven = await desk.prove(new)

    account = proven.session.session.account
    assert (account.proven, account.version) == (True, 2)
    assert (await desk.told())[-1] == AccountProfile(
        account_id=account.account_id, version=2, address="owner@example.com", name="The owner", verified=True
    )
    assert await desk.count("challenges") == 0


async def test_the_session_is_another_one_after_the_proof(desk: AccountsDesk) -> None:
    new = await desk.sign_up()

    proven = await desk.prove(new)

    assert await desk.accounts.session(new.token) is None
    assert await desk.accounts.session(proven.session.token) == proven.session.session


async def test_spaces_that_were_copied_with_the_code_do_not_count(desk: AccountsDesk) -> None:
    new = await desk.sign_up()
    code = await desk.code_for(new.session.account)
    assert (await desk.accounts.prove(new.session, f" {code[:3]} {code[3:]}\n", HOME)).session.session.account.proven


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "١٢٣٤٥٦", "\ud800", "\0"])
async def test_whatever_else_is_typed_is_a_wrong_code(desk: AccountsDesk, code: str) -> None:
    new = await desk.sign_up()
    with pytest.raises(WrongCode):
        await desk.accounts.prove(new.session, code, HOME)


async def test_a_wrong_code_says_how_many_more_may_be_tried(desk: AccountsDesk) -> None:
    new = await desk.sign_up()
    code = await desk.code_for(new.session.account)

    left = [await attempts_left(desk, new, wrong(code)) for _ in range(6)]

    assert left == [4, 3, 2, 1, 0, 0]
    assert await attempts_left(desk, new, code) == 0, "even the right one is too late"


async def test_another_letter_gives_another_code_and_new_attempts(desk: AccountsDesk) -> None:
    new = await desk.sign_up()
    first = await desk.code_for(new.session.account)
    for _ in range(5):
        await attempts_left(desk, new, wrong(first))

    await desk.accounts.send_code(new.session, HOME)

    assert await attempts_left(desk, new, first) == 4, "only the newest letter counts"
    assert (await desk.prove(new)).session.session.account.proven


async def test_fifty_guesses_at_once_are_no_more_than_five(desk: AccountsDesk) -> None:
    new = await desk.sign_up()
    code = await desk.code_for(new.session.account)

    left = await asyncio.gather(*(attempts_left(desk, new, wrong(code)) for _ in range(50)))

    assert sorted(left) == [0] * 46 + [1, 2, 3, 4]
    assert await attempts_left(desk, new, code) == 0


async def test_a_code_holds_for_a_quarter_of_an_hour(desk: AccountsDesk) -> None:
    new = await desk.sign_up()
    code = await desk.code_for(new.session.account)

    desk.clock.passes(timedelta(minutes=15))

    assert await attempts_left(desk, new, code) == 0
    async with desk.engine.begin() as connection:
        assert await forget_challenges(connection, desk.clock()) == 1


async def test_one_code_typed_many_times_at_once_proves_one_account_once(desk: AccountsDesk) -> None:
    new = await desk.sign_up()
    code = await desk.code_for(new.session.account)

    outcomes = await asyncio.gather(
        *(desk.accounts.prove(new.session, code, HOME) for _ in range(20)), return_exceptions=True
    )

    assert [type(each) for each in outcomes].count(Proven) == 1
    assert [type(each) for each in outcomes].count(WrongCode) == 19
    assert [each.version for each in await desk.told_of(AccountProfile)] == [1, 2]
    assert await desk.count("sessions") == 1


async def test_of_many_sign_ups_with_one_address_that_are_proven_at_once_one_is_an_account(desk: AccountsDesk) -> None:
    all_new = [await desk.sign_up() for _ in range(10)]
    codes = [await desk.code_for(new.session.account) for new in all_new]

    outcomes = await asyncio.gather(
        *(desk.start().prove(new.session, code, HOME) for new, code in zip(all_new, codes, strict=True)),
        return_exceptions=True,
    )

    assert [type(each) for each in outcomes].count(Proven) == 1
    assert {type(each) for each in outcomes} == {Proven, WrongCode}
    assert sum(profile.verified for profile in await desk.told_of(AccountProfile)) == 1


async def test_who_is_proven_is_sent_no_more_codes(desk: AccountsDesk) -> None:
    new = await desk.join()
    told = await desk.told()

    await desk.accounts.send_code(new.session, HOME)

    assert await desk.told() == told
    assert await attempts_left(desk, new, "123456") == 0


# --- somebody else's address


async def test_who_signs_up_first_with_somebody_elses_address_gets_nothing_by_the_owners_proof(
    desk: AccountsDesk,
) -> None:
    attacker = await desk.sign_up(VICTIM, password=ANOTHER_PASSWORD, visitor=ELSEWHERE)

    victim = await desk.join(VICTIM)

    account_id = victim.session.account.account_id
    assert account_id != attacker.session.account.account_id
    session = await desk.accounts.session(attacker.token)
    assert session is not None
    assert not session.account.proven
    with pytest.raises(WrongPassword):
        await desk.accounts.sign_in(VICTIM, "not any of the passwords", ELSEWHERE)
    retry = await desk.accounts.sign_in(VICTIM, ANOTHER_PASSWORD, ELSEWHERE)
    assert not retry.session.account.proven
    assert retry.session.account.account_id != account_id


async def test_nor_does_the_owner_prove_the_attackers_account_by_typing_the_code_in_the_wrong_letter(
    desk: AccountsDesk,
) -> None:
    attacker = await desk.sign_up(VICTIM, password=ANOTHER_PASSWORD, visitor=ELSEWHERE)
    victim = await desk.sign_up(VICTIM)

    assert await attempts_left(desk, victim, await desk.code_for(attacker.session.account)) == 4
    assert not any(profile.verified for profile in await desk.told_of(AccountProfile))


async def test_who_signs_up_after_the_owner_cannot_prove_the_address_by_an_earlier_code(desk: AccountsDesk) -> None:
    """Even where the owner is talked into handing over the code of a letter."""
    attacker = await desk.sign_up(VICTIM, password=ANOTHER_PASSWORD, visitor=ELSEWHERE)
    code = await desk.code_for(attacker.session.account)
    await desk.join(VICTIM)

    assert [await attempts_left(desk, attacker, code) for _ in range(5)] == [4, 3, 2, 1, 0]


async def test_a_sign_up_with_the_address_of_an_account_tells_the_owner_and_nobody_else(desk: AccountsDesk) -> None:
    owner = (await desk.join(VICTIM)).session.account
    before = await desk.told()

    stranger = await desk.sign_up(VICTIM.upper(), password=ANOTHER_PASSWORD, visitor=ELSEWHERE)

    assert (await desk.told())[len(before) :] == [SignUpRepeated(account_id=owner.account_id, repeated_at=NOON)]
    assert not stranger.session.account.proven


async def test_no_code_at_all_proves_it(desk: AccountsDesk) -> None:
    await desk.join(VICTIM)
    stranger = await desk.sign_up(VICTIM, visitor=ELSEWHERE)
    code = await desk.code_of_challenge(stranger.session.account)

    assert await attempts_left(desk, stranger, code) == 4
    assert sum(profile.verified for profile in await desk.told_of(AccountProfile)) == 1


async def test_strangers_cannot_tell_an_address_that_has_an_account_from_one_that_has_none(desk: AccountsDesk) -> None:
    """Whatever they do: signing up, proving, asking for another letter, signing in with what they signed up with."""
    await desk.join(VICTIM)

    known = await everything_a_stranger_sees(desk, VICTIM)
    unknown = await everything_a_stranger_sees(desk, "nobody@example.com")

    assert known == unknown


async def everything_a_stranger_sees(desk: AccountsDesk, address: str) -> list[object]:
    runs, rows = desk.hasher.runs, {table: await desk.count(table) for table in ("accounts", "challenges", "sessions")}
    with pytest.raises(WrongPassword):
        await desk.accounts.sign_in(address, ANOTHER_PASSWORD, ELSEWHERE)
    new = await desk.sign_up(address, password=ANOTHER_PASSWORD, visitor=ELSEWHERE)
    left = [await attempts_left(desk, new, "not a code") for _ in range(6)]
    await desk.accounts.send_code(new.session, ELSEWHERE)
    left.append(await attempts_left(desk, new, "not a code"))
    again = await desk.accounts.sign_in(address, ANOTHER_PASSWORD, ELSEWHERE)
    with pytest.raises(WrongPassword):
        await desk.accounts.sign_in(address, "not any of the passwords", ELSEWHERE)
    await desk.accounts.request_reset(address, ELSEWHERE)
    return [
        left,
        new.session.account.proven,
        again.session.account.proven,
        again.session.account.account_id == new.session.account.account_id,
        desk.hasher.runs - runs,
        [await desk.count(table) - count for table, count in rows.items() if table != "challenges"],
    ]


# --- the link that the person came by


async def test_who_came_by_an_invitation_is_told_to_accept_it_once_the_mailbox_is_proven(desk: AccountsDesk) -> None:
    digest = "a" * 64

    proven = await desk.prove(await desk.sign_up(invitation_digest=digest))

    assert proven.accept == digest


async def test_the_invitation_is_kept_until_it_is_being_accepted(desk: AccountsDesk) -> None:
    """Where the process ends between the proof and the acceptance, the next request finds it."""
    new = (await desk.prove(await desk.sign_up(invitation_digest="a" * 64))).session
    assert (await desk.session_of(new)).account.invitation_digest == "a" * 64
    command_id = new.session.session_id

    await desk.accounts.remember_joining(new.session.session_id, command_id)

    session = await desk.session_of(new)
    assert (session.joining_command_id, session.account.invitation_digest) == (command_id, None)
    await desk.accounts.remember_joining(new.session.session_id, None)
    assert (await desk.session_of(new)).joining_command_id is None


# --- what is typed


@pytest.mark.parametrize("address", ["", "owner", "owner@", "@example.com", "own er@example.com", "o@exa\0mple.com"])
async def test_a_malformed_address_is_refused(desk: AccountsDesk, address: str) -> None:
    await refused(desk, "address", address=address)


@pytest.mark.parametrize("name", ["", "   ", "two\nlines", "nu\0ll", "a" * 256, "half \ud800", "line\u2028s"])
async def test_a_name_is_1_to_255_characters_on_one_line(desk: AccountsDesk, name: str) -> None:
    await refused(desk, "name", name=name)


@pytest.mark.parametrize("name", ["X", "a" * 255, "Zoë 🐈 Ngũgĩ-Østergård", "<b>&amp;</b>"])
async def test_people_are_called_what_they_call_themselves(desk: AccountsDesk, name: str) -> None:
    assert (await desk.sign_up(name=name)).session.account.name == name


@pytest.mark.parametrize(
    "password",
    [
        "",
        "too short",
        "x" * 201,
        "owner@example.com",
        "OWNER@EXAMPLE.COM",
        "The Owner Herself",
        "Password123",
        "qwertyuiop",
        "aaaaaaaaaaaaaaaa",
        "1212121212",
    ],
)
async def test_passwords_that_are_easily_guessed_are_refused(desk: AccountsDesk, password: str) -> None:
    await refused(desk, "password", name="The owner herself", password=password)


@pytest.mark.parametrize(
    "password", ["ten chars!", "only letters", "schöne Umlaute", "🐈🐕🐇🦔🦉🐢🐟🦋🐝🐛", "  x y  z w "]
)
async def test_any_other_password_of_10_to_200_characters_is_good(desk: AccountsDesk, password: str) -> None:
    await desk.join(password=password)
    assert (await desk.accounts.sign_in("owner@example.com", password, HOME)).session.account.proven


async def test_what_is_refused_leaves_nothing_behind(desk: AccountsDesk) -> None:
    await refused(desk, "password", password="short")
    assert (await desk.told(), await desk.count("accounts"), desk.hasher.runs) == ([], 0, 1)


# --- sign-ups that come to nothing


async def test_sign_ups_that_were_not_proven_in_a_day_are_forgotten_and_erased(desk: AccountsDesk) -> None:
    proven = await desk.join("proven@example.com")
    forgotten = await desk.sign_up("late@example.com")
    repeated = await desk.sign_up("proven@example.com", visitor=ELSEWHERE)
    desk.clock.passes(timedelta(hours=23))
    young = await desk.sign_up("young@example.com")
    before = await desk.told()

    desk.clock.passes(timedelta(hours=1))
    assert await forget_unproven(desk.room, kept=timedelta(days=1)) == 2
    assert await forget_unproven(desk.room, kept=timedelta(days=1)) == 0

    assert (await desk.told())[len(before) :] == [AccountErased(account_id=forgotten.session.account.account_id)]
    assert await desk.accounts.session(forgotten.token) is None
    assert await desk.accounts.session(repeated.token) is None
    assert await desk.accounts.session(young.token) is not None
    assert await desk.accounts.session(proven.token) is not None
    assert await attempts_left(desk, forgotten, await desk.code_for(forgotten.session.account)) == 0


# --- steps


async def attempts_left(desk: AccountsDesk, new: NewSession, code: str) -> int:
    with pytest.raises(WrongCode) as refusal:
        await desk.accounts.prove(new.session, code, HOME)
    return refusal.value.attempts_left


async def refused(desk: AccountsDesk, what: str, **typed: str) -> None:
    with pytest.raises(Malformed) as refusal:
        await desk.sign_up(**typed)  # type: ignore[arg-type]
    assert refusal.value.field == what
    assert refusal.value.message
