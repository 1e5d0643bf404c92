"""Traces of messages: `traceparent` names a span that is told of, whatever befalls the message. While traces are off,
it says what it said before there were any."""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from uuid import UUID

import pytest
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ParentBased, Sampler
from pydantic import SecretStr
from toy_service import COMMANDS, EVENTS, NOON, Deposit, Deposited, ToyRoom, Transfer, record_of

from postroom import ServiceSettings, tracing
from postroom.ids import uuid7
from postroom.processor import Reactions
from postroom.record import OutgoingRecord, Record, StoredRecord
from postroom.redrive import redrive
from postroom.relay import SendingFailed, relay_oldest
from postroom.room import ServiceRoom
from postroom.telemetry import Tracer, add_trace_ids

ALICE, BOB = UUID(int=1), UUID(int=2)
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = f"00-{TRACE}-{SPAN}-01"


class Told:
    """What was told of spans."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))

    def spans(self, name: str = "") -> list[ReadableSpan]:
        """In the order of their ends."""
        return [span for span in self._exporter.get_finished_spans() if span.name.startswith(name)]

    def ids(self) -> set[tuple[str, str]]:
        return {_ids(span) for span in self.spans()}


@pytest.fixture
def told() -> Iterator[Told]:
    """Traces are on, and everything is told."""
    told = Told()
    tracing.use(Tracer(told.provider))
    yield told
    tracing.end_tracing()


def _ids(span: ReadableSpan) -> tuple[str, str]:
    assert span.context is not None
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def _parent(span: ReadableSpan) -> tuple[str, str] | None:
    return None if span.parent is None else (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}")


def _named(record: OutgoingRecord | Record) -> tuple[str, str]:
    """The span that the record's traceparent names."""
    _, trace, span, _ = (dict(record.headers)["traceparent"] or b"").decode().split("-")
    return trace, span


async def test_what_follows_from_a_message_hangs_below_it(room: ToyRoom, told: Told) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5), traceparent=PARENT.encode())])

    (handled,), (created,) = told.spans("process toy.commands"), told.spans("create toy.events")
    (fact,) = await room.waiting()
    assert _parent(handled) == (TRACE, SPAN)
    assert _parent(created) == _ids(handled)
    assert _named(fact) == _ids(created)
    assert (handled.attributes or {})["postroom.outcome"] == "handled"


async def test_the_trace_goes_through_the_outbox_and_the_relay(room: ToyRoom, told: Told) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5), traceparent=PARENT.encode())])
    await relay_oldest(room.outbox, room.kafka, 10)

    (sent,) = told.spans("send toy.events")
    (created,) = told.spans("create toy.events")
    assert _parent(sent) == _ids(created) == _named(room.kafka.records[0])


async def test_what_kafka_did_not_take_is_told_of_and_sent_again_in_its_trace(room: ToyRoom, told: Told) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5), traceparent=PARENT.encode())])
    room.kafka.failing = {0}
    with pytest.raises(SendingFailed):
        await relay_oldest(room.outbox, room.kafka, 10)
    await relay_oldest(room.outbox, room.kafka, 10)

    failed, sent = told.spans("send toy.events")
    assert [(span.attributes or {}).get("error.type") for span in (failed, sent)] == ["ConnectionError", None]
    assert _parent(failed) == _parent(sent)


async def test_a_deferred_message_is_in_its_trace_when_it_is_taken_up_again(room: ToyRoom, told: Told) -> None:
    await room.processor.process([record_of(Transfer(account_id=ALICE), traceparent=PARENT.encode())])
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5))])
    room.clock.passes(seconds=1)
    await room.processor.resume()

    waited, _, resumed = told.spans("process toy.commands")
    assert _parent(waited) == _parent(resumed) == (TRACE, SPAN)
    assert [(span.attributes or {})["postroom.outcome"] for span in (waited, resumed)] == ["deferred", "handled"]
    assert {_named(fact)[0] for fact in await room.waiting()} > {TRACE}


async def test_every_attempt_at_a_message_is_in_its_trace_and_so_is_its_dead_letter(room: ToyRoom, told: Told) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=13), traceparent=PARENT.encode())])

    attempts = told.spans("process toy.commands")
    assert len(attempts) == 4  # Three that fail, and the one that makes it a dead letter.
    assert {_parent(span) for span in attempts} == {(TRACE, SPAN)}
    assert {(span.attributes or {})["error.type"] for span in attempts} == {"ZeroDivisionError"}
    assert not any(span.events for span in attempts), "texts of errors quote what they met"
    (letter,) = await room.dead_letters()
    assert dict(letter.headers)["traceparent"] == PARENT.encode()


async def test_a_dead_letter_that_is_handed_in_again_is_in_its_trace(room: ToyRoom, told: Told) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=13), traceparent=PARENT.encode())])
    await relay_oldest(room.outbox, room.kafka, 10)
    sent: list[dict[str, bytes]] = []

    class Producer:
        async def send_and_wait(
            self, topic: str, value: bytes, key: bytes, headers: Sequence[tuple[str, bytes]]
        ) -> None:
            sent.append(dict(headers))

    await redrive(Producer(), room.kafka.read("toy.commands.toy.dlt")[0])

    assert sent[0]["traceparent"] == PARENT.encode()


async def test_of_a_batch_that_fails_only_the_guilty_message_tells(room: ToyRoom, told: Told) -> None:
    good = record_of(Deposit(account_id=ALICE, amount=5), traceparent=PARENT.encode())
    await room.processor.process([good, record_of(Deposit(account_id=BOB, amount=13))])

    outcomes = [
        (span.attributes or {})["postroom.outcome"] for span in told.spans("process") if _parent(span) == (TRACE, SPAN)
    ]
    assert outcomes == ["handled"], "once, although it was decided twice"
    assert {_named(fact) for fact in await room.waiting() if fact.topic == EVENTS.name} <= told.ids()


async def test_a_batch_is_linked_to_the_traces_of_its_messages(room: ToyRoom, told: Told) -> None:
    other = PARENT.replace("0af7", "1af7")
    parents = (PARENT, other)
    await room.processor.process(
        [record_of(Deposit(account_id=ALICE, amount=5), traceparent=parent.encode()) for parent in parents]
    )

    (poll,) = told.spans("poll")
    assert {f"{link.context.trace_id:032x}" for link in poll.links} == {TRACE, other.split("-")[1]}
    assert poll.parent is None
    assert {_parent(span) for span in told.spans("process")} == {(TRACE, SPAN), (other.split("-")[1], SPAN)}


async def test_a_structured_event_goes_on_with_the_trace_that_its_body_names(room: ToyRoom, told: Told) -> None:
    await room.processor.process([_structured(uuid7()), _structured(uuid7())])

    first, second = told.spans("process toy.commands")
    (poll,) = told.spans("poll")
    assert _parent(first) == _parent(second) == (TRACE, SPAN)
    assert [f"{link.context.trace_id:032x}" for link in poll.links] == [TRACE, TRACE]


async def test_what_a_worker_tells_goes_on_with_the_trace_that_it_works_for(room: ToyRoom, told: Told) -> None:
    with tracing.continued(PARENT), tracing.span("work", kind="client"):
        await _tell(room)

    (work,), (created,) = told.spans("work"), told.spans("create toy.events")
    assert _parent(work) == (TRACE, SPAN)
    assert _parent(created) == _ids(work)
    assert _named((await room.waiting())[0]) == _ids(created)


async def test_a_trace_that_is_not_sampled_stays_so_from_service_to_service(room: ToyRoom) -> None:
    told = Told(ParentBased(ALWAYS_OFF))
    tracing.use(Tracer(told.provider))
    try:
        await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5))])
        (fact,) = await room.waiting()
        flags = (dict(fact.headers)["traceparent"] or b"").decode().split("-")[3]
        assert int(flags, 16) & 1 == 0
        assert told.spans() == []
    finally:
        tracing.end_tracing()


@pytest.mark.parametrize("nonsense", [b"", b"00-0-0-0", b"\xff" * 55, b"x" * 100_000])
async def test_a_traceparent_that_is_none_begins_a_trace(room: ToyRoom, told: Told, nonsense: bytes) -> None:
    await room.processor.process([record_of(Deposit(account_id=ALICE, amount=5), traceparent=nonsense)])

    (handled,) = told.spans("process")
    assert handled.parent is None


async def test_a_request_begins_a_trace_wherever_it_is_taken_from_the_connection(told: Told) -> None:
    """uvicorn begins the second of two that came at once in the context of the first."""
    with tracing.span("GET", kind="server"), tracing.span("GET", kind="server"):
        pass

    second, first = told.spans("GET")
    assert second.parent is None
    assert _ids(second)[0] != _ids(first)[0]


def test_spans_go_where_the_settings_say_although_the_environment_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    class Collects(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    for name in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(name)
    with HTTPServer(("127.0.0.1", 0), Collects) as collector:
        (tmp_path / "otel_exporter_otlp_endpoint").write_text(f"http://127.0.0.1:{collector.server_port}/\n")
        monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
        settings = ServiceSettings(
            kafka_bootstrap_servers="127.0.0.1:9092", database_url=SecretStr("postgresql://127.0.0.1/toy")
        )
        serving = threading.Thread(target=collector.serve_forever)
        serving.start()
        try:
            tracing.configure_tracing(settings, "toy")
            with tracing.span("work"):
                pass
            tracing.end_tracing()
        finally:
            collector.shutdown()
            serving.join()
    assert asked == ["/v1/traces"]


def test_a_collector_that_does_not_answer_holds_up_no_stop() -> None:
    released = threading.Event()

    class Stuck(SpanProcessor):
        def shutdown(self) -> None:
            released.wait()

    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(Stuck())
    began = time.monotonic()
    Tracer(provider).shutdown(within=0.05)
    took = time.monotonic() - began
    released.set()
    assert took < 10, "the SDK by itself would wait for ever"


async def test_lines_of_the_log_name_the_trace(told: Told) -> None:
    with tracing.span("work", parent=PARENT):
        line = add_trace_ids(logging.getLogger(), "info", {"event": "something"})
    assert line["trace_id"] == TRACE
    assert add_trace_ids(logging.getLogger(), "info", {"event": "something"}) == {"event": "something"}


async def test_while_traces_are_off_the_header_is_derived_as_ever(room: ToyRoom) -> None:
    await room.processor.process(
        [
            record_of(Deposit(account_id=ALICE, amount=5), traceparent=PARENT.encode()),
            record_of(Deposit(account_id=ALICE, amount=5), ce_correlationid=str(BOB).encode()),
        ]
    )
    await _tell(room)

    for fact, trace in zip(await room.waiting(), (TRACE, BOB.hex, BOB.hex), strict=True):
        headers = dict(fact.headers)
        span = UUID((headers["ce_id"] or b"").decode()).hex[16:]
        assert headers["traceparent"] == f"00-{trace}-{span}-01".encode()


def _structured(ce_id: UUID) -> StoredRecord:
    event = {
        "specversion": "1.0",
        "id": str(ce_id),
        "source": "/test",
        "type": Deposit.ce_type,
        "traceparent": PARENT,
        "data": {"account_id": str(ALICE), "amount": 5},
    }
    headers = (("content-type", b"application/cloudevents+json"),)
    return StoredRecord(COMMANDS.name, 0, 0, 0, str(ALICE).encode(), json.dumps(event).encode(), headers)


async def _tell(room: ToyRoom) -> None:
    reactions = Reactions("toy", (COMMANDS,), (EVENTS,), {}, room.store)
    worker = ServiceRoom(room.transactions, reactions, lambda: NOON, asyncio.Event())
    async with worker.transaction() as transaction:
        facts = [Deposited(account_id=ALICE, total=1)]
        await transaction.publish(facts, correlation_id=str(BOB), causation_id="cause", now=NOON)
