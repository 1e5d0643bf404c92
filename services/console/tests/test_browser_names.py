"""How people recognize their browsers in the list of their sessions."""

from datetime import UTC, datetime, timedelta

import pytest

from console.web.pages.account import how_long_ago
from console.web.pages.browsers import browser_name

_CHROME = "(KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:148.0) Gecko/20100101 Firefox/148.0", "Firefox on Linux"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {_CHROME}", "Chrome on Windows"),
        (f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 {_CHROME} Edg/142.0.0.0", "Edge on Windows"),
        (f"Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 {_CHROME}", "Chrome on Android"),
        (
            "Mozilla/5.0 (iPhone; CPU OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1",
            "Safari on an iPhone",
        ),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) Version/19.0 Safari/605.1.15", "Safari on macOS"),
        ("curl/8.14.1", "curl"),
        ("Something (Linux)", "A browser on Linux"),
        ("", "Unknown browser"),
    ],
)
def test_a_browser_is_called_what_people_call_it(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name


@pytest.mark.parametrize(
    ("ago", "said"),
    [
        (timedelta(0), "just now"),
        (timedelta(minutes=5), "just now"),
        (timedelta(minutes=6), "6 minutes ago"),
        (timedelta(minutes=60), "1 hour ago"),
        (timedelta(hours=23, minutes=59), "23 hours ago"),
        (timedelta(days=1), None),
    ],
)
def test_what_was_today_is_said_without_its_date(ago: timedelta, said: str | None) -> None:
    now = datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert how_long_ago(now - ago, now) == said
