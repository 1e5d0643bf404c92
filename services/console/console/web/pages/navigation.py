"""Whether a person has gone to a page, or a program has fetched it. Pure."""

from collections.abc import Mapping

_PURPOSES = ("sec-purpose", "purpose", "x-purpose", "x-moz")
"""By which browsers say that they fetch something in advance (`prefetch`, `prerender`, `preview`)."""


def is_user_navigation(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that somebody has clicked a link, or typed an address, and sees the answer in a window of
    its own (Fetch Metadata). Names of headers are in lower case.

    Scripts cannot write these headers, and programs that look at links in letters do not send them. A browser that
    does not send them either has to ask the person.
    """
    return (
        headers.get("sec-fetch-dest") == "document"
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-user") == "?1"
        and not any(name in headers for name in _PURPOSES)
    )
