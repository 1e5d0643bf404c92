"""The service's own PostgreSQL: the engine, and which of its errors mean "not now" rather than "not so"."""

import asyncpg
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolIsBusy
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from postroom.settings import ServiceSettings

# https://www.postgresql.org/docs/current/errcodes-appendix.html
_CLASSES_OF_OUTAGE = ("08", "40", "53", "57", "58")
"""Connection, rollback (deadlock, serialization), resources, operator intervention (shutdown), system error."""
_STATES_OF_OUTAGE = ("55P03", "25006")
"""A lock that was not to be had in time; a server that is read-only, as in the middle of a failover."""


def async_url(database_url: str) -> str:
    """`postgresql://...` with the driver that SQLAlchemy is to use."""
    scheme, separator, rest = database_url.partition("://")
    return f"postgresql+asyncpg{separator}{rest}" if scheme in ("postgresql", "postgres") else database_url


def create_engine(settings: ServiceSettings, application_name: str) -> AsyncEngine:
    """A pool of a few connections. Parameters are hidden from errors, since they hold personal data."""
    return create_async_engine(
        async_url(settings.database_url.get_secret_value()),
        hide_parameters=True,
        pool_size=settings.database_pool_size,
        max_overflow=0,
        pool_timeout=30,
        pool_pre_ping=False,
        pool_reset_on_return="rollback",
        connect_args={
            "timeout": 10,
            "command_timeout": 60,
            "server_settings": {
                "application_name": application_name,
                # Short set-based statements over arrays: the planner's estimates for these are high enough to make it
                # compile them for longer than they run.
                "jit": "off",
                # A prepared statement would keep the plan that was made while the tables were small, and read them
                # from end to end when they have grown: five times as slow with 40,000 rows. Planning costs less.
                "plan_cache_mode": "force_custom_plan",
                "timezone": "UTC",
            },
        },
    )


def is_outage(error: BaseException) -> bool:
    """Whether waiting may help: the server is away, starting, stopping, out of connections, or chose this
    transaction as the victim of a deadlock. Everything else is the message's fault, or ours."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        cause = error.orig
        return cause is not None and (_is_outage_state(_sqlstate(cause)) or _is_outage_of_connection(cause))
    return _is_outage_state(_sqlstate(error)) or _is_outage_of_connection(error)


def sqlstate(error: BaseException) -> str | None:
    """The five characters that PostgreSQL names an error by, where it is one of its errors."""
    return _sqlstate(error.orig) if isinstance(error, DBAPIError) and error.orig is not None else _sqlstate(error)


def _sqlstate(error: BaseException) -> str | None:
    state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
    return state if isinstance(state, str) else None


def _is_outage_state(state: str | None) -> bool:
    return state is not None and (state[:2] in _CLASSES_OF_OUTAGE or state in _STATES_OF_OUTAGE)


def _is_outage_of_connection(error: BaseException) -> bool:
    errors = [error, error.__cause__]
    if any(isinstance(e, OSError | TimeoutError | PoolIsBusy | asyncpg.PostgresConnectionError) for e in errors):
        return True
    # asyncpg's own complaint about a connection that is closed under its feet.
    return any(isinstance(e, asyncpg.InterfaceError) and "clos" in str(e) for e in errors)
