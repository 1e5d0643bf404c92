"""What Stripe gives to those who are paid through it."""

import secrets
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class StripeKeys:
    """Of one account with Stripe, in its test mode."""

    api: str
    """For servers: everything may be asked with it."""
    publishable: str
    """For pages: payment methods may be made with it, and no more."""
    webhook: str
    """What events are signed with."""

    @classmethod
    def new(cls) -> Self:
        """Keys that nobody has."""
        return cls(*(prefix + secrets.token_hex(16) for prefix in ("sk_test_", "pk_test_", "whsec_")))
