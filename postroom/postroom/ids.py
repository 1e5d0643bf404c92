"""Ids: how they are made, and what a record is recognized by when it comes again."""

from uuid import UUID, uuid5

from uuid_utils.compat import uuid7 as _uuid7

from postroom.record import Record

NAMESPACE = UUID("5f3c1d52-8d0e-5b5c-9f0c-6c61746368ae")
"""Of the ids that are derived from something else (UUIDv5)."""


def uuid7() -> UUID:
    """A new time-ordered id. Ids are made before any row exists, by whoever has the idea."""
    return _uuid7()


def identity(ce_source: str, ce_id: str) -> UUID:
    """What the inbox knows a message by. CloudEvents says that source and id together name an event; where the id is
    a UUID it is enough by itself."""
    try:
        return UUID(ce_id)
    except ValueError:
        return uuid5(NAMESPACE, f"{ce_source}\n{ce_id}")


def identity_of_place(record: Record) -> UUID:
    """What the inbox knows a record by that has no readable id: where it stands."""
    return uuid5(NAMESPACE, f"{record.topic}/{record.partition}/{record.offset}")


def identity_of_redrive(message_id: UUID, dead_letter: str) -> UUID:
    """What the inbox knows a re-driven message by: the same message, but once more for this dead letter."""
    return uuid5(NAMESPACE, f"{message_id} again for {dead_letter}")
