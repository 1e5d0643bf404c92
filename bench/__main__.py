"""`python -m bench`: starts a platform of its own, measures, and writes bench/results/: raw data as JSON, a picture as
SVG, and a page. `python -m bench report` makes picture and page again from the data."""

import argparse
import asyncio
import json
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console

from bench.chains import at_rest, backlog, idle, letters, machine, prepare, start_subscriber
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
    parser.add_argument("action", nargs="?", choices=("run", "report"), default="run")
    parser.add_argument("--chains", type=int, default=10_000, help="size of the backlog")
    parser.add_argument("--rounds", type=int, default=3, help="product and floor in turn, so many times")
    parser.add_argument("--idle", type=int, default=60, help="chains one at a time, with and without rests")
    options = parser.parse_args()
    if options.action == "run":
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "chain.json").write_text(json.dumps(asyncio.run(measure(options)), indent=1) + "\n")
    write_report(RESULTS)
    console.print(f"Written: {RESULTS}/chain.json, chain.svg and README.md")


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {"measured_at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": machine()}
    with tempfile.TemporaryDirectory(prefix="latchkey-bench-") as folder:
        # Delivery stands still (nobody listens on that port) until it is measured by itself.
        settings = _SETTINGS | {"notifier": {"SMTP_PORT": "1"}}
        with Platform(Path(folder), settings=settings, throughput=True) as platform:
            results |= await _measure_on(platform, options)
    return results


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
