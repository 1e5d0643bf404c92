"""How facts become outcomes of the commands that they name as their cause."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from console.view.working_set import News, Verdict
from contracts import Command
from postroom import Context


def done(news: News, context: Context, command: type[Command], result: Mapping[str, Any]) -> None:
    """What was asked for is so; if a command of this type has caused the message in hand."""
    command_id = command_id_of(context.causation_id)
    if command_id is not None:
        news.decide(Verdict(command_id, command.ce_type, result=result))


def command_id_of(text: str | None) -> UUID | None:
    """The id of a command of ours; others may name theirs as they like."""
    try:
        return None if text is None else UUID(text)
    except ValueError:
        return None
