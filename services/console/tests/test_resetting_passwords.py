"""Forgotten passwords: a link in a letter, which works once."""

import asyncio
from datetime import timedelta

import pytest
from accounts_desk import ANOTHER_PASSWORD, ELSEWHERE, HOME, NOON, PASSWORD, AccountsDesk

from console.accounts.domain import DeadLink, Malformed, Scope, WrongPassword
from contracts import PasswordChanged, PasswordResetRequested

OWNER = "owner@example.com"


async def test_who_has_forgotten_the_password_is_sent_a_letter(desk: AccountsDesk) -> None:
    account = (await desk.join(OWNER)).session.account

    await desk.accounts.request_reset("OWNER@Example.com", ELSEWHERE)

    requested = (await desk.told())[-1]
    assert isinstance(requested, PasswordResetRequested)
    assert requested.account_id == account.account_id
    assert (requested.requested_at, requested.expires_at) == (NOON, NOON + timedelta(hours=1))


async def test_the_link_in_it_sets_another_password(desk: AccountsDesk) -> None:
    account = (await desk.join(OWNER)).session.account
    code = await asked(desk)
    assert await desk.accounts.reset_exists(code)

    await desk.accounts.reset_password(code, ANOTHER_PASSWORD, ELSEWHERE)

    assert (await desk.told())[-1] == PasswordChanged(account_id=account.account_id, changed_at=NOON)
    assert (await desk.accounts.sign_in(OWNER, ANOTHER_PASSWORD, HOME)).session.account == account
    with pytest.raises(WrongPassword):
        await desk.accounts.sign_in(OWNER, PASSWORD, HOME)


async def test_whoever_was_signed_in_is_signed_out_programs_too(desk: AccountsDesk) -> None:
    new = await desk.join(OWNER)
    token = await desk.accounts.create_token(new.session.account, "Deploys", frozenset({Scope.READ}), None)

    await desk.accounts.reset_password(await asked(desk), ANOTHER_PASSWORD, ELSEWHERE)

    assert await desk.accounts.session(new.token) is None
    assert await desk.accounts.account_of_token(token.secret) is None


async def test_a_link_works_once(desk: AccountsDesk) -> None:
    await desk.join(OWNER)
    code = await asked(desk)
    await desk.accounts.reset_password(code, ANOTHER_PASSWORD, HOME)

    assert not await desk.accounts.reset_exists(code)
    with pytest.raises(DeadLink):
        await desk.accounts.reset_password(code, "and yet another password", HOME)


async def test_even_if_it_is_followed_many_times_at_once(desk: AccountsDesk) -> None:
    await desk.join(OWNER)
    code = await asked(desk)
    passwords = [f"password number {number} of them" for number in range(10)]

    outcomes = await asyncio.gather(
        *(desk.accounts.reset_password(code, each, HOME) for each in passwords), return_exceptions=True
    )

    assert [type(each) for each in outcomes].count(DeadLink) == 9
    chosen = passwords[outcomes.index(None)]
    assert await desk.accounts.sign_in(OWNER, chosen, HOME)
    assert len(await desk.told_of(PasswordChanged)) == 1


async def test_the_others_that_were_asked_for_die_with_it(desk: AccountsDesk) -> None:
    await desk.join(OWNER)
    for _ in range(3):
        await desk.accounts.request_reset(OWNER, HOME)
    first, second, third = await desk.reset_codes()
    assert await desk.accounts.reset_exists(first), "a letter may come late: each link holds"

    await desk.accounts.reset_password(second, ANOTHER_PASSWORD, HOME)

    assert not await desk.accounts.reset_exists(first)
    assert not await desk.accounts.reset_exists(third)


async def test_those_of_other_people_do_not(desk: AccountsDesk) -> None:
    await desk.join(OWNER)
    await desk.join("member@example.com")
    for address in (OWNER, "member@example.com"):
        await desk.accounts.request_reset(address, HOME)
    owners, members = await desk.reset_codes()

    await desk.accounts.reset_password(owners, ANOTHER_PASSWORD, HOME)

    assert await desk.accounts.reset_exists(members)
    assert await desk.accounts.sign_in("member@example.com", PASSWORD, HOME)


async def test_a_link_holds_for_an_hour(desk: AccountsDesk) -> None:
    await desk.join(OWNER)
    code = await asked(desk)

    desk.clock.passes(timedelta(hours=1) - timedelta(seconds=1))
    assert await desk.accounts.reset_exists(code)
    desk.clock.passes(timedelta(seconds=1))

    assert not await desk.accounts.reset_exists(code)
    with pytest.raises(DeadLink):
        await desk.accounts.reset_password(code, ANOTHER_PASSWORD, HOME)


@pytest.mark.parametrize("code", ["", "x" * 43, "\ud800", "\0", "ü"])
async def test_any_other_link_is_dead(desk: AccountsDesk, code: str) -> None:
    await desk.join(OWNER)
    await asked(desk)

    assert not await desk.accounts.reset_exists(code)
    with pytest.raises(DeadLink):
        await desk.accounts.reset_password(code, ANOTHER_PASSWORD, HOME)


async def test_a_dead_link_costs_no_run_of_argon2(desk: AccountsDesk) -> None:
    before = desk.hasher.runs
    with pytest.raises(DeadLink):
        await desk.accounts.reset_password("x" * 43, ANOTHER_PASSWORD, HOME)
    assert desk.hasher.runs == before


@pytest.mark.parametrize("password", ["too short", OWNER, "password123"])
async def test_a_password_that_is_refused_does_not_use_the_link(desk: AccountsDesk, password: str) -> None:
    await desk.join(OWNER)
    code = await asked(desk)

    with pytest.raises(Malformed) as refusal:
        await desk.accounts.reset_password(code, password, HOME)

    assert refusal.value.field == "password"
    await desk.accounts.reset_password(code, ANOTHER_PASSWORD, HOME)


async def test_an_address_without_an_account_gets_the_same_answer_and_no_letter(desk: AccountsDesk) -> None:
    await desk.sign_up("unproven@example.com")
    before = await desk.told()

    for address in ("unproven@example.com", "nobody@example.com"):
        await desk.accounts.request_reset(address, HOME)

    assert await desk.told() == before


async def test_a_malformed_address_is_refused(desk: AccountsDesk) -> None:
    with pytest.raises(Malformed) as refusal:
        await desk.accounts.request_reset("owner@", HOME)
    assert refusal.value.field == "address"


async def test_no_session_that_was_begun_with_the_old_password_outlives_the_reset(desk: AccountsDesk) -> None:
    await desk.join(OWNER)
    code = await asked(desk)

    *_, reset = await asyncio.gather(
        *(desk.accounts.sign_in(OWNER, PASSWORD, ELSEWHERE) for _ in range(10)),
        desk.accounts.reset_password(code, ANOTHER_PASSWORD, HOME),
        return_exceptions=True,
    )

    assert reset is None
    assert await desk.count("sessions") == 0


async def asked(desk: AccountsDesk) -> str:
    """The code of the link in the letter that the owner has asked for."""
    await desk.accounts.request_reset(OWNER, HOME)
    return (await desk.reset_codes())[-1]
