"""What a run of these tests makes has its process's id in its name, so that a later run can tell what an earlier one,
which was killed, has left behind."""

import os
import re
from collections.abc import Callable
from contextlib import suppress

import docker.errors
import psutil
from docker import DockerClient

PREFIX = "latchkey-test"
_NAME = re.compile(rf"{PREFIX}-(\d+)[-_]")


def prefix(what: str) -> str:
    """Of the names of everything that is made by this process for this purpose."""
    return f"{PREFIX}-{os.getpid()}-{what}"


def remove(engine: DockerClient, beginning: str) -> None:
    """Every container, network and volume whose name begins so."""
    _remove(engine, lambda name: name.startswith(beginning))


def remove_of_the_dead(engine: DockerClient) -> None:
    """What belongs to test runs that are no more."""
    _remove(engine, _is_left_behind)


def _is_left_behind(name: str) -> bool:
    found = _NAME.match(name)
    return found is not None and not psutil.pid_exists(int(found[1]))


def _remove(engine: DockerClient, is_meant: Callable[[str], bool]) -> None:
    for container in engine.containers.list(all=True, ignore_removed=True):
        if is_meant(container.name):
            with suppress(docker.errors.NotFound):
                container.remove(force=True, v=True)
    for network in engine.networks.list():
        if is_meant(network.name):
            with suppress(docker.errors.NotFound):
                network.remove()
    for volume in engine.volumes.list():
        if is_meant(volume.name):
            with suppress(docker.errors.NotFound):
                volume.remove(force=True)
