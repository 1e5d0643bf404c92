"""The mailbox's page, and the same as JSON.

GET /letters.json?to=ADDRESS   {"letters": [...], "suppressed": n}, oldest first
GET /letters/ID                one letter: JSON, or a page for whoever asks for HTML
DELETE /letters                empties the mailbox
GET /counts.json               how many letters came, were suppressed, bounced and put off
"""

from pathlib import Path
from typing import Any

import jinja2
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stack.mailbox.letters import Letter, Letters
from stack.mailbox.smtp import Postman

_ASSETS = Path(__file__).parent / "assets"
_SHOWN = 200
"""The most letters that the page lists; the JSON has them all."""
_PAGE_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; frame-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_LETTER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'; "
    "sandbox allow-popups allow-popups-to-escape-sandbox"
)
"""A letter runs no script and fetches nothing; its links open in a new tab."""


class MailboxPages:
    """What a person and a program see of the letters."""

    def __init__(self, letters: Letters, postman: Postman) -> None:
        self._letters = letters
        self._postman = postman
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_ASSETS), autoescape=True, trim_blocks=True, lstrip_blocks=True
        )

    def app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self.page),
                Route("/list", self.list),
                Route("/letters", self.clear, methods=["DELETE"]),
                Route("/letters.json", self.letters_json),
                Route("/letters/{id:int}", self.letter),
                Route("/letters/{id:int}/html", self.letter_html),
                Route("/letters/{id:int}/source", self.letter_source),
                Route("/counts.json", self.counts),
                Route("/readyz", lambda _: PlainTextResponse("ok\n")),
                Route("/mailbox.css", lambda _: FileResponse(_ASSETS / "mailbox.css")),
                Route("/mailbox.js", lambda _: FileResponse(_ASSETS / "mailbox.js")),
            ],
            # A page elsewhere that gives its own name our address (DNS rebinding) must not read the letters.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
        )

    async def page(self, request: Request) -> Response:
        return self._render("page.html", request, letter=None)

    async def list(self, request: Request) -> Response:
        """The list alone, for the page to refresh itself."""
        tag = f'"{self._letters.version}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return self._render("list.html", request, letter=None, headers={"ETag": tag})

    async def letter(self, request: Request) -> Response:
        letter = self._wanted(request)
        if "text/html" not in request.headers.get("accept", ""):
            return JSONResponse(letter.as_json() | {"headers": letter.headers}, headers=_PRIVATE)
        return self._render("page.html", request, letter=letter)

    async def letter_html(self, request: Request) -> Response:
        letter = self._wanted(request)
        content = f'<base target="_blank">\n{letter.html}'
        return HTMLResponse(content, headers=_PRIVATE | {"Content-Security-Policy": _LETTER_POLICY})

    async def letter_source(self, request: Request) -> Response:
        source = self._wanted(request).raw.decode("utf-8", "replace")
        return PlainTextResponse(source, headers=_PRIVATE | {"Content-Security-Policy": "default-src 'none'; sandbox"})

    async def letters_json(self, request: Request) -> Response:
        letters = self._letters.select(request.query_params.get("to"))
        return JSONResponse(
            {"letters": [letter.as_json() for letter in letters], "suppressed": self._letters.suppressed},
            headers=_PRIVATE,
        )

    async def counts(self, _: Request) -> Response:
        return JSONResponse(
            {
                "letters": len(self._letters),
                "suppressed": self._letters.suppressed,
                "bounced": self._postman.bounced,
                "deferred": self._postman.deferred,
            }
        )

    async def clear(self, _: Request) -> Response:
        self._letters.clear()
        return Response(status_code=204)

    def _wanted(self, request: Request) -> Letter:
        letter = self._letters.get(request.path_params["id"])
        if letter is None:
            raise HTTPException(404, "There is no such letter. Was the mailbox emptied?")
        return letter

    def _render(
        self, template: str, request: Request, *, letter: Letter | None, headers: dict[str, str] | None = None
    ) -> Response:
        words = request.query_params.get("q", "")
        found = self._letters.search(words) if words.strip() else self._letters.select()
        view = request.query_params.get("view", "")
        values: dict[str, Any] = {
            "letter": letter,
            "letters": found[: -_SHOWN - 1 : -1],  # the newest first
            "found": len(found),
            "total": len(self._letters),
            "suppressed": self._letters.suppressed,
            "words": words,
            "current": letter.id if letter else request.query_params.get("current", ""),
            "view": _view(letter, view) if letter else "",
        }
        content = self._templates.get_template(template).render(values)
        return HTMLResponse(content, headers=_PRIVATE | {"Content-Security-Policy": _PAGE_POLICY} | (headers or {}))


_PRIVATE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff"}
"""A letter holds a usable link."""


def _view(letter: Letter, asked: str) -> str:
    there = [view for view, content in (("html", letter.html), ("text", letter.text)) if content] + ["source"]
    return asked if asked in there else there[0]
