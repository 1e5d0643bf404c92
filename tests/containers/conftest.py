"""The images, and the platform in containers. Where no Docker engine answers, the tests that need one are skipped."""

import gc
import os
import subprocess
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import docker
import docker.errors
import leftovers
import pytest
from contained import ROOT, TAG, ContainedPlatform
from docker import DockerClient

from stack.client import Client
from stack.services import SERVICES

_NO_ENGINE = "There is no Docker engine on this machine (`docker info` says more)."
_BUILT_WITHIN = 1200
"""Seconds. With nothing in the engine's cache it takes one minute, where nobody else wants the processors."""
_SIZES = pytest.StashKey[dict[str, int]]()


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """Docker, without what killed runs have left behind."""
    engine = _connected()
    if engine is None:
        pytest.skip(_NO_ENGINE)
    leftovers.remove_of_the_dead(engine)
    with engine.api:
        yield engine


def _connected() -> DockerClient | None:
    with warnings.catch_warnings():
        # docker's library leaves a socket open where nobody answers.
        warnings.simplefilter("ignore", ResourceWarning)
        with suppress(docker.errors.DockerException):
            return docker.from_env(timeout=120)
        gc.collect()
    return None


@pytest.fixture(scope="session")
def images(engine: DockerClient, request: pytest.FixtureRequest) -> dict[str, str]:
    """The tags of the images, which are built now, by name."""
    build, env = [sys.executable, "tools/images.py"], os.environ | {"LATCHKEY_TAG": TAG}
    built = subprocess.run(build, cwd=ROOT, env=env, capture_output=True, text=True, timeout=_BUILT_WITHIN, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    tags = {name: f"latchkey/{name}:{TAG}" for name in (*SERVICES, "stand-ins")}
    request.config.stash[_SIZES] = {tag: engine.images.get(tag).attrs["Size"] for tag in tags.values()}
    return tags


@pytest.fixture(scope="session")
def contained(
    engine: DockerClient, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ContainedPlatform]:
    """Everything, in containers. A test that takes a part of it away brings it back."""
    from crowd import SETTINGS  # After its registration, in tests/conftest.py.

    folder = tmp_path_factory.mktemp("contained")
    with ContainedPlatform(engine, leftovers.prefix("platform"), folder, images.__getitem__, SETTINGS) as platform:
        yield platform


@pytest.fixture
async def client(contained: ContainedPlatform) -> AsyncIterator[Client]:
    """Somebody who watches every fact from now on."""
    contained.check()
    async with Client(contained.bootstrap_servers) as client:
        yield client
    contained.check()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    skipped = [report for report in terminalreporter.stats.get("skipped", ()) if _NO_ENGINE in str(report.longrepr)]
    if skipped:
        terminalreporter.write_line(f"{len(skipped)} tests in containers are skipped. {_NO_ENGINE}")
    for tag, size in config.stash.get(_SIZES, {}).items():
        terminalreporter.write_line(f"{tag}: {size / 1e6:.0f} MB")
