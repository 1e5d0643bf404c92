"""The platform as a whole, on real servers."""

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from stack.errors import FolderLockedError, NotRunningError, ProcessDiedError, StackError
from stack.platform import Platform
from stack.state import FolderLock, State

pytestmark = [pytest.mark.platform]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """Kafka and PostgreSQL alone."""
    with Platform(tmp_path_factory.mktemp("platform"), services=()) as platform:
        yield platform


async def write(platform: Platform, topic: str, value: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=platform.bootstrap_servers)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    async with AIOKafkaProducer(
        bootstrap_servers=platform.bootstrap_servers, acks="all", enable_idempotence=True
    ) as producer:
        await producer.send_and_wait(topic, value)


async def read(platform: Platform, topic: str) -> bytes | None:
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=platform.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        record = await asyncio.wait_for(consumer.getone(), 20)
        value: bytes | None = record.value
        return value


def test_what_was_started_is_ready_at_once(servers: Platform) -> None:
    servers.check()

    assert [process.name for process in servers.processes] == ["postgres", "kafka"]
    assert all(process.is_ready for process in servers.processes)


async def test_what_kafka_has_acknowledged_outlives_a_kill_and_the_port_stays(servers: Platform) -> None:
    topic, address = f"facts-{uuid.uuid4()}", servers.bootstrap_servers
    await write(servers, topic, b"kept")
    await asyncio.to_thread(servers.kafka.kill)
    assert not servers.kafka.is_running
    await asyncio.to_thread(servers.kafka.start)

    assert servers.bootstrap_servers == address
    assert await read(servers, topic) == b"kept"


def test_nothing_listens_beyond_loopback(servers: Platform) -> None:
    for process in servers.processes:
        sockets = psutil.Process(process.pid).net_connections("inet")
        assert {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_a_second_platform_in_the_same_folder_is_refused(servers: Platform) -> None:
    with pytest.raises(FolderLockedError, match="is working on the platform"):
        Platform(servers.folder, services=()).start()


def test_another_command_finds_it_and_sees_that_all_is_well(servers: Platform) -> None:
    found = Platform.attach(servers.folder)

    found.check()
    assert [process.pid for process in found.processes] == [process.pid for process in servers.processes]


def test_a_part_that_died_is_missed_by_name_and_can_be_started_again(servers: Platform) -> None:
    elsewhere = Platform.attach(servers.folder)
    elsewhere.postgres.kill()
    with pytest.raises(ProcessDiedError, match="postgres has ended, by SIGKILL"):
        servers.check()
    servers.postgres.start()

    servers.check()


def test_ports_and_the_link_key_are_those_of_the_last_time(servers: Platform) -> None:
    saved = State.load(servers.folder)

    assert saved.link_key == servers.link_key
    assert servers.bootstrap_servers.endswith(str(saved.ports["kafka"]))


def test_there_is_nothing_to_find_in_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(NotRunningError, match="There is no platform"):
        Platform.attach(tmp_path)


def test_an_unknown_service_is_refused_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(StackError, match="There is no service invitations"):
        Platform(tmp_path, services=["invitations"])


def test_a_start_that_fails_leaves_nothing_running_and_nothing_locked(tmp_path: Path) -> None:
    platform = Platform(tmp_path, services=())
    (tmp_path / "kafka").write_text("a file where a folder is to be")
    with pytest.raises((StackError, OSError)):
        platform.start()

    assert not platform.is_running
    lock = FolderLock(tmp_path)
    lock.acquire()
    lock.release()


def test_nothing_is_left_of_a_platform_that_is_removed(tmp_path: Path) -> None:
    platform = Platform(tmp_path, services=())
    platform.start()
    platform.remove()

    assert not platform.is_running
    assert list(tmp_path.iterdir()) == []
