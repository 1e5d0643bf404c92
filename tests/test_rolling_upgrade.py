"""A rolling upgrade: every service is replaced by its newer self while people join, and nothing is lost or done twice.

Needs the Pythons of an earlier release, which `python tests/mixed.py` makes."""

import asyncio
from pathlib import Path

import pytest
from crowd import Crowd, audit

from stack.client import Client
from stack.platform import Platform
from stack.services import SERVICES

pytestmark = [pytest.mark.mixed, pytest.mark.timeout(240)]


async def test_all_services_are_upgraded_one_by_one_while_people_join(
    interpreters: dict[str, Path], request: pytest.FixtureRequest
) -> None:
    if set(interpreters) != set(SERVICES):
        pytest.skip("there is no earlier release to upgrade from: python tests/mixed.py runs this with one")
    platform: Platform = request.getfixturevalue("platform")
    async with Client(platform.bootstrap_servers) as client:
        crowds = [Crowd(client, 30) for _ in SERVICES]
        for crowd, name in zip(crowds, SERVICES, strict=True):
            await crowd.gather()
            await crowd.accept()
            await crowd.has_joined(3)
            service = platform.service(name)
            await asyncio.to_thread(service.stop)
            service.interpreter = None
            await asyncio.to_thread(service.start)
        for crowd in crowds:
            await crowd.is_through()

        await audit(platform, *crowds)
    platform.check()
