"""The one-time link: how its code is made, and how it is recognized without being stored.

The code is derived, so that nothing has to keep it: notifier makes it while it writes a letter, invites and every
command carry only its digest. Whoever holds the link key can make every link, so the key is a secret of two services.
"""

import base64
import hashlib
import hmac
from uuid import UUID


def link_code(link_key: bytes, invitation_id: UUID) -> str:
    """The code of the invitation's link, 43 characters of base64url: HMAC-SHA256 of the id under `link_key`.

    It is usable: never store, log or publish it.
    """
    mac = hmac.new(link_key, invitation_id.bytes, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode("ascii")


def code_digest(code: str) -> str:
    """SHA-256 of a link's code in hexadecimal: what AcceptInvitation and DeclineInvitation carry. Any text is taken,
    since people paste anything; a wrong one simply matches no invitation."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
