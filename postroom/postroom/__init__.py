"""Effects exactly once over Kafka and PostgreSQL: inbox, outbox, ordered relay, retries and dead letters."""

from postroom.handling import (
    AnswerTo,
    Chore,
    Context,
    Deferred,
    Every,
    Handler,
    Room,
    Store,
    Worker,
    WorkTransaction,
    utc_now,
)
from postroom.message import Message, Topic, dead_letter_topic
from postroom.runtime import Service, run
from postroom.settings import ServiceSettings

__all__ = [
    "AnswerTo",
    "Chore",
    "Context",
    "Deferred",
    "Every",
    "Handler",
    "Message",
    "Room",
    "Service",
    "ServiceSettings",
    "Store",
    "Topic",
    "WorkTransaction",
    "Worker",
    "dead_letter_topic",
    "run",
    "utc_now",
]
