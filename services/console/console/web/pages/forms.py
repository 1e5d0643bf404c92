"""Forms: what was typed, and a page that says why it could not be taken."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from uuid import UUID

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from console.accounts.domain import Malformed
from console.limits import RateLimited
from console.web.answers import render


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a form could not be taken."""

    title: str
    text: str | None = None
    """What to do, where no field says so."""
    errors: Mapping[str, str] = field(default_factory=dict)
    """What is wrong with single fields, by their names."""
    status: int = 422
    retry_after: int | None = None
    """Seconds after which it is worth another try."""


def trouble_of(error: Malformed | RateLimited, **field_names: str) -> Trouble:
    """`field_names` say what a field is called in this form, where it is not what the error calls it."""
    if isinstance(error, Malformed):
        return Trouble("Please check the form", errors={field_names.get(error.field, error.field): error.message})
    seconds = max(1, math.ceil(error.retry_after.total_seconds()))
    minutes = math.ceil(seconds / 60)
    when = "in a minute" if minutes == 1 else f"in {minutes} minutes"
    return Trouble("Too many attempts", f"Please try again {when}.", status=429, retry_after=seconds)


def refusal(field: str, message: str | None) -> Trouble:
    """A command was refused for what is in the field."""
    return Trouble("Please check the form", errors={field: message or "That was refused."})


async def form_page(request: Request, template: str, trouble: Trouble | None = None, **context: object) -> Response:
    """A page with forms: as it is at first, or with what could not be taken. It knows `trouble` and `errors`."""
    status, errors = (trouble.status, trouble.errors) if trouble else (200, {})
    response = await render(request, template, status, toasts=(), trouble=trouble, errors=errors, **context)
    if trouble is not None and trouble.retry_after is not None:
        response.headers["retry-after"] = str(trouble.retry_after)
    return response


def typed(form: FormData, name: str) -> str:
    """What is in the field; empty where there is no such field."""
    value = form.get(name)
    return value if isinstance(value, str) else ""


def typed_id(form: FormData, name: str) -> UUID | None:
    """The id in the field, if it is one."""
    try:
        return UUID(typed(form, name))
    except ValueError:
        return None
