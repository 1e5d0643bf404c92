"""Styles, scripts and pictures, served from the package. Their addresses change with their contents, so that browsers
may keep them for ever."""

import hashlib
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png"}
_FOR_EVER = "public, max-age=31536000, immutable"


@cache
def address_of(name: str) -> str:
    """Where a static file is fetched from. Raises FileNotFoundError."""
    return f"/static/{name}?v={hashlib.sha256(_content(name)).hexdigest()[:12]}"


async def serve(request: Request) -> Response:
    """The file, if there is one of that name."""
    name = request.path_params["name"]
    media_type = _TYPES.get(PurePosixPath(name).suffix)
    try:
        content = _content(name) if media_type and ".." not in name.split("/") else None
    except (FileNotFoundError, IsADirectoryError):
        content = None
    if content is None:
        return Response(status_code=404)
    return Response(content, media_type=media_type, headers={"cache-control": _FOR_EVER})


routes = [Route("/static/{name:path}", serve, methods=["GET"])]


@cache
def _content(name: str) -> bytes:
    return files("console.web").joinpath("static", *name.split("/")).read_bytes()
