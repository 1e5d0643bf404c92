"""Lists that come in pieces."""

from collections.abc import Awaitable
from typing import Annotated, TypeVar

from fastapi import Query

from console.api.problems import Problem
from console.view.nouns import Page

T = TypeVar("T")

Cursor = Annotated[
    str | None, Query(max_length=200, description="The `next` of the page before; without it, the first page.")
]
Limit = Annotated[int, Query(ge=1, le=100, description="The most items of a page.")]


async def page_of(asked: Awaitable[Page[T]]) -> Page[T]:
    """The page. Raises Problem where its cursor is none."""
    try:
        return await asked
    except ValueError:
        errors = [{"parameter": "cursor", "detail": "Take it from `next` of the page before."}]
        raise Problem("malformed_cursor", errors=errors) from None
