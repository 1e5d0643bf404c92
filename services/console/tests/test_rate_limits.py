"""Rate limits: how often something may be tried, by address and by network, and when it may be tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from accounts_desk import ANOTHER_PASSWORD, HOME, PASSWORD, AccountsDesk

from console.accounts.desk import Accounts
from console.accounts.domain import NewSession, Visitor, WrongCode, WrongPassword
from console.limits import Allowance, Limits, RateLimited, forget_allowances, network_of
from contracts import MailboxProofRequested, PasswordResetRequested, SignUpRepeated

HOUR = timedelta(hours=1)
WRONG = "not any of the passwords"
Attempt = Callable[[], Awaitable[object]]


def visitor(network_address: str) -> Visitor:
    return Visitor(network_address, "A browser")


def allowance(subject: str = "somebody", *, name: str = "something", limit: int = 4) -> Allowance:
    return Allowance(name, subject, limit, HOUR)


async def how_many(attempt: Attempt, most: int = 100) -> int:
    """How often it may be tried, whatever comes of it, before it is limited."""
    for number in range(most):
        try:
            await attempt()
        except RateLimited:
            return number
        except (WrongPassword, WrongCode):
            pass
    return most


async def retry_after(attempt: Attempt) -> timedelta:
    with pytest.raises(RateLimited) as refusal:
        await attempt()
    return refusal.value.retry_after


# --- the algorithm


async def test_as_many_as_the_limit_may_come_at_once_and_no_more(desk: AccountsDesk) -> None:
    limits = Limits(desk.room)
    assert await how_many(lambda: limits.spend(allowance(limit=7))) == 7


async def test_the_allowance_comes_back_steadily_and_the_refusal_says_when(desk: AccountsDesk) -> None:
    limits = Limits(desk.room)
    await how_many(lambda: limits.spend(allowance(limit=4)))

    assert await retry_after(lambda: limits.spend(allowance(limit=4))) == timedelta(minutes=15)
    desk.clock.passes(timedelta(minutes=14))
    assert await retry_after(lambda: limits.spend(allowance(limit=4))) == timedelta(minutes=1)
    desk.clock.passes(timedelta(minutes=1))
    assert await how_many(lambda: limits.spend(allowance(limit=4))) == 1
    desk.clock.passes(HOUR)

    assert await how_many(lambda: limits.spend(allowance(limit=4))) == 4


async def test_no_limit_is_none(desk: AccountsDesk) -> None:
    limits = Limits(desk.room)
    assert await how_many(lambda: limits.spend(allowance(limit=0))) == 100
    assert await desk.count("allowances") == 0


async def test_each_thing_is_counted_by_itself_and_of_each_subject(desk: AccountsDesk) -> None:
    limits = Limits(desk.room)
    await how_many(lambda: limits.spend(allowance()))

    assert await how_many(lambda: limits.spend(allowance("somebody else"))) == 4
    assert await how_many(lambda: limits.spend(allowance(name="something else"))) == 4


async def test_it_takes_from_all_allowances_or_from_none(desk: AccountsDesk) -> None:
    limits = Limits(desk.room)
    scarce, plenty = allowance("scarce", limit=1), allowance("plenty", limit=3)
    await limits.spend(scarce, plenty)

    for _ in range(10):
        assert await retry_after(lambda: limits.spend(plenty, scarce)) == HOUR

    assert await how_many(lambda: limits.spend(plenty)) == 2


async def test_several_may_be_asked_for_at_once_if_there_are_as_many(desk: AccountsDesk) -> None:
    limits = Limits(desk.room)
    await limits.spend(replace(allowance(limit=10), times=7))

    assert await retry_after(lambda: limits.spend(replace(allowance(limit=10), times=5))) == timedelta(minutes=12)
    assert await how_many(lambda: limits.spend(allowance(limit=10))) == 3


async def test_many_at_once_on_many_instances_get_no_more_than_the_limit(desk: AccountsDesk) -> None:
    what = [allowance("a", limit=10), allowance("b", limit=20)]

    outcomes = await asyncio.gather(
        *(Limits(desk.room).spend(*(what if number % 2 else reversed(what))) for number in range(50)),
        return_exceptions=True,
    )

    assert outcomes.count(None) == 10
    assert all(each is None or isinstance(each, RateLimited) for each in outcomes)


async def test_who_has_the_whole_allowance_back_is_forgotten(desk: AccountsDesk) -> None:
    limits = Limits(desk.room)
    await limits.spend(allowance(limit=1))
    desk.clock.passes(timedelta(minutes=30))
    await limits.spend(allowance("somebody else", limit=1))
    desk.clock.passes(timedelta(minutes=30))

    async with desk.engine.begin() as connection:
        assert await forget_allowances(connection, desk.clock()) == 1

    assert await desk.count("allowances") == 1
    await limits.spend(allowance(limit=1))


async def test_whose_allowance_it_is_is_not_stored(desk: AccountsDesk) -> None:
    await Limits(desk.room).spend(allowance("owner@example.com"))
    stored = await desk.everything_stored()
    assert "allowances: " in stored
    assert "owner" not in stored


@pytest.mark.parametrize(
    ("network_address", "network"),
    [
        ("198.51.100.7", "198.51.100.7"),
        ("::ffff:198.51.100.7", "198.51.100.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:0001:0002::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_a_subscriber_counts_once(network_address: str, network: str) -> None:
    assert network_of(network_address) == network


# --- signing in


async def test_an_address_may_fail_at_signing_in_so_often_whether_or_not_it_has_an_account(desk: AccountsDesk) -> None:
    await desk.join()
    accounts = desk.start(sign_ins_per_address_per_hour=5)

    async def attempts_at(address: str) -> int:
        return await how_many(lambda: accounts.sign_in(address, WRONG, HOME))

    assert [await attempts_at(address) for address in ("owner@example.com", "nobody@example.com")] == [5, 5]
    wait = await retry_after(lambda: accounts.sign_in("owner@example.com", PASSWORD, HOME))
    assert wait == timedelta(minutes=12), "even the right password has to wait"

    desk.clock.passes(wait)
    assert await accounts.sign_in("OWNER@example.com", PASSWORD, HOME)


async def test_who_succeeds_has_not_failed(desk: AccountsDesk) -> None:
    await desk.join()
    accounts = desk.start(sign_ins_per_address_per_hour=1, sign_ins_per_network_per_hour=1)
    assert await how_many(lambda: accounts.sign_in("owner@example.com", PASSWORD, HOME), 10) == 10


async def test_guesses_at_once_are_no_more_than_may_fail(desk: AccountsDesk) -> None:
    await desk.join()
    accounts = [desk.start(sign_ins_per_address_per_hour=5) for _ in range(2)]
    before = desk.hasher.runs

    outcomes = await asyncio.gather(
        *(accounts[number % 2].sign_in("owner@example.com", WRONG, HOME) for number in range(50)),
        return_exceptions=True,
    )

    assert [type(each) for each in outcomes].count(WrongPassword) == 5
    assert [type(each) for each in outcomes].count(RateLimited) == 45
    assert desk.hasher.runs - before == 2 * 5, "who is limited costs no run of Argon2"


async def test_a_network_may_fail_at_signing_in_so_often_at_whatever_accounts(desk: AccountsDesk) -> None:
    accounts = desk.start(sign_ins_per_network_per_hour=5)
    addresses = iter(f"somebody{number}@example.com" for number in range(100))

    assert await how_many(lambda: accounts.sign_in(next(addresses), WRONG, visitor("2001:db8::1"))) == 5
    assert await how_many(lambda: accounts.sign_in(next(addresses), WRONG, visitor("2001:db8::2"))) == 0
    assert await how_many(lambda: accounts.sign_in(next(addresses), WRONG, visitor("2001:db8:0:1::1"))) == 5


async def test_wrong_codes_count_as_failed_sign_ins_of_the_network(desk: AccountsDesk) -> None:
    accounts = desk.start(sign_ins_per_network_per_hour=8)
    first, second = await desk.sign_up("one@example.com"), await desk.sign_up("two@example.com")

    assert await how_many(lambda: accounts.prove(first.session, "", HOME), 6) == 6
    assert await how_many(lambda: accounts.prove(second.session, "", HOME)) == 2
    code = await desk.code_for(second.session.account)
    assert await retry_after(lambda: accounts.prove(second.session, code, HOME)) <= HOUR

    proven = await accounts.prove(second.session, code, visitor("203.0.113.9"))
    assert proven.session.session.account.proven, "what was limited has cost no attempt"


async def test_nobody_who_fails_at_signing_in_keeps_the_owner_from_changing_the_password(desk: AccountsDesk) -> None:
    new = await desk.join()
    accounts = desk.start(sign_ins_per_address_per_hour=2)
    await how_many(lambda: accounts.sign_in("owner@example.com", WRONG, visitor("203.0.113.9")))

    assert await accounts.change_password(new.session, PASSWORD, ANOTHER_PASSWORD, HOME)


async def test_who_has_got_hold_of_a_session_may_guess_the_password_so_often(desk: AccountsDesk) -> None:
    new = await desk.join()
    accounts = desk.start(sign_ins_per_address_per_hour=3)

    assert await how_many(lambda: accounts.change_password(new.session, WRONG, ANOTHER_PASSWORD, HOME)) == 3


# --- letters


async def test_a_network_may_sign_up_so_often(desk: AccountsDesk) -> None:
    accounts = desk.start(sign_ups_per_network_per_hour=3)
    addresses = iter(f"somebody{number}@example.com" for number in range(100))

    async def sign_up() -> None:
        await accounts.sign_up(next(addresses), "Somebody", PASSWORD, HOME)

    assert await how_many(sign_up) == 3


async def test_a_mailbox_is_sent_so_many_letters_about_sign_ups_under_whatever_alias(desk: AccountsDesk) -> None:
    accounts = desk.start(codes_per_address_per_hour=6)
    new = await sign_up(accounts, "m.ax+one@example.com")
    for address in ("max@example.com", "MAX+two@example.com"):
        await sign_up(accounts, address)
    await accounts.sign_in("max@example.com", PASSWORD, HOME)

    assert await how_many(lambda: accounts.send_code(new.session, HOME)) == 2
    assert await retry_after(lambda: sign_up(accounts, "max@example.com")) == timedelta(minutes=10)
    assert await retry_after(lambda: accounts.sign_in("max@example.com", PASSWORD, HOME)) == timedelta(minutes=10)

    assert len(await desk.told_of(MailboxProofRequested)) == 6


async def test_the_owner_of_an_account_is_sent_as_many_about_those_who_repeat_it(desk: AccountsDesk) -> None:
    await desk.join("max@example.com")
    accounts = desk.start(codes_per_address_per_hour=6)

    assert await how_many(lambda: sign_up(accounts, "max@example.com")) == 6
    assert len(await desk.told_of(SignUpRepeated)) == 6


async def test_a_mailbox_is_sent_so_many_reset_links(desk: AccountsDesk) -> None:
    await desk.join()
    accounts = desk.start(resets_per_address_per_hour=4)

    async def letters_to(address: str) -> int:
        return await how_many(lambda: accounts.request_reset(address, HOME))

    assert [await letters_to(address) for address in ("owner@example.com", "nobody@example.com")] == [4, 4]
    assert await letters_to("own.er+alias@example.com") == 0
    assert len(await desk.told_of(PasswordResetRequested)) == 4


async def test_a_network_may_ask_for_so_many_reset_links(desk: AccountsDesk) -> None:
    accounts = desk.start(resets_per_network_per_hour=3)
    addresses = iter(f"somebody{number}@example.com" for number in range(100))

    assert await how_many(lambda: accounts.request_reset(next(addresses), HOME)) == 3


async def test_instances_share_their_limits(desk: AccountsDesk) -> None:
    instances = [desk.start(resets_per_network_per_hour=5) for _ in range(3)]
    turns = iter(instances * 10)

    assert await how_many(lambda: next(turns).request_reset("nobody@example.com", HOME)) == 5


async def sign_up(accounts: Accounts, address: str) -> NewSession:
    return await accounts.sign_up(address, "Max", PASSWORD, HOME)
