"""Puts the API together. It is mounted at /api/v1."""

from fastapi import FastAPI

from console.api import (
    billing,
    cards,
    commands,
    invitations,
    links,
    me,
    members,
    organizations,
    problems,
    receipts,
    reference,
    sign_in,
)
from console.edge import Edge

NOUNS = (sign_in, me, organizations, members, invitations, links, billing, cards, receipts, commands, reference)


def api_app(edge: Edge) -> FastAPI:
    """The API of one process. Its document and its reference page are its own (`reference`), not FastAPI's, whose page
    would load scripts from elsewhere."""
    app = FastAPI(
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # FastAPI's own would tell paths, which hold codes here, and texts of exceptions; ours is console.web.telemetry.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.state.edge = edge
    for noun in NOUNS:
        app.include_router(noun.router)
    problems.install(app)
    return app
