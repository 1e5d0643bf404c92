"""What is stored of a secret that nobody can guess."""

import hashlib


def digest_of(secret: str) -> bytes:
    """SHA-256. Any text is taken, since cookies and headers hold anything; a wrong one simply is nobody's."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
