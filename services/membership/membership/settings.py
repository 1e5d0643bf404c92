"""What membership is told by its environment."""

from datetime import timedelta

from pydantic import Field

from postroom import ServiceSettings


class Settings(ServiceSettings):
    """Those of every service, and these. Durations are seconds, or ISO 8601 (`P90D`)."""

    ended_retention: timedelta = Field(default=timedelta(days=90), ge=timedelta(0))
    """How long it is remembered who has left, and by which invitation they had joined. Longer than an acceptance can be
    delivered again, even from a dead-letter topic (30 days and 30 days)."""
    purge_interval: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0))
    """How often is deleted what ENDED_RETENTION is over for."""
