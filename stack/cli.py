"""`python -m stack`: the platform from the command line."""

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from stack.display import LiveProgress, follow, overview, print_lines, show_error, state_of, tail
from stack.errors import NotRunningError, StackError
from stack.platform import DEFAULT_FOLDER, Platform
from stack.ports import LOOPBACK
from stack.state import State

app = typer.Typer(
    help="One machine's platform for Latchkey: Kafka, PostgreSQL, a mailbox and the services, without Docker.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

NOT_RUNNING = 3
"""Exit code of `status` where nothing runs, as init scripts have it; 1 where a part has died or is not ready."""

Data = Annotated[
    Path, typer.Option("--data", envvar="LATCHKEY_DATA", help="The folder that holds everything.", file_okay=False)
]
_ONE_NETWORK = {
    "console": {f"{what}_PER_NETWORK_PER_HOUR": "0" for what in ("SIGN_INS", "SIGN_UPS", "RESETS", "INVITATIONS")}
}
"""On this machine everybody has the same network address, and nobody is to be kept out for the others' sake."""
_out = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
_err = Console(stderr=True, highlight=False)


@app.command()
def up(
    data: Data = DEFAULT_FOLDER,
    port: Annotated[
        list[str] | None,
        typer.Option(
            "--port",
            metavar="NAME=PORT",
            help="A port that must be so, as in kafka=9092; others are free ones, and kept. Names: kafka, "
            "kafka-controller, postgres, smtp, mailbox, stripe, the services, and console-health. Repeatable.",
        ),
    ] = None,
    throughput: Annotated[
        bool, typer.Option(help="For measurements: Kafka with Java's optimizing compiler and a larger heap.")
    ] = False,
) -> None:
    """Start the platform, and leave it running. What runs already is left alone."""
    with _errors_for_people():
        platform = Platform(data, settings=_ONE_NETWORK, ports=_ports(port or []), throughput=throughput, detached=True)
        with LiveProgress(_out, f"Starting the platform in {data}") as progress:
            platform.start(progress)
        _say_where(platform, f"is up after {progress.seconds:.1f} s")
        _out.print("[dim]`python -m stack down` stops it; `status` and `logs` tell how it is.[/dim]")


@app.command()
def demo(
    data: Data = DEFAULT_FOLDER,
    once: Annotated[bool, typer.Option("--once", help="End after the story.")] = False,
) -> None:
    """Play a story on the platform, which stays up until Ctrl-C. Exit code: 0 if all came out as promised, 1 if not."""
    from stack.demo import play  # It needs the contracts, a Kafka client and more, which no other command does.

    with _errors_for_people():
        with contextlib.ExitStack() as at_end:
            platform = _running_or_started(data, at_end)
            came_true = asyncio.run(play(platform, _out))
            if not once:
                _stay_up(platform)
        raise typer.Exit(0 if came_true else 1)


@app.command()
def meter(
    address: Annotated[str, typer.Argument(help="Whose: the address of an account.")],
    data: Data = DEFAULT_FOLDER,
    hourly: Annotated[
        Decimal, typer.Option(parser=Decimal, metavar="DOLLARS", help="What the instance costs in an hour.")
    ] = Decimal(3_600),
    seconds: Annotated[
        int | None, typer.Option(min=1, help="For how long; otherwise until Ctrl-C.", show_default=False)
    ] = None,
) -> None:
    """Let an instance of an account run, and tell billing of it every second."""
    from stack.meters import run_meter  # As with the demo.

    with _errors_for_people():
        platform = Platform.attach(data)
        if not platform.kafka.is_running:
            raise NotRunningError(f"The platform in {data} is not running.", "`python -m stack up` starts it.")
        _out.print(f"An instance of {address} runs, at ${hourly:,} an hour.")
        cost = asyncio.run(run_meter(platform.bootstrap_servers, address, int(hourly * 1_000_000), seconds))
        _out.print(f"It cost ${Decimal(cost) / 1_000_000:,.2f}.")


@app.command()
def down(
    data: Data = DEFAULT_FOLDER,
    delete: Annotated[bool, typer.Option("--delete", help="Delete its data, letters and logs, too.")] = False,
) -> None:
    """Stop the platform. Its data are kept, unless they are to be deleted."""
    with _errors_for_people():
        try:
            platform = Platform.attach(data)
        except NotRunningError:
            _out.print(f"There is no platform in {data}.")
            return
        with LiveProgress(_out, "Stopping the platform") as progress:
            platform.stop(progress)
            if delete:
                platform.remove()
        _out.print(f"The platform is stopped{', and its data are deleted' if delete else ''}.")


@app.command()
def status(
    data: Data = DEFAULT_FOLDER,
    as_json: Annotated[
        bool, typer.Option("--json", help="For programs; holds the databases' passwords.", show_default=False)
    ] = False,
) -> None:
    """Say what runs, and where. Exit code: 0 all is ready, 1 something is not, 3 nothing runs."""
    with _errors_for_people(exit_code=NOT_RUNNING):
        platform = Platform.attach(data)
        states = {process.name: state_of(process)[0] for process in platform.processes}
        if as_json:
            _print_json(platform, states)
        else:
            _out.print(overview(platform))
        if set(states.values()) != {"ready"}:
            raise typer.Exit(NOT_RUNNING if set(states.values()) == {"stopped"} else 1)


@app.command()
def logs(
    names: Annotated[list[str] | None, typer.Argument(help="Of which parts; without a name, of all.")] = None,
    data: Data = DEFAULT_FOLDER,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the last lines.")] = 20,
    following: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
) -> None:
    """Show the ends of the logs."""
    with _errors_for_people():
        there = {path.stem: path for path in sorted((data / "logs").glob("*.log"))}
        if not there:
            raise NotRunningError(f"There are no logs in {data}.", "`python -m stack up` starts a platform.")
        unknown = set(names or []) - set(there)
        if unknown:
            raise StackError(f"There is no log of {', '.join(sorted(unknown))}.", f"There are: {', '.join(there)}.")
        chosen = [there[name] for name in names or there]
        for path in chosen:
            print_lines(_out, path, tail(path, lines))
        if following:
            follow(chosen, _out)


def main() -> None:
    """Ctrl-C ends a command with 130, as a shell has it, and so does SIGTERM."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(prog_name="python -m stack")
    except KeyboardInterrupt:
        sys.exit(130)


@contextlib.contextmanager
def _errors_for_people(exit_code: int = 1) -> Iterator[None]:
    try:
        yield
    except StackError as error:
        show_error(_err, error)
        raise typer.Exit(exit_code if isinstance(error, NotRunningError) else 1) from error
    except BrokenPipeError:  # `logs | head`: who reads has enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None


def _stay_up(platform: Platform) -> None:
    """Returns at Ctrl-C. Raises ProcessDiedError where a part dies before."""
    with contextlib.suppress(KeyboardInterrupt):
        _out.print("[dim]The platform stays up until Ctrl-C.[/dim]")
        while True:
            platform.check()
            time.sleep(1)


def _running_or_started(data: Path, at_end: contextlib.ExitStack) -> Platform:
    """What `up` has started, or a platform that ends with us."""
    if State.exists(data):
        platform = Platform.attach(data)
        if platform.is_running:
            platform.check()
            if "console" not in platform.service_names:
                raise StackError(f"The platform in {data} has no console.", "`python -m stack down` ends it.")
            return platform
    platform = Platform(data, settings=_ONE_NETWORK)
    with LiveProgress(_out, f"Starting the platform in {data}") as progress:
        platform.start(progress)
    at_end.callback(platform.stop)
    _say_where(platform, f"is up after {progress.seconds:.1f} s")
    return platform


def _say_where(platform: Platform, how: str) -> None:
    _out.print(f"[green]✓[/green] The platform {how}.\n")
    _out.print(overview(platform))
    _out.print(f"\nConsole: [bold]{platform.console_url}[/bold]")
    _out.print(f"Letters: {platform.mailbox.address} (SMTP: {LOOPBACK}:{platform.mailbox.smtp_port})")
    _out.print(f"Logs: {_short(platform.folder / 'logs')}; databases: `python -m stack status --json` has their URLs")


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def _ports(options: list[str]) -> dict[str, int]:
    ports: dict[str, int] = {}
    for option in options:
        name, _, port = option.partition("=")
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise StackError(f"--port {option} is not understood.", "It is NAME=PORT, as in --port kafka=9092.")
        ports[name] = int(port)
    return ports


def _print_json(platform: Platform, states: dict[str, str]) -> None:
    parts = {
        process.name: {
            "state": states[process.name],
            "address": process.address,
            "pid": process.pid,
            "log": str(process.log_path),
        }
        for process in platform.processes
    }
    databases = {name: platform.postgres.url(name) for name in platform.service_names}
    print(json.dumps({"folder": str(platform.folder), "parts": parts, "databases": databases}, indent=2))
