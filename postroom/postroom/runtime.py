"""A service as its `app.py` puts it together, and as `python -m` runs it."""

import asyncio
import importlib
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

import structlog
import uvloop
from prometheus_client import CollectorRegistry
from pydantic import ValidationError
from pydantic_settings import SettingsError
from starlette.routing import BaseRoute

from postroom.faults import explain
from postroom.handling import Chore, Every, Handler, Room, Store, Worker, utc_now
from postroom.health import bind
from postroom.logs import configure_logging
from postroom.message import Message, Topic
from postroom.metrics import Reading
from postroom.migrations import migrate_now
from postroom.process import Process
from postroom.processor import Reactions
from postroom.settings import ServiceSettings
from postroom.tracing import configure_tracing, end_tracing

W = TypeVar("W")
S = TypeVar("S", bound=ServiceSettings)
log = structlog.get_logger()


class Service(Generic[W]):
    """A service, put together and not yet started."""

    def __init__(
        self,
        name: str,
        settings: ServiceSettings,
        *,
        reads: Sequence[Topic],
        writes: Topic | Sequence[Topic],
        reactions: Mapping[type[Message], Handler[W]],
        store: Store[W],
        refusal: type[Exception] | None = None,
        timers: Sequence[Every[W]] = (),
        chores: Sequence[Chore] = (),
        workers: Sequence[Worker] = (),
        endpoints: Callable[[Room], Sequence[BaseRoute]] = lambda _: (),
        readiness: Mapping[str, Callable[[], str | None]] | None = None,
        clock: Callable[[], datetime] = utc_now,
        registry: CollectorRegistry | None = None,
        readings: Sequence[Reading] = (),
    ) -> None:
        """`name` is the consumer group, the Python package, and the last part of ce_source.

        Of several topics in `writes`, a message goes to the one that holds its type. `readiness` are further checks of
        /readyz: what is wrong, or None. `endpoints` are further HTTP endpoints on the service's port.

        `registry` holds what the service itself counts, for /metrics; `readings` are gauges that are read from its
        database when Prometheus asks.

        `refusal` is an exception with `.reason` and `.answer(command, command_id)`: a handler that raises it has
        refused a command, and what `answer` returns is the command's outcome.
        """
        self.name = name
        self.settings = settings
        topics = tuple(writes) if isinstance(writes, Sequence) else (writes,)
        self.reactions = Reactions(name, reads, topics, reactions, store, refusal)
        self.timers = timers
        self.chores = chores
        self.workers = workers
        self.endpoints = endpoints
        self.readiness = readiness or {}
        self.clock = clock
        self.registry = registry
        self.readings = readings

    async def serve(self, stopping: asyncio.Event) -> None:
        """Works until `stopping` is set, and then until what was begun is finished."""
        listener = bind(self.settings.http_host, self.settings.http_port)
        await Process(self, stopping).serve(listener)


def run(name: str, settings: type[S], build: Callable[[S], Service[Any]]) -> None:
    """The whole of a service's `__main__.py`: `python -m <name>` serves until SIGTERM or SIGINT, `python -m <name>
    migrate` brings its database to the newest version. Exits with 2 where settings are missing or do not fit, and says
    of each what is wrong."""
    command = sys.argv[1] if len(sys.argv) > 1 else "serve"
    if command not in ("serve", "migrate") or len(sys.argv) > 2:
        sys.exit(f"usage: python -m {name} [serve | migrate]")
    try:
        read = settings()  # pydantic-settings fills it from the environment
    except (ValidationError, SettingsError) as error:
        print(f"{name} cannot start, since its settings do not fit:\n{explain(settings, error)}", file=sys.stderr)
        sys.exit(2)
    configure_logging(read, name)
    if command == "migrate":
        migrate_now(name, read.database_url.get_secret_value())
        log.info("migrated")
        return
    configure_tracing(read, name)
    service = build(read)
    try:
        uvloop.run(_until_signalled(service))
    except OSError as error:
        sys.exit(f"{name}: cannot listen on {read.http_host}:{read.http_port}: {error.strerror}. Set HTTP_PORT.")
    finally:
        end_tracing()


async def _until_signalled(service: Service[Any]) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    await service.serve(stopping)


def load(reference: str) -> Any:
    """The object that `package.module:name` names. Raises LookupError with a sentence."""
    module, _, name = reference.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"{reference} is not to be found: {error}") from error
