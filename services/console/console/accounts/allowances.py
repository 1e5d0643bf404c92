"""How often something may be tried, and how many letters may be asked for, as the settings say."""

from collections.abc import Iterable
from datetime import timedelta

from console.accounts.addresses import fold_aliases
from console.accounts.domain import Visitor
from console.limits import Allowance, network_of
from console.settings import Settings

_HOUR = timedelta(hours=1)


class Allowances:
    """What each thing that people without a session do takes from. Addresses are normalized ones."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def sign_up(self, address: str, visitor: Visitor) -> Iterable[Allowance]:
        """Of a sign-up, and the letter that follows."""
        limit = self._settings.sign_ups_per_network_per_hour
        return (Allowance("sign-ups", network_of(visitor.network_address), limit, _HOUR), *self.code(address))

    def code(self, address: str) -> Iterable[Allowance]:
        """Of a letter with a code."""
        limit = self._settings.codes_per_address_per_hour
        return (Allowance("letters about a sign-up", fold_aliases(address), limit, _HOUR),)

    def wrong_password(self, address: str, visitor: Visitor) -> Iterable[Allowance]:
        """Of a sign-in that fails."""
        limit = self._settings.sign_ins_per_address_per_hour
        return (Allowance("failed sign-ins", address, limit, _HOUR), *self.wrong_code(visitor))

    def wrong_code(self, visitor: Visitor) -> Iterable[Allowance]:
        """Of a code that is not the right one: as a sign-in that fails, since it is a way in as well. Those at one
        account are counted by its challenge."""
        limit = self._settings.sign_ins_per_network_per_hour
        return (Allowance("failed sign-ins from", network_of(visitor.network_address), limit, _HOUR),)

    def wrong_old_password(self, address: str) -> Iterable[Allowance]:
        """Of a change of password that fails. It is counted apart from sign-ins, so that nobody who fails at those can
        keep the account's owner from it."""
        limit = self._settings.sign_ins_per_address_per_hour
        return (Allowance("failed changes of password", address, limit, _HOUR),)

    def reset(self, address: str, visitor: Visitor) -> Iterable[Allowance]:
        """Of a letter with a reset link."""
        return (
            Allowance("resets", fold_aliases(address), self._settings.resets_per_address_per_hour, _HOUR),
            Allowance(
                "resets from", network_of(visitor.network_address), self._settings.resets_per_network_per_hour, _HOUR
            ),
        )
