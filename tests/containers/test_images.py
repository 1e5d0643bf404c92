"""What is in the images, and what is not."""

import io
import json
import os
import subprocess
import tarfile
import time
from typing import Any

import leftovers
import pytest
from contained import ContainedPlatform
from docker import DockerClient

from stack.services import SERVICES
from tools.images import context

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300, func_only=True)]

_MOST = 320_000_000
"""Bytes; they have about 270 million, of which the base image is 150 million."""
_OURS = ("contracts", "postroom", *SERVICES, "stack")
_NOT_NEEDED = ("pip", "setuptools", "wheel", "hatchling", "pytest", "mypy", "ruff", "tests", "conftest")
_LOOK = """
import importlib.util, json, os, pathlib, shutil, sys
names, tools = json.loads(sys.argv[1]), json.loads(sys.argv[2])
def is_written(path):
    try:
        pathlib.Path(path).write_text("x")
    except OSError:
        return False
    return True
found = [name for name in names if importlib.util.find_spec(name)]
home = pathlib.Path(importlib.util.find_spec(found[0]).origin).parents[1]
print(json.dumps({
    "user": os.getuid(),
    "packages": found,
    "tools": [tool for tool in tools if shutil.which(tool)],
    "tests": [str(path) for name in found for path in (home / name).rglob("test*")],
    "compiled": [str(path) for path in (home / found[0]).glob("__pycache__/*.pyc")],
    "written": [path for path in ("/x", "/opt/latchkey/x", str(home / "x"), "/tmp/x") if is_written(path)],
}))
"""


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_service_s_image_holds_that_service_alone_and_nothing_to_build_or_test_with(
    engine: DockerClient, images: dict[str, str], service: str
) -> None:
    tools = ["pip", "pip3", "gcc", "cc", "make", "curl", "wget", "git"]
    said = engine.containers.run(
        images[service],
        ["-c", _LOOK, json.dumps([*_OURS, *_NOT_NEEDED]), json.dumps(tools)],
        entrypoint=["python"],
        read_only=True,
        tmpfs={"/tmp": ""},
        network_mode="none",
        cap_drop=["ALL"],
        remove=True,
    )
    seen: dict[str, Any] = json.loads(said)

    assert seen["user"] == 10001
    assert set(seen["packages"]) == {"contracts", "postroom", service}
    assert seen["tools"] == []
    assert seen["tests"] == []
    assert seen["compiled"], "nothing has to be compiled at every start"
    assert seen["written"] == ["/tmp/x"]


def test_an_image_says_what_it_is_and_how_it_is_run(engine: DockerClient, images: dict[str, str], service: str) -> None:
    image = engine.images.get(images[service]).attrs
    told = image["Config"]

    assert told["User"] == "10001:10001"
    assert told["Entrypoint"] == ["python", "-m", service]
    assert told["StopSignal"] == "SIGTERM"
    assert "8080/tcp" in told["ExposedPorts"]
    assert "/livez" in told["Healthcheck"]["Test"][-1]
    assert told["Labels"]["org.opencontainers.image.title"] == f"latchkey-{service}"
    assert told["Labels"]["org.opencontainers.image.revision"]
    assert image["Size"] < _MOST


def test_a_service_without_settings_says_which_are_missing(
    engine: DockerClient, images: dict[str, str], service: str
) -> None:
    container = engine.containers.create(images[service], read_only=True, network_mode="none")
    try:
        container.start()
        assert container.wait()["StatusCode"] != 0
        assert b"KAFKA_BOOTSTRAP_SERVERS" in container.logs()
    finally:
        container.remove(force=True)


def test_a_service_becomes_healthy_with_a_root_that_it_cannot_write_and_no_privileges(
    contained: ContainedPlatform, service: str
) -> None:
    part = contained.parts[service]
    deadline = time.monotonic() + 60
    while part.state["Health"]["Status"] != "healthy":
        assert time.monotonic() < deadline, part.state["Health"]
        time.sleep(0.5)

    host = part.inspect()["HostConfig"]
    assert (host["ReadonlyRootfs"], host["CapDrop"], host["SecurityOpt"]) == (True, ["ALL"], ["no-new-privileges"])


def test_the_stand_ins_can_be_read_though_their_checkout_is_its_owner_s_alone(
    engine: DockerClient, images: dict[str, str]
) -> None:
    name = f"latchkey/stand-ins:{leftovers.prefix('modes')}"
    own = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(context("stand-ins"))) as given,
        tarfile.open(fileobj=own, mode="w", format=tarfile.GNU_FORMAT) as tar,
    ):
        for file in given.getmembers():
            if file.name != "constraints.txt":  # That the layers above are those that are there.
                file.mode &= 0o700
            tar.addfile(file, given.extractfile(file))
    network = f"--network={os.environ.get('LATCHKEY_BUILD_NETWORK', 'default')}"
    build = ["docker", "build", "--quiet", f"--tag={name}", "--file=stack/Dockerfile", network, "-"]
    built = subprocess.run(build, input=own.getvalue(), capture_output=True, check=False)
    assert built.returncode == 0, built.stderr
    try:
        read = ["-c", "find /opt/stand-ins /opt/compose ! -readable -o -type d ! -executable"]
        assert engine.containers.run(name, read, entrypoint=["sh"], network_mode="none", remove=True) == b""
    finally:
        engine.images.remove(name)
