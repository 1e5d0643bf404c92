"""Traces: what a click has set going is one trace, to the last letter, and names nobody. While they are off there are
none."""

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from collector import Collector, Span
from people import PASSWORD, people_of

from stack.platform import Platform
from stack.services import ServiceProcess

pytestmark = [pytest.mark.platform, pytest.mark.timeout(180)]

_TRACE_ID = re.compile(r'"trace_id": ?"([0-9a-f]{32})"')


@contextmanager
def traced(platform: Platform, collector: Collector, **settings: str) -> Iterator[None]:
    """The services send traces to the collector, until they do not any more."""
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        # FastAPI's own telemetry tells paths: whatever the environment says, it stays off.
        "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
        **settings,
    }
    before = {service.name: service.env for service in platform.services}
    try:
        for service in platform.services:
            service.env = service.env | told
        _restart(platform)
        yield
    finally:
        for service in platform.services:
            service.env = before[service.name]
        _restart(platform)


def _restart(platform: Platform) -> None:
    def restart(service: ServiceProcess) -> None:
        service.stop()
        service.start()

    with ThreadPoolExecutor() as pool:
        list(pool.map(restart, [service for service in platform.services if service.is_running]))


async def test_a_click_and_all_that_follows_is_one_trace_that_names_nobody(platform: Platform) -> None:
    collector = Collector()
    with collector.listening(), traced(platform, collector):
        async with people_of(platform) as people:
            owner, invitee = await people.sign_up("owner"), await people.sign_up("invitee")
            organization_id = await people.organization(owner)
            await owner.browser.invite(organization_id, invitee.address)
            code = await people.letters.link_code(invitee.address)
            await _click(platform, code, invitee.browser.cookies)
            spans = await _until_written_to(collector)
            card_id = await asyncio.to_thread(platform.stripe.payment_method, "4242424242424242")
            await owner.browser.set_card(card_id, organization_id)
            paid = await _until(collector, "pay card")
            secrets = [
                code,
                PASSWORD,
                *owner.browser.cookies.values(),
                *invitee.browser.cookies.values(),
                owner.address,
                invitee.address,
                owner.name,
                f"Example Org {people.tag}",
                card_id,
            ]

    click = next(span for span in spans if span.name == "GET /org-invite/{code}/" and not span.parent_id)
    trace = [span for span in spans if span.trace_id == click.trace_id]
    assert {span.service for span in trace} == {"console", "invites", "membership", "billing", "notifier"}
    assert {"deliver welcome", "deliver has_joined"} <= {span.name for span in trace}
    ids = {span.span_id for span in trace}
    assert [span for span in trace if span.parent_id and span.parent_id not in ids] == [], "nothing hangs in the air"
    assert [span for span in trace if not span.parent_id] == [click]
    assert not any(span.has_failed for span in trace)
    assert _ways(trace) >= {
        # What is written in one service is handled in the other.
        ("console", "create invites.commands", "invites", "process invites.commands"),
        ("invites", "create invites.events", "membership", "process invites.events"),
        ("membership", "create membership.events", "billing", "process membership.events"),
        ("membership", "create membership.events", "notifier", "process membership.events"),
        ("notifier", "create notifier.events", "console", "process notifier.events"),
    }

    asked = next(span for span in collector.spans() if span.trace_id == paid.trace_id and not span.parent_id)
    assert (asked.service, asked.attributes["http.route"]) == (
        "console",
        "/api/v1/organizations/{organization_id}/card",
    )
    assert paid.service == "billing"

    everything = b"\n".join(collector.bodies)
    assert b"io.carolinacloud.invitation.accepted.v1" in everything, "the search would find it, where it is"
    assert [secret for secret in secrets if any(form in everything for form in _forms(secret))] == []
    assert click.trace_id in _trace_ids_in_logs(platform), "lines of the log name it"


async def test_what_is_not_sampled_is_not_sent(platform: Platform) -> None:
    collector = Collector()
    with collector.listening(), traced(platform, collector, OTEL_TRACES_SAMPLER="parentbased_always_off"):
        async with people_of(platform) as people:
            await people.organization(await people.sign_up("owner"))
    assert collector.spans() == []


async def test_switched_off_nothing_is_sent(platform: Platform) -> None:
    collector = Collector()
    with collector.listening(), traced(platform, collector, OTEL_SDK_DISABLED="true"):
        async with people_of(platform) as people:
            await people.organization(await people.sign_up("owner"))
    assert collector.bodies == []


def test_while_they_are_off_nothing_of_them_is_loaded() -> None:
    program = """
import sys, threading
from postroom import ServiceSettings
from postroom.tracing import configure_tracing
import billing.app, console.app, invites.app, membership.app, notifier.app
settings = ServiceSettings(kafka_bootstrap_servers="nowhere:9092", database_url="postgresql://nowhere/nothing")
configure_tracing(settings, "console")
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")], threading.active_count())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env={})
    assert ran.stdout.strip() == "[] 1"


async def _click(platform: Platform, code: str, cookies: dict[str, str]) -> None:
    """As a browser follows a link in a letter."""
    headers = {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "sec-fetch-user": "?1"}
    async with httpx.AsyncClient(
        base_url=platform.console_url, cookies=cookies, headers=headers, trust_env=False
    ) as browser:
        answer = await browser.get(f"/org-invite/{code}/", headers={"sec-fetch-site": "cross-site"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")


async def _until(collector: Collector, name: str) -> Span:
    """The first span of that name."""
    deadline = time.monotonic() + 30
    while True:
        spans = collector.spans()
        if found := next((span for span in spans if span.name == name), None):
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"There is no {name}, but {sorted({span.name for span in spans})}.")
        await asyncio.sleep(0.1)


async def _until_written_to(collector: Collector) -> list[Span]:
    """The spans, when both letters about the new member are known to have been sent."""
    deadline = time.monotonic() + 30
    while True:
        spans = collector.spans()
        clicks = {span.trace_id for span in spans if span.name == "GET /org-invite/{code}/"}
        of_click = [span for span in spans if span.trace_id in clicks]
        told = [span for span in of_click if (span.service, span.name) == ("console", "process notifier.events")]
        relayed = [span for span in of_click if span.name == "send notifier.events"]
        if len(told) == len(relayed) == 2:
            return spans
        if time.monotonic() > deadline:
            raise AssertionError(f"The trace is not complete: {sorted({(s.service, s.name) for s in of_click})}")
        await asyncio.sleep(0.1)


def _ways(trace: list[Span]) -> set[tuple[str, str, str, str]]:
    """From which span to which it went on."""
    by_id = {span.span_id: span for span in trace}
    pairs = [(by_id[span.parent_id], span) for span in trace if span.parent_id]
    return {(parent.service, parent.name, span.service, span.name) for parent, span in pairs}


def _forms(secret: str) -> set[bytes]:
    return {secret.encode(), quote(secret).encode()}


def _trace_ids_in_logs(platform: Platform) -> set[str]:
    logs = Path(platform.folder, "logs")
    return {found for log in logs.glob("*.log") for found in _TRACE_ID.findall(log.read_text(errors="replace"))}
