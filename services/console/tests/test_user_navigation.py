"""Who has gone to a page: a person, or a program on its own."""

import pytest

from console.web.pages.navigation import is_user_navigation

CLICK = {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate", "sec-fetch-user": "?1"}


@pytest.mark.parametrize("site", ["none", "same-origin", "cross-site"])
def test_a_click_is_one_wherever_the_link_stands(site: str) -> None:
    assert is_user_navigation(CLICK | {"sec-fetch-site": site})


@pytest.mark.parametrize(
    ("who", "headers"),
    [
        ("a program that looks into letters", {}),
        ("a script of another page", {"sec-fetch-dest": "empty", "sec-fetch-mode": "cors"}),
        ("an image", {"sec-fetch-dest": "image", "sec-fetch-mode": "no-cors"}),
        ("a frame", CLICK | {"sec-fetch-dest": "iframe"}),
        ("a page that sends its visitors on", {"sec-fetch-dest": "document", "sec-fetch-mode": "navigate"}),
        ("a prefetch", CLICK | {"sec-purpose": "prefetch"}),
        ("a prerender", CLICK | {"sec-purpose": "prefetch;prerender"}),
        ("an older prefetch", CLICK | {"purpose": "prefetch"}),
        ("a preview", CLICK | {"x-purpose": "preview"}),
        ("a prefetch of long ago", CLICK | {"x-moz": "prefetch"}),
    ],
)
def test_what_no_person_has_clicked_is_none(who: str, headers: dict[str, str]) -> None:
    assert not is_user_navigation(headers), who
