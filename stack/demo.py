"""The demo in a terminal: the platform comes up, the story is played, the tables after it are the services' own, and at
the end it says where to go on clicking, and as whom."""

import asyncio
import secrets
import time
from typing import Any

import asyncpg
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table

from stack.client import Client, NothingCame
from stack.console_client import Refused
from stack.mailbox.reader import NoLetter
from stack.platform import Platform
from stack.story import Story

_MEMBERS = """
    SELECT o.name AS organization, m.account_id, m.role, m.joined_at
    FROM members AS m JOIN organizations AS o USING (organization_id)
    WHERE m.organization_id = ANY($1) AND m.ended_at IS NULL
    ORDER BY o.name, m.joined_at
"""
_INVITATIONS = """
    SELECT address, state, issued_at FROM invitations WHERE organization_id = ANY($1) ORDER BY issued_at
"""
_CHAINS = """
    SELECT account_id, effective_at, closed_at FROM chains WHERE organization_id = ANY($1) ORDER BY effective_at
"""


class Teller:
    """Tells the story with rich; the Narrator of a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._scene = 0

    def scene(self, title: str, rule: str) -> None:
        self._scene += 1
        self._console.print()
        self._console.print(f"[bold cyan]{self._scene}. {title}[/]  [dim]{rule}[/]")

    def says(self, line: str) -> None:
        self._console.print(f"   {line}", highlight=False)

    def claims(self, line: str, came_true: bool) -> None:
        mark = "[green]✓[/]" if came_true else "[bold red]✗ not so:[/]"
        self._console.print(f"   {mark} {line}", highlight=False)

    def shows_flow(self, flow: list[tuple[str, str, float]]) -> None:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("since the click", justify="right")
        table.add_column("topic", style="cyan")
        table.add_column("message", style="bold")
        for topic, message, milliseconds in flow:
            table.add_row(f"{milliseconds:,.0f} ms", topic, message)
        self._console.print(table)


async def play(platform: Platform, console: Console) -> bool:
    """Plays the story on a platform that is up; whether all came out as promised."""
    # Made for this play, and told to nobody but who watches it.
    password = secrets.token_hex(6)
    async with Client(platform.bootstrap_servers) as watcher:
        story = Story(watcher, platform.console_url, platform.mailbox, Teller(console), platform.stripe, password)
        try:
            await story.play()
        except (NothingCame, NoLetter, Refused, TimeoutError) as surprise:
            console.print(f"   [bold red]✗ {escape(str(surprise))}[/]")
            story.promises.append((str(surprise), False))
        await _show_letters(platform, console, story)
        await _show_tables(platform, console, story)
    kept = sum(came_true for _, came_true in story.promises)
    console.print()
    style, verdict = (
        ("green", "All came out as promised") if story.came_true else ("red", "Not all came out as promised")
    )
    console.print(Panel(f"{verdict}: {kept} of {len(story.promises)} claims hold.", style=style, expand=False))
    _show_where_to_go(platform, console, story)
    return story.came_true


async def _show_letters(platform: Platform, console: Console, story: Story) -> None:
    table = Table(
        title="Letters, as they arrived in the mailbox", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False
    )
    table.add_column("to", style="cyan")
    table.add_column("subject")
    for letter in platform.mailbox.letters():
        if story.tag in letter["to"]:
            table.add_row(letter["to"], letter["subject"])
    console.print()
    console.print(table)


async def _show_tables(platform: Platform, console: Console, story: Story) -> None:
    """Read from the services' own databases, which is for a demo to do, and for nobody else."""
    organizations = [story.organization_id, story.other_organization_id]
    # The chains come a moment after the last story that anybody waited for.
    members = await _rows(platform, "membership", _MEMBERS, organizations)
    deadline = time.monotonic() + 10
    while len(chains := await _rows(platform, "billing", _CHAINS, organizations)) < len(members):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.05)
    invitations = await _rows(platform, "invites", _INVITATIONS, organizations)
    people = story.people

    table = Table(title="Members (from membership)", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("organization", "member", "role"):
        table.add_column(column)
    for row in members:
        table.add_row(row["organization"], people.get(row["account_id"], "?"), row["role"])
    console.print(table)

    table = Table(title="Invitations (from invites)", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("address", "state"):
        table.add_column(column)
    for row in invitations:
        style = {"accepted": "green", "pending": "yellow"}.get(row["state"], "dim")
        table.add_row(row["address"], f"[{style}]{row['state']}[/]")
    console.print(table)

    table = Table(title="Billing chains (from billing)", title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("member", "since (UTC)", "state"):
        table.add_column(column)
    for row in chains:
        state = "closed" if row["closed_at"] else "open"
        table.add_row(people.get(row["account_id"], "?"), f"{row['effective_at']:%H:%M:%S}", state)
    console.print(table)
    story.promises.append(("each member has one open chain", _one_chain_each(members, chains)))


def _show_where_to_go(platform: Platform, console: Console, story: Story) -> None:
    """Addresses to open, accounts to sign in as, and what is worth a try."""
    console.print(f"\nOpen the console on [bold]{platform.console_url}[/], and beside it the mailbox on", end=" ")
    console.print(f"[bold]{platform.mailbox.address}[/].\n")
    table = Table(
        title=f"Accounts to sign in as; the password of each is {story.password}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    table.add_column("address", style="cyan", overflow="fold")
    table.add_column("who that is")
    for who, what in (
        ("owner", f"owns {story.organization}"),
        ("admin", "an admin of it"),
        ("member", "a member of it, and no admin"),
        ("invited", "in no organization; the letter with an invitation is in the mailbox"),
        ("outsider", "in no organization, and invited to none"),
        ("other-owner", f"owns {story.other_organization}"),
    ):
        table.add_row(story.address(who), what)
    console.print(table)
    for hint in (
        f"As {story.address('owner')}, open Usage & Billing, My Organization: invite somebody, revoke somebody.",
        f"As {story.address('member')}, open Usage & Billing, Usage: who pays, what is left, and what was spent.",
        f"As {story.address('invited')}, follow the link in their letter; it does not work for anybody else.",
        f"Sign up as {story.address('newcomer')}, who has no account yet, by the link in the letter to them.",
    ):
        console.print(f" • {hint}", highlight=False, soft_wrap=True)


def _one_chain_each(members: list[Any], chains: list[Any]) -> bool:
    with_chain = sorted(row["account_id"] for row in chains if row["closed_at"] is None)
    return with_chain == sorted(row["account_id"] for row in members)


async def _rows(platform: Platform, service: str, query: str, *arguments: object) -> list[Any]:
    connection = await asyncpg.connect(platform.postgres.url(service))
    try:
        return list(await connection.fetch(query, *arguments))
    finally:
        await connection.close()
