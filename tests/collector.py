"""A collector of traces: what OTLP over HTTP brings, as spans, and the bytes that it came in."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue


@dataclass(frozen=True)
class Span:
    """A span as it was exported."""

    service: str
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first of a trace."""
    attributes: dict[str, Any]
    links: frozenset[tuple[str, str]]
    """Trace and span ids."""
    has_failed: bool


class Collector:
    """Listens on loopback."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        """Everything that came."""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                collector.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    @contextmanager
    def listening(self) -> Iterator[None]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield
        finally:
            self._server.shutdown()
            self._server.server_close()
            thread.join()

    def spans(self) -> list[Span]:
        """Everything that came, decoded."""
        found: list[Span] = []
        for body in list(self.bodies):
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                resource = {each.key: _value(each.value) for each in of_resource.resource.attributes}
                found += [
                    Span(
                        service=resource["service.name"],
                        name=span.name,
                        trace_id=span.trace_id.hex(),
                        span_id=span.span_id.hex(),
                        parent_id=span.parent_span_id.hex(),
                        attributes={each.key: _value(each.value) for each in span.attributes},
                        links=frozenset((link.trace_id.hex(), link.span_id.hex()) for link in span.links),
                        has_failed=span.status.code == span.status.STATUS_CODE_ERROR,
                    )
                    for scope in of_resource.scope_spans
                    for span in scope.spans
                ]
        return found


def _value(value: AnyValue) -> Any:
    return getattr(value, value.WhichOneof("value") or "string_value")
