"""The codes of an account's letters: the six digits that prove a mailbox, and the code of the link that resets a
password.

Both are derived from the id of a challenge, as the code of an invitation's link is from the invitation (`link_code`),
so that nothing has to keep them: console makes the challenge and publishes its id, notifier derives the code while it
writes the letter, and console derives it again to compare. The accounts key is a secret of these two services, and
another than the link key, which console does not have. How long a challenge holds, and how often a wrong code may be
tried, is console's business; six digits are worth nothing without both limits.
"""

import base64
import hashlib
import hmac
from uuid import UUID


def mailbox_code(accounts_key: bytes, challenge_id: UUID) -> str:
    """The code that proves a mailbox: six decimal digits, leading zeros among them.

    It is usable: never store, log or publish it, and no digest of it either. There are a million codes, so whoever
    has the SHA-256 of one has the code.
    """
    return f"{int.from_bytes(_mac(accounts_key, b'mailbox-code', challenge_id), 'big') % 1_000_000:06d}"


def reset_code(accounts_key: bytes, challenge_id: UUID) -> str:
    """The code of the link that resets a password, 43 characters of base64url.

    It is usable: never store, log or publish it. Its digest (`code_digest`) may be stored, since nobody can guess
    what it is of.
    """
    return base64.urlsafe_b64encode(_mac(accounts_key, b"reset-code", challenge_id)).rstrip(b"=").decode("ascii")


def _mac(accounts_key: bytes, purpose: bytes, challenge_id: UUID) -> bytes:
    """HMAC-SHA256 of the purpose, a zero byte and the id's 16 bytes: one challenge has unrelated codes for unrelated
    purposes, and neither says anything about the other."""
    return hmac.new(accounts_key, purpose + b"\0" + challenge_id.bytes, hashlib.sha256).digest()
