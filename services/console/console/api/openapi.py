"""The OpenAPI document. Operations say what is theirs (`said`, `problems`); what follows from who may call them, from
their parameters and their bodies is added here, so that nothing has to be said twice."""

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import iter_route_contexts
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from console.api.answers import PREFIX
from console.api.callers import BEARER, COOKIE, CSRF, Needs, NeedsOwnPage
from console.api.models import Command, ProblemDetails
from console.api.problems import MEDIA_TYPE, PROBLEMS

ETAG, LOCATION, RETRY_AFTER, SET_COOKIE, CHALLENGE = "ETag", "Location", "Retry-After", "Set-Cookie", "WWW-Authenticate"
DISPOSITION = "Content-Disposition"
"""Headers of answers."""

_HEADERS: Mapping[str, tuple[str, dict[str, Any]]] = {
    ETAG: ("Names this state of it, for `If-None-Match`.", {"type": "string"}),
    LOCATION: ("Where it is, or will be.", {"type": "string", "format": "uri-reference"}),
    RETRY_AFTER: ("Seconds until it is worth another try.", {"type": "integer", "minimum": 1}),
    SET_COOKIE: ("The cookie of the session.", {"type": "string"}),
    DISPOSITION: ("That it is a file, and what it is called.", {"type": "string"}),
    CHALLENGE: ("How to say who one is (RFC 6750).", {"type": "string"}),
}
_REASONS = "x-reasons"
"""Of a response: why it may be the answer. In the document, too, for programs that generate programs."""
_ANY_TIME = frozenset({"internal_error", "unavailable"})
_OF_BODIES = frozenset({"unreadable_body", "unsupported_media_type", "invalid_request"})
_IDEMPOTENCY_KEY = "Idempotency-Key"
_IF_NONE_MATCH = {
    "name": "If-None-Match",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "The ETag of what the caller has already.",
}

_DESCRIPTION = """
Everything that the pages of the console do, for programs. JSON in, JSON out; ids are UUIDs, instants ISO 8601 in UTC.

**Who you are.** A program sends `Authorization: Bearer <token>`; tokens are made on the account page, or with
`POST /me/tokens`, and have scopes. A browser has the cookie of its session, and sends the header `X-CSRF-Token` with
everything but GET: the token is in the answers of sign-up, proof, sign-in and `GET /me`, and before there is a session
`GET /csrf` gives one.

**What comes of it.** What changes organizations, members, invitations and money is a command to another service. The
answer waits for its outcome, up to three seconds, and is the truth: it is done, or it is refused, and why. Where the
outcome takes longer the answer is 202, with the command and, in `Location`, where its outcome will be.

**Errors** are problem details (RFC 9457) with a `reason` for programs and a `detail` for people.

**Repetitions.** Every POST that changes something takes an `Idempotency-Key`. Sent again with the same key, within a
day, it has its effect once, and is answered as the first time: with the outcome of the same command, or with the same
body, in which what is shown once is null. The same key with another request is refused (422). A sign-up, a proof or a
sign-in that has begun a session is not answered again (409), since sessions are handed out once. A request that was
refused may come again with the same key, unless it was a command that was refused: its refusal is its outcome.

**Money** is in micro-dollars, whole numbers: 1 dollar is 1000000. Rates are micro-dollars an hour, at the present rate;
months and days are those of UTC, and usage counts for the day on which it began. What an organization has left, and who
pays next, its members see; its card, its receipts and what others have spent, its admins alone.

**Lists** come in pages: ask for the next one with the `cursor` that is in `next`. **ETags**: send `If-None-Match`, and
what has not changed is answered with 304.
"""

_TAGS = (
    ("Signing in", "Accounts, sessions and forgotten passwords."),
    ("Me", "The caller's own account, sessions and tokens."),
    ("Organizations", "The organization that the caller is in. Others do not see it: for them there is none."),
    ("Members", "Who is in it, and as what."),
    ("Invitations", "Who is asked to join. Only the owner and admins invite and revoke."),
    ("Invitation links", "What whoever has the link of an invitation may do. Codes are in bodies, never in URLs."),
    ("Billing", "Who pays for what is used, what that has cost, and limits to it."),
    ("Payment methods", "Cards on file, and prepaid credit. Numbers of cards are given to Stripe, never to us."),
    ("Receipts", "Money that came in."),
    ("Commands", "What became of what was asked."),
)

_SECURITY_SCHEMES: Mapping[str, Any] = {
    COOKIE: {
        "type": "apiKey",
        "in": "cookie",
        "name": "session",
        "description": "The session of a browser; with HTTPS the cookie is called `__Host-session`.",
    },
    CSRF: {
        "type": "apiKey",
        "in": "header",
        "name": "X-CSRF-Token",
        "description": "That the request comes from a page of ours, in this browser.",
    },
    BEARER: {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of the account. Scopes: `read`, `organization`, `billing`, `account`.",
    },
}


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def said(status: int, description: str, model: type[BaseModel] | None = None, *headers: str) -> dict[int | str, Any]:
    """One answer of an operation, for `responses` of a route."""
    response: dict[str, Any] = {"description": description}
    if model is not None:
        response["model"] = model
    if headers:
        response["headers"] = _headers(headers)
    return {status: response}


def problems(*reasons: str) -> dict[int | str, Any]:
    """Errors of an operation, for `responses` of a route: those that do not follow from its parameters."""
    return {status: {_REASONS: sorted(some)} for status, some in _by_status(reasons).items()}


UNDECIDED = said(202, "It is not decided yet.", Command, LOCATION, RETRY_AFTER)
"""Of every operation that sends a command."""
NOT_MODIFIED = said(304, "Nothing has changed.", None, ETAG)


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI 3.1 document of the API."""
    content = get_openapi(
        title="Latchkey",
        version="1",
        summary="Organizations, their members, invitations, and who pays.",
        description=_DESCRIPTION.strip(),
        routes=app.routes,
        servers=[{"url": PREFIX}],
        tags=[{"name": name, "description": description} for name, description in _TAGS],
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    for route in iter_route_contexts(app.routes):
        if getattr(route, "include_in_schema", False) and route.path_format in content["paths"]:
            for method in route.methods or ():
                operation = content["paths"][route.path_format].get(method.lower())
                if operation is not None:
                    _complete(operation, method, [each.call for each in route.dependant.dependencies])
    components = content["components"]
    components["schemas"] = _schemas(components["schemas"])
    components["headers"] = {
        name: {"description": description, "schema": schema} for name, (description, schema) in _HEADERS.items()
    }
    components["examples"] = {reason: _example(reason) for reason in PROBLEMS}
    components["securitySchemes"] = dict(_SECURITY_SCHEMES)
    return content


def _complete(operation: dict[str, Any], method: str, dependencies: Iterable[object]) -> None:
    """Adds who may call it, and the errors that follow from what it takes."""
    reasons = set(_ANY_TIME)
    for each in dependencies:
        if isinstance(each, Needs | NeedsOwnPage):
            operation["security"] = each.security(method)
            reasons |= each.problems(method)
    operation.setdefault("security", [])
    if method != "GET":
        reasons.add("too_large")
    if "requestBody" in operation:
        reasons |= _OF_BODIES
    for each in operation.get("parameters", ()):
        reasons.add("not_found" if each["in"] == "path" else "invalid_request")  # An id that is no UUID is no path.
        if each["name"] == _IDEMPOTENCY_KEY:
            reasons.add("idempotency_key_reused")
    responses = operation["responses"]
    if "304" in responses:
        operation.setdefault("parameters", []).append(_IF_NONE_MATCH)
    for status, response in list(responses.items()):
        reasons |= set(response.get(_REASONS, ()))
        if status == "422" and _REASONS not in response:  # FastAPI's own, for whatever has parameters.
            del responses[status]
    for status, some in _by_status(reasons).items():
        responses[str(status)] = _problem(status, sorted(some))
    operation["responses"] = dict(sorted(responses.items()))


def _problem(status: int, reasons: list[str]) -> dict[str, Any]:
    headers = []
    if status == 401 or "insufficient_scope" in reasons:
        headers.append(CHALLENGE)
    if status in (429, 503):
        headers.append(RETRY_AFTER)
    examples = {reason: {"$ref": f"#/components/examples/{reason}"} for reason in reasons}
    response: dict[str, Any] = {
        "description": "; ".join(f"`{reason}`: {PROBLEMS[reason][1]}" for reason in reasons) + ".",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}, "examples": examples}},
        _REASONS: reasons,
    }
    if headers:
        response["headers"] = _headers(headers)
    return response


def _by_status(reasons: Iterable[str]) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for reason in reasons:
        found.setdefault(PROBLEMS[reason][0], set()).add(reason)
    return found


def _schemas(found: Mapping[str, Any]) -> dict[str, Any]:
    """Without FastAPI's own errors, which this API does not have, and with ours."""
    _, ours = models_json_schema([(ProblemDetails, "serialization")], ref_template="#/components/schemas/{model}")
    theirs = {name: schema for name, schema in found.items() if name not in ("HTTPValidationError", "ValidationError")}
    return dict(sorted((theirs | ours["$defs"]).items()))


def _example(reason: str) -> dict[str, Any]:
    status, title = PROBLEMS[reason]
    problem = {
        "type": f"urn:latchkey:problem:{reason}",
        "title": title,
        "status": status,
        "detail": f"{title}.",
        "reason": reason,
    }
    return {"summary": title, "value": problem}
