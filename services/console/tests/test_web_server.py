"""The web server of a process, which the process starts again when it has failed."""

import asyncio

from console_world import ConsoleWorld, console_world
from prometheus_client import CollectorRegistry

from console.web.server import Web


async def test_a_web_server_that_has_ended_is_started_again_and_counts_on(database_url: str) -> None:
    async with console_world(database_url, instances=2, playing=False, web_port=0) as (one, other):
        web = Web(one.settings, CollectorRegistry())
        await _serves(web, one)
        await _serves(web, other)


async def _serves(web: Web, console: ConsoleWorld) -> None:
    """It listens, until the service stops."""
    async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(web.serve(console.room))
        while web.lacks() is not None and not serving.done():
            await asyncio.sleep(0.005)
        assert web.lacks() is None
        console.stopping.set()
    assert web.lacks() is not None
