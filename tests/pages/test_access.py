"""Every page of both sites in a real browser: by keyboard, screen reader, far wall, narrow screen, and in Chinese.

A page that somebody adds to the menu is walked by itself.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from access_kit import against, by_tab, pages_of, sideways, texts
from pages_kit import MISSING, chromium, enter, let_in, served
from playwright.sync_api import Browser, Page
from sites_kit import SITES, make_site

from cloud_sync.pages.site import Rooms
from cloud_sync.pages.words import OURS, Words

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(MISSING), reason=MISSING)]


@dataclass
class Walk:
    """A site that is served, and somebody who looks after it."""

    address: str
    rooms: Rooms
    page: Page


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module", params=SITES)
def walk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Walk]:
    app = make_site(request.param, tmp_path_factory.mktemp(request.param))
    let_in(app)
    with served(app) as address:
        page = enter(browser, address, "admin")
        yield Walk(address, app.state.rooms, page)
        page.context.close()


def test_nothing_stands_against_a_reader(walk: Walk) -> None:
    walk.page.said.clear()  # type: ignore[attr-defined]
    found: dict[str, list[str]] = {}
    seen = 0
    for path in pages_of(walk.page, walk.address):
        seen += 1
        wrong = [*against(walk.page), *sideways(walk.page), *by_tab(walk.page), *said(walk.page)]
        if wrong:
            found[path] = sorted(set(wrong))
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)
    assert seen >= len(walk.rooms.site.menu) + 3


@pytest.mark.long
def test_nothing_stands_against_a_reader_of_the_pages_behind_the_pages(walk: Walk) -> None:
    walk.page.said.clear()  # type: ignore[attr-defined]
    found: dict[str, list[str]] = {}
    for path in pages_of(walk.page, walk.address, deep=3):
        wrong = [*against(walk.page), *sideways(walk.page), *by_tab(walk.page), *said(walk.page)]
        if wrong:
            found[path] = sorted(set(wrong))
    assert not found, json.dumps(found, indent=1, ensure_ascii=False)


def said(page: Page) -> list[str]:
    """What the browser had to complain of since the last page; a part that is away (503) is said by the page itself."""
    heard: list[str] = list(page.said)  # type: ignore[attr-defined]
    page.said.clear()  # type: ignore[attr-defined]
    return [f"browser: {each}" for each in heard if "503" not in each]


def test_on_a_wall_the_letters_are_larger(walk: Walk) -> None:
    size = "() => parseFloat(getComputedStyle(document.body).fontSize)"
    walk.page.goto(f"{walk.address}/account")
    near = walk.page.evaluate(size)
    walk.page.set_viewport_size({"width": 3840, "height": 2160})
    assert walk.page.evaluate(size) >= 1.6 * near
    walk.page.set_viewport_size({"width": 1280, "height": 800})


@pytest.mark.long
def test_in_chinese_no_page_speaks_english(walk: Walk) -> None:
    words = Words([OURS, walk.rooms.site.folder / "words"])
    english, chinese = words.known("en"), words.known("zh")
    said = {text for key, text in english.items() if text != chinese[key]}
    foreign = {text for text in said if re.search("[A-Z][a-z]{2}|[a-z] [a-z]", text)}  # no name of a user or a class
    walk.rooms.accounts.set_looks("admin", "zh", "light")
    try:
        found = {}
        for path in pages_of(walk.page, walk.address):
            assert walk.page.get_attribute("html", "lang") == "zh"
            heard = [text for text in texts(walk.page) if text in foreign]
            if heard:
                found[path] = heard
        assert not found, json.dumps(found, indent=1, ensure_ascii=False)
    finally:
        walk.rooms.accounts.set_looks("admin", "en", "auto")


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [pytest.param(0, id="light"), pytest.param(1, id="dark"), pytest.param(2, id="auto")])
def test_the_colours_are_told_apart_from_afar(theme: int) -> None:
    style = (OURS.parent / "static" / "inspectd.css").read_text()
    block = re.findall(r":root[^{]*\{([^}]*--ground[^}]*)\}", style)[theme]
    colour = dict(re.findall(r"--([a-z-]+):\s*(#[0-9a-f]{6})", block))
    for verdict in ("pass", "reject", "undecided"):
        assert contrast(colour[verdict], colour[f"on-{verdict}"]) >= 7, verdict
    for text in ("text", "faint", "link", "reject"):
        for ground in ("ground", "card"):
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
    for ground in ("warn-ground", "bad-ground"):
        assert contrast(colour["text"], colour[ground]) >= 7, ground
    assert contrast(colour["main"], colour["on-main"]) >= 4.5


def test_the_login_page_is_for_everybody_too(walk: Walk, browser: Browser, tmp_path: Path) -> None:  # noqa: ARG001
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"{walk.address}/login")
    assert [*against(page), *sideways(page), *by_tab(page)] == []
    page.context.close()
