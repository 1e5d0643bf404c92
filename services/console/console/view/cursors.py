"""Lists in pieces: a cursor names the last item of a piece, by an instant and an id."""

import base64
import binascii
import json
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from console.view.nouns import Page

T = TypeVar("T")


def page(items: list[T], limit: int, key: Callable[[T], tuple[datetime, UUID]]) -> Page[T]:
    """One more than the limit was asked for: whether it is there says whether there is a next page."""
    if len(items) <= limit:
        return Page(items, None)
    return Page(items[:limit], _cursor(*key(items[limit - 1])))


def read_cursor(cursor: str) -> tuple[datetime, UUID]:
    """After which item to go on. Raises ValueError for what is no cursor."""
    try:
        instant, last_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        read = datetime.fromisoformat(instant), UUID(last_id)
    except (binascii.Error, ValueError, TypeError, AttributeError):
        raise ValueError("That is no cursor of this list.") from None
    if read[0].tzinfo is None:
        raise ValueError("That is no cursor of this list.")
    return read


def _cursor(instant: datetime, last_id: UUID) -> str:
    content = json.dumps([instant.isoformat(), last_id.hex], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
