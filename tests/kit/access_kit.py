"""A walk over the pages of a site in a real browser, and what stands against a reader of each."""

import re
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Page

AUDIT = (Path(__file__).parent / "access.js").read_text(encoding="utf-8")
_SIDEWAYS = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
_WIDE = """() => [...document.querySelectorAll("body *")]
  .filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .slice(0, 2).map((e) => e.outerHTML.slice(0, 120)).join(" and ")"""
_TEXTS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (element.closest("script, style, [lang=en]")) continue;
    const text = walker.currentNode.textContent.trim();
    if (text) found.push(text);
  }
  return found;
}"""
_FOCUS = """() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const style = getComputedStyle(element);
  const seen = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2) || element.matches("iframe");
  if (!element.dataset.walked) element.dataset.walked = Math.random().toString(36);
  return [element.dataset.walked, seen, element.outerHTML.slice(0, 120)];
}"""
_FROM_THE_START = """() => {
  document.querySelectorAll("[data-walked]").forEach((each) => delete each.dataset.walked);
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute("tabindex");
}"""
_LEFT_OUT = """() => [...document.querySelectorAll(
  "a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex='0']")]
  .filter((e) => e.checkVisibility({ visibilityProperty: true }) && !e.disabled && !e.dataset.walked
    && !e.closest("dialog:not([open])") && !(e.type === "radio"))
  .map((e) => e.outerHTML.slice(0, 120))"""


def pages_of(page: Page, address: str, *, deep: int = 0) -> Iterator[str]:
    """The paths of a site by its menu and, as deep as is asked, by the links of its pages; the page stands at each."""
    waiting, known = [("/", 0)], {"/"}
    while waiting:
        path, depth = waiting.pop(0)
        answer = page.goto(address + path)
        assert answer is not None
        if "text/html" not in answer.headers.get("content-type", ""):
            continue
        yield path
        links = page.eval_on_selector_all("header a[href]" if depth >= deep else "a[href]:not([download])", _HREFS)
        for link in links:
            if (
                "/report/" not in link
                and link.startswith(address)
                and (shape := _shape(link.removeprefix(address))) not in known
            ):
                known.add(shape)
                waiting.append((link.removeprefix(address).partition("#")[0], depth + 1))


_HREFS = "links => links.map((link) => link.href)"


def _shape(path: str) -> str:
    """Pages of one kind look alike: numbers and long names are not walked twice."""
    plain = path.partition("#")[0].partition("?")[0]
    return re.sub(r"/[^/]*\\d[^/]*", "/1", plain)


def against(page: Page) -> list[str]:
    """What stands against a reader, in both themes."""
    found: list[str] = []
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        found += [f"{theme}: {each}" for each in page.evaluate(AUDIT)]
    return found


def sideways(page: Page, widths: tuple[int, ...] = (1024, 640)) -> list[str]:
    """Where the whole page scrolls sideways: at 1024 px, and at 1280 px zoomed to 200 %."""
    found = []
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        if (by := page.evaluate(_SIDEWAYS)) > 1:
            found.append(f"{by} px at {width}: {page.evaluate(_WIDE)}")
    page.set_viewport_size({"width": 1280, "height": 800})
    return found


def by_tab(page: Page, most: int = 250) -> list[str]:
    """What Tab does not reach, and what does not show that it has the focus."""
    page.mouse.move(0, 0)
    page.evaluate(_FROM_THE_START)
    dim: list[str] = []
    walked: set[str] = set()
    last = ""
    for _ in range(most):
        page.keyboard.press("Tab")
        at = page.evaluate(_FOCUS)
        if at is None or (at[0] in walked and at[0] != last):
            break
        last = at[0]  # a field for a date holds several stops
        walked.add(last)
        dim += [] if at[1] else [f"focus not seen: {at[2]}"]
    left = page.evaluate(_LEFT_OUT) if len(walked) < most else []
    return dim + [f"not reached: {each}" for each in left]


def texts(page: Page) -> list[str]:
    """Every text that is read, but what says that it is English."""
    return list(page.evaluate(_TEXTS))
