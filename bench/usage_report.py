"""What the page says of usage, from the raw data."""

import statistics
from typing import Any

_GOALS = {"many": 3000, "one": 1500}
_REFERENCE = 635
"""Debits a second on one account of a public PostgreSQL ledger library on such a machine."""


def usage_section(data: dict[str, Any]) -> str:
    """Markdown."""
    machine, many, one = data["machine"], data["many"], data["one"]
    names = sorted(_cpu(many), key=lambda name: -_cpu(many)[name])
    rows = "\n".join(f"| {name} | {_cpu(many)[name]:.3f} | {_cpu(one)[name]:.3f} |" for name in names)
    resident = max(each["billing_resident_megabytes"] for each in [*many, *one])
    return f"""
## Usage

Measured {data["measured_at"]} on {machine["cores"]} cores ({machine["processor"]}): one process of billing, Kafka and PostgreSQL with fsync on, all on
this one machine. A backlog of {data["usages"]:,} recorded usages of {data["members"]:,} members, from billing going on to the last UsageCharged on
the topic; by then each is in the ledger, drawn from its organization's credit. {len(many)} rounds; after each the ledger's entries sum up to what
the payers are said to hold, and to the number of usages times their price. Raw data: [usage.json](usage.json).

Usages charged a second: median of the rounds (min to max).

| | Latchkey | a ledger library, one account | goal |
|---|---|---|---|
| {many[0]["organizations"]:,} organizations | {_spread(many)} | | ≥ {_GOALS["many"]} |
| one organization | {_spread(one)} | {_REFERENCE} | ≥ {_GOALS["one"]} |

Milliseconds of CPU for each usage, medians of the rounds:

| process | {many[0]["organizations"]:,} organizations | one |
|---|---|---|
{rows}

billing takes {resident} MB under this load.
"""


def _spread(rounds: list[dict[str, Any]]) -> str:
    values = [each["usages_per_second"] for each in rounds]
    return f"{statistics.median(values):,.0f} ({min(values):,.0f} to {max(values):,.0f})"


def _cpu(rounds: list[dict[str, Any]]) -> dict[str, float]:
    each_round = [each["cpu_milliseconds_per_usage"] for each in rounds]
    return {name: statistics.median(each[name] for each in each_round) for name in each_round[0]}
