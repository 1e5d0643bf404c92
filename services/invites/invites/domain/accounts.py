"""Accounts: invites' own copy of who people are."""

from dataclasses import dataclass
from uuid import UUID

from contracts import AccountProfile
from invites.domain.addresses import normalize_address


@dataclass(slots=True)
class Profile:
    """What is known of an account. Console is the authority."""

    account_id: UUID
    version: int
    address: str | None
    """As its owner wrote it; none where the person was erased."""
    address_normalized: str | None
    name: str
    verified: bool
    """Whether the account has proven that it receives letters at the address."""
    changed: bool = False
    """Whether it is still to be saved."""

    @classmethod
    def of(cls, fact: AccountProfile) -> "Profile":
        """The copy of what console says."""
        return cls(
            account_id=fact.account_id,
            version=fact.version,
            address=fact.address,
            address_normalized=normalize_address(fact.address),
            name=fact.name,
            verified=fact.verified,
            changed=True,
        )

    def erase(self) -> None:
        """Forgets the person. The version stays, so that an older profile which comes again is not believed."""
        self.address = self.address_normalized = None
        self.name = ""
        self.verified = False
        self.changed = True
