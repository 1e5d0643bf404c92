"""`python -m stack`, as a person uses it."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stack.cli import app
from stack.platform import Platform


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Kafka and PostgreSQL alone, as `up` leaves them."""
    platform = Platform(tmp_path_factory.mktemp("platform"), services=(), detached=True)
    platform.start()
    yield platform
    platform.remove()


def test_status_of_nothing_is_3(tmp_path: Path) -> None:
    result = run("status", "--data", str(tmp_path))

    assert result.exit_code == 3
    assert "There is no platform in" in result.output


def test_down_where_nothing_runs_is_no_error(tmp_path: Path) -> None:
    result = run("down", "--data", str(tmp_path))

    assert result.exit_code == 0


def test_logs_of_nothing_say_how_to_start_a_platform(tmp_path: Path) -> None:
    result = run("logs", "--data", str(tmp_path))

    assert result.exit_code == 1
    assert "python -m stack up" in result.output


def test_no_instance_runs_where_there_is_no_platform(tmp_path: Path) -> None:
    result = run("meter", "owner@example.com", "--data", str(tmp_path))

    assert result.exit_code == 1
    assert "There is no platform in" in result.output


@pytest.mark.parametrize("option", ["kafka", "kafka=", "kafka=ninety", "kafka=70000"])
def test_a_port_that_is_not_understood_is_said_before_anything_starts(tmp_path: Path, option: str) -> None:
    result = run("up", "--data", str(tmp_path), "--port", option)

    assert result.exit_code == 1
    assert "as in --port kafka=9092" in result.output


def test_a_port_for_a_part_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    result = run("up", "--data", str(tmp_path), "--port", "zookeeper=2181")

    assert result.exit_code == 1
    assert "There is nothing called zookeeper" in result.output


@pytest.mark.platform
def test_status_says_where_everything_is(servers: Platform) -> None:
    result = run("status", "--data", str(servers.folder))

    assert result.exit_code == 0
    assert servers.bootstrap_servers in result.output
    assert result.output.count("ready") == 2


@pytest.mark.platform
def test_status_for_programs_is_json(servers: Platform) -> None:
    parts = json.loads(run("status", "--json", "--data", str(servers.folder)).output)["parts"]

    assert parts["kafka"]["address"] == servers.bootstrap_servers
    assert parts["kafka"]["pid"] == servers.kafka.pid


@pytest.mark.platform
def test_logs_shows_the_ends_of_the_logs(servers: Platform) -> None:
    everything = run("logs", "--data", str(servers.folder)).output
    kafka = run("logs", "kafka", "-n", "1", "--data", str(servers.folder)).output

    assert "ready to accept connections" in everything
    assert kafka.startswith("kafka")
    assert len(kafka.splitlines()) == 1
    assert "There are: kafka, postgres" in run("logs", "zookeeper", "--data", str(servers.folder)).output


@pytest.mark.platform
def test_status_of_a_platform_of_which_a_part_died_is_1(servers: Platform) -> None:
    assert servers.postgres.pid is not None
    os.kill(servers.postgres.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while servers.postgres.is_running:
        assert time.monotonic() < deadline, "it does not die"
    result = run("status", "--data", str(servers.folder))
    servers.postgres.start()

    assert result.exit_code == 1
    assert "died" in result.output


@pytest.mark.platform
def test_down_stops_what_another_command_has_started(servers: Platform) -> None:
    result = run("down", "--data", str(servers.folder))

    assert result.exit_code == 0
    assert not servers.is_running
    assert run("status", "--data", str(servers.folder)).exit_code == 3
