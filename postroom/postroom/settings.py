"""What every service is told by its environment."""

import os
from datetime import timedelta
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
    SettingsConfigDict,
)


class ServiceSettings(BaseSettings):
    """Read from the environment, without prefix: `kafka_bootstrap_servers` is KAFKA_BOOTSTRAP_SERVERS. A service's own
    settings are a subclass. Durations are seconds, or ISO 8601 (`PT20S`, `P7D`).

    What the environment does not say may be in files: SECRETS_DIR is a folder of them, each called like a setting
    (`database_url`), as orchestrators mount secrets."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)

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
        files = SecretsSettingsSource(settings_cls, secrets_dir=os.environ.get("SECRETS_DIR"))
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
    """Its password."""
    kafka_ssl_ca_file: str | None = None
    """A file of certificate authorities, where the system's own do not know the brokers."""
    kafka_session_timeout: timedelta = timedelta(seconds=10)
    """After this long without a sign of life a process has lost its partitions to the others of its group."""

    database_url: SecretStr
    """The service's own database, `postgresql://user:password@host:port/name`."""
    database_pool_size: int = Field(default=6, ge=2)
    """Connections to it, beside the two of the relay."""

    http_host: str = "127.0.0.1"
    """Where /livez, /readyz and /metrics listen."""
    http_port: int = Field(default=8080, ge=0, le=65535)
    """Their port; 0 takes a free one."""

    log_format: Literal["json", "console"] = "json"
    """JSON for machines, console for people."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """DEBUG has a line for every message."""

    batch_size: int = Field(default=500, ge=1)
    """The most records of one transaction."""
    batch_interval: timedelta = timedelta(0)
    """The least time between two batches. Where nobody waits for what a service does, fewer and larger batches do the
    same for less; what comes when it is quiet is handled at once all the same."""
    commit_interval: timedelta = timedelta(seconds=0.25)
    """How long the offsets of handled records may wait to be committed; after a crash as much comes again."""
    attempts: int = Field(default=3, ge=1)
    """How often a message that fails by itself is tried before it is a dead letter."""
    defer_for: timedelta = timedelta(seconds=60)
    """How long a message may wait for another one; then it is decided with what is there."""
    relay_batch_size: int = Field(default=500, ge=1)
    """The most outbox rows that are sent at a time."""
    relay_poll_interval: timedelta = timedelta(seconds=1)
    """How often the relay looks for rows that nobody woke it for."""
    shutdown_timeout: timedelta = timedelta(seconds=20)
    """How long a stopping process finishes what it has begun."""

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
