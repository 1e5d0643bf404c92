"""What became of a command, and which facts decide it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

State = Literal["waiting", "done", "refused"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command that a person has sent, and what became of it so far."""

    command_id: UUID
    """Its CloudEvents id."""
    ce_type: str
    organization_id: UUID
    actor_id: UUID | None
    """The account that asked; none where somebody without an account declined."""
    sent_at: datetime
    state: State
    """`waiting` while the service that was asked has not answered; `done` when what was asked for is so."""
    reason: str | None = None
    """Why it was refused, as a code (see contracts.Reason)."""
    message: str | None = None
    """Why it was refused, as a sentence for the person."""
    result: Mapping[str, Any] = field(default_factory=dict)
    """What the outcome says; ids and instants are texts. See console.view.handlers."""
    ended_at: datetime | None = None

    @property
    def is_waiting(self) -> bool:
        return self.state == "waiting"

    @property
    def is_done(self) -> bool:
        return self.state == "done"

    @property
    def is_refused(self) -> bool:
        return self.state == "refused"
