"""The picture and the page, from the raw data."""

import json
import statistics
from pathlib import Path
from typing import Any

import matplotlib

from bench.http_report import http_section
from bench.usage_report import usage_section

matplotlib.use("svg")

import matplotlib.pyplot as plt

_GOALS = {"p50": 40, "p99": 80, "chains": 1000, "ratio": 0.6}


def write_report(results: Path) -> None:
    """Reads chain.json and, where those were measured, http.json and usage.json; writes chain.svg and README.md beside
    them."""
    data = json.loads((results / "chain.json").read_text())
    _draw(data, results / "chain.svg")
    page = _page(data)
    for name, section in (("http.json", http_section), ("usage.json", usage_section)):
        measured = results / name
        page += section(json.loads(measured.read_text())) if measured.exists() else ""
    (results / "README.md").write_text(page)


def _draw(data: dict[str, Any], path: Path) -> None:
    plt.rcParams["svg.hashsalt"] = "latchkey"
    figure, (latency, throughput, cpu) = plt.subplots(1, 3, figsize=(13, 4))
    for name, color in (("idle_with_rests", "#2563eb"), ("idle_back_to_back", "#94a3b8")):
        raw = sorted(data[name]["raw"])
        label = "with 0.5 s of rest" if name == "idle_with_rests" else "back to back"
        latency.plot(raw, [(i + 1) / len(raw) * 100 for i in range(len(raw))], color=color, label=label)
    latency.axvline(_GOALS["p50"], color="#16a34a", linestyle=":", linewidth=1)
    latency.axvline(_GOALS["p99"], color="#dc2626", linestyle=":", linewidth=1)
    latency.set(
        title="Idle chain: click to billing chain", xlabel="milliseconds", ylabel="percent of chains", ylim=(0, 100)
    )
    latency.set_xlim(left=0)
    latency.legend(frameon=False)

    rounds = range(1, len(data["backlog"]) + 1)
    for offset, (name, color) in enumerate((("floor", "#cbd5e1"), ("backlog", "#2563eb"))):
        heights = [each["chains_per_second_established"] for each in data[name]]
        label = "floor" if name == "floor" else "Latchkey"
        throughput.bar([r + offset * 0.4 - 0.2 for r in rounds], heights, 0.38, color=color, label=label)
    throughput.axhline(_GOALS["chains"], color="#16a34a", linestyle=":", linewidth=1)
    throughput.set(title="Backlog: chains a second", xlabel="round", xticks=list(rounds))
    throughput.legend(frameon=False)

    per_chain = _median_cpu(data)
    names = sorted(per_chain, key=lambda name: per_chain[name])
    cpu.barh(names, [per_chain[name] for name in names], color="#2563eb")
    cpu.set(title="CPU per chain", xlabel="milliseconds")
    for axis in (latency, throughput, cpu):
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _page(data: dict[str, Any]) -> str:
    machine, rest, tight = (
        data["machine"],
        data["idle_with_rests"]["milliseconds"],
        data["idle_back_to_back"]["milliseconds"],
    )
    established, drained = _medians(data, "established"), _medians(data, "drained")
    ratio = [
        product["chains_per_second_established"] / bare["chains_per_second_established"]
        for product, bare in zip(data["backlog"], data["floor"], strict=True)
    ]
    memory, load = data["at_rest"]["resident_megabytes"], data["backlog"][-1]["resident_megabytes_under_load"]
    idle_cpu = data["at_rest"]["cpu_percent_of_a_core"]
    services = list(memory)
    per_chain = _median_cpu(data)
    rows = "\n".join(f"| {name} | {memory[name]} | {load[name]} | {idle_cpu[name]} |" for name in services)
    cpu = "\n".join(f"| {name} | {per_chain[name]:.2f} |" for name in sorted(per_chain, key=lambda n: -per_chain[n]))
    return f"""# The invitation chain, measured

Measured {data["measured_at"]} by `make bench` on {machine["cores"]} cores ({machine["processor"]}), {machine["memory_gigabytes"]} GB,
Python {machine["python"]}: Apache Kafka 4.4 and PostgreSQL 18 with fsync on, all services, a subscriber that upserts one row for each
event in the place of console, and the bench itself, all on this one machine. Raw data: [chain.json](chain.json).

![latency, throughput and CPU](chain.svg)

## One chain at a time

From AcceptInvitation sent to BillingChainEstablished received, in milliseconds.

| | p50 | p95 | p99 | min | max | goal |
|---|---|---|---|---|---|---|
| with half a second of rest ({rest["count"]} chains) | {rest["p50"]} | {rest["p95"]} | {rest["p99"]} | {rest["min"]} | {rest["max"]} | p50 ≤ {_GOALS["p50"]}, p99 ≤ {_GOALS["p99"]} |
| back to back ({tight["count"]} chains) | {tight["p50"]} | {tight["p95"]} | {tight["p99"]} | {tight["min"]} | {tight["max"]} | |

## A backlog of {data["backlog"][0]["chains"]} accepted invitations

Chains a second, {len(data["backlog"])} rounds, product and floor in turn: median (min to max). The floor is the same chain in bare aiokafka and
asyncpg ([floor.py](../floor.py)): the same transactions, rows and messages, and nothing else.

| | Latchkey | floor | goal |
|---|---|---|---|
| to the last BillingChainEstablished | {established[0]} | {established[1]} | ≥ {_GOALS["chains"]} |
| until every service has drained (letters are queued) | {drained[0]} | {drained[1]} | |
| ratio to the floor, to the last BillingChainEstablished | {_spread(ratio, 2)} | 1 | ≥ {_GOALS["ratio"]} |

Letters over SMTP to the mailbox of the stack (one Python process, on the same two cores): {data["letters"]["letters_per_second"]} a second ({data["letters"]["letters"]} letters).

## Where the CPU goes

Milliseconds of CPU for each chain, median of the rounds.

| process | ms |
|---|---|
{cpu}

## Memory and idle CPU

| service | MB at rest | MB under load | % of a core at rest |
|---|---|---|---|
{rows}

Goals: 120 MB at rest, 250 MB under load, below 1 % of a core.
"""


def _medians(data: dict[str, Any], what: str) -> tuple[str, str]:
    key = f"chains_per_second_{what}"
    return _spread([each[key] for each in data["backlog"]]), _spread([each[key] for each in data["floor"]])


def _spread(values: list[float], digits: int = 0) -> str:
    shown = [f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values))]
    return f"{shown[0]} ({shown[1]} to {shown[2]})"


def _median_cpu(data: dict[str, Any]) -> dict[str, float]:
    rounds = [each["cpu_milliseconds_per_chain"] for each in data["backlog"]]
    return {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
