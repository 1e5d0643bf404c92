"""What a run of these tests makes has the machine and the process in its name, so that a later run can tell what an
earlier one, which was killed, has left behind. Several machines may share one engine, and see no other's processes."""

import hashlib
import os
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import docker.errors
import psutil
from docker import DockerClient

PREFIX = "latchkey-test"
_NAME = re.compile(rf"{PREFIX}-([0-9a-f]{{8}})-(\d+)[-_]")
_BOOT = Path("/proc/sys/kernel/random/boot_id")


def machine() -> str:
    """By which the ids of processes are told apart: the host name, which containers have of their own, and the start
    of the kernel."""
    boot = _BOOT.read_text(encoding="ascii") if _BOOT.exists() else ""
    return hashlib.sha256(f"{socket.gethostname()} {boot}".encode()).hexdigest()[:8]


def prefix(what: str) -> str:
    """Of the names of everything that is made by this process for this purpose."""
    return f"{PREFIX}-{machine()}-{os.getpid()}-{what}"


def remove(engine: DockerClient, beginning: str) -> None:
    """Every container, network and volume whose name begins so."""
    _remove(engine, lambda name: name.startswith(beginning))


def remove_of_the_dead(engine: DockerClient) -> None:
    """What belongs to test runs on this machine that are no more."""
    _remove(engine, is_left_behind)


def is_left_behind(name: str) -> bool:
    """Nothing is known of the processes of another machine: what has its name is never left behind."""
    found = _NAME.match(name)
    return found is not None and found[1] == machine() and not psutil.pid_exists(int(found[2]))


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
