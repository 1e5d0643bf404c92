"""schemathesis reads the document, asks whatever it allows and much that it does not, and finds no crash and no answer
that is not in it: as a program, as a person, as somebody whose mailbox is still to be proven, and as nobody."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from console_world import PASSWORD, VISITOR, ConsoleWorld, console_world

from console.accounts.domain import Scope
from console.commands.desk import Commands
from console.settings import Settings
from console.view.queries import View
from console.web.app import web_app
from console.web.requests import csrf_token_of
from contracts import LeaveOrganization, Reason

pytestmark = pytest.mark.timeout(600)

VISITORS_COOKIE = "v" * 43
_CHECKS = """
[checks]
# What a schema cannot say (that a cursor is ours, that a name is free) is refused with 422, which is in the document.
positive_data_acceptance.enabled = false
"""


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    unlimited: dict[str, Any] = {name: 0 for name in Settings.model_fields if name.endswith("_per_hour")}
    async with console_world(database_url, outcome_timeout=timedelta(seconds=1), **unlimited) as (console,):
        yield console


@asynccontextmanager
async def served(console: ConsoleWorld) -> AsyncIterator[str]:
    """The address of the console on loopback. It does not wait for links that are not known yet: there will be none."""
    edge = console.edge
    view = View(console.room, edge.changes, patience=0)
    edge = replace(
        edge,
        commands=Commands(console.settings, console.room, view, edge.changes),
        view=view,
    )
    server = uvicorn.Server(uvicorn.Config(web_app(edge), host="127.0.0.1", port=0, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(20):
            while not server.started:
                await asyncio.sleep(0.01)
        host, port = server.servers[0].sockets[0].getsockname()
        yield f"http://{host}:{port}"
    finally:
        server.should_exit = True
        await serving


async def findings(address: str, folder: Path, config: str, *options: str) -> str:
    """What schemathesis prints. Fails where it found something, or tested nothing."""
    file = folder / "schemathesis.toml"
    file.write_text(config + _CHECKS)
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("schemathesis")),
        *("--config-file", str(file), "run", f"{address}/api/v1/openapi.json", "--no-color", "--warnings", "off"),
        *("--seed", "1", "--phases", "coverage,fuzzing", "--max-examples", "5", "--continue-on-failure", *options),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    said = printed.decode()
    assert process.returncode == 0, said
    assert re.search(r"[1-9]\d* generated", said), said
    return said


def knows(**keys: str) -> str:
    """Which API keys it may use."""
    return "\n".join(f'[auth.openapi.{scheme}]\napi_key = "{key}"' for scheme, key in keys.items())


def only(*operations: str) -> Sequence[str]:
    return [part for each in operations for part in ("--include-operation-id", each)]


async def test_a_program_finds_nothing_amiss(console: ConsoleWorld, tmp_path: Path) -> None:
    owner = await console.person("owner@example.com")
    organization = (await console.edge.commands.create_organization(owner, "Example Org")).organization_id
    console.player.refusals[LeaveOrganization] = (Reason.OWNER_IS_FIXED, "The owner cannot leave.")
    token = await console.edge.accounts.create_token(owner, "schemathesis", frozenset(Scope), None)
    config = (
        f'[parameters]\n"path.organization_id" = "{organization}"\n[auth.openapi.token]\nbearer = "{token.secret}"\n'
    )
    async with served(console) as address:
        await findings(address, tmp_path, config)


async def test_a_person_finds_nothing_amiss(console: ConsoleWorld, tmp_path: Path) -> None:
    await console.person("owner@example.com")
    new = await console.edge.accounts.sign_in("owner@example.com", PASSWORD, VISITOR)
    operations = only("getMe", "rename", "changePassword", "listTokens", "createToken", "revokeToken", "endSession")
    config = knows(session=new.token, csrf=csrf_token_of(new.token))
    async with served(console) as address:
        await findings(address, tmp_path, config, *operations)


async def test_who_has_still_to_prove_their_mailbox_finds_nothing_amiss(console: ConsoleWorld, tmp_path: Path) -> None:
    new = await console.edge.accounts.sign_up("new@example.com", "A Person", PASSWORD, VISITOR)
    operations = only("proveMailbox", "sendCode", "getMe", "createOrganization")
    config = knows(session=new.token, csrf=csrf_token_of(new.token))
    async with served(console) as address:
        await findings(address, tmp_path, config, *operations)


async def test_a_visitor_finds_nothing_amiss(console: ConsoleWorld, tmp_path: Path) -> None:
    operations = only(
        "getCsrfToken", "signUp", "signIn", "requestReset", "resetPassword", "previewLink", "declineInvitation"
    )
    config = knows(csrf=csrf_token_of(VISITORS_COOKIE))
    cookie = ("--header", f"Cookie: visitor={VISITORS_COOKIE}")
    async with served(console) as address:
        await findings(address, tmp_path, config, *operations, *cookie)
