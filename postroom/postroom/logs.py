"""Structured logs, of postroom and of the libraries under it, to standard output."""

import logging
import sys

import structlog

from postroom.settings import ServiceSettings

_QUIET = ("aiokafka", "faststream", "sqlalchemy", "alembic", "uvicorn", "asyncio", "urllib3", "opentelemetry")


def configure_logging(settings: ServiceSettings, service: str) -> None:
    """For the whole process. Whoever logs names ids only: no addresses, no names, no codes."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if settings.traces_are_on:
        from postroom.telemetry import add_trace_ids

        shared.append(add_trace_ids)
    renderer: structlog.typing.Processor
    if settings.log_format == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in _QUIET:
        # aiokafka retries and says so at ERROR each time; a service that waits for Kafka says so itself.
        logging.getLogger(name).setLevel(logging.ERROR if name != "aiokafka" else logging.CRITICAL)
