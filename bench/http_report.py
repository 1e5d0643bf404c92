"""What the page says of HTTP, from the raw data."""

import statistics
from typing import Any

_GOALS = {"accept_alone": 40, "pairs_at_a_time": 148}
_REFERENCE = {"one_after_the_other": 41, "at_a_time": 74}
"""Pairs a second of the invitation endpoints of a widely used auth library on such a machine: one process, one
database, no broker."""


def http_section(data: dict[str, Any]) -> str:
    """Markdown."""
    machine, alone, at_rest = data["machine"], data["alone"], data["at_rest"]
    single, many = ([each[how] for each in data["rounds"]] for how in ("one_after_the_other", "at_a_time"))
    at_a_time = many[0]["at_a_time"]
    middle = sorted(many, key=lambda each: float(each["pairs_per_second"]))[len(many) // 2]
    cpu = sorted(middle["cpu_milliseconds_per_pair"].items(), key=lambda item: -item[1])
    rows = "\n".join(f"| {name} | {milliseconds:.2f} |" for name, milliseconds in cpu)
    accepted = alone["accept_milliseconds"]
    return f"""
## Over HTTP

Measured {data["measured_at"]} on {machine["cores"]} cores ({machine["processor"]}): one process of console with its API, all services, Kafka and
PostgreSQL with fsync on, and the callers, all on this one machine. A pair is an invitation that is sent and accepted: two requests, each
answered when it is decided, the second when the membership is there. {many[0]["pairs"]} pairs {at_a_time} at a time, by admins of several organizations, and
{single[0]["pairs"]} pairs one after the other, {len(many)} rounds. Raw data: [http.json](http.json).

Pairs a second: median of the rounds (min to max).

| | Latchkey | an auth library's endpoints | goal |
|---|---|---|---|
| one after the other | {_spread(single)} | {_REFERENCE["one_after_the_other"]} | |
| {at_a_time} at a time | {_spread(many)} | {_REFERENCE["at_a_time"]} | ≥ {_GOALS["pairs_at_a_time"]} |

Milliseconds until the answer: medians of the rounds.

| | p50 | p99 | goal |
|---|---|---|---|
| one acceptance, with {alone["rest_seconds"]} s of rest ({accepted["count"]}) | {accepted["p50"]} | {accepted["p99"]} | p50 ≤ {_GOALS["accept_alone"]} |
| an acceptance, one after the other | {_latency(single, "accept", "p50")} | {_latency(single, "accept", "p99")} | |
| an invitation, one after the other | {_latency(single, "invite", "p50")} | {_latency(single, "invite", "p99")} | |
| an acceptance, {at_a_time} at a time | {_latency(many, "accept", "p50")} | {_latency(many, "accept", "p99")} | |
| an invitation, {at_a_time} at a time | {_latency(many, "invite", "p50")} | {_latency(many, "invite", "p99")} | |

Milliseconds of CPU for each pair, {at_a_time} at a time, in the round in the middle:

| process | ms |
|---|---|
{rows}

Console takes {at_rest["resident_megabytes"]} MB at rest and {max(each["console_resident_megabytes"] for each in many)} MB under load, and {at_rest["cpu_percent_of_a_core"]} % of a core at rest.
"""


def _spread(rounds: list[dict[str, Any]]) -> str:
    values = [each["pairs_per_second"] for each in rounds]
    return f"{statistics.median(values):.0f} ({min(values):.0f} to {max(values):.0f})"


def _latency(rounds: list[dict[str, Any]], what: str, percentile: str) -> float:
    values: list[float] = [each[f"{what}_milliseconds"][percentile] for each in rounds]
    return round(statistics.median(values), 1)
