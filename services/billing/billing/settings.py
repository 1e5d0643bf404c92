"""What billing is told by its environment."""

from datetime import timedelta

from pydantic import Field

from postroom import ServiceSettings


class Settings(ServiceSettings):
    """Those of every service, and these. Durations are seconds, or ISO 8601 (`P90D`)."""

    ended_retention: timedelta = Field(default=timedelta(days=400), ge=timedelta(0))
    """How long the chain of somebody who has gone is kept. Longer than membership.events holds the fact that opened it
    (365 days), and its dead-letter topic after that (30 days)."""
    purge_interval: timedelta = Field(default=timedelta(hours=1), gt=timedelta(0))
    """How often what is older is deleted."""
