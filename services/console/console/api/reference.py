"""The OpenAPI document, and a page that renders it: from the package alone, and without a script."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from markupsafe import Markup, escape
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import Response

from console.api.answers import PREFIX, tagged_content
from console.api.openapi import document
from console.web.answers import render

router = APIRouter(include_in_schema=False)

_SCHEMAS = "#/components/schemas/"
_SPAN = re.compile(r"`([^`]+)`|\*\*([^*]+)\*\*")


@dataclass(frozen=True, slots=True)
class Field:
    """A member of a body, or a parameter."""

    name: str
    type: Markup
    required: bool
    description: Markup


@dataclass(frozen=True, slots=True)
class Answer:
    """What may come back."""

    status: str
    description: Markup
    type: Markup
    headers: list[str]
    is_error: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that can be asked."""

    id: str
    method: str
    path: str
    summary: str
    description: Markup
    security: list[str]
    parameters: list[Field]
    body: Markup | None
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Section:
    """Operations about one noun."""

    id: str
    name: str
    description: str
    operations: list[Operation]


@dataclass(frozen=True, slots=True)
class Model:
    """A body, or a part of one."""

    name: str
    description: Markup
    values: Markup
    """Of one that has no members."""
    fields: list[Field]


@router.get("/openapi.json")
async def read_document(request: Request) -> Response:
    """The document. It is the same for everybody."""
    return tagged_content(request, to_json(_document(request)))


@router.get("/docs")
async def read_reference(request: Request) -> Response:
    """The page."""
    content = _document(request)
    return await render(
        request,
        "api_reference.html.j2",
        title=content["info"]["title"],
        summary=content["info"]["summary"],
        introduction=_prose(content["info"]["description"]),
        sections=_sections(content),
        models=_models(content["components"]["schemas"]),
        document_path=f"{PREFIX}/openapi.json",
    )


def _document(request: Request) -> dict[str, Any]:
    """Made once for a process, when it is asked for."""
    state = request.app.state
    if not hasattr(state, "document"):
        state.document = document(request.app)
    made: dict[str, Any] = state.document
    return made


def _sections(content: Mapping[str, Any]) -> list[Section]:
    operations = [
        (operation["tags"][0], _operation(method, path, operation))
        for path, item in content["paths"].items()
        for method, operation in item.items()
    ]
    return [
        Section(
            id=_id(tag["name"]),
            name=tag["name"],
            description=tag["description"],
            operations=[operation for name, operation in operations if name == tag["name"]],
        )
        for tag in content["tags"]
    ]


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> Operation:
    body = operation.get("requestBody")
    return Operation(
        id=operation["operationId"],
        method=method.upper(),
        path=f"{PREFIX}{path}",
        summary=operation["summary"],
        description=_prose(operation["description"]),
        security=[" + ".join(_way(name, scopes) for name, scopes in each.items()) for each in operation["security"]],
        parameters=[_parameter(each) for each in operation.get("parameters", ())],
        body=None if body is None else _type(body["content"]["application/json"]["schema"]),
        answers=[_answer(status, each) for status, each in operation["responses"].items()],
    )


def _way(name: str, scopes: Iterable[str]) -> str:
    return " ".join((name, *scopes))


def _parameter(parameter: Mapping[str, Any]) -> Field:
    schema = parameter["schema"]
    if "anyOf" in schema:  # "Or null" is how FastAPI says that it may be left out.
        schema = schema["anyOf"][0]
    return Field(
        name=parameter["name"],
        type=Markup("{}, in the {}").format(_type(schema), parameter["in"]),
        required=parameter["required"],
        description=_prose(parameter.get("description", "")),
    )


def _answer(status: str, response: Mapping[str, Any]) -> Answer:
    content = next(iter(response.get("content", {}).values()), None)
    return Answer(
        status=status,
        description=_spans(response["description"]),
        type=Markup() if content is None else _type(content["schema"]),
        headers=sorted(response.get("headers", ())),
        is_error=status.startswith(("4", "5")),
    )


def _models(schemas: Mapping[str, Any]) -> list[Model]:
    return [
        Model(
            name=name,
            description=_prose(schema.get("description", "")),
            values=Markup() if "properties" in schema else _type(schema),
            fields=[
                Field(
                    name=member,
                    type=_type(value),
                    required=member in schema.get("required", ()),
                    description=_prose(value.get("description", "")),
                )
                for member, value in schema.get("properties", {}).items()
            ],
        )
        for name, schema in schemas.items()
    ]


def _type(schema: Mapping[str, Any]) -> Markup:
    """In words, with links to the models."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix(_SCHEMAS)
        return Markup('<a href="#model-{0}">{0}</a>').format(name)
    if "anyOf" in schema:
        return Markup(" or ").join(_type(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        return Markup("list of {}").format(_type(schema["items"]))
    if "enum" in schema:
        return Markup(" | ").join(Markup("<code>{}</code>").format(each) for each in schema["enum"])
    name = schema.get("format") or schema.get("type", "anything")
    return Markup("{}{}").format(name, _bounds(schema))


def _bounds(schema: Mapping[str, Any]) -> str:
    low = schema.get("minLength", schema.get("minimum"))
    high = schema.get("maxLength", schema.get("maximum"))
    if high is None:
        return ""
    unit = " characters" if "maxLength" in schema else ""
    return f", at most {high}{unit}" if low is None else f", {low} to {high}{unit}"


def _prose(text: str) -> Markup:
    """Paragraphs, with `code` and **emphasis**: as much of Markdown as this document uses."""
    paragraphs = [" ".join(each.split()) for each in text.split("\n\n")]
    return Markup().join(Markup("<p>{}</p>").format(_spans(each)) for each in paragraphs if each)


def _spans(text: str) -> Markup:
    def span(match: re.Match[str]) -> str:
        code, strong = match.groups()
        return f"<code>{code}</code>" if code is not None else f"<strong>{strong}</strong>"

    return Markup(_SPAN.sub(span, str(escape(text))))  # noqa: S704  # escaped before


def _id(name: str) -> str:
    return name.lower().replace(" ", "-")
