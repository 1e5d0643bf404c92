"""Rate limits, shared by all instances: GCRA in the database, one statement for each question."""

from datetime import timedelta


class RateLimited(Exception):
    """Too much for now; `retry_after` says from when on it is worth another try."""

    def __init__(self, retry_after: timedelta) -> None:
        super().__init__("Too many attempts. Try again later.")
        self.retry_after = retry_after
