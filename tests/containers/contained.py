"""The whole platform in containers: Kafka and PostgreSQL from their public images, the services and the stand-ins from
ours. Each can be taken away, and comes back with what it had."""

import http.client
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import docker.errors
import leftovers
from docker import DockerClient
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer
from testcontainers.core.network import Network

from stack.loopback import answer
from stack.mailbox.server import MailboxServer
from stack.ports import LOOPBACK, free_port
from stack.services import SERVICES
from stack.stripe.keys import StripeKeys
from stack.stripe.server import StripeServer

ROOT = Path(__file__).resolve().parents[2]
TAG = os.environ.get("LATCHKEY_TAG", "test")
"""Of the images that are built and tested."""
WITHIN = 60.0
"""Seconds in which a container must be ready."""
DRAINED_WITHIN = 15.0
"""Seconds in which a service that was told to stop must have ended by itself; then it would be killed."""

# Its own reaper is one more public image; what is left behind is removed by leftovers.py.
testcontainers_config.ryuk_disabled = True


@dataclass
class Part:
    """One container of the platform. Killed or stopped, it keeps its file system, and its ports on this machine."""

    name: str
    container: DockerContainer
    is_ready: Callable[["Part"], bool]
    ports: dict[int, int] = field(default_factory=dict)
    """Those of this machine, by those of the container."""

    def create(self) -> None:
        self.container.start()

    def kill(self) -> None:
        """As kill -9."""
        self.container.get_wrapped_container().kill()

    def stop(self) -> float:
        """As an orchestrator does: SIGTERM, and time to drain. Answers how many seconds it took."""
        began = time.monotonic()
        self.container.get_wrapped_container().stop(timeout=int(2 * DRAINED_WITHIN))
        return time.monotonic() - began

    def start(self) -> None:
        """Again, after it was killed or stopped. Returns when it is ready."""
        self.container.get_wrapped_container().start()
        self.wait()

    def wait(self) -> None:
        deadline = time.monotonic() + WITHIN
        while not self.is_ready(self):
            if self.state["Status"] == "exited" or time.monotonic() > deadline:
                raise AssertionError(f"{self.name} is not ready, but {self.state['Status']}:\n{self.last_words()}")
            time.sleep(0.2)

    def run_to_end(self) -> None:
        """Starts a job, and returns when it is done. Fails where it fails."""
        self.create()
        if self.container.wait() != 0:
            raise AssertionError(f"{self.name} has failed:\n{self.last_words()}")

    @property
    def state(self) -> Mapping[str, Any]:
        """What the engine says of it now: Status, ExitCode, Health, ..."""
        return dict(self.inspect()["State"])

    def inspect(self) -> Mapping[str, Any]:
        wrapped = self.container.get_wrapped_container()
        wrapped.reload()
        return dict(wrapped.attrs)

    def answers(self, command: Sequence[str]) -> bool:
        """Whether a command in it ends well."""
        if self.state["Status"] != "running":
            return False
        return int(self.container.get_wrapped_container().exec_run(list(command)).exit_code) == 0

    def says_ok(self, port: int, path: str = "/readyz") -> bool:
        return answer(self.ports[port], path)[0] == http.client.OK

    def last_words(self) -> str:
        return str(self.container.get_wrapped_container().logs(tail=30).decode(errors="replace"))


@dataclass(frozen=True)
class Databases:
    """Where PostgreSQL is for this machine; each service's role has the name of its database."""

    port: int
    passwords: Mapping[str, str]

    def url(self, name: str) -> str:
        return f"postgresql://{name}:{self.passwords[name]}@{LOOPBACK}:{self.port}/{name}"


class ContainedPlatform:
    """Started and removed as a whole, as a context manager; its parts may be taken away one by one."""

    def __init__(
        self, engine: DockerClient, prefix: str, folder: Path, image: Callable[[str], str], settings: Mapping[str, Any]
    ) -> None:
        """`prefix` begins the name of everything that it makes; `folder` is for what is kept on this machine; `image`
        gives the image of a service or of the stand-ins; `settings` are further environment variables, by service."""
        self._engine = engine
        self._prefix = prefix
        self._image = image
        self._settings = settings
        self._network = Network()
        self._network.name = f"{prefix}-network"
        self._link_key, self._accounts_key = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        passwords = {name: secrets.token_hex(16) for name in (*SERVICES, "postgres_password")}
        keys = StripeKeys.new()

        self.parts: dict[str, Part] = {}
        self._add_kafka()
        self._add_postgres(passwords)
        self.postgres = Databases(self.parts["postgres"].ports[5432], passwords)
        self._add_stand_ins(keys)
        mail, pages = self.parts["mailbox"].ports[1025], self.parts["mailbox"].ports[8025]
        self.mailbox = MailboxServer(folder, mail, pages)
        self.stripe = StripeServer(folder, self.parts["stripe"].ports[8420], keys=keys)
        console = free_port()
        self.console_url = f"http://{LOOPBACK}:{console}"
        self._env = {service: self._env_of(service, keys) for service in SERVICES}
        for service in SERVICES:
            self._add_service(service, {8000: console} if service == "console" else {})

    @property
    def bootstrap_servers(self) -> str:
        return f"{LOOPBACK}:{self.parts['kafka'].ports[29092]}"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove()

    def check(self) -> None:
        """Fails where a part does not run that nobody has taken away."""
        for part in self.parts.values():
            if part.state["Status"] != "running":
                raise AssertionError(f"{part.name} does not run:\n{part.last_words()}")

    # --- how

    def _start(self) -> None:
        self._network.create()
        first = [self.parts[name] for name in ("kafka", "postgres", "mailbox", "stripe")]
        services = [self.parts[service] for service in SERVICES]
        create = ("-m", "postroom", "topics", "create", "contracts:TOPICS")
        with ThreadPoolExecutor() as pool:
            _all(pool, Part.create, first)
            _all(pool, Part.wait, first)
            topics = self._part("topics", "invites", self._env["invites"], create, entrypoint=["python"])
            migrations = [self._part(f"{name}-migrations", name, self._env[name], ("migrate",)) for name in SERVICES]
            _all(pool, self._run_and_remove, [topics, *migrations])
            _all(pool, Part.create, services)
            _all(pool, Part.wait, services)

    def _remove(self) -> None:
        for part in self.parts.values():
            with suppress(docker.errors.DockerException):
                part.container.stop()
        leftovers.remove(self._engine, self._prefix)

    def _run_and_remove(self, job: Part) -> None:
        try:
            job.run_to_end()
        finally:
            job.container.stop()

    def _env_of(self, service: str, keys: StripeKeys) -> dict[str, str]:
        """What a service is told, and nothing that another one is to know alone."""
        database = f"postgresql://{service}:{self.postgres.passwords[service]}@postgres:5432/{service}"
        env = {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092", "DATABASE_URL": database}
        if service in ("invites", "notifier"):
            env["LINK_KEY"] = self._link_key
        if service in ("notifier", "console"):
            env |= {"ACCOUNTS_KEY": self._accounts_key, "CONSOLE_URL": self.console_url}
        if service == "notifier":
            env |= {"SMTP_HOST": "mailbox", "SMTP_PORT": "1025", "MAIL_FROM": "Latchkey <invitations@latchkey.example>"}
        if service == "billing":
            env |= {"STRIPE_API_KEY": keys.api, "STRIPE_API_BASE": "http://stripe:8420"}
            env["STRIPE_WEBHOOK_SECRET"] = keys.webhook
        if service == "console":
            env |= {"STRIPE_PUBLISHABLE_KEY": keys.publishable, "STRIPE_JS": self.stripe.script_url}
        return {**env, **self._settings.get(service, {})}

    def _add_kafka(self) -> None:
        port = free_port()
        env = {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_INTER_BROKER_LISTENER_NAME": "INSIDE",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,INSIDE:PLAINTEXT,MACHINE:PLAINTEXT",
            "KAFKA_LISTENERS": "INSIDE://:9092,CONTROLLER://:9093,MACHINE://:29092",
            "KAFKA_ADVERTISED_LISTENERS": f"INSIDE://kafka:9092,MACHINE://{LOOPBACK}:{port}",
            "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
            "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
            "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "5",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        }
        opens = ("bash", "-c", "</dev/tcp/127.0.0.1/9092")
        self._add(
            "kafka", DockerContainer("apache/kafka:4.4.0", env=env), {29092: port}, lambda part: part.answers(opens)
        )

    def _add_postgres(self, passwords: Mapping[str, str]) -> None:
        """With the databases that docker-compose.yml makes, by the same script."""
        env = {"POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password"}
        container = DockerContainer("postgres:18", env=env)
        for name, password in passwords.items():
            container.with_copy_into_container(password.encode(), f"/run/secrets/{name}", mode=0o444)
        script = ROOT / "deploy" / "compose" / "databases.sh"
        container.with_copy_into_container(script, "/docker-entrypoint-initdb.d/databases.sh", mode=0o755)
        listens = ("pg_isready", "--quiet", f"--host={LOOPBACK}")
        self._add("postgres", container, {5432: free_port()}, lambda part: part.answers(listens))

    def _add_stand_ins(self, keys: StripeKeys) -> None:
        mailbox = ("stack.mailbox", "--host=0.0.0.0", "--smtp-port=1025", "--http-port=8025", "--folder=/data")
        ports = {1025: free_port(), 8025: free_port()}
        self._add_ours("mailbox", "stand-ins", {}, mailbox, ports, lambda part: part.says_ok(8025))
        stripe = ("stack.stripe", "--host=0.0.0.0", "--port=8420", "--folder=/data")
        env = {
            "STRIPE_API_KEY": keys.api,
            "STRIPE_PUBLISHABLE_KEY": keys.publishable,
            "STRIPE_WEBHOOK_SECRET": keys.webhook,
            "STRIPE_WEBHOOK_URL": "http://billing:8080/webhooks/stripe",
        }
        self._add_ours("stripe", "stand-ins", env, stripe, {8420: free_port()}, lambda part: part.says_ok(8420))

    def _add_service(self, service: str, ports: Mapping[int, int]) -> None:
        env, ports = self._env[service], {8080: free_port(), **ports}
        self._add_ours(service, service, env, (), ports, lambda part: part.says_ok(8080))

    def _add_ours(
        self,
        name: str,
        image: str,
        env: Mapping[str, str],
        command: Sequence[str],
        ports: Mapping[int, int],
        is_ready: Callable[[Part], bool],
    ) -> None:
        self._add(name, self._part(name, image, env, command).container, ports, is_ready)

    def _part(self, name: str, image: str, env: Mapping[str, str], command: Sequence[str], **options: Any) -> Part:
        """Of one of our images, which need nothing that could be taken from them."""
        container = DockerContainer(self._image(image), env=dict(env)).with_command(list(command))
        container.with_kwargs(read_only=True, cap_drop=["ALL"], security_opt=["no-new-privileges"], **options)
        container.with_tmpfs_mount("/tmp")
        return self._joined(Part(name, container, lambda _: True))

    def _add(
        self, name: str, container: DockerContainer, ports: Mapping[int, int], is_ready: Callable[[Part], bool]
    ) -> None:
        for inside, outside in ports.items():
            # Beyond what the library's types say, the engine's own way of naming an interface.
            container.ports[f"{inside}/tcp"] = (LOOPBACK, outside)  # type: ignore[assignment]
        self.parts[name] = self._joined(Part(name, container, is_ready, dict(ports)))

    def _joined(self, part: Part) -> Part:
        part.container.with_name(f"{self._prefix}-{part.name}")
        part.container.with_network(self._network).with_network_aliases(part.name)
        return part


def _all(pool: ThreadPoolExecutor, action: Callable[[Part], None], parts: Sequence[Part]) -> None:
    """Raises what one of them raises, when all have ended."""
    for each in [pool.submit(action, part) for part in parts]:
        each.result()
