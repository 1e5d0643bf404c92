"""The OpenAPI document of the API is complete, and its page needs nothing but the package."""

import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from api_browser import ApiBrowser
from console_world import ConsoleWorld, console_world

Json = dict[str, Any]


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, playing=False) as (console,):
        yield console


@pytest.fixture
async def document(console: ConsoleWorld) -> Json:
    async with ApiBrowser(console) as browser:
        document: Json = (await browser.get("/openapi.json")).json()
        return document


def operations(document: Json) -> Iterator[tuple[str, str, Json]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield method, path, operation


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for each in part.values():
            yield from references(each)
    elif isinstance(part, list):
        for each in part:
            yield from references(each)


async def test_every_operation_says_what_it_does_who_may_and_what_comes_back(document: Json) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/api/v1"}]
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in document["tags"]}
    for method, path, operation in operations(document):
        assert operation["summary"], path
        assert operation["description"], path
        assert set(operation["tags"]) <= tags, path
        assert "security" in operation, path
        assert operation["responses"].keys() >= {"500", "503"}, path
        for status, response in operation["responses"].items():
            assert response["description"], (method, path, status)
            if status >= "400":
                assert list(response["content"]) == ["application/problem+json"], (method, path, status)
            assert status != "401" or "WWW-Authenticate" in response["headers"], (method, path)
            assert status not in ("429", "503") or "Retry-After" in response["headers"], (method, path)


async def test_everything_that_is_referred_to_is_there(document: Json) -> None:
    for reference in set(references(document)):
        part: Any = document
        for step in reference.removeprefix("#/").split("/"):
            part = part[step]
        assert part


async def test_whoever_is_known_by_a_cookie_shows_a_csrf_token_unless_nothing_changes(document: Json) -> None:
    for method, path, operation in operations(document):
        for way in operation["security"]:
            assert "session" not in way or ("csrf" in way) == (method != "get"), (method, path)


async def test_every_post_that_changes_something_takes_an_idempotency_key(document: Json) -> None:
    without = {
        operation["operationId"]
        for method, _, operation in operations(document)
        if method == "post" and "Idempotency-Key" not in [each["name"] for each in operation.get("parameters", ())]
    }

    assert without == {"previewLink"}


async def test_what_frameworks_answer_by_themselves_is_not_in_it(document: Json) -> None:
    assert "HTTPValidationError" not in json.dumps(document)
    assert {"title": "Response"} not in document["components"]["schemas"].values()


async def test_the_document_is_not_sent_again_to_who_has_it(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        first = await browser.get("/openapi.json")
        again = await browser.get("/openapi.json", headers={"If-None-Match": first.headers["etag"]})

        assert (again.status_code, again.content) == (304, b"")


async def test_the_page_shows_every_operation_and_model_without_scripts_or_other_hosts(
    console: ConsoleWorld, document: Json
) -> None:
    async with ApiBrowser(console) as browser:
        page = await browser.get("/docs")

        assert page.status_code == 200
        assert page.headers["content-type"].startswith("text/html")
        assert "<script" not in page.text
        assert not re.search(r'(?:src|href)="(?:https?:)?//', page.text)
        ids = set(re.findall(r' id="([^"]+)"', page.text))
        assert {operation["operationId"] for _, _, operation in operations(document)} <= ids
        assert {link.removeprefix("#") for link in re.findall(r'href="(#[^"]+)"', page.text)} <= ids
        for address in re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text):
            assert (await browser.http.get(address)).status_code == 200


async def test_the_pages_of_the_framework_are_not_there(console: ConsoleWorld) -> None:
    async with ApiBrowser(console) as browser:
        assert (await browser.get("/redoc")).status_code == 404
        assert (await browser.http.get("/docs")).status_code == 404
        assert (await browser.http.get("/openapi.json")).status_code == 404
