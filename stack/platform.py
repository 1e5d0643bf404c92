"""One machine's platform: Kafka, PostgreSQL, a mailbox, a Stripe and the services, in one data folder."""

import os
import shutil
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from stack.birth import is_same
from stack.environment import python_environment
from stack.errors import FolderLockedError, NoSpaceError, NotRunningError, StackError
from stack.kafka import KafkaServer
from stack.mailbox.server import MailboxServer
from stack.ports import LOOPBACK, choose_ports, free_ports
from stack.postgres import PostgresServer
from stack.process import ManagedProcess, run_to_end
from stack.progress import SILENT, Progress
from stack.services import SERVICES, ServiceProcess, owner_of_port, port_names
from stack.state import FolderLock, State
from stack.steps import Steps
from stack.stripe.server import StripeServer

DEFAULT_FOLDER = Path(".latchkey")
_ROOM = 500 * 1024 * 1024
"""Free bytes in the data folder's file system below which nothing is started."""
_TOPICS = "contracts:TOPICS"
_PAID_BY_CARD = "billing"
"""The service that speaks with Stripe."""
_PORTS = {
    "kafka": "kafka",
    "kafka-controller": "kafka",
    "postgres": "postgres",
    "smtp": "mailbox",
    "mailbox": "mailbox",
    "stripe": "stripe",
    **{port: service for service in SERVICES for port in port_names(service, service)},
}
"""Every port by its name, and the process that listens there. Those of further instances come as they are started."""


class Platform:
    """Started and stopped as a whole; its parts may be killed, paused and started again one by one.

    As a context manager it ends with the block, and with the process, however that ends. `detached`, it goes on until
    somebody stops it: this object, or another that has attached itself to the same folder.
    """

    kafka: KafkaServer
    postgres: PostgresServer
    mailbox: MailboxServer
    stripe: StripeServer
    """Runs where billing does."""

    def __init__(
        self,
        folder: Path = DEFAULT_FOLDER,
        *,
        services: Sequence[str] = SERVICES,
        settings: Mapping[str, Mapping[str, str]] | None = None,
        ports: Mapping[str, int] | None = None,
        interpreters: Mapping[str, Path] | None = None,
        throughput: bool = False,
        detached: bool = False,
    ) -> None:
        """`services` are those that are run; with none, Kafka and PostgreSQL are alone, and no topics are made.
        `settings` are further environment variables, by service. `ports` are those that must be so, by name (`kafka`,
        `postgres`, `smtp`, `mailbox`, `stripe`, `invites`, ..., `console` for its pages and `console-health`);
        LATCHKEY_KAFKA_PORT and so on say the same. `interpreters` are the Pythons of services, by name, that are
        installed in another environment than this one, as an older release is; databases are migrated by this one's
        code all the same. `throughput` is for measurements: see KafkaServer."""
        unknown = {*services, *(settings or {}), *(interpreters or {})} - set(SERVICES)
        if unknown:
            raise StackError(f"There is no service {', '.join(sorted(unknown))}.", f"There are: {', '.join(SERVICES)}.")
        unknown = {name for name in ports or {} if name not in _PORTS and owner_of_port(name) is None}
        if unknown:
            raise StackError(
                f"There is nothing called {', '.join(sorted(unknown))}.", f"There are: {', '.join(_PORTS)}."
            )
        self.folder = folder.absolute()
        self._names = list(services)
        self._settings = settings or {}
        self._interpreters = interpreters or {}
        self._wanted_ports = _ports_of_environment() | dict(ports or {})
        self._throughput = throughput
        self._detached = detached
        self._lock = FolderLock(self.folder)
        self._saving = threading.Lock()
        self._progress: Progress = SILENT

    @classmethod
    def attach(cls, folder: Path = DEFAULT_FOLDER) -> Self:
        """The platform that another process has started in the folder. Its parts may be looked at, stopped and killed;
        leaving it alone leaves it running. Raises NotRunningError where there is none."""
        platform = cls(folder, detached=True)
        if not State.exists(folder):
            raise NotRunningError(f"There is no platform in {platform.folder}.", "`python -m stack up` starts one.")
        platform._open(State.load(folder))
        platform._recognize()
        return platform

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- what there is

    @property
    def bootstrap_servers(self) -> str:
        return self.kafka.bootstrap_servers

    @property
    def link_key(self) -> str:
        """32 bytes, in base64url: the secret of invites and notifier."""
        return self._state.link_key

    @property
    def accounts_key(self) -> str:
        """32 bytes, in base64url: the secret of console and notifier."""
        return self._state.accounts_key

    @property
    def console_url(self) -> str:
        """Where people find the console, and where the links of letters lead, whether a console runs or not."""
        return f"http://{LOOPBACK}:{self._state.ports['console']}"

    @property
    def service_names(self) -> Sequence[str]:
        """Of the services that it runs, and so of their databases."""
        return tuple(self._names)

    @property
    def services(self) -> list[ServiceProcess]:
        """Every instance of every service."""
        return list(self._services.values())

    def service(self, name: str) -> ServiceProcess:
        """An instance by its name; the first of `invites` is `invites`, the second `invites-2`."""
        return self._services[name]

    @property
    def processes(self) -> list[ManagedProcess]:
        """All, in the order in which they are needed."""
        mailbox: list[ManagedProcess] = [self.mailbox] if self._names else []
        stripe: list[ManagedProcess] = [self.stripe] if _PAID_BY_CARD in self._names else []
        return [self.postgres, self.kafka, *mailbox, *stripe, *self._services.values()]

    @property
    def is_running(self) -> bool:
        """Whether anything of it runs."""
        return any(process.is_running for process in self.processes)

    def check(self) -> None:
        """Raises ProcessDiedError where a process has ended that nobody has stopped or killed."""
        for process in self.processes:
            process.check()

    # --- start and stop

    def start(self, progress: Progress = SILENT) -> None:
        """Returns when everything is ready. Where that fails, nothing is left running. Raises StackError.

        A detached platform that runs already is left as it is, and what has died of it is started."""
        self._lock.acquire()
        try:
            self._progress = progress
            self._open(State.load(self.folder), choose_ports=True)
            self._recognize()
            if self.is_running and not self._detached:
                raise FolderLockedError(f"A platform runs in {self.folder} already.", "`python -m stack down` ends it.")
        except BaseException:
            self._lock.release()
            raise
        try:
            self._require_room()
            self._start_all()
        except BaseException:
            self.stop()
            raise
        if self._detached:
            self._lock.release()

    def stop(self, progress: Progress = SILENT) -> None:
        """Ends the services first, and then what they need; what died already is no error."""
        self._lock.acquire()
        try:
            with ThreadPoolExecutor(max_workers=8) as pool:
                list(pool.map(lambda service: self._stop(service, progress), self.services))
            for process in (self.stripe, self.mailbox, self.kafka, self.postgres):
                self._stop(process, progress)
            self._save()
        finally:
            self._lock.release()

    def remove(self) -> None:
        """Stops it and deletes its data, letters and logs."""
        self.stop()
        self.postgres.remove()
        for name in ("kafka", "postgres", "mailbox", "stripe", "run", "logs"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for file in ("state.json", "lock"):
            (self.folder / file).unlink(missing_ok=True)

    def add_instance(self, service: str) -> ServiceProcess:
        """Starts one more instance, with ports and a log of its own; returns when it is ready."""
        number = sum(instance.service == service for instance in self.services) + 1
        name = f"{service}-{number}"
        ports = port_names(service, name)
        with self._saving:
            self._state.ports = dict(zip(ports, free_ports(len(ports)), strict=True)) | self._state.ports
        instance = self._services[name] = self._new_service(service, name)
        instance.start()
        return instance

    # --- how

    def _open(self, state: State, *, choose_ports: bool = False) -> None:
        """Makes the objects of all parts, without starting any."""
        self._state = state
        if choose_ports:
            state.services = self._names
            self._choose_ports()
        else:
            self._names = state.services
        ports, tied = state.ports, not self._detached
        self.kafka = KafkaServer(
            self.folder / "kafka",
            ports["kafka"],
            ports["kafka-controller"],
            self._log("kafka"),
            throughput=self._throughput,
            dies_with_us=tied,
            downloading=lambda: self._progress.update("kafka", "downloading 45 jars, 45 MB: this once"),
        )
        self.postgres = PostgresServer(
            self.folder / "postgres", ports["postgres"], self._log("postgres"), dies_with_us=tied
        )
        self.mailbox = MailboxServer(
            self.folder / "mailbox", ports["smtp"], ports["mailbox"], self._log("mailbox"), dies_with_us=tied
        )
        self.stripe = StripeServer(
            self.folder / "stripe",
            ports.get("stripe"),  # A folder from before there were cards has none.
            self._log("stripe"),
            keys=state.stripe,
            webhook_url=f"http://{LOOPBACK}:{ports[_PAID_BY_CARD]}/webhooks/stripe",
            dies_with_us=tied,
        )
        names = {name: name for name in self._names}
        # Further instances belong to it as long as they run.
        further = (name for name, found in state.processes.items() if is_same(found.pid, found.born))
        names |= {name: name.rpartition("-")[0] for name in further if name.rpartition("-")[0] in self._names}
        self._services = {name: self._new_service(service, name) for name, service in names.items()}
        for process in self.processes:
            process.on_start = self._save

    def _new_service(self, service: str, name: str) -> ServiceProcess:
        *web, health = (self._state.ports[port] for port in port_names(service, name))
        process = ServiceProcess(
            service,
            name,
            health,
            self._log(name),
            env=self._env(service),
            folder=self.folder / "run",
            web_port=web[0] if web else None,
            interpreter=self._interpreters.get(service),
            dies_with_us=not self._detached,
        )
        process.on_start = self._save
        return process

    def _recognize(self) -> None:
        for process in self.processes:
            identity = self._state.processes.get(process.name)
            if identity is not None:
                process.recognize(identity)

    def _choose_ports(self) -> None:
        running = {name for name, found in self._state.processes.items() if is_same(found.pid, found.born)}
        further = {port: owner[1] for port in self._state.ports if (owner := owner_of_port(port))}
        in_use = {port for port, owner in {**_PORTS, **further}.items() if owner in running}
        self._state.ports = choose_ports([*_PORTS, *self._state.ports], self._state.ports, self._wanted_ports, in_use)

    def _require_room(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < _ROOM:
            raise NoSpaceError(
                f"There are {free >> 20} MiB free in {self.folder}, and the platform needs {_ROOM >> 20}.",
                "Make room, or choose a folder on another disk with --data.",
            )

    def _start_all(self) -> None:
        """Everything that can be done at once is; each step waits for those that it needs."""
        (self.folder / "run").mkdir(exist_ok=True)
        steps = self._steps = Steps()
        postgres = steps.add(self._start_postgres)
        kafka = steps.add(partial(self._start, self.kafka))
        if self._names:
            mailbox = steps.add(partial(self._start, self.mailbox))
            stripe = [steps.add(partial(self._start, self.stripe))] if _PAID_BY_CARD in self._names else []
            topics = steps.add(self._create_topics, [kafka])
            migrated = {name: steps.add(partial(self._migrate, name), [postgres]) for name in self._names}
            for service in self.services:
                steps.add(partial(self._start, service), [topics, mailbox, *stripe, migrated[service.service]])
        steps.finish(abort=self._kill_all)

    def _kill_all(self) -> None:
        for process in self.processes:
            process.kill()

    def _start(self, process: ManagedProcess) -> None:
        self._progress.update(process.name, "starting")
        process.start()
        self._progress.update(process.name, "ready", done=True)

    def _start_postgres(self) -> None:
        self._progress.update("postgres", "starting")
        self.postgres.start()
        for name in self._names:
            self.postgres.create_database(name)
        self._progress.update("postgres", "ready", done=True)

    def _create_topics(self) -> None:
        self._progress.update("topics", "creating")
        self._run("topics", ["postroom", "topics", "create", _TOPICS], self._env(None))
        self._progress.update("topics", "ready", done=True)

    def _migrate(self, service: str) -> None:
        self._progress.update(service, "migrating its database")
        self._run(f"{service}-migrate", [service, "migrate"], self._env(service))
        self._progress.update(service, "waiting for the others")

    def _run(self, name: str, arguments: Sequence[str], env: Mapping[str, str]) -> None:
        run_to_end(
            name,
            [sys.executable, "-m", *arguments],
            self._log(name),
            env={**python_environment(), **env},
            folder=self.folder / "run",
            cancelled=self._steps.cancelled,
        )

    def _stop(self, process: ManagedProcess, progress: Progress) -> None:
        if process.is_running:
            progress.update(process.name, "stopping")
            process.stop()
            progress.update(process.name, "stopped", done=True)
        else:
            process.stop()  # It is dead already; from now on nobody misses it.

    def _env(self, service: str | None) -> dict[str, str]:
        """What a service is told, and nothing that another one is to know alone."""
        env = {"KAFKA_BOOTSTRAP_SERVERS": self.bootstrap_servers, "LOG_FORMAT": "json", "LOG_LEVEL": "INFO"}
        if service is None:
            return env
        env["DATABASE_URL"] = self.postgres.url(service)
        if service in ("invites", "notifier"):
            env["LINK_KEY"] = self.link_key
        if service in ("notifier", "console"):
            env |= {"ACCOUNTS_KEY": self.accounts_key, "CONSOLE_URL": self.console_url}
        if service == "notifier":
            env |= {
                "SMTP_HOST": LOOPBACK,
                "SMTP_PORT": str(self.mailbox.smtp_port),
                "MAIL_FROM": "Latchkey <invitations@latchkey.example>",
            }
        if service == _PAID_BY_CARD:
            env |= {
                "STRIPE_API_KEY": self.stripe.keys.api,
                "STRIPE_API_BASE": self.stripe.address,
                "STRIPE_WEBHOOK_SECRET": self.stripe.keys.webhook,
            }
        if service == "console":
            env |= {"STRIPE_PUBLISHABLE_KEY": self.stripe.keys.publishable, "STRIPE_JS": self.stripe.script_url}
        return {**env, **self._settings.get(service, {})}

    def _log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def _save(self) -> None:
        with self._saving:
            self._state.processes = {
                process.name: process.identity for process in self.processes if process.pid and process.identity
            }
            self._state.save(self.folder)


def _ports_of_environment() -> dict[str, int]:
    prefix, suffix = "LATCHKEY_", "_PORT"
    found = {name: value for name, value in os.environ.items() if name.startswith(prefix) and name.endswith(suffix)}
    try:
        return {
            name.removeprefix(prefix).removesuffix(suffix).lower().replace("_", "-"): int(value)
            for name, value in found.items()
        }
    except ValueError as error:
        raise StackError(f"A port in the environment is no number: {found}.") from error
