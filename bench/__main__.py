"""`python -m bench`: starts platforms of its own, measures, and writes bench/results/: raw data as JSON, a picture as
SVG, and a page. `python -m bench chain`, `python -m bench http` and `python -m bench usage` measure one of them alone;
`python -m bench report` makes picture and page again from the data."""

import argparse
import asyncio
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from rich.console import Console

from bench import http, usage
from bench.chains import SERVICES, at_rest, backlog, idle, letters, machine, prepare, start_subscriber
from bench.floor_run import floor
from bench.report import write_report
from stack.client import Client
from stack.platform import Platform

RESULTS = Path(__file__).parent / "results"
_SETTINGS = {
    "invites": {
        "ORGANIZATION_INVITATIONS_PER_DAY": "0",
        "INVITER_INVITATIONS_PER_HOUR": "0",
        "RECIPIENT_INVITATIONS_PER_DAY": "0",
    }
}
console = Console()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("action", nargs="?", choices=("run", "chain", "http", "usage", "report"), default="run")
    parser.add_argument("--chains", type=int, default=10_000, help="size of the backlog")
    parser.add_argument("--rounds", type=int, default=3, help="each measurement of throughput, so many times")
    parser.add_argument("--idle", type=int, default=60, help="chains one at a time, with and without rests")
    parser.add_argument("--sequential", type=int, default=200, help="pairs over HTTP, one after the other")
    parser.add_argument("--parallel", type=int, default=1600, help=f"pairs over HTTP, {http.AT_A_TIME} at a time")
    parser.add_argument("--usages", type=int, default=30_000, help="size of the backlog of recorded usage")
    options = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if options.action in ("run", "chain"):
        _write("chain.json", asyncio.run(measure_chain(options)))
    if options.action in ("run", "http"):
        _write("http.json", uvloop.run(measure_http(options)))
    if options.action in ("run", "usage"):
        _write("usage.json", uvloop.run(measure_usage(options)))
    write_report(RESULTS)
    console.print(f"Written: {RESULTS}/chain.svg and README.md")


async def measure_chain(options: argparse.Namespace) -> dict[str, Any]:
    """Without console: a subscriber that does the least takes its place, here and in the floor."""
    with tempfile.TemporaryDirectory(prefix="latchkey-bench-") as folder:
        # Delivery stands still (nobody listens on that port) until it is measured by itself.
        settings = _SETTINGS | {"notifier": {"SMTP_PORT": "1"}}
        with Platform(Path(folder), services=SERVICES, settings=settings, throughput=True) as platform:
            return _begun() | await _measure_on(platform, options)


async def measure_http(options: argparse.Namespace) -> dict[str, Any]:
    """With all services, console among them."""
    console.print("HTTP")
    with (
        tempfile.TemporaryDirectory(prefix="latchkey-bench-") as folder,
        Platform(Path(folder), settings=http.SETTINGS, throughput=True) as platform,
    ):
        results = _begun() | await http.measure_http(
            platform,
            rounds=options.rounds,
            alone=options.idle,
            sequential=options.sequential,
            parallel=options.parallel,
        )
    for each in results["rounds"]:
        one, many = each["one_after_the_other"], each["at_a_time"]
        console.print(
            f"  {one['pairs_per_second']} pairs/s one after the other, {many['pairs_per_second']} "
            f"{many['at_a_time']} at a time"
        )
    console.print(f"  a single acceptance: {results['alone']['accept_milliseconds']} ms")
    return results


async def measure_usage(options: argparse.Namespace) -> dict[str, Any]:
    """Without those who read what billing tells."""
    console.print("Usage")
    with (
        tempfile.TemporaryDirectory(prefix="latchkey-bench-") as folder,
        Platform(Path(folder), services=usage.SERVICES, throughput=True) as platform,
    ):
        results = _begun() | await usage.measure_usage(platform, usages=options.usages, rounds=options.rounds)
    for many, one in zip(results["many"], results["one"], strict=True):
        console.print(
            f"  {many['usages_per_second']} usages/s of {many['organizations']} organizations, "
            f"{one['usages_per_second']} of one"
        )
    return results


def _begun() -> dict[str, Any]:
    return {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}


def _write(name: str, results: dict[str, Any]) -> None:
    (RESULTS / name).write_text(json.dumps(results, indent=1) + "\n")
    console.print(f"Written: {RESULTS / name}")


async def _measure_on(platform: Platform, options: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {}
    logs = platform.folder
    subscriber = await start_subscriber(platform, logs / "subscriber.log")
    try:
        console.print("At rest: 30 seconds")
        results["at_rest"] = await at_rest(platform)
        async with Client(platform.bootstrap_servers) as client:
            console.print("Preparing the idle chain, and warming up")
            acceptances = await prepare(client, 2 * options.idle + 100)
            await idle(client, acceptances[:100], rest=0.0)
            console.print(f"Idle: {options.idle} chains with half a second of rest, and {options.idle} back to back")
            resting = acceptances[100 : 100 + options.idle]
            results["idle_with_rests"] = await idle(client, resting, rest=0.5)
            results["idle_back_to_back"] = await idle(client, acceptances[100 + options.idle :], rest=0.0)
        results["backlog"], results["floor"] = [], []
        for number in range(1, options.rounds + 1):
            async with Client(platform.bootstrap_servers) as client:
                console.print(f"Round {number}: preparing a backlog of {options.chains} accepted invitations")
                acceptances = await prepare(client, options.chains)
            results["backlog"].append(await backlog(platform, subscriber.pid, acceptances))
            results["floor"].append(await floor(platform, acceptances, logs))
            product, bare = results["backlog"][-1], results["floor"][-1]
            console.print(
                f"  {product['chains_per_second_established']} chains/s to the last BillingChainEstablished, "
                f"{product['chains_per_second_drained']} until drained; floor {bare['chains_per_second_established']} "
                f"and {bare['chains_per_second_drained']}"
            )
        console.print("Letters over SMTP")
        results["letters"] = await letters(platform)
    finally:
        subscriber.kill()
        await subscriber.wait()
    return results


if __name__ == "__main__":
    main()
