"""Where people sign up, prove their mailboxes, sign in, and change what is theirs.

An address belongs to who has proven it. Until then a sign-up is an account of its own that can do nothing but prove
the mailbox, and there may be several for one address: whoever signs up first with somebody else's address has
nothing, and its owner loses nothing. Sign-up, sign-in and reset give strangers the same answer, after the same work,
whether or not the address has an account: the difference is in the letter alone.

Argon2 runs while no transaction is open. What it has found is therefore looked at again when it is acted upon.
"""

import hmac
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError

from console import changes, limits
from console.accounts import challenges, sessions, store, tokens
from console.accounts.addresses import MailAddress, parse_address
from console.accounts.allowances import Allowances
from console.accounts.domain import (
    Account,
    DeadLink,
    Malformed,
    NewSession,
    NewToken,
    Scope,
    Session,
    Token,
    Visitor,
    WrongCode,
    WrongPassword,
)
from console.accounts.names import parse_name
from console.accounts.passwords import Passwords, check_password
from console.accounts.sessions import Lifetime
from console.accounts.store import Candidate
from console.limits import Limits
from console.settings import Settings
from console.together import Together
from contracts import (
    AccountProfile,
    MailboxProofRequested,
    Message,
    PasswordChanged,
    PasswordResetRequested,
    SignUpRepeated,
    code_digest,
    mailbox_code,
    reset_code,
)
from postroom import Room, WorkTransaction
from postroom.ids import uuid7

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Proven:
    """A mailbox that has just been proven."""

    session: NewSession
    """Instead of the one that asked."""
    accept: str | None
    """The digest of the link that the person came by. Accept the invitation; `remember_joining` then forgets it."""


class Accounts:
    """All that the edge does about accounts. Its methods open their own transactions, and may be called by many at
    once, in many processes on one database."""

    def __init__(self, settings: Settings, room: Room, limits: Limits, *, passwords: Passwords | None = None) -> None:
        self._settings = settings
        self._room = room
        self._limits = limits
        self._passwords = passwords or Passwords()
        self._allowances = Allowances(settings)
        self._accounts_key = settings.accounts_key_bytes
        self._lifetime = Lifetime(settings.session_lifetime, settings.session_idle)
        self._sessions = Together(self._find_sessions)
        self._tokens = Together(self._find_tokens)

    # --- signing up

    async def sign_up(
        self, address: str, name: str, password: str, visitor: Visitor, *, invitation_digest: str | None = None
    ) -> NewSession:
        """A session that must prove the mailbox, to which a letter with a code is sent. Raises Malformed, RateLimited.

        Where the address has an account already, the session is of an account that can never be proven (version 0:
        nobody is told of it), and the letter tells the owner of the mailbox.
        """
        parsed = parse_address(address)
        name = parse_name(name)
        check_password(password, parsed, name)
        await self._limits.spend(*self._allowances.sign_up(parsed.normalized, visitor))
        password_hash = await self._passwords.hash(password)
        now = self._room.clock()
        async with self._room.transaction() as transaction:
            owner_id = await store.find_owner(transaction.connection, parsed.normalized)
            account = Account(
                account_id=uuid7(),
                address=parsed.typed,
                address_normalized=parsed.normalized,
                name=name,
                version=1 if owner_id is None else 0,
                created_at=now,
                proven=False,
                invitation_digest=invitation_digest,
            )
            await store.insert(transaction.connection, account, password_hash)
            asked = await self._ask_for_proof(transaction, account, owner_id, now)
            told = [_profile(account), asked] if owner_id is None else [asked]
            await transaction.send([(uuid7(), each) for each in told], now=now)
            new = await sessions.begin(transaction.connection, account, visitor, now, self._lifetime)
        log.info("signed up", account_id=str(account.account_id))
        return new

    async def send_code(self, session: Session, visitor: Visitor) -> None:
        """Another letter with a code; earlier ones hold no more. Does nothing where the mailbox is proven. Raises
        RateLimited."""
        now = self._room.clock()
        if not session.account.proven:
            async with self._room.transaction() as transaction:
                await self._send_code(transaction, session.account, now)

    async def prove(self, session: Session, code: str, visitor: Visitor) -> Proven:
        """Makes the account of the session the owner of its address, if this is the code in the newest letter. Raises
        WrongCode, RateLimited."""
        account_id, limit = session.account.account_id, self._settings.code_attempts
        spent = self._allowances.wrong_code(visitor)
        now = self._room.clock()
        async with self._room.transaction() as transaction:
            await limits.spend(transaction.connection, spent, now)
            attempt = await challenges.take_attempt(transaction.connection, account_id, limit=limit, now=now)
        if attempt is None:
            raise WrongCode(attempts_left=0)
        challenge_id, attempts = attempt
        if not self._is_code_of(challenge_id, code):
            log.info("wrong code", account_id=str(account_id), attempts=attempts)
            raise WrongCode(limit - attempts)
        try:
            async with self._room.transaction() as transaction:
                await limits.give_back(transaction.connection, spent, now)
                account = await store.prove(transaction.connection, account_id, now)
                if account is None or not await challenges.meet(transaction.connection, challenge_id):
                    raise WrongCode(limit - attempts)
                await transaction.send([(uuid7(), _profile(account))], now=now)
                new = await self._rotate(transaction, session, account, visitor, now)
        except IntegrityError:
            # Somebody else has proven the address. That it is taken is for its owner to know.
            raise WrongCode(limit - attempts) from None
        log.info("mailbox proven", account_id=str(account_id))
        return Proven(new, account.invitation_digest)

    # --- signing in

    async def sign_in(self, address: str, password: str, visitor: Visitor) -> NewSession:
        """A session; where the mailbox is not proven yet, one that must prove it, and another letter with a code.
        Raises WrongPassword, RateLimited.

        A sign-in that fails takes two runs of Argon2, one for the account that has the address and one for the newest
        sign-up with it, whether or not there are such.
        """
        try:
            parsed = parse_address(address)
        except Malformed:
            raise WrongPassword from None
        # It counts as a failure until it is none, so that guesses at the same moment are no more than may fail.
        spent = self._allowances.wrong_password(parsed.normalized, visitor)
        async with self._room.transaction() as transaction:
            await limits.spend(transaction.connection, spent, self._room.clock())
            candidates = await store.find_candidates(transaction.connection, parsed.normalized)
        candidate = await self._recognize(candidates, password)
        account, now = candidate.account, self._room.clock()
        async with self._room.transaction() as transaction:
            await limits.give_back(transaction.connection, spent, now)
            new = None
            if await store.hold_password(transaction.connection, candidate):
                new = await sessions.begin(transaction.connection, account, visitor, now, self._lifetime)
                if not account.proven:
                    await self._send_code(transaction, account, now)
        if new is None:  # The password was changed, or hashed anew, at this very moment.
            return await self.sign_in(address, password, visitor)
        log.info("signed in", account_id=str(account.account_id))
        await self._rehash(candidate, password)
        return new

    async def session(self, token: str) -> Session | None:
        """The session of this token; none where it is unknown or has ended. That it was seen is noted, every few
        minutes."""
        return await self._sessions.ask(token)

    async def sign_out(self, session: Session) -> None:
        """Ends the session."""
        await self.end_session(session.account.account_id, session.session_id)

    async def sessions(self, account_id: UUID) -> list[Session]:
        """The account's sessions that have not ended, the one last seen first."""
        async with self._room.transaction() as transaction:
            return await sessions.list_of(transaction.connection, account_id, self._room.clock(), self._lifetime)

    async def end_session(self, account_id: UUID, session_id: UUID) -> bool:
        """Ends a session of the account; returns whether it has this one."""
        async with self._room.transaction() as transaction:
            return await sessions.end(transaction.connection, account_id, session_id)

    async def sign_out_elsewhere(self, session: Session) -> int:
        """Ends all other sessions of the account; returns how many."""
        async with self._room.transaction() as transaction:
            return await sessions.end_all(transaction.connection, session.account.account_id, but=session.session_id)

    async def remember_joining(self, session_id: UUID, command_id: UUID | None) -> None:
        """Which acceptance the person in this session is still to be told of; none when that is done. The link that
        the account came by has done its work either way."""
        async with self._room.transaction() as transaction:
            await store.use_invitation(transaction.connection, session_id)
            await sessions.set_joining(transaction.connection, session_id, command_id)

    # --- forgotten passwords

    async def request_reset(self, address: str, visitor: Visitor) -> None:
        """A letter with a link, if the address has an account. Raises Malformed, RateLimited."""
        parsed = parse_address(address)
        now = self._room.clock()
        challenge_id, expires_at = uuid7(), now + self._settings.reset_lifetime
        digest = code_digest(reset_code(self._accounts_key, challenge_id))
        async with self._room.transaction() as transaction:
            await limits.spend(transaction.connection, self._allowances.reset(parsed.normalized, visitor), now)
            account_id = await challenges.insert_reset(
                transaction.connection, challenge_id, parsed.normalized, digest, now, expires_at
            )
            if account_id is not None:
                requested = PasswordResetRequested(
                    account_id=account_id, challenge_id=challenge_id, requested_at=now, expires_at=expires_at
                )
                await transaction.send([(uuid7(), requested)], now=now)

    async def reset_exists(self, code: str) -> bool:
        """Whether a link with this code resets a password. Looking at it does not use it."""
        async with self._room.transaction() as transaction:
            return (
                await challenges.find_reset(transaction.connection, code_digest(code), self._room.clock()) is not None
            )

    async def reset_password(self, code: str, password: str, visitor: Visitor) -> None:
        """Sets another password by the link in a letter, which then holds no more. Ends all sessions and tokens of the
        account. Raises DeadLink, or Malformed, after which the link still holds."""
        digest = code_digest(code)
        async with self._room.transaction() as transaction:
            account = await challenges.find_reset(transaction.connection, digest, self._room.clock())
        if account is None:
            raise DeadLink
        check_password(password, MailAddress(account.address, account.address_normalized), account.name)
        password_hash = await self._passwords.hash(password)
        now = self._room.clock()
        async with self._room.transaction() as transaction:
            await store.set_password(transaction.connection, account.account_id, password_hash)
            if not await challenges.meet_reset(transaction.connection, digest, now):
                raise DeadLink
            await self._end_everything(transaction, account.account_id, now)
            await tokens.revoke_all(transaction.connection, account.account_id)
        log.info("password reset", account_id=str(account.account_id))

    # --- what is one's own

    async def accounts(self, ids: Collection[UUID]) -> dict[UUID, Account]:
        """Those of these accounts that there are."""
        async with self._room.transaction() as transaction:
            return await store.find(transaction.connection, ids)

    async def rename(self, account: Account, name: str) -> Account:
        """The account under another name; its mailbox has to be proven. Raises Malformed."""
        name = parse_name(name)
        async with self._room.transaction() as transaction:
            renamed = await store.rename(transaction.connection, account.account_id, name)
            await changes.tell_of_account(transaction.connection, account.account_id)
            await transaction.send([(uuid7(), _profile(renamed))], now=self._room.clock())
        return renamed

    async def change_password(self, session: Session, old: str, new: str, visitor: Visitor) -> NewSession:
        """Sets another password, for who knows the old one. Ends all sessions of the account, and answers a new one for
        this browser; tokens hold on. Raises WrongPassword, Malformed, RateLimited."""
        account = session.account
        check_password(new, MailAddress(account.address, account.address_normalized), account.name)
        spent = self._allowances.wrong_old_password(account.address_normalized)
        async with self._room.transaction() as transaction:
            await limits.spend(transaction.connection, spent, self._room.clock())
            old_hash = await store.read_password_hash(transaction.connection, account.account_id)
        if not await self._passwords.verify(old, old_hash):
            raise WrongPassword
        password_hash = await self._passwords.hash(new)
        now = self._room.clock()
        async with self._room.transaction() as transaction:
            await limits.give_back(transaction.connection, spent, now)
            if not await store.set_password(
                transaction.connection, account.account_id, password_hash, instead_of=old_hash
            ):
                raise WrongPassword
            await self._end_everything(transaction, account.account_id, now)
            changed = await self._rotate(transaction, session, account, visitor, now)
        log.info("password changed", account_id=str(account.account_id))
        return changed

    # --- tokens

    async def create_token(
        self, account: Account, name: str, scopes: frozenset[Scope], lifetime: timedelta | None
    ) -> NewToken:
        """A token that holds for so long, or until it is revoked. Its secret is answered here and never again. Raises
        Malformed."""
        async with self._room.transaction() as transaction:
            new = await tokens.create(
                transaction.connection, account.account_id, name, scopes, lifetime, self._room.clock()
            )
        log.info("token created", account_id=str(account.account_id), token_id=str(new.token.token_id))
        return new

    async def tokens(self, account_id: UUID) -> list[Token]:
        """The account's tokens, the oldest first, with those whose time is over."""
        async with self._room.transaction() as transaction:
            return await tokens.list_of(transaction.connection, account_id)

    async def revoke_token(self, account_id: UUID, token_id: UUID) -> bool:
        """Ends a token of the account; returns whether it has this one."""
        async with self._room.transaction() as transaction:
            return await tokens.revoke(transaction.connection, account_id, token_id)

    async def account_of_token(self, secret: str) -> tuple[Account, Token] | None:
        """Whom a program acts for, and with which token; none where the token is unknown, revoked or too old. That it
        was used is noted, every few minutes."""
        return await self._tokens.ask(secret)

    # --- steps

    async def _find_sessions(self, asked: Sequence[str]) -> list[Session | None]:
        now = self._room.clock()
        async with self._room.reading() as connection:
            found = await sessions.find(connection, asked, now, self._lifetime)
        if seen := [session.session_id for session in found if session and session.seen_at == now]:
            async with self._room.transaction() as transaction:
                await sessions.note(transaction.connection, seen, now)
        return found

    async def _find_tokens(self, asked: Sequence[str]) -> list[tuple[Account, Token] | None]:
        now = self._room.clock()
        async with self._room.reading() as connection:
            found = await tokens.find(connection, asked, now)
        if used := [each[1].token_id for each in found if each and each[1].used_at == now]:
            async with self._room.transaction() as transaction:
                await tokens.note(transaction.connection, used, now)
        return found

    async def _send_code(self, transaction: WorkTransaction, account: Account, now: datetime) -> None:
        connection = transaction.connection
        await limits.spend(connection, self._allowances.code(account.address_normalized), now)
        owner_id = await store.find_owner(connection, account.address_normalized)
        asked = await self._ask_for_proof(transaction, account, owner_id, now)
        await transaction.send([(uuid7(), asked)], now=now)

    async def _ask_for_proof(
        self, transaction: WorkTransaction, account: Account, owner_id: UUID | None, now: datetime
    ) -> Message:
        """Makes the challenge that counts from now on, and answers the reason for a letter. Where somebody else owns
        the address, the letter is for the owner, and the code is in none."""
        challenge_id, expires_at = uuid7(), now + self._settings.code_lifetime
        await challenges.insert_code(transaction.connection, challenge_id, account.account_id, now, expires_at)
        if owner_id is not None:
            return SignUpRepeated(account_id=owner_id, repeated_at=now)
        return MailboxProofRequested(
            account_id=account.account_id, challenge_id=challenge_id, requested_at=now, expires_at=expires_at
        )

    def _is_code_of(self, challenge_id: UUID, code: str) -> bool:
        """In constant time. Only digits count: people copy spaces, dashes and dots along."""
        digits = "".join(each for each in code if each.isdecimal()).encode("utf-8", "surrogatepass")
        return hmac.compare_digest(mailbox_code(self._accounts_key, challenge_id).encode(), digits)

    async def _recognize(self, candidates: Collection[Candidate | None], password: str) -> Candidate:
        """The first whose password this is. Raises WrongPassword."""
        for candidate in candidates:
            if await self._passwords.verify(password, candidate.password_hash if candidate else None) and candidate:
                return candidate
        log.info("wrong password", account_ids=[str(each.account.account_id) for each in candidates if each])
        raise WrongPassword

    async def _rehash(self, candidate: Candidate, password: str) -> None:
        """Keeps up with the parameters of today, where the password is still the same."""
        if self._passwords.is_outdated(candidate.password_hash):
            password_hash = await self._passwords.hash(password)
            async with self._room.transaction() as transaction:
                await store.set_password(
                    transaction.connection,
                    candidate.account.account_id,
                    password_hash,
                    instead_of=candidate.password_hash,
                )

    async def _rotate(
        self, transaction: WorkTransaction, session: Session, account: Account, visitor: Visitor, now: datetime
    ) -> NewSession:
        """Another session for the same browser, in case that somebody else knows the token of this one."""
        await sessions.end(transaction.connection, account.account_id, session.session_id)
        return await sessions.begin(
            transaction.connection,
            account,
            visitor,
            now,
            self._lifetime,
            joining_command_id=session.joining_command_id,
        )

    async def _end_everything(self, transaction: WorkTransaction, account_id: UUID, now: datetime) -> None:
        """What was begun with the old password ends, links for another one hold no more, and the owner is told."""
        await challenges.forget_of_account(transaction.connection, account_id)
        await sessions.end_all(transaction.connection, account_id)
        await transaction.send([(uuid7(), PasswordChanged(account_id=account_id, changed_at=now))], now=now)


def _profile(account: Account) -> AccountProfile:
    return AccountProfile(
        account_id=account.account_id,
        version=account.version,
        address=account.address,
        name=account.name,
        verified=account.proven,
    )
