"""How Kafka is reached: the options of every client, in one place."""

import random
import ssl
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.partitioner import murmur2
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from postroom.settings import ServiceSettings

MAX_RECORD_BYTES = 2 * 1024 * 1024
"""Twice Kafka's default for a topic: a dead letter is its original and what is said of it."""

REQUEST_TIMEOUT_MS = 15_000


def client_options(settings: ServiceSettings) -> dict[str, Any]:
    """The options of an aiokafka client that say where Kafka is and who is asking."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap_servers,
        "security_protocol": settings.kafka_security_protocol,
        # Topics may be created while a service waits for them.
        "metadata_max_age_ms": 30_000,
    }
    if "SSL" in settings.kafka_security_protocol:
        options["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file)
    if "SASL" in settings.kafka_security_protocol:
        options["sasl_mechanism"] = settings.kafka_sasl_mechanism
        options["sasl_plain_username"] = settings.kafka_username
        password = settings.kafka_password
        options["sasl_plain_password"] = password.get_secret_value() if password else None
    return options


def faststream_security(settings: ServiceSettings) -> BaseSecurity | None:
    """The same as FastStream wants it said."""
    if settings.kafka_security_protocol == "PLAINTEXT":
        return None
    use_ssl = "SSL" in settings.kafka_security_protocol
    context = ssl.create_default_context(cafile=settings.kafka_ssl_ca_file) if use_ssl else None
    if "SASL" not in settings.kafka_security_protocol:
        return BaseSecurity(ssl_context=context, use_ssl=True)
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    password = settings.kafka_password.get_secret_value() if settings.kafka_password else ""
    return kinds[settings.kafka_sasl_mechanism](
        username=settings.kafka_username or "", password=password, ssl_context=context, use_ssl=use_ssl
    )


@lru_cache(maxsize=16_384)
def _hash_of(key: bytes) -> int:
    """Java's murmur2, which aiokafka has in Python: a key is met again and again."""
    return int(murmur2(key)) & 0x7FFFFFFF


def choose_partition(key: bytes | None, every: Sequence[int], available: Sequence[int]) -> int:
    """The partition that a Java client would choose for the key; any that can be written, where there is none."""
    if key is None:
        return random.choice(available or every)  # noqa: S311
    return every[_hash_of(key) % len(every)]


def create_producer(settings: ServiceSettings, client_id: str) -> AIOKafkaProducer:
    """A producer that is not started: acknowledged by all in-sync replicas, idempotent, partitions as Java chooses
    them."""
    return AIOKafkaProducer(
        **client_options(settings),
        client_id=client_id,
        acks="all",
        enable_idempotence=True,
        request_timeout_ms=REQUEST_TIMEOUT_MS,
        max_request_size=MAX_RECORD_BYTES,
        max_batch_size=128 * 1024,
        partitioner=choose_partition,
    )


def create_admin(settings: ServiceSettings, client_id: str) -> AIOKafkaAdminClient:
    """An admin client that is not started."""
    return AIOKafkaAdminClient(**client_options(settings), client_id=client_id, request_timeout_ms=REQUEST_TIMEOUT_MS)
