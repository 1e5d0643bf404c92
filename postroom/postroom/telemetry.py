"""Traces by OpenTelemetry, with the names of its conventions for messaging.

https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/

A message has three spans: `create` when a transaction writes it, which its `traceparent` names; below that, `send` when
the relay brings it to Kafka, and `process` for each service that handles it. What a service writes in handling it is
below `process`. A batch has messages of many traces: it has a span of its own, `poll`, which is linked to them.
"""

import os
import re
import threading
import time
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from opentelemetry import trace
from opentelemetry.context import Context as OtelContext
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
)

from postroom.metrics import release_of
from postroom.record import Headers, OutgoingRecord, Record
from postroom.tally import Item
from postroom.tracing import Attributes, Kind

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_KINDS = {"internal": SpanKind.INTERNAL, "server": SpanKind.SERVER, "client": SpanKind.CLIENT}
_ABOUT = {
    "ce_id": ("messaging.message.id", "cloudevents.event_id"),
    "ce_type": ("cloudevents.event_type",),
    "ce_correlationid": ("messaging.message.conversation_id",),
}
"""What a span tells of the headers of a message."""
_LONGEST_VALUE = 200
_END_WITHIN = 3.0
"""Seconds."""


def otlp_provider(service: str, endpoint: str) -> TracerProvider:
    """Sends spans by OTLP over HTTP to the endpoint, as the settings have it, from a thread of its own. All the rest
    the SDK reads from the OTEL_... variables of the environment, where traces may have an endpoint of their own."""
    resource = Resource.create(
        {
            "service.namespace": "latchkey",
            "service.name": os.environ.get("OTEL_SERVICE_NAME") or service,
            "service.version": release_of(service),
            "service.instance.id": str(uuid4()),
        }
    )
    traces_at = os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") or f"{endpoint.rstrip('/')}/v1/traces"
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(traces_at)))
    return provider


class OtelSpan:
    """A Span of OpenTelemetry."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    @property
    def traceparent(self) -> str | None:
        return _traceparent(self._span.get_span_context())

    def rename(self, name: str) -> None:
        self._span.update_name(name)

    def note(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def fail(self, error_type: str) -> None:
        _fail(self._span, error_type)


class Tracer:
    """Makes the spans of one process."""

    def __init__(self, provider: TracerProvider) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("postroom")

    def shutdown(self, within: float = _END_WITHIN) -> None:
        """Sends what has not been sent yet, for so many seconds at most: the SDK would wait half a minute for a
        collector that is away, and an orchestrator does not."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(within)

    def current(self) -> str | None:
        """The traceparent of the span that the caller works in."""
        return _traceparent(trace.get_current_span().get_span_context())

    @contextmanager
    def span(
        self, name: str, *, kind: Kind, parent: str | None, links: Sequence[str], attributes: Attributes
    ) -> Iterator[OtelSpan]:
        """See tracing.span."""
        with self._tracer.start_as_current_span(
            name,
            # A server begins a trace: where requests come one behind another on a connection, its library may begin
            # the next in the context of the one before.
            _below(parent) if parent else OtelContext() if kind == "server" else None,
            kind=_KINDS[kind],
            links=_links(links),
            attributes=attributes,
            # The SDK would record the text of the exception, and that may quote what it met.
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield OtelSpan(span)
            except Exception as error:
                _fail(span, type(error).__qualname__)
                raise

    @contextmanager
    def continued(self, parent: str) -> Iterator[None]:
        """See tracing.continued."""
        context = _context_of(parent)
        if context is None:
            yield
            return
        with trace.use_span(NonRecordingSpan(context)):
            yield

    # --- messages

    @contextmanager
    def polled(self, items: Sequence[Item]) -> Iterator[None]:
        """The block handles a batch. One record needs no span for that."""
        if len(items) < 2:
            yield
            return
        span = self._tracer.start_span(
            "poll",
            OtelContext(),
            kind=SpanKind.CONSUMER,
            links=_links([parent for item in items if (parent := _parent_of(item))]),
            attributes=_messaging("poll", "receive") | {"messaging.batch.message_count": len(items)},
        )
        try:
            yield
        except Exception as error:
            _fail(span, type(error).__qualname__)
            raise
        finally:
            span.end()

    def processing(self, reader: str, items: Sequence[Item]) -> "Processing":
        """A transaction begins that handles these."""
        return Processing(self._tracer, reader, items)

    def writing(self) -> "Writing":
        """A transaction begins that writes messages."""
        return Writing(self._tracer)

    def sent(self, records: Sequence[OutgoingRecord], errors: Sequence[BaseException | None], began: int) -> None:
        """The relay has sent these, beginning at `began`, nanoseconds since 1970."""
        now = time.time_ns()
        for record, error in zip(records, errors, strict=False):
            parent = _traceparent_in(record.headers)
            if parent is None:
                continue
            span = self._tracer.start_span(
                f"send {record.topic}",
                _below(parent),
                kind=SpanKind.CLIENT,
                attributes=_messaging("send", "send", record.topic) | _about(record.headers),
                start_time=began,
            )
            if error is not None:
                _fail(span, type(error).__qualname__)
            span.end(now)


class Writing:
    """The `create` spans of the messages that a transaction writes. They have happened when it has committed."""

    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer
        self._spans: list[trace.Span] = []

    def create(self, record: OutgoingRecord, parent: trace.Span | None = None) -> OutgoingRecord:
        """The record with the traceparent of its span, below `parent`, or else below the one that the caller works
        in."""
        span = self._tracer.start_span(
            f"create {record.topic}",
            None if parent is None else trace.set_span_in_context(parent),
            kind=SpanKind.PRODUCER,
            attributes=_messaging("create", "create", record.topic) | _about(record.headers),
        )
        self._spans.append(span)
        traceparent = (_traceparent(span.get_span_context()) or "").encode()
        headers = [(name, traceparent if name == "traceparent" else value) for name, value in record.headers]
        return OutgoingRecord(record.topic, record.key, record.value, headers)

    def end(self) -> None:
        """The transaction has committed. Where it has not, the spans are never told of."""
        for span in self._spans:
            span.end()


class Processing:
    """The `process` spans of the messages of one transaction, and the `create` spans of what it writes."""

    def __init__(self, tracer: trace.Tracer, reader: str, items: Sequence[Item]) -> None:
        self._writing = Writing(tracer)
        self._spans = {id(item.record): _process_span(tracer, reader, item) for item in items}

    def traceparent(self, record: Record) -> str | None:
        """What is done about the message later may go on from here."""
        return _traceparent(self._spans[id(record)].get_span_context())

    @contextmanager
    def within(self, record: Record) -> Iterator[None]:
        """The block works on the message of this record."""
        with trace.use_span(self._spans[id(record)], record_exception=False, set_status_on_exception=False):
            yield

    def create(self, record: OutgoingRecord, cause: Record) -> OutgoingRecord:
        """As Writing.create: below the message that it follows from."""
        return self._writing.create(record, self._spans[id(cause)])

    def end(self, record: Record, outcome: str, error_type: str | None = None) -> None:
        """This became of the message, and is committed."""
        span = self._spans[id(record)]
        span.set_attribute("postroom.outcome", outcome)
        if error_type:
            _fail(span, error_type)
        span.end()

    def end_writing(self) -> None:
        """The transaction has committed."""
        self._writing.end()

    def fail(self, record: Record, error_type: str) -> None:
        """The transaction has failed by this message, which will be tried again. Of the others nothing is told: for
        them it has not happened."""
        span = self._spans[id(record)]
        _fail(span, error_type)
        span.end()


def add_trace_ids(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor of structlog: lines that are written in a span name it."""
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = format_trace_id(context.trace_id)
        event["span_id"] = format_span_id(context.span_id)
    return event


def _process_span(tracer: trace.Tracer, reader: str, item: Item) -> trace.Span:
    record, parent = item.record, _parent_of(item)
    where: dict[str, str | int | bool] = {
        "messaging.consumer.group.name": reader,
        "messaging.destination.partition.id": str(record.partition),
        "messaging.kafka.offset": record.offset,
    }
    return tracer.start_span(
        f"process {record.topic}",
        _below(parent) if parent else OtelContext(),
        kind=SpanKind.CONSUMER,
        attributes=_messaging("process", "process", record.topic) | _about(record.headers) | where,
    )


def _messaging(name: str, kind: str, topic: str | None = None) -> dict[str, str | int | bool]:
    about: dict[str, str | int | bool] = {
        "messaging.system": "kafka",
        "messaging.operation.name": name,
        "messaging.operation.type": kind,
    }
    return about if topic is None else about | {"messaging.destination.name": topic}


def _about(headers: Headers) -> dict[str, str | int | bool]:
    about: dict[str, str | int | bool] = {}
    for name, value in headers:
        if name in _ABOUT and (text := _text(value)):
            about.update(dict.fromkeys(_ABOUT[name], text))
    return about


def _parent_of(item: Item) -> str | None:
    return item.traceparent or _traceparent_in(item.record.headers)


def _traceparent_in(headers: Headers) -> str | None:
    return next((_text(value) for name, value in reversed(headers) if name == "traceparent"), None)


def _text(value: bytes | None) -> str | None:
    """Of a header, if it is short text."""
    if value is None or len(value) > _LONGEST_VALUE:
        return None
    try:
        return value.decode("ascii")
    except UnicodeDecodeError:
        return None


def _below(parent: str) -> OtelContext:
    """A context in which spans are below `parent`; where that is no traceparent, they begin a trace."""
    context = _context_of(parent)
    return OtelContext() if context is None else trace.set_span_in_context(NonRecordingSpan(context), OtelContext())


def _links(traceparents: Sequence[str]) -> list[Link]:
    return [Link(context) for each in traceparents if (context := _context_of(each)) is not None]


def _context_of(traceparent: str) -> SpanContext | None:
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None:
        return None
    context = SpanContext(
        int(match[1], 16), int(match[2], 16), is_remote=True, trace_flags=TraceFlags(int(match[3], 16))
    )
    return context if context.is_valid else None


def _traceparent(context: SpanContext) -> str | None:
    if not context.is_valid:
        return None
    return f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}-{context.trace_flags & 0xFF:02x}"


def _fail(span: trace.Span, error_type: str) -> None:
    span.set_attribute("error.type", error_type)
    span.set_status(Status(StatusCode.ERROR))
