"""Everything that stands behind a page or an answer of the API. `request.app.state.edge` has it."""

from dataclasses import dataclass

from console.accounts.desk import Accounts
from console.changes import Changes
from console.commands.desk import Commands
from console.limits import Limits
from console.settings import Settings
from console.view.money_queries import MoneyView
from console.view.queries import View
from postroom import Room


@dataclass(frozen=True, slots=True)
class Edge:
    """The parts, put together for one process."""

    settings: Settings
    room: Room
    accounts: Accounts
    commands: Commands
    view: View
    money: MoneyView
    changes: Changes
    limits: Limits
