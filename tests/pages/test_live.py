"""The live page, the focus aid and the alarms in a real browser, beside a real daemon."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from daemon_kit import daemon, line_to
from edge_kit import LineClient
from fastapi import FastAPI
from heat_kit import changed, pixels
from pages_kit import MISSING, check_quiet, chromium, enter, let_in, served, visitor
from playwright.sync_api import Browser, FloatRect, Page
from station_kit import Station, make_bundle, write_frames

from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.record.database import open_database
from edge.web.site import make_station_pages

browsing = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@dataclass
class Stage:
    """A station that runs, its line, its pages, and a browser; parts 2, 4 and so on are bad."""

    made: Station
    line: LineClient
    app: FastAPI
    address: str
    browser: Browser
    passed: int = 0

    def part(self) -> str:
        """Let a part pass; its id."""
        self.passed += 1
        self.line.trigger(f"p-{self.passed}")
        self.line.hear("verdict")
        return f"p-{self.passed}"

    def part_of(self, verdict: str) -> str:
        """Let parts pass until one gets this verdict."""
        for _ in range(2):
            self.passed += 1
            self.line.trigger(f"p-{self.passed}")
            if self.line.hear("verdict")["verdict"] == verdict:
                return f"p-{self.passed}"
        raise AssertionError(f"no part was {verdict}")

    def enter(self, path: str = "/", role: str = "engineer") -> Page:
        """A page of somebody who just logged in."""
        return enter(self.browser, self.address + path, role)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    made = Station(tmp_path_factory.mktemp("live") / "station")
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 40, bad_every=2)
    made.write_config()
    app = make_station_pages(load_config(made.config), Listen())
    let_in(app)
    with daemon(made), line_to(made) as line, served(app) as address, chromium() as browser:
        line.hear_ready(ready=True)
        yield Stage(made, line, app, address, browser)


@browsing
def test_a_reject_is_shown_large_with_its_box_where_the_model_saw_it(stage: Stage) -> None:
    page = stage.enter(role="operator")
    part_id = stage.part_of("REJECT")
    page.wait_for_selector(f"#verdict.REJECT:has-text('{part_id}')")
    assert page.inner_text("#word") == "REJECT"
    assert page.locator("#verdict .if-REJECT").is_visible()
    overlay = page.locator(".camera[data-camera=top] svg.boxes")
    assert overlay.get_attribute("viewBox") == "0 0 80 60"
    box = overlay.locator("rect.over").first
    left, top, width, height = (float(box.get_attribute(name) or "nan") for name in ("x", "y", "width", "height"))
    assert left <= 40 <= left + width
    assert top <= 30 <= top + height
    newest = page.locator("#strip li a").first
    assert newest.inner_text().split()[-1] == part_id
    assert (newest.get_attribute("href") or "").startswith("/history/")
    assert page.locator("#not-good .REJECT").count() >= 1
    check_quiet(page)
    page.context.close()


@browsing
def test_picture_and_overlay_lie_on_each_other(stage: Stage) -> None:
    page = stage.enter()
    part_id = stage.part_of("REJECT")
    page.wait_for_selector(f"#verdict:has-text('{part_id}')")
    places = [page.locator(f".camera {each}").bounding_box() for each in ("img", "svg.boxes")]
    assert places[0] is not None
    assert places[0] == places[1]
    page.context.close()


@browsing
def test_the_heat_map_lies_over_the_defect_and_a_key_takes_it_away_and_brings_it_back(stage: Stage) -> None:
    page = stage.enter()
    part_id = stage.part_of("REJECT")
    page.wait_for_selector(f"#verdict.REJECT:has-text('{part_id}')")
    heat, picture = page.locator(".camera canvas.heat"), page.locator(".camera .picture")
    assert heat.bounding_box() == page.locator(".camera img").bounding_box()
    assert page.inner_text(".camera .grid").count("8") == 2
    assert "top" in (heat.get_attribute("aria-label") or "")
    assert "0.5" in page.inner_text(".heat-legend")
    page.keyboard.press("b")  # boxes away, to see the map alone
    page.keyboard.press("h")
    with_map = pixels(picture)
    page.keyboard.press("m")
    assert not heat.is_visible()
    assert page.get_attribute("#hide-heat", "aria-pressed") == "true"
    covers_the_blot(changed(pixels(picture), with_map), picture.bounding_box())
    page.reload()
    page.wait_for_selector(f"#verdict.REJECT:has-text('{part_id}')")
    assert not heat.is_visible()
    assert not page.locator("svg.boxes").is_visible()
    page.keyboard.press("m")
    assert heat.is_visible()
    check_quiet(page)
    page.context.close()


BROKEN = {
    "no script of heat maps": "",
    "no room for pixels": "CanvasRenderingContext2D.prototype.createImageData = () => { throw new RangeError() }",
    "no storage": "Object.defineProperty(window, 'localStorage', { get: () => { throw new DOMException() } })",
}


@browsing
@pytest.mark.parametrize("how", BROKEN)
def test_a_browser_that_cannot_draw_heat_maps_shows_every_verdict(stage: Stage, how: str) -> None:
    page = stage.enter("/history")
    page.add_init_script(BROKEN[how])
    if not BROKEN[how]:
        page.route("**/heat.js*", lambda route: route.abort())
    page.goto(stage.address)
    for verdict in ("REJECT", "PASS", "REJECT"):
        part_id = stage.part_of(verdict)
        page.wait_for_selector(f"#verdict.{verdict}:has-text('{part_id}')", timeout=10_000)
    if how != "no storage":
        assert not page.locator(".camera canvas.heat").is_visible()
        assert page.inner_text(".camera .grid") == ""
    page.context.close()


@browsing
def test_a_part_that_passed_has_no_heat_map(stage: Stage) -> None:
    page = stage.enter()
    stage.part_of("REJECT")
    page.wait_for_selector(".camera canvas.heat:visible")
    part_id = stage.part_of("PASS")
    page.wait_for_selector(f"#verdict.PASS:has-text('{part_id}')")
    assert not page.locator(".camera canvas.heat").is_visible()
    assert page.inner_text(".camera .grid") == ""
    page.context.close()


@browsing
def test_an_inspections_page_lays_the_heat_map_below_the_boxes_in_the_readers_language(stage: Stage) -> None:
    stage.part_of("REJECT")
    page = enter(stage.browser, stage.address, "engineer", locale="zh-CN")
    page.wait_for_selector("#not-good li a")
    page.locator("#not-good li a").first.click()
    page.wait_for_selector("svg.look > svg.heat")
    look = page.locator("svg.look")
    order = look.evaluate("look => [...look.children].map((each) => each.getAttribute('class') ?? each.tagName)")
    assert order[:3] == ["image", "heat", "found"]
    assert "热力图" in (page.get_attribute("svg.look > svg.heat", "aria-label") or "")
    assert page.inner_text(".hide-heat").startswith("隐藏热力图")
    assert "阈值" in page.inner_text(".heat-legend")
    page.keyboard.press("h")
    with_map = pixels(look)
    page.keyboard.press("m")
    covers_the_blot(changed(pixels(look), with_map), look.bounding_box())
    check_quiet(page)
    page.context.close()


def covers_the_blot(place: tuple[float, float, float, float], shown: FloatRect | None) -> None:
    """Whether what differs of a picture of 80 by 60, shown whole in a larger place, lies on and about its blot."""
    assert shown
    wide, high = shown["width"], shown["height"]
    scale = min(wide / 80, high / 60)
    left, top = (wide - 80 * scale) / 2, (high - 60 * scale) / 2
    xs = [(each * wide - left) / scale for each in place[::2]]
    ys = [(each * high - top) / scale for each in place[1::2]]
    assert xs == pytest.approx([25, 55], abs=7)
    assert ys == pytest.approx([15, 45], abs=7)


@browsing
def test_a_held_picture_stays_and_says_so_until_it_is_let_go(stage: Stage) -> None:
    page = stage.enter()
    before = stage.part()
    page.wait_for_selector(f"#part:has-text('{before}')")
    page.keyboard.press("h")
    page.wait_for_selector("#held:not([hidden])")
    after = stage.part()
    with page.expect_event("console", lambda said: said.text == "heard"):
        page.evaluate(
            "() => new EventSource('/live/events').onmessage = (e) => "
            f"e.data.includes('{after}') && console.log('heard')"
        )
    assert before in page.inner_text("#part")
    page.keyboard.press("h")
    page.wait_for_selector(f"#part:has-text('{after}')")
    assert not page.locator("#held").is_visible()
    page.context.close()


@browsing
def test_the_focus_aid_shows_how_sharp_the_newest_picture_is(stage: Stage) -> None:
    page = stage.enter("/focus")
    stage.part()
    page.wait_for_selector(".lens .percent:has-text('%')")
    assert float(page.inner_text(".lens .figure")) > 0
    assert float(page.inner_text(".lens .best-figure")) >= float(page.inner_text(".lens .figure"))
    check_quiet(page)
    page.context.close()


@browsing
def test_a_station_that_is_well_has_no_alarm(stage: Stage) -> None:
    page = stage.enter("/alarms")
    page.wait_for_selector(".allwell")
    check_quiet(page)
    page.context.close()


def test_pages_of_an_earlier_station_toml_say_so(tmp_path: Path) -> None:
    made = Station(tmp_path / "station")
    app = make_station_pages(load_config(made.write_config()), Listen())
    let_in(app)
    made.database.parent.mkdir(parents=True, exist_ok=True)
    open_database(made.database).close()
    status = {"running": True, "written_at": datetime.now(UTC).isoformat(), "pid": os.getpid(), "why": ""}
    load_config(made.config).status_path.write_text(json.dumps(status))
    operator = visitor(app, "operator")
    assert "restart inspectd-station-web" not in operator.get("/alarms/now").text
    made.config.write_text(f"{made.config.read_text()}# another camera\n")
    assert "restart inspectd-station-web" in operator.get("/alarms/now").text


def test_only_who_is_logged_in_sees_pictures_and_only_engineers_turn_lenses(tmp_path: Path) -> None:
    app = make_station_pages(load_config(Station(tmp_path / "station").write_config()), Listen())
    let_in(app)
    for path in ("/live/events", f"/live/picture/{'a' * 64}", "/focus/events", "/alarms/now"):
        assert visitor(app).client.get(path).status_code == 401
    operator = visitor(app, "operator")
    assert operator.get("/focus").status_code == 403
    assert operator.get("/focus/events").status_code == 403
    assert operator.get(f"/live/picture/{'a' * 64}").status_code == 404
    assert operator.get(f"/live/picture/{'a' * 64}?width=100000").status_code == 422


@browsing
def test_a_station_that_never_ran_says_what_to_do_and_a_page_that_lost_its_server_that_it_is_old(
    tmp_path: Path, stage: Stage
) -> None:
    app = make_station_pages(load_config(Station(tmp_path / "station").write_config()), Listen())
    let_in(app)
    with served(app) as address:
        page = enter(stage.browser, f"{address}/alarms", "engineer")
        page.wait_for_selector("tr.fault:has-text('systemctl start inspectd')")
        page.goto(address)
        page.wait_for_selector("#stale:has-text('edge run')")
        check_quiet(page)
    page.wait_for_selector("#stale:has-text('nothing heard')")
    assert page.locator("#live.old").count() == 1
    page.context.close()


@browsing
@pytest.mark.parametrize("kept", ["none", pytest.param("not_pass", marks=pytest.mark.long)])
def test_parts_whose_pictures_are_not_kept_are_shown_without(tmp_path: Path, stage: Stage, kept: str) -> None:
    made = Station(tmp_path / "station", settings={"retention": {"images": kept}})
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 4)
    made.write_config()
    app = make_station_pages(load_config(made.config), Listen())
    let_in(app)
    with daemon(made), line_to(made) as line, served(app) as address:
        line.hear_ready(ready=True)
        page = enter(stage.browser, address, "operator")
        line.trigger("only")
        line.hear("verdict")
        page.wait_for_selector("#verdict.PASS:has-text('only')")
        page.wait_for_selector(".camera .missing:has-text('retention.images')")
        check_quiet(page)
        page.context.close()


@browsing
def test_a_daemon_that_stops_makes_the_old_verdict_grey(tmp_path: Path, stage: Stage) -> None:
    made = Station(tmp_path / "station")
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 4)
    made.write_config()
    app = make_station_pages(load_config(made.config), Listen())
    let_in(app)
    with served(app) as address:
        with daemon(made), line_to(made) as line:
            line.hear_ready(ready=True)
            page = enter(stage.browser, address, "operator")
            line.trigger("last")
            line.hear("verdict")
            page.wait_for_selector("#verdict.PASS:has-text('last')")
        page.wait_for_selector("#stale:has-text('stopped')")
        assert page.locator("#live.old #verdict").count() == 1
        assert page.inner_text("#ready").startswith("Not ready")
        page.context.close()
