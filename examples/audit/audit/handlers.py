"""What audit does about each message: the same about all. The map of the service."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from audit.topics import READS
from contracts import CommandRefused, Fact
from contracts.message import PERSONAL
from postroom import Context, Handler, Message


class Entry(NamedTuple):
    """A row of the table, by its columns."""

    ce_id: str
    ce_type: str
    key: UUID
    correlation_id: str
    causation_id: str | None
    recorded_at: datetime
    data: str


def record_fact(fact: Fact, entries: list[Entry], context: Context) -> tuple[()]:
    """Notes the fact without what names a person: an address is erased where it belongs, and must not live on here."""
    personal = {name for name, field in type(fact).model_fields.items() if field.json_schema_extra == PERSONAL}
    if isinstance(fact, CommandRefused):
        personal.add("message")  # a sentence may quote an address; its reason says the same without
    ids = (context.ce_id, context.ce_type, fact.partition_key, context.correlation_id, context.causation_id)
    entries.append(Entry(*ids, recorded_at=context.now, data=fact.model_dump_json(exclude=personal)))
    return ()


_MESSAGES = [message for topic in READS for message in (*topic.messages, topic.tombstone) if message]
REACTIONS: dict[type[Message], Handler[list[Entry]]] = {
    message: record_fact for message in _MESSAGES if issubclass(message, Fact)
}
