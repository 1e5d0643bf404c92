"""Sessions and tokens: how long they last, who may end them, and that nothing stored, told or logged is of use."""

import hashlib
from datetime import timedelta

import pytest
from accounts_desk import ANOTHER_PASSWORD, ELSEWHERE, HOME, NOON, PASSWORD, AccountsDesk, wrong
from structlog.testing import capture_logs

from console.accounts.domain import Malformed, NewSession, Scope, WrongCode, WrongPassword
from console.accounts.retention import forget_sessions
from contracts import AccountProfile
from postroom.ids import uuid7

READ = frozenset({Scope.READ})
NEW_NAME = "An owner by another name"


async def test_a_session_ends_after_a_week_in_which_nothing_was_heard_of_it(desk: AccountsDesk) -> None:
    new = await desk.join()

    desk.clock.passes(timedelta(days=7) - timedelta(seconds=1))
    assert await desk.accounts.session(new.token) is not None
    desk.clock.passes(timedelta(days=7))

    assert await desk.accounts.session(new.token) is None
    assert await desk.accounts.sessions(new.session.account.account_id) == []


async def test_a_session_ends_after_thirty_days_however_busy_it_is(desk: AccountsDesk) -> None:
    new = await desk.join()

    for _ in range(29):
        desk.clock.passes(timedelta(days=1))
        assert await desk.accounts.session(new.token) is not None
    desk.clock.passes(timedelta(days=1))

    assert await desk.accounts.session(new.token) is None


async def test_that_it_was_seen_is_noted_every_five_minutes(desk: AccountsDesk) -> None:
    new = await desk.join()

    desk.clock.passes(timedelta(minutes=4))
    assert (await desk.session_of(new)).seen_at == NOON
    desk.clock.passes(timedelta(minutes=1))
    assert (await desk.session_of(new)).seen_at == NOON + timedelta(minutes=5)
    desk.clock.passes(timedelta(minutes=1))
    assert (await desk.session_of(new)).seen_at == NOON + timedelta(minutes=5)


@pytest.mark.parametrize("token", ["", "x" * 43, "\ud800", "\0", "ü"])
async def test_any_other_token_is_nobodys(desk: AccountsDesk, token: str) -> None:
    await desk.join()
    assert await desk.accounts.session(token) is None
    assert await desk.accounts.account_of_token(token) is None


async def test_who_signs_out_ends_this_session_and_no_other(desk: AccountsDesk) -> None:
    new, elsewhere = await desk.join(), await sign_in(desk)

    await desk.accounts.sign_out(new.session)

    assert await desk.accounts.session(new.token) is None
    assert await desk.accounts.session(elsewhere.token) is not None


async def test_people_see_their_own_sessions_the_one_last_seen_first(desk: AccountsDesk) -> None:
    new = await desk.join()
    await desk.join("member@example.com")
    desk.clock.passes(timedelta(hours=1))
    elsewhere = await sign_in(desk)
    desk.clock.passes(timedelta(hours=1))
    seen = await desk.session_of(new)

    assert await desk.accounts.sessions(new.session.account.account_id) == [seen, elsewhere.session]


async def test_people_end_a_session_of_their_own_and_nobody_elses(desk: AccountsDesk) -> None:
    new, elsewhere = await desk.join(), await sign_in(desk)
    member = (await desk.join("member@example.com")).session
    account_id = new.session.account.account_id

    assert not await desk.accounts.end_session(account_id, member.session_id)
    assert not await desk.accounts.end_session(account_id, uuid7())
    assert await desk.accounts.end_session(account_id, elsewhere.session.session_id)
    assert not await desk.accounts.end_session(account_id, elsewhere.session.session_id)

    assert await desk.accounts.sessions(account_id) == [new.session]
    assert await desk.accounts.sessions(member.account.account_id) == [member]


async def test_who_signs_out_elsewhere_stays_signed_in_here(desk: AccountsDesk) -> None:
    new = await desk.join()
    await sign_in(desk)
    await sign_in(desk)
    member = await desk.join("member@example.com")

    assert await desk.accounts.sign_out_elsewhere(new.session) == 2

    assert await desk.accounts.sessions(new.session.account.account_id) == [new.session]
    assert await desk.accounts.session(member.token) is not None


async def test_sessions_that_have_ended_are_deleted_in_time(desk: AccountsDesk) -> None:
    await desk.join()
    desk.clock.passes(timedelta(days=5))
    await sign_in(desk)
    desk.clock.passes(timedelta(days=2))

    async with desk.engine.begin() as connection:
        assert await forget_sessions(connection, desk.clock(), idle=timedelta(days=7)) == 1
        assert await forget_sessions(connection, desk.clock(), idle=timedelta(days=7)) == 0

    assert await desk.count("sessions") == 1


# --- names


async def test_people_may_call_themselves_something_else(desk: AccountsDesk) -> None:
    new = await desk.join()

    renamed = await desk.accounts.rename(new.session.account, f" {NEW_NAME} ")

    assert (renamed.name, renamed.version) == (NEW_NAME, 3)
    assert (await desk.told())[-1] == AccountProfile(
        account_id=renamed.account_id, version=3, address="owner@example.com", name=NEW_NAME, verified=True
    )
    assert (await desk.session_of(new)).account == renamed
    assert await desk.accounts.accounts([renamed.account_id, uuid7()]) == {renamed.account_id: renamed}


async def test_but_not_anything(desk: AccountsDesk) -> None:
    account = (await desk.join()).session.account
    with pytest.raises(Malformed) as refusal:
        await desk.accounts.rename(account, "two\nlines")
    assert refusal.value.field == "name"


# --- tokens


async def test_a_program_with_a_token_acts_for_its_owner(desk: AccountsDesk) -> None:
    account = (await desk.join()).session.account

    new = await desk.accounts.create_token(account, " Deploys ", frozenset({Scope.READ, Scope.ORGANIZATION}), None)

    assert new.secret.startswith("lk_")
    assert (new.token.name, new.token.expires_at, new.token.used_at) == ("Deploys", None, None)
    found = await desk.accounts.account_of_token(new.secret)
    assert found is not None
    assert found[0] == account
    assert found[1].scopes == {Scope.READ, Scope.ORGANIZATION}


async def test_that_a_token_is_used_is_noted(desk: AccountsDesk) -> None:
    account = (await desk.join()).session.account
    new = await desk.accounts.create_token(account, "Deploys", READ, None)
    assert [each.used_at for each in await desk.accounts.tokens(account.account_id)] == [None]

    await desk.accounts.account_of_token(new.secret)
    desk.clock.passes(timedelta(minutes=1))
    await desk.accounts.account_of_token(new.secret)
    assert [each.used_at for each in await desk.accounts.tokens(account.account_id)] == [NOON]
    desk.clock.passes(timedelta(minutes=4))
    await desk.accounts.account_of_token(new.secret)

    assert [each.used_at for each in await desk.accounts.tokens(account.account_id)] == [NOON + timedelta(minutes=5)]


async def test_a_token_holds_for_as_long_as_it_was_made_for_and_is_still_listed_then(desk: AccountsDesk) -> None:
    account = (await desk.join()).session.account
    new = await desk.accounts.create_token(account, "Deploys", READ, timedelta(days=30))

    desk.clock.passes(timedelta(days=30) - timedelta(seconds=1))
    assert await desk.accounts.account_of_token(new.secret) is not None
    desk.clock.passes(timedelta(seconds=1))

    assert await desk.accounts.account_of_token(new.secret) is None
    assert [each.token_id for each in await desk.accounts.tokens(account.account_id)] == [new.token.token_id]


async def test_people_revoke_tokens_of_their_own_and_nobody_elses(desk: AccountsDesk) -> None:
    owner = (await desk.join()).session.account
    member = (await desk.join("member@example.com")).session.account
    first, second = [await desk.accounts.create_token(owner, name, READ, None) for name in ("One", "Two")]

    assert not await desk.accounts.revoke_token(member.account_id, first.token.token_id)
    assert await desk.accounts.revoke_token(owner.account_id, first.token.token_id)
    assert not await desk.accounts.revoke_token(owner.account_id, first.token.token_id)

    assert await desk.accounts.account_of_token(first.secret) is None
    assert await desk.accounts.tokens(owner.account_id) == [second.token]
    assert await desk.accounts.tokens(member.account_id) == []


@pytest.mark.parametrize(
    ("field", "name", "scopes", "lifetime"),
    [
        ("name", "", READ, None),
        ("name", "two\nlines", READ, None),
        ("scopes", "Deploys", frozenset(), None),
        ("lifetime", "Deploys", READ, timedelta(0)),
        ("lifetime", "Deploys", READ, timedelta(days=-1)),
        ("lifetime", "Deploys", READ, timedelta(days=3651)),
        ("lifetime", "Deploys", READ, timedelta.max),
    ],
)
async def test_a_token_has_a_name_something_to_do_and_a_sensible_time(
    desk: AccountsDesk, field: str, name: str, scopes: frozenset[Scope], lifetime: timedelta | None
) -> None:
    account = (await desk.join()).session.account
    with pytest.raises(Malformed) as refusal:
        await desk.accounts.create_token(account, name, scopes, lifetime)
    assert refusal.value.field == field
    assert await desk.accounts.tokens(account.account_id) == []


async def test_an_account_has_fifty_tokens_at_most(desk: AccountsDesk) -> None:
    account = (await desk.join()).session.account
    for number in range(50):
        await desk.accounts.create_token(account, f"Number {number}", READ, None)

    with pytest.raises(Malformed):
        await desk.accounts.create_token(account, "One too many", READ, None)

    (first, *_) = await desk.accounts.tokens(account.account_id)
    await desk.accounts.revoke_token(account.account_id, first.token_id)
    assert await desk.accounts.create_token(account, "Instead of it", READ, None)


# --- secrets


async def test_nothing_that_is_stored_told_or_logged_gets_anybody_in(desk: AccountsDesk) -> None:
    """No code, link, password or token, not even as a digest of six digits; and logs name nobody."""
    with capture_logs() as logs:
        secrets, open_codes = await a_life_of_an_account(desk)

    assert len(secrets) == len(set(secrets)) == 13
    stored, logged = await desk.everything_stored(), repr(logs)
    assert PASSWORD not in stored
    for secret in secrets:
        for form in (secret, secret.encode().hex()):
            assert form not in stored
            assert form not in logged
    for code in open_codes:
        for algorithm in ("md5", "sha1", "sha256", "sha512"):
            assert hashlib.new(algorithm, code.encode()).hexdigest() not in stored
    for nobody in ("example.com", "198.51.100.7", "owner", "browser"):
        assert nobody not in logged
    assert "owner@example.com" in stored, "the search finds what is there"


async def a_life_of_an_account(desk: AccountsDesk) -> tuple[list[str], list[str]]:
    """All secrets of an account that does everything once, and those of them that are six digits."""
    new = await desk.sign_up()
    codes = [await desk.code_for(new.session.account)]
    await desk.accounts.send_code(new.session, HOME)
    codes.append(await desk.code_for(new.session.account))
    with pytest.raises(WrongCode):
        await desk.accounts.prove(new.session, wrong(codes[1]), HOME)
    proven = (await desk.prove(new)).session
    with pytest.raises(WrongPassword):
        await desk.accounts.sign_in("owner@example.com", ANOTHER_PASSWORD, ELSEWHERE)
    elsewhere = await sign_in(desk)
    changed = await desk.accounts.change_password(elsewhere.session, PASSWORD, ANOTHER_PASSWORD, ELSEWHERE)
    await desk.accounts.request_reset("owner@example.com", HOME)
    await desk.accounts.reset_password((await desk.reset_codes())[0], "a third password", HOME)
    await desk.accounts.request_reset("owner@example.com", HOME)
    again = await desk.accounts.sign_in("owner@example.com", "a third password", HOME)
    token = await desk.accounts.create_token(again.session.account, "Deploys", READ, None)
    stranger = await desk.sign_up(visitor=ELSEWHERE, password="the password of a stranger")
    codes.append(await desk.code_of_challenge(stranger.session.account))
    sessions = [each.token for each in (new, proven, elsewhere, changed, again, stranger)]
    passwords = [PASSWORD, ANOTHER_PASSWORD, "a third password", "the password of a stranger"]
    links = await desk.reset_codes()
    return [*sessions, *passwords, *links, token.secret], codes


async def sign_in(desk: AccountsDesk) -> NewSession:
    return await desk.accounts.sign_in("owner@example.com", PASSWORD, ELSEWHERE)
