"""The images, and the platform in containers. Where no Docker engine answers, the tests that need one are skipped."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator

import docker
import docker.errors
import leftovers
import pytest
from contained import ROOT, ContainedPlatform
from docker import DockerClient

from stack.client import Client
from stack.services import SERVICES

TAG = os.environ.setdefault("LATCHKEY_TAG", "test")
"""Of the images that are built and tested."""
_SIZES = pytest.StashKey[dict[str, int]]()


@pytest.fixture(scope="session")
def engine() -> Iterator[DockerClient]:
    """Docker, without what killed runs have left behind."""
    try:
        engine = docker.from_env(timeout=120)
        engine.ping()
    except docker.errors.DockerException:
        pytest.skip("There is no Docker engine on this machine (`docker info` says more).")
    leftovers.remove_of_the_dead(engine)
    with engine.api:
        yield engine


@pytest.fixture(scope="session")
def images(engine: DockerClient, request: pytest.FixtureRequest) -> dict[str, str]:
    """The tags of the images, which are built now, by name."""
    built = subprocess.run([sys.executable, "tools/images.py"], cwd=ROOT, capture_output=True, text=True, check=False)
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
    sizes = config.stash.get(_SIZES, {})
    for tag, size in sizes.items():
        terminalreporter.write_line(f"{tag}: {size / 1e6:.0f} MB")
