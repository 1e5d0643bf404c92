"""Passwords: which are good enough (NIST SP 800-63B: long, and not one that everybody tries), and how they are kept.

Argon2id with the parameters that argon2-cffi recommends (RFC 9106, the second choice). A run takes tens of
milliseconds and 64 MiB, so a process does two at a time, beside its event loop.
"""

import asyncio
import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from console.accounts.addresses import MailAddress
from console.accounts.domain import Malformed

MIN_LENGTH = 10
MAX_LENGTH = 200

_AT_A_TIME = 2
_FEWEST_DIFFERENT_CHARACTERS = 4
_COMMON = frozenset(
    {
        "0123456789",
        "1234567890",
        "123456789a",
        "12345678910",
        "0987654321",
        "1q2w3e4r5t",
        "1qaz2wsx3edc",
        "abcdefghij",
        "changeme123",
        "football123",
        "iloveyou123",
        "letmein123",
        "monkey1234",
        "mypassword",
        "p@ssw0rd123",
        "passw0rd123",
        "password01",
        "password12",
        "password123",
        "password1234",
        "passwordpassword",
        "q1w2e3r4t5",
        "qwerty1234",
        "qwerty12345",
        "qwertyuiop",
        "qwertzuiop",
        "welcome123",
        "latchkey123",
    }
)
"""The first that anybody tries, of those that are long enough."""


def check_password(password: str, address: MailAddress, name: str) -> None:
    """Raises Malformed where the password of this person would be too easily guessed. Nothing is asked of its
    characters."""
    text = _prepared(password)
    if len(text) < MIN_LENGTH:
        raise Malformed("password", f"That password is too short. Use at least {MIN_LENGTH} characters.")
    if len(text) > MAX_LENGTH:
        raise Malformed("password", f"That password is too long. Use at most {MAX_LENGTH} characters.")
    folded = text.strip().casefold()
    own = {address.typed, address.normalized, address.normalized.rpartition("@")[0], name}
    if folded in {_prepared(each).casefold() for each in own}:
        raise Malformed("password", "That password is your own name or address. Choose another one.")
    if folded in _COMMON or len(set(folded)) < _FEWEST_DIFFERENT_CHARACTERS:
        raise Malformed("password", "That password is one of the first that anybody tries. Choose another one.")


class Passwords:
    """Makes and verifies hashes. Both take the time of one run of Argon2id, whatever comes out."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        self._hasher = hasher or PasswordHasher()
        self._turns = asyncio.Semaphore(_AT_A_TIME)
        self._hash_of_nobody = self._hasher.hash(secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        """What is stored instead of the password."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, _encoded(password))

    async def verify(self, password: str, password_hash: str | None) -> bool:
        """Whether the hash is of this password. Where there is no hash, since there is no such account, it is not, and
        that takes as long."""
        async with self._turns:
            return await asyncio.to_thread(self._matches, password_hash or self._hash_of_nobody, _encoded(password))

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made with other parameters than are used now."""
        return self._hasher.check_needs_rehash(password_hash)

    def _matches(self, password_hash: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except VerifyMismatchError:
            return False


def _prepared(password: str) -> str:
    """The same text, however the keyboard composes it (NIST SP 800-63B, section 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


def _encoded(password: str) -> bytes:
    # Any text is taken, halves of characters among it: a password that nobody can have is a wrong one, not a fault.
    return _prepared(password).encode("utf-8", "surrogatepass")
