"""Signing in, and changing the password for who knows it."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Literal

import pytest
from accounts_desk import ANOTHER_PASSWORD, ELSEWHERE, HOME, NOON, PASSWORD, AccountsDesk, CountingHasher
from argon2 import PasswordHasher
from sqlalchemy import QueuePool

from console.accounts.domain import Malformed, WrongPassword
from console.accounts.passwords import Passwords
from contracts import MailboxProofRequested, PasswordChanged

WRONG = "not any of the passwords"


async def test_address_and_password_make_a_session(desk: AccountsDesk) -> None:
    account = (await desk.join()).session.account
    desk.clock.passes(timedelta(hours=1))

    new = await desk.accounts.sign_in("owner@example.com", PASSWORD, ELSEWHERE)

    assert new.session.account == account
    assert new.session.created_at == NOON + timedelta(hours=1)
    assert (new.session.network_address, new.session.user_agent) == (ELSEWHERE.network_address, ELSEWHERE.user_agent)
    assert await desk.session_of(new) == new.session


@pytest.mark.parametrize("address", ["OWNER@example.com", " owner@Example.COM ", "owner@example.com"])
async def test_the_address_may_be_written_otherwise_as_long_as_it_is_the_same(desk: AccountsDesk, address: str) -> None:
    await desk.join("Owner@Example.com")
    assert (await desk.accounts.sign_in(address, PASSWORD, HOME)).session.account.proven


async def test_each_sign_in_has_a_token_of_its_own(desk: AccountsDesk) -> None:
    await desk.join()
    tokens = {(await desk.accounts.sign_in("owner@example.com", PASSWORD, HOME)).token for _ in range(3)}
    assert len(tokens) == 3
    assert all(len(token) == 43 for token in tokens)


@pytest.mark.parametrize("password", ["", WRONG, PASSWORD.upper(), PASSWORD + " ", "x" * 100_000, "\ud800", "\0"])
async def test_a_wrong_password_makes_none(desk: AccountsDesk, password: str) -> None:
    await desk.join()
    with pytest.raises(WrongPassword):
        await desk.accounts.sign_in("owner@example.com", password, HOME)


@pytest.mark.parametrize("address", ["", "owner", "\ud800@example.com", "owner@\0.com"])
async def test_what_is_no_address_is_nobodys(desk: AccountsDesk, address: str) -> None:
    with pytest.raises(WrongPassword):
        await desk.accounts.sign_in(address, PASSWORD, HOME)


async def test_a_password_is_the_same_however_the_keyboard_composes_it(desk: AccountsDesk) -> None:
    await desk.join(password="grüne Äpfel")
    assert await desk.accounts.sign_in("owner@example.com", "gru\u0308ne A\u0308pfel", HOME)


async def test_who_has_not_proven_the_mailbox_gets_a_session_to_prove_it_and_another_letter(
    desk: AccountsDesk,
) -> None:
    await desk.sign_up()

    new = await desk.accounts.sign_in("owner@example.com", PASSWORD, HOME)

    assert not new.session.account.proven
    assert len(await desk.told_of(MailboxProofRequested)) == 2
    assert (await desk.prove(new)).session.session.account.proven


async def test_a_sign_in_that_fails_takes_the_same_work_whatever_there_is(desk: AccountsDesk) -> None:
    await desk.join("proven@example.com")
    await desk.sign_up("unproven@example.com")
    await desk.join("both@example.com")
    await desk.sign_up("both@example.com", password=ANOTHER_PASSWORD, visitor=ELSEWHERE)

    async def runs_of(address: str) -> int:
        before = desk.hasher.runs
        with pytest.raises(WrongPassword):
            await desk.accounts.sign_in(address, WRONG, HOME)
        return desk.hasher.runs - before

    addresses = ["proven@example.com", "unproven@example.com", "both@example.com", "nobody@example.com"]
    assert [await runs_of(address) for address in addresses] == [2, 2, 2, 2]


async def test_the_password_of_an_unproven_sign_up_does_not_open_the_account_of_its_address(
    desk: AccountsDesk,
) -> None:
    owner = (await desk.join()).session.account
    await desk.sign_up(password=ANOTHER_PASSWORD, visitor=ELSEWHERE)

    assert (await desk.accounts.sign_in("owner@example.com", PASSWORD, HOME)).session.account == owner
    stranger = (await desk.accounts.sign_in("owner@example.com", ANOTHER_PASSWORD, ELSEWHERE)).session.account
    assert (stranger.proven, stranger.account_id == owner.account_id) == (False, False)


async def test_a_hash_of_older_parameters_is_replaced_at_the_next_sign_in(desk: AccountsDesk) -> None:
    await desk.join()
    stronger = CountingHasher(time_cost=2)
    today = desk.start(stronger)

    await today.sign_in("owner@example.com", PASSWORD, HOME)
    before = stronger.runs
    await today.sign_in("owner@example.com", PASSWORD, HOME)

    assert stronger.runs - before == 1, "verified, and not hashed again"
    assert "$m=8,t=2,p=1$" in await desk.everything_stored()


async def test_sign_ins_at_once_succeed_while_the_hash_is_replaced(desk: AccountsDesk) -> None:
    await desk.join()
    today = desk.start(CountingHasher(time_cost=2))

    new = await asyncio.gather(*(today.sign_in("owner@example.com", PASSWORD, HOME) for _ in range(10)))

    assert len({each.token for each in new}) == 10


async def test_passwords_are_kept_as_argon2id_with_the_parameters_that_the_library_recommends() -> None:
    password_hash = await Passwords().hash(PASSWORD)

    recommended = PasswordHasher()
    assert password_hash.startswith(
        f"$argon2id$v=19$m={recommended.memory_cost},t={recommended.time_cost},p={recommended.parallelism}$"
    )
    assert recommended.memory_cost >= 19 * 1024, "what OWASP asks for at least, in KiB"
    assert recommended.verify(password_hash, PASSWORD)


async def test_argon2_runs_twice_at_a_time_at_most() -> None:
    hasher = WatchedHasher()
    passwords = Passwords(hasher)
    together = threading.Barrier(2)  # No run ends before there is a second one.
    hasher.look = lambda: together.wait(timeout=20)

    await asyncio.gather(*(passwords.hash(PASSWORD) for _ in range(8)), *(passwords.verify(WRONG, None) for _ in "ab"))

    assert hasher.most_at_once == 2


async def test_no_transaction_is_open_while_argon2_runs(desk: AccountsDesk) -> None:
    pool = desk.engine.sync_engine.pool
    assert isinstance(pool, QueuePool)
    hasher = WatchedHasher(pool.checkedout)
    accounts = desk.start(hasher)
    new = await accounts.sign_up("owner@example.com", "The owner", PASSWORD, HOME)
    new = (await accounts.prove(new.session, await desk.code_for(new.session.account), HOME)).session
    with pytest.raises(WrongPassword):
        await accounts.sign_in("owner@example.com", WRONG, HOME)
    await accounts.sign_in("owner@example.com", PASSWORD, HOME)
    await accounts.change_password(new.session, PASSWORD, ANOTHER_PASSWORD, HOME)
    await accounts.request_reset("owner@example.com", HOME)
    await accounts.reset_password((await desk.reset_codes())[-1], PASSWORD, HOME)

    assert hasher.seen == [0] * 8


class WatchedHasher(CountingHasher):
    """Looks at something whenever it runs, and how many runs there are at once."""

    def __init__(self, look: Callable[[], int] = lambda: 0) -> None:
        super().__init__(time_cost=200)
        self.look = look
        self._lock = threading.Lock()
        self._at_once = 0
        self.most_at_once = 0
        self.seen: list[int] = []

    def hash(self, password: str | bytes, *, salt: bytes | None = None) -> str:
        with self._watched():
            return super().hash(password, salt=salt)

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002
        with self._watched():
            return super().verify(hash, password)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        with self._lock:
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.seen.append(self.look())
            yield
        finally:
            with self._lock:
                self._at_once -= 1


# --- changing the password


async def test_who_knows_the_old_password_sets_another(desk: AccountsDesk) -> None:
    new = await desk.join()

    changed = await desk.accounts.change_password(new.session, PASSWORD, ANOTHER_PASSWORD, HOME)

    account = new.session.account
    assert (await desk.told())[-1] == PasswordChanged(account_id=account.account_id, changed_at=NOON)
    assert (await desk.session_of(changed)).account == account
    assert (await desk.accounts.sign_in("owner@example.com", ANOTHER_PASSWORD, HOME)).session.account == account
    with pytest.raises(WrongPassword):
        await desk.accounts.sign_in("owner@example.com", PASSWORD, HOME)


async def test_that_ends_all_other_sessions_and_gives_this_one_another_token(desk: AccountsDesk) -> None:
    new = await desk.join()
    elsewhere = await desk.accounts.sign_in("owner@example.com", PASSWORD, ELSEWHERE)

    changed = await desk.accounts.change_password(new.session, PASSWORD, ANOTHER_PASSWORD, HOME)

    assert await desk.accounts.session(new.token) is None
    assert await desk.accounts.session(elsewhere.token) is None
    assert await desk.accounts.sessions(new.session.account.account_id) == [changed.session]


async def test_that_makes_links_for_another_password_worthless(desk: AccountsDesk) -> None:
    new = await desk.join()
    await desk.accounts.request_reset("owner@example.com", ELSEWHERE)
    (code,) = await desk.reset_codes()
    assert await desk.accounts.reset_exists(code)

    await desk.accounts.change_password(new.session, PASSWORD, ANOTHER_PASSWORD, HOME)

    assert not await desk.accounts.reset_exists(code)


async def test_who_does_not_know_it_changes_nothing(desk: AccountsDesk) -> None:
    new = await desk.join()
    told = await desk.told()

    with pytest.raises(WrongPassword):
        await desk.accounts.change_password(new.session, WRONG, ANOTHER_PASSWORD, HOME)

    assert await desk.told() == told
    assert await desk.session_of(new) == new.session
    assert await desk.accounts.sign_in("owner@example.com", PASSWORD, HOME)


async def test_the_new_password_has_to_be_good(desk: AccountsDesk) -> None:
    new = await desk.join()
    with pytest.raises(Malformed) as refusal:
        await desk.accounts.change_password(new.session, PASSWORD, "too short", HOME)
    assert refusal.value.field == "password"


async def test_of_changes_at_once_one_is_made(desk: AccountsDesk) -> None:
    new = await desk.join()
    passwords = [f"password number {number} of them" for number in range(10)]

    outcomes = await asyncio.gather(
        *(desk.accounts.change_password(new.session, PASSWORD, each, HOME) for each in passwords),
        return_exceptions=True,
    )

    assert [type(each) for each in outcomes].count(WrongPassword) == 9
    assert len(await desk.told_of(PasswordChanged)) == 1
    assert await desk.count("sessions") == 1


async def test_no_session_that_was_begun_with_the_old_password_outlives_the_change(desk: AccountsDesk) -> None:
    new = await desk.join()

    *_, changed = await asyncio.gather(
        *(desk.accounts.sign_in("owner@example.com", PASSWORD, ELSEWHERE) for _ in range(10)),
        desk.accounts.change_password(new.session, PASSWORD, ANOTHER_PASSWORD, HOME),
        return_exceptions=True,
    )

    assert not isinstance(changed, BaseException)
    assert await desk.accounts.sessions(new.session.account.account_id) == [changed.session]
