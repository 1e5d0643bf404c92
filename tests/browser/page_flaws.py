"""What is wrong with a page: for people who see, who hear, who use the keyboard, and who have a small screen."""

from playwright.async_api import Page
from tabs import violations

WIDE, NARROW, HEIGHT = 1280, 320, 800
"""Pixels. The narrow one is the wide one at a zoom of 400 % (WCAG 1.4.10)."""
_MOST_STOPS = 40
"""Of the Tab key. Where a page has hundreds of links, the others are like the first."""
_PATIENCE = 3

_STRUCTURE = """
    () => {
        const found = [];
        const headings = document.querySelectorAll("h1").length;
        if (headings !== 1) found.push(`it has ${headings} h1`);
        if (!/^.+ · Latchkey$/.test(document.title)) found.push(`its title is "${document.title}"`);
        if (document.documentElement.lang !== "en") found.push("it does not say its language");
        for (const control of document.querySelectorAll("input:not([type=hidden]), select, textarea"))
            if (!control.labels.length && !control.ariaLabel && control.tabIndex >= 0)
                found.push(`no label: ${control.outerHTML}`);
        return found;
    }
"""
_PAINTED = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""Returns when what was changed is to be seen."""
_START = """
    () => {
        const controls = "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]";
        const lookOf = (element) => {
            const { outline, boxShadow, borderColor, backgroundColor, textDecoration } = getComputedStyle(element);
            return [outline, boxShadow, borderColor, backgroundColor, textDecoration].join();
        };
        // A control may have its frame around it.
        const look = (control) => lookOf(control) + lookOf(control.parentElement);
        document.body.tabIndex = -1;
        document.body.focus();
        document.body.removeAttribute("tabindex");
        window.stops = [...document.querySelectorAll(controls)].filter((control) =>
            control.tabIndex >= 0 && !control.disabled && control.checkVisibility({ visibilityProperty: true }));
        const looks = window.stops.map(look);
        window.stopAt = () => {
            const control = document.activeElement;
            const place = window.stops.indexOf(control);
            const { top, bottom, width } = control.getBoundingClientRect();
            return {
                place,
                html: control.outerHTML.slice(0, 120),
                shows: place < 0 || look(control) !== looks[place],
                isInView: bottom > 0 && top < innerHeight && width > 0,
            };
        };
        return window.stops.length;
    }
"""
"""Puts the focus before everything on the page."""


async def flaws(page: Page) -> list[str]:
    """In words; empty where nothing is wrong. The page is left wide and light."""
    found: list[str] = await page.evaluate(_STRUCTURE)
    found += await _of_the_keyboard_at_rest(page)
    # Of what axe looks for, colours alone are others in the dark.
    await page.emulate_media(color_scheme="dark")
    await page.evaluate(_PAINTED)
    found += [f"in the dark: {violation}" for violation in await violations(page, "color-contrast")]
    await page.emulate_media(color_scheme="light")
    await page.evaluate(_PAINTED)
    found += await violations(page)
    for width in (NARROW, WIDE):
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        needed = await page.evaluate("document.documentElement.scrollWidth")
        if needed > width:
            found.append(f"it is {needed} px wide on a screen of {width}")
    return found


async def _of_the_keyboard_at_rest(page: Page) -> list[str]:
    """A live page may change while its controls are being counted; then they are counted again."""
    found: list[str] = []
    for _ in range(_PATIENCE):
        if not (found := await _of_the_keyboard(page)):
            break
    return found


async def _of_the_keyboard(page: Page) -> list[str]:
    """Tab goes to every control, in their order, and one sees where it is. It begins with the link past the menus."""
    found: list[str] = []
    for place in range(min(await page.evaluate(_START), _MOST_STOPS)):
        await page.keyboard.press("Tab")
        stop = await page.evaluate("window.stopAt()")
        if stop["place"] != place:
            return [*found, f"Tab goes to number {stop['place']} instead of {place}: {stop['html']}"]
        if place == 0 and 'href="#main"' not in stop["html"]:
            found.append(f"Tab goes first to {stop['html']}")
        if not stop["shows"]:
            found.append(f"one does not see the focus: {stop['html']}")
        if not stop["isInView"]:
            found.append(f"the focus is out of view: {stop['html']}")
    return found
