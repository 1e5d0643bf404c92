"""docker-compose.yml, as a newcomer uses it, and with the three brokers of compose.kafka3.yml."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import composed
import leftovers
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from composed import Composed
from crowd import SETTINGS, Crowd, audit
from docker import DockerClient
from telling import Silence

from contracts import TOPICS
from stack.client import Client
from stack.console_client import ConsoleClient
from stack.ports import LOOPBACK
from stack.services import SERVICES
from stack.story import Story

pytestmark = [pytest.mark.containers, pytest.mark.timeout(420, func_only=True)]

PASSWORD = "a long passphrase"
THREE = "compose.kafka3.yml"
JOBS = ("secrets", "topics", *(f"{service}-migrations" for service in SERVICES))


@pytest.fixture(autouse=True)
def compose(engine: DockerClient) -> None:
    if not composed.is_there():
        pytest.skip("Docker has no Compose plugin on this machine (`docker compose version` says more).")


@pytest.fixture(params=[(), (THREE,)], ids=["one broker", "three brokers"])
def services(request: pytest.FixtureRequest, engine: DockerClient, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """As Compose understands them."""
    found: dict[str, dict[str, Any]] = Composed(
        engine, leftovers.prefix("config"), tmp_path, request.param
    ).configuration()["services"]
    return found


def test_nothing_is_published_beyond_loopback(services: dict[str, dict[str, Any]]) -> None:
    published = [port["host_ip"] for service in services.values() for port in service.get("ports", ())]
    assert set(published) == {LOOPBACK}


def test_everything_is_bounded_and_has_no_privileges(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert service["mem_limit"], name
        assert service["cpus"], name
        assert service["pids_limit"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service.get("read_only") or service["image"].startswith("apache/kafka:"), name
        assert name in JOBS or service["healthcheck"]["test"], name


def test_no_secret_is_in_the_file(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        told = set(service.get("environment") or {})
        assert not told & {"DATABASE_URL", "LINK_KEY", "ACCOUNTS_KEY", "POSTGRES_PASSWORD"}, name


def test_each_part_mounts_its_own_secrets_and_nobody_else_s(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        mounted = {mount["source"] for mount in service.get("volumes") or () if "secrets" in mount["target"]}
        if name != "secrets":
            assert mounted <= {f"{name.removesuffix('-migrations')}-secrets"}, name


def test_each_image_is_built_by_one_service_that_all_others_with_it_wait_for(
    services: dict[str, dict[str, Any]],
) -> None:
    def waits_for(name: str) -> set[str]:
        before = set(services[name].get("depends_on") or ())
        return before.union(*(waits_for(each) for each in before))

    ours = {name: service["image"] for name, service in services.items() if service["image"].startswith("latchkey/")}
    built = [(service["image"], name) for name, service in services.items() if "build" in service]
    assert len(built) == len(dict(built)) == len(SERVICES) + 1, "side by side, two of one name would meet"
    for name, image in ours.items():
        builder = dict(built)[image]
        assert builder == name or builder in waits_for(name), "whichever is started, its image is built"
        assert services[name]["pull_policy"] == "never", "nobody else has it"


def test_nothing_of_the_checkout_is_mounted(services: dict[str, dict[str, Any]]) -> None:
    """Who runs in a container might not be allowed to read it."""
    mounts = [mount for service in services.values() for mount in service.get("volumes") or ()]
    assert {mount["type"] for mount in mounts} == {"volume"}


def test_compose_builds_the_images_from_the_checkout_itself(engine: DockerClient, tmp_path: Path) -> None:
    """With whichever builder it finds; tools/images.py has others."""
    tag = leftovers.prefix("built")
    Composed(engine, tag, tmp_path, tag=tag).run("build", "--quiet", "membership-migrations", "secrets")
    for name in ("membership", "stand-ins"):
        assert engine.images.get(f"latchkey/{name}:{tag}")
        engine.images.remove(f"latchkey/{name}:{tag}")


async def test_up_and_the_story_and_down(images: dict[str, str], engine: DockerClient, tmp_path: Path) -> None:
    with Composed(engine, leftovers.prefix("one"), tmp_path) as platform:
        async with Client(platform.bootstrap_servers) as client:
            story = Story(client, platform.console_url, platform.mailbox, Silence(), platform.stripe, PASSWORD)
            await story.play()

        assert story.promises
        assert [claim for claim, came_true in story.promises if not came_true] == []
        assert platform.run("up", "--wait") == "", "it is up already"

        letters = platform.mailbox.letters()
        platform.run("down")
        platform.run("up", "--wait")
        assert platform.mailbox.letters() == letters, "what was there is there again"
        async with ConsoleClient(platform.console_url) as owner:
            await owner.sign_in(story.owner.address, PASSWORD)
            organization = await owner.organization(story.organization_id)
            assert organization["organization_id"] == str(story.organization_id)
            await owner.top_up(story.organization_id, 10_000_000)


@pytest.fixture(scope="module")
def three(images: dict[str, str], engine: DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Three brokers; the databases are published, so that they can be audited."""
    if not composed.is_there():
        pytest.skip("Docker has no Compose plugin on this machine (`docker compose version` says more).")
    folder = tmp_path_factory.mktemp("three")
    more = folder / "audited.json"
    platform = Composed(engine, leftovers.prefix("three"), folder, (THREE, str(more)))
    # A session as short as that is for brokers that allow it.
    settings = {
        name: {k: v for k, v in told.items() if k != "KAFKA_SESSION_TIMEOUT"} for name, told in SETTINGS.items()
    }
    audited = {service: {"environment": settings[service]} for service in SERVICES}
    published = {"postgres": {"ports": [f"{LOOPBACK}:{platform.postgres_port}:5432"]}}
    more.write_text(json.dumps({"services": audited | published}), encoding="utf-8")
    with platform:
        yield platform


async def test_every_topic_is_on_three_brokers_and_acknowledged_by_two(three: Composed) -> None:
    names = [name for topic in TOPICS for name in (topic.name, *(f"{topic.name}.{each}.dlt" for each in topic.readers))]
    admin = AIOKafkaAdminClient(bootstrap_servers=three.bootstrap_servers)
    await admin.start()
    try:
        topics = await admin.describe_topics(names)
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        configured = [entry for answer in await admin.describe_configs(resources) for entry in answer.resources]
    finally:
        await admin.close()

    assert {len(partition["replicas"]) for topic in topics for partition in topic["partitions"]} == {3}
    in_sync = {entry[3]: dict(pair[:2] for pair in entry[4])["min.insync.replicas"] for entry in configured}
    assert in_sync == dict.fromkeys(names, "2")


async def test_one_of_three_brokers_is_killed_and_everything_arrives(three: Composed) -> None:
    async with Client(three.bootstrap_servers) as client:
        crowd = Crowd(client, 60)
        await crowd.gather()
        await crowd.accept()
        await crowd.has_joined(5)
        await asyncio.to_thread(three.container("kafka-2").kill)
        await crowd.is_through()
        await audit(three, crowd)
