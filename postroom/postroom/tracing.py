"""Traces across the services: off, and free, unless OTEL_EXPORTER_OTLP_ENDPOINT says where they are sent.

The trace of a message is in its `traceparent` header, and goes through the outbox with it. While traces are off, the
header is what `envelope` makes of the trace that came in, or of the correlation id. While they are on, it names the
span that stands for the writing of the message, so that whatever follows hangs below it.

OpenTelemetry itself is in `telemetry`, which is imported only when traces are on. Attributes name ids, types and
topics: no address, no name, no link, no code, and of an error its class alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from postroom.settings import ServiceSettings

if TYPE_CHECKING:
    from postroom.telemetry import Tracer

Kind = Literal["internal", "server", "client"]
Attributes = Mapping[str, str | int | bool]


class Span(Protocol):
    """A piece of work, in a trace."""

    @property
    def traceparent(self) -> str | None:
        """What names it in W3C's form, for work that follows later; none while traces are off."""
        ...

    def rename(self, name: str) -> None:
        """Calls it by what was not known when it began."""
        ...

    def note(self, attributes: Attributes) -> None:
        """Adds what is known by now."""
        ...

    def fail(self, error_type: str) -> None:
        """It has failed: by an error of this class."""
        ...


class _NoSpan:
    """While traces are off."""

    traceparent = None

    def rename(self, name: str) -> None: ...

    def note(self, attributes: Attributes) -> None: ...

    def fail(self, error_type: str) -> None: ...


_NO_SPAN = _NoSpan()
_NOTHING: Attributes = {}


class _Process:
    """What this process traces by: like its logs, one thing for all of it."""

    tracer: "Tracer | None" = None


def configure_tracing(settings: ServiceSettings, service: str) -> None:
    """For the whole process. Beside what the settings say, OpenTelemetry's SDK reads its own OTEL_... variables."""
    if settings.traces_are_on and settings.otel_exporter_otlp_endpoint:
        from postroom.telemetry import Tracer, otlp_provider

        use(Tracer(otlp_provider(service, settings.otel_exporter_otlp_endpoint)))


def use(tracer: "Tracer | None") -> None:
    """Traces by this one from now on; by none, if None."""
    _Process.tracer = tracer


def tracer() -> "Tracer | None":
    """None while traces are off."""
    return _Process.tracer


def end_tracing() -> None:
    """Sends what has not been sent yet, and ends the thread that sends."""
    ended, _Process.tracer = _Process.tracer, None
    if ended is not None:
        ended.shutdown()


def current() -> str | None:
    """The traceparent of the span that the caller works in; none where there is none, or traces are off."""
    return None if _Process.tracer is None else _Process.tracer.current()


@contextmanager
def span(
    name: str,
    *,
    kind: Kind = "internal",
    parent: str | None = None,
    links: Sequence[str] = (),
    attributes: Attributes = _NOTHING,
) -> Iterator[Span]:
    """The block is a span: below `parent`, a traceparent, or else below the one that the caller works in. `links` are
    traceparents that it has to do with. An exception fails it, and goes on."""
    if _Process.tracer is None:
        yield _NO_SPAN
        return
    with _Process.tracer.span(name, kind=kind, parent=parent, links=links, attributes=attributes) as begun:
        yield begun


@contextmanager
def continued(parent: str | None) -> Iterator[None]:
    """What is done in the block goes on with a trace that was begun earlier, or elsewhere; with None, as before."""
    if _Process.tracer is None or parent is None:
        yield
        return
    with _Process.tracer.continued(parent):
        yield
