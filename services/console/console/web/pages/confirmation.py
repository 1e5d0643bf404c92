"""The second click of a destructive button, for browsers without JavaScript: a page with one button. With JavaScript
the button arms itself, and sends `confirmed` with the second click."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from console.web.answers import render
from console.web.requests import CSRF_FIELD


async def confirm(request: Request, form: FormData, heading: str, text: str, label: str, *, back: str) -> Response:
    """Asks once more; the answer sends the same form, with `confirmed`."""
    fields = {name: value for name, value in form.items() if name != CSRF_FIELD and isinstance(value, str)}
    return await render(
        request,
        "confirm_action.html.j2",
        heading=heading,
        text=text,
        label=label,
        action=request.url.path,
        fields=fields,
        back=back,
    )
