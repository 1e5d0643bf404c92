"""What holds for every answer of the web, whoever asks: headers, limits, cookies, forged requests, and the log."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import httpx
import pytest
from api_browser import ApiBrowser
from console_world import PASSWORD, Clock, ConsoleWorld, Player, code_of, console_world, settings_of
from page_browser import CLICK, PageBrowser
from sqlalchemy.ext.asyncio import create_async_engine
from structlog.testing import capture_logs

from console.web.requests import own_path
from console.web.statics import address_of
from postroom.ids import uuid7

ADDRESS = "person@example.com"
HTTPS = "https://console.example"
CODE = "c0de-that-nobody-may-read-in-a-log-of-ours0"
SECRET_PATHS = [
    f"/org-invite/{CODE}/",
    f"/org-invite/{CODE}",
    f"/org-invite/{CODE}/decline",
    f"/password-reset/{CODE}/",
    f"/password-reset/{CODE}",
]
PATHS = [
    *("/", "/sign-in", "/sign-up", "/forgot-password", "/dashboard", "/api/v1/csrf", "/api/v1/me", "/nothing"),
    *("/api/v1/nothing", "/static/nothing.css", address_of("console.css"), *SECRET_PATHS),
]
_INLINE = re.compile(r"<style|<script(?![^>]*\ssrc=)|<[^>]+\s(?:style|on[a-z]+)=", re.IGNORECASE)


class Faulty:
    """Accounts with a bug, which says in its message what it was asked for."""

    async def reset_exists(self, code: str) -> bool:
        raise RuntimeError(f"cannot look up {code}")


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as (console,):
        yield console


@pytest.fixture
async def browser(console: ConsoleWorld) -> AsyncIterator[PageBrowser]:
    async with PageBrowser(console) as browser:
        yield browser


@pytest.fixture
async def secure(database_url: str) -> AsyncIterator[PageBrowser]:
    """A browser of a console that people come to by HTTPS."""
    async with console_world(database_url, console_url=HTTPS) as (console,), PageBrowser(console) as browser:
        browser.http.base_url = httpx.URL(HTTPS)
        yield browser


async def cookies_of_a_visit(browser: PageBrowser) -> dict[str, Morsel[str]]:
    """What somebody is given to keep who signs in and out."""
    await browser.console.person(ADDRESS)
    await browser.go("/sign-in")
    answers = [browser.answer]
    for action, typed in (("/sign-in", {"address": ADDRESS, "password": PASSWORD}), ("/sign-out", {})):
        await browser.send(action, **typed)
        answers += [*browser.answer.history, browser.answer]
    headers = [header for answer in answers for header in answer.headers.get_list("set-cookie")]
    cookies = [cookie for header in headers for cookie in SimpleCookie(header).items()]
    return {name: morsel for name, morsel in cookies if morsel.value}


async def post(browser: PageBrowser, path: str, form: dict[str, str], **headers: str) -> httpx.Response:
    return await browser.http.post(path, data=form, headers={name.replace("_", "-"): headers[name] for name in headers})


def guards(answer: httpx.Response) -> None:
    """The answer may be framed, sniffed, or filled with other people's scripts by nobody."""
    policy = dict(each.split(" ", 1) for each in answer.headers["content-security-policy"].split("; "))
    assert policy.keys() >= {"default-src", "script-src", "style-src", "base-uri", "form-action", "frame-ancestors"}
    assert (policy["default-src"], policy["frame-ancestors"], policy["base-uri"]) == ("'none'", "'none'", "'none'")
    assert set(policy.values()) == {"'none'", "'self'"}
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] in ("same-origin", "no-referrer")
    assert answer.headers["cross-origin-opener-policy"] == "same-origin"


# --- headers


async def test_every_answer_guards_against_frames_sniffing_and_scripts_of_others(browser: PageBrowser) -> None:
    for answer in await asyncio.gather(*(browser.http.get(path) for path in PATHS)):
        guards(answer)
        assert "strict-transport-security" not in answer.headers
        assert _INLINE.findall(answer.text) == [], answer.url.path


async def test_where_an_address_is_a_secret_it_is_passed_on_to_nobody(browser: PageBrowser) -> None:
    for answer in await asyncio.gather(*(browser.http.get(path) for path in SECRET_PATHS)):
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-robots-tag"] == "noindex, nofollow"


async def test_pages_are_kept_by_no_cache_and_static_files_by_every_one(browser: PageBrowser) -> None:
    assert (await browser.http.get("/sign-in")).headers["cache-control"] == "no-store"
    assert "immutable" in (await browser.http.get(address_of("console.css"))).headers["cache-control"]


@pytest.mark.parametrize(
    "name",
    ["..%2fapp.py", "..%2fstatic/console.css", "%2e%2e/static/console.css", "icons/%2e%2e/console.css", "icons", ""],
)
async def test_no_other_file_is_served_as_a_static_one(browser: PageBrowser, name: str) -> None:
    answer = await browser.http.get(httpx.URL("http://console.example").copy_with(raw_path=f"/static/{name}".encode()))
    assert answer.status_code == 404


async def test_browsers_are_told_to_come_by_https_only_where_it_is_set(database_url: str) -> None:
    async with console_world(database_url, hsts=timedelta(days=365)) as (console,), PageBrowser(console) as browser:
        for answer in await asyncio.gather(*(browser.http.get(path) for path in PATHS)):
            assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


async def test_a_fault_of_ours_is_guarded_too_and_neither_page_nor_log_says_what_it_was_about(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    accounts: Any = Faulty()
    console.app.state.edge = replace(console.edge, accounts=accounts)
    with capture_logs() as logs:
        await browser.go(f"/password-reset/{CODE}/")
    assert (browser.answer.status_code, browser.page.heading) == (500, "Something went wrong")
    guards(browser.answer)
    assert CODE not in browser.answer.text
    assert [each["error"] for each in logs if each["event"] == "request failed"] == ["RuntimeError"]
    assert CODE not in str(logs)


async def test_while_the_database_is_away_the_page_says_so_and_is_guarded() -> None:
    nowhere = "nobody@127.0.0.1:1/nothing"
    engine, clock = create_async_engine(f"postgresql+asyncpg://{nowhere}"), Clock()
    async with PageBrowser(
        ConsoleWorld(engine, settings_of(f"postgresql://{nowhere}"), clock, Player(clock))
    ) as browser:
        await browser.go(f"/password-reset/{CODE}/")
    assert (browser.answer.status_code, browser.page.heading) == (503, "Back in a moment")
    assert browser.answer.headers["retry-after"] == "5"
    assert browser.answer.headers["referrer-policy"] == "no-referrer"
    guards(browser.answer)


# --- limits


async def test_a_form_that_is_too_large_is_read_no_further_than_is_allowed(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    limit, read = console.settings.max_body, 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(4 * limit // 1024):
            read += 1024
            yield b"a" * 1024

    form = {"content-type": "application/x-www-form-urlencoded"}
    unsaid = await browser.http.post("/sign-in", content=chunks(), headers=form)
    assert (unsaid.status_code, read <= limit + 2 * 1024) == (413, True)
    guards(unsaid)

    read = 0
    said = await browser.http.post("/sign-in", content=chunks(), headers={**form, "content-length": str(limit + 1)})
    assert (said.status_code, read) == (413, 0)
    guards(said)


async def test_no_file_is_taken_and_no_heap_of_fields(browser: PageBrowser) -> None:
    await browser.go("/sign-in")
    fields = browser.page.forms["/sign-in"]
    upload = await browser.http.post("/sign-in", data=fields, files={"password": ("a.txt", b"content")})
    heap = await browser.http.post("/sign-in", data=fields | {f"field-{number}": "" for number in range(300)})
    assert (upload.status_code, heap.status_code) == (400, 400)


# --- cookies and sessions


async def test_cookies_are_for_this_host_alone_and_for_no_script(browser: PageBrowser) -> None:
    given = await cookies_of_a_visit(browser)
    assert given.keys() == {"visitor", "session", "toasts"}
    for cookie in given.values():
        assert (cookie["httponly"], cookie["samesite"].lower(), cookie["path"]) == (True, "lax", "/")
        assert (cookie["secure"], cookie["domain"]) == ("", "")


async def test_with_https_browsers_bind_the_cookies_to_it(secure: PageBrowser) -> None:
    given = await cookies_of_a_visit(secure)
    assert given.keys() == {"__Host-visitor", "__Host-session", "toasts"}
    for cookie in given.values():
        assert (cookie["secure"], cookie["httponly"], cookie["path"], cookie["domain"]) == (True, True, "/", "")
    assert "__Host-session" not in secure.http.cookies


async def test_the_cookie_of_a_console_without_https_is_none_of_one_with_it(secure: PageBrowser) -> None:
    await secure.console.person(ADDRESS)
    await secure.sign_in(ADDRESS)
    token = secure.http.cookies["__Host-session"]
    secure.http.cookies.clear()
    secure.http.cookies.set("session", token)
    await secure.go("/account")
    assert secure.page.heading == "Sign in"


async def test_a_session_that_somebody_planted_is_not_the_one_after_signing_in(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(ADDRESS)
    async with PageBrowser(console) as attacker:
        await attacker.go("/sign-up")
        await attacker.send("/sign-up", address="attacker@example.com", name="An Attacker", password=PASSWORD)
        planted = attacker.http.cookies["session"]
    browser.http.cookies.set("session", planted, domain="console.example")
    await browser.sign_in(ADDRESS)
    assert planted not in browser.http.cookies.values()
    assert await console.edge.accounts.session(planted) is None


async def test_the_session_before_the_proof_ends_with_it(console: ConsoleWorld, browser: PageBrowser) -> None:
    await browser.go("/sign-up")
    await browser.send("/sign-up", address=ADDRESS, name="A Person", password=PASSWORD)
    before = browser.http.cookies["session"]
    session = await console.edge.accounts.session(before)
    assert session is not None
    await browser.send("/confirm-address", code=await console.code_of(session.account))
    assert browser.path == "/dashboard"
    assert await console.edge.accounts.session(before) is None
    assert browser.http.cookies["session"] != before


async def test_a_session_that_was_signed_out_is_of_no_use_to_who_kept_its_cookie(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    await console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    kept = browser.http.cookies["session"]
    await browser.send("/sign-out")
    browser.http.cookies.set("session", kept, domain="console.example")
    await browser.go("/account")
    assert browser.page.heading == "Sign in"


# --- forged requests


FORMS = [
    "/sign-up",
    "/sign-in",
    "/forgot-password",
    f"/password-reset/{CODE}/",
    "/confirm-address",
    "/confirm-address/again",
    "/confirm-address/leave",
    "/sign-out",
    "/organization/new",
    "/account/name",
    "/billing/organization/invite",
    f"/org-invite/{CODE}/",
]


@pytest.mark.parametrize("path", FORMS)
async def test_a_form_without_the_token_of_this_browser_does_nothing(
    console: ConsoleWorld, browser: PageBrowser, path: str
) -> None:
    await console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    async with PageBrowser(console) as other:
        await other.go("/sign-in")
        of_another = other.page.forms["/sign-in"]["csrf_token"]
    for token in ({}, {"csrf_token": ""}, {"csrf_token": of_another}, {"csrf_token": "é"}):
        answer = await post(browser, path, {"address": ADDRESS, "name": "Changed", **token})
        assert answer.status_code == 403
        assert "This page is too old" in answer.text
    await browser.go("/account")
    assert browser.page.forms["/account/name"]["name"] == "A Person"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site", "origin": "http://console.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://console.example.evil.example"}, 403),
        ({"sec_fetch_site": "same-origin"}, 303),
        ({"sec_fetch_site": "same-origin", "origin": "null"}, 303),
        ({"origin": "http://console.example"}, 303),
        ({}, 303),
    ],
)
async def test_a_form_is_taken_from_pages_of_ours_alone(
    browser: PageBrowser, headers: dict[str, str], status: int
) -> None:
    await browser.console.person(ADDRESS)
    await browser.go("/sign-in")
    form = browser.page.forms["/sign-in"] | {"address": ADDRESS, "password": PASSWORD}
    assert (await post(browser, "/sign-in", form, **headers)).status_code == status
    assert ("session" in browser.http.cookies) is (status == 303)


async def test_the_token_of_a_visitor_is_none_of_who_has_signed_in(browser: PageBrowser) -> None:
    await browser.console.person(ADDRESS)
    await browser.go("/sign-in")
    before = browser.page.forms["/sign-in"]["csrf_token"]
    await browser.sign_in(ADDRESS)
    assert (await post(browser, "/sign-out", {"csrf_token": before})).status_code == 403
    await browser.go("/account")
    assert browser.page.heading == "Account"


@pytest.mark.parametrize("path", ["/sign-out", "/confirm-address/again", "/confirm-address/leave"])
async def test_a_link_changes_nothing(browser: PageBrowser, path: str) -> None:
    await browser.console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    assert (await browser.http.get(path, headers=CLICK)).status_code == 405
    await browser.go("/account")
    assert browser.page.heading == "Account"


async def test_toasts_are_shown_as_we_wrote_them_and_as_nobody_else_did(browser: PageBrowser) -> None:
    await browser.console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    await post(browser, "/sign-out", browser.page.forms["/sign-out"])
    ours = browser.http.cookies["toasts"]
    assert (await browser.go("/sign-in")).page.toasts == [("success", "You are signed out.")]
    content, _, signature = ours.partition(".")
    for forged in (f"{content[:-2]}AA.{signature}", content, f"{content}.", "", ".", "é".encode().hex(), "a.b.c"):
        browser.http.cookies.set("toasts", forged, domain="console.example")
        assert (await browser.go("/sign-in")).page.toasts == []


# --- where one is led


ELSEWHERE = [
    "//evil.example",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/\t/evil.example",
    "/\n/evil.example",
    "\t//evil.example",
    " //evil.example",
    "https://evil.example/",
    "https:evil.example",
    "HTTPS://console.example@evil.example/",
    "javascript:alert(1)",
    "data:text/html,x",
    "evil.example",
    "",
]


@pytest.mark.parametrize("where", ELSEWHERE)
def test_no_other_site_is_a_path_of_ours(where: str) -> None:
    assert own_path(where) == "/dashboard"


@pytest.mark.parametrize(
    "where", ["/", "/account", "/billing/organization?add=1#add", "/a//b", "/?next=//evil.example"]
)
def test_paths_of_ours_are_kept(where: str) -> None:
    assert own_path(where) == where


@pytest.mark.parametrize("path", ["/sign-in", "/sign-up", "/confirm-address"])
async def test_who_is_signed_in_is_led_to_no_other_site(browser: PageBrowser, path: str) -> None:
    await browser.console.person(ADDRESS)
    await browser.sign_in(ADDRESS)
    for where in ELSEWHERE:
        answer = await browser.http.get(path, params={"next": where}, headers=CLICK)
        assert (answer.status_code, answer.headers["location"]) == (303, "/dashboard")


# --- the log


async def test_the_log_names_routes_and_never_a_code_an_address_a_name_or_a_cookie(
    console: ConsoleWorld, browser: PageBrowser
) -> None:
    issued = console.player.issued(uuid7(), "invitee@example.com", uuid7())
    await console.hear(issued)
    invitation_code = code_of(issued)
    with capture_logs() as logs:
        await browser.go("/sign-up")
        await browser.send("/sign-up", address=ADDRESS, name="A Person", password=PASSWORD)
        unproven = browser.http.cookies["session"]
        session = await console.edge.accounts.session(unproven)
        assert session is not None
        digits = await console.code_of(session.account)
        await browser.send("/confirm-address", code="no digits at all")
        await browser.send("/confirm-address", code=digits)
        proven = browser.http.cookies["session"]
        await browser.go(f"/org-invite/{invitation_code}/")
        await browser.http.get(f"/org-invite/{invitation_code}")
        await browser.go("/account")
        await browser.send("/sign-out")
        await browser.send("/sign-in", address=ADDRESS, password="not the right one")
        await browser.go("/forgot-password")
        await browser.send("/forgot-password", address=ADDRESS)
        await browser.go(f"/password-reset/{CODE}/")
        await browser.go(f"/{CODE}?code={CODE}")
        async with ApiBrowser(console, token=CODE) as program:
            await program.get(f"/commands/{CODE}")
            await program.get(f"/commands/{uuid7()}")
    written = str(logs)
    for secret in (CODE, invitation_code, digits, unproven, proven, PASSWORD, "not the right one", "no digits at all"):
        assert secret not in written
    for personal in (ADDRESS, "invitee@example.com", "A Person", "203.0.113.7", "Firefox"):
        assert personal not in written
    routes = {each["route"] for each in logs if each["event"] == "request"}
    assert routes == {
        *(
            "/sign-up",
            "/confirm-address",
            "/account",
            "/sign-out",
            "/sign-in",
            "/forgot-password",
            "/dashboard",
            "none",
        ),
        *("/org-invite/{code}/", "/password-reset/{code}/", "/api/v1/commands/{command_id}"),
    }
