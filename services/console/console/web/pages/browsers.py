"""What a browser is called by people who know it. Pure."""

import re

# Some browsers name others too, so that pages made for those take them: the more special one comes first.
_BROWSERS = (
    (re.compile(r"Edg(e|A|iOS)?/"), "Edge"),
    (re.compile(r"OPR/|Opera"), "Opera"),
    (re.compile(r"SamsungBrowser/"), "Samsung Internet"),
    (re.compile(r"Vivaldi/"), "Vivaldi"),
    (re.compile(r"Firefox/|FxiOS/"), "Firefox"),
    (re.compile(r"(Headless)?Chrom(e|ium)/|CriOS/"), "Chrome"),
    (re.compile(r"Version/.*Safari/"), "Safari"),
    (re.compile(r"^curl/"), "curl"),
)
_SYSTEMS = (
    (re.compile(r"iPhone"), "an iPhone"),
    (re.compile(r"iPad"), "an iPad"),
    (re.compile(r"Android"), "Android"),
    (re.compile(r"CrOS"), "ChromeOS"),
    (re.compile(r"Windows"), "Windows"),
    (re.compile(r"Macintosh|Mac OS X"), "macOS"),
    (re.compile(r"Linux|X11"), "Linux"),
)


def browser_name(user_agent: str) -> str:
    """As in "Firefox on Linux"; "Unknown browser" where nothing is recognized. It says what the browser claims to be:
    good enough for people to know their own."""
    browser = next((name for pattern, name in _BROWSERS if pattern.search(user_agent)), None)
    system = next((name for pattern, name in _SYSTEMS if pattern.search(user_agent)), None)
    if system is None:
        return browser or "Unknown browser"
    return f"{browser or 'A browser'} on {system}"
