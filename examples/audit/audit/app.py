"""audit, put together."""

from audit.handlers import REACTIONS, Entry
from audit.store import AuditStore
from audit.topics import READS
from postroom import Service, ServiceSettings


def build(settings: ServiceSettings) -> Service[list[Entry]]:
    """The service, not started yet. It tells no facts of its own."""
    return Service("audit", settings, reads=READS, writes=(), reactions=REACTIONS, store=AuditStore())
