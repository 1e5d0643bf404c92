"""What every service is told by its environment."""

import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, ValidationInfo, field_validator, model_validator
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

_ADDRESS = re.compile(r"[^\s,:/]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
"""Of a broker; one of IPv6 stands in brackets."""


class _SecretFiles(SecretsSettingsSource):
    """The files of SECRETS_DIR. Raises SettingsError where there is no such folder, or where a file in it cannot be
    read; what it says quotes nothing of them."""

    def __call__(self) -> dict[str, Any]:
        if self.secrets_dir is not None and not Path(str(self.secrets_dir)).expanduser().is_dir():
            raise SettingsError("SECRETS_DIR: there is no such folder. Secrets are read from files in it.")
        return super().__call__()

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        try:
            return super().get_field_value(field, field_name)
        except OSError as error:
            why = error.strerror
        except UnicodeDecodeError:
            why = "it is not UTF-8"
        raise SettingsError(f"{field_name.upper()}: the file in SECRETS_DIR cannot be read: {why}.")


class ServiceSettings(BaseSettings):
    """Read from the environment, without prefix: `kafka_bootstrap_servers` is KAFKA_BOOTSTRAP_SERVERS. A service's own
    settings are a subclass. Durations are seconds, or ISO 8601 (`PT20S`, `P7D`).

    What the environment does not say may be in files: SECRETS_DIR is a folder of them, each called like a setting
    (`database_url`), as orchestrators mount secrets."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", use_attribute_docstrings=True, hide_input_in_errors=True
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only when settings are read is it known where their files are."""
        files = _SecretFiles(settings_cls, secrets_dir=os.environ.get("SECRETS_DIR") or None)
        return init_settings, env_settings, files

    kafka_bootstrap_servers: str
    """Where Kafka is: `host:port`, several with commas."""
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How Kafka is spoken to."""
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """How the service signs in, where the protocol has SASL in its name."""
    kafka_username: str | None = None
    """The service's principal at Kafka."""
    kafka_password: SecretStr | None = None
    """The principal's password."""
    kafka_ssl_ca_file: FilePath | None = None
    """A file of certificate authorities, where the system's own do not know the brokers."""
    kafka_session_timeout: timedelta = Field(default=timedelta(seconds=10), gt=timedelta(0))
    """After this long without a sign of life a process has lost its partitions to the others of its group."""

    database_url: SecretStr
    """The service's own database, `postgresql://user:password@host:port/name`."""
    database_pool_size: int = Field(default=6, ge=2)
    """Connections to the database, beside the one of the relay."""

    http_host: str = "127.0.0.1"
    """Where /livez, /readyz and /metrics listen."""
    http_port: int = Field(default=8080, ge=0, le=65535)
    """The port of /livez, /readyz and /metrics; 0 takes a free one."""

    log_format: Literal["json", "console"] = "json"
    """JSON for machines, console for people."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG has a line for every message."""

    otel_exporter_otlp_endpoint: str | None = None
    """Where traces are sent, by OTLP over HTTP: `http://collector:4318`. Without it there are none. OpenTelemetry's
    other variables are read from the environment alone: OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS, ..."""
    otel_exporter_otlp_protocol: str = "http/protobuf"
    """How traces are sent; while they are, there is no other way than `http/protobuf`."""
    otel_sdk_disabled: bool = False
    """Switches traces off, wherever they are sent."""

    batch_size: int = Field(default=500, ge=1)
    """The most records of one transaction."""
    batch_interval: timedelta = Field(default=timedelta(0), ge=timedelta(0))
    """The least time between two batches. Where nobody waits for what a service does, fewer and larger batches do the
    same for less; what comes when it is quiet is handled at once all the same."""
    commit_interval: timedelta = Field(default=timedelta(seconds=0.25), ge=timedelta(0))
    """How long the offsets of handled records may wait to be committed; after a crash as much comes again."""
    attempts: int = Field(default=3, ge=1)
    """How often a message that fails by itself is tried before it is a dead letter."""
    defer_for: timedelta = Field(default=timedelta(seconds=60), ge=timedelta(0))
    """How long a message may wait for another one; then it is decided with what is there."""
    relay_batch_size: int = Field(default=500, ge=1)
    """The most outbox rows that are sent at a time."""
    relay_poll_interval: timedelta = Field(default=timedelta(seconds=1), gt=timedelta(0))
    """How often the relay looks for rows that nobody woke it for."""
    shutdown_timeout: timedelta = Field(default=timedelta(seconds=20), ge=timedelta(0))
    """How long a stopping process finishes what it has begun."""

    @property
    def traces_are_on(self) -> bool:
        """Whether traces are made and sent."""
        return bool(self.otel_exporter_otlp_endpoint) and not self.otel_sdk_disabled

    @field_validator("*", mode="before")
    @classmethod
    def _seconds(cls, value: Any, info: ValidationInfo) -> Any:
        """The environment holds texts, and Pydantic takes only a number for seconds."""
        field = cls.model_fields[info.field_name or ""]
        if field.annotation is not timedelta or not isinstance(value, str):
            return value
        try:
            return float(value)
        except ValueError:
            return value

    @field_validator("otel_exporter_otlp_endpoint", "otel_exporter_otlp_protocol", "otel_sdk_disabled", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: Any, info: ValidationInfo) -> Any:
        """As OpenTelemetry has it, for its variables."""
        return cls.model_fields[info.field_name or ""].default if value == "" else value

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _are_addresses(cls, value: str) -> str:
        if not all(_ADDRESS.fullmatch(address) for address in value.split(",")):
            raise ValueError("hosts with their ports are needed, as in kafka-1:9092,kafka-2:9092")
        return value

    @field_validator("database_url")
    @classmethod
    def _is_a_database(cls, value: SecretStr) -> SecretStr:
        if not _names_a_database(value.get_secret_value()):
            raise ValueError("it is no URL of a PostgreSQL database")
        return value

    @model_validator(mode="after")
    def _can_send_traces(self) -> Self:
        if self.traces_are_on and self.otel_exporter_otlp_protocol != "http/protobuf":
            raise ValueError("OTEL_EXPORTER_OTLP_PROTOCOL: traces are sent by http/protobuf, and by nothing else")
        return self

    @model_validator(mode="after")
    def _can_sign_in(self) -> Self:
        if "SASL" in self.kafka_security_protocol and not (self.kafka_username and self.kafka_password):
            raise ValueError("KAFKA_USERNAME and KAFKA_PASSWORD: both are needed, as KAFKA_SECURITY_PROTOCOL has SASL")
        return self


def _names_a_database(url: str) -> bool:
    """Quietly: what urlsplit says of a fault may quote a password."""
    try:
        parts = urlsplit(url)
        has_server = parts.hostname is not None or "host=" in parts.query
        return parts.scheme in ("postgresql", "postgres") and has_server and parts.port != 0
    except ValueError:
        return False
