"""The live page never shows what is old as new: another part's picture, a number given anew, a session that is over."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from edge_kit import frame, view
from fastapi import FastAPI
from pages_kit import MISSING, chromium, enter, let_in, served
from playwright.sync_api import Browser, Page
from station_kit import Station

from cloud_sync.pages.serving import Listen
from cloud_sync.pages.store import PagesStore
from edge.config import load_config
from edge.domain.inspection import Inspection
from edge.domain.part import Part
from edge.record.database import open_database
from edge.record.images import ImageStore
from edge.record.inspections import insert_images, insert_inspection
from edge.web.site import make_station_pages

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
_SIDE = "[[camera]]\nid = 'side'\nsource = 'frames'\ntrigger = 'software'\ntimeout_ms = 400\nloop = true\n"


@dataclass
class Line:
    """A station of two cameras whose records a test writes as the daemon does."""

    made: Station
    app: FastAPI
    browser: Browser
    address: str

    def write(self, seq: int, part_id: str, cameras: tuple[str, ...], at: datetime, *, kept: bool = True) -> None:
        of = Part(part_id, "blob", at, 0.0, cameras)
        inspected = Inspection(of, tuple(view(camera=camera) for camera in cameras), (), "1", {"decided": 1.0})
        images = ImageStore(self.made.folder / "data" / "images", "png")
        connection = open_database(self.made.database)
        insert_inspection(connection, "test-1", seq, inspected, keeps_image=kept)
        if kept:
            refs = {camera: images.put(frame(seq, 20 + seq, camera))[0] for camera in cameras}
            insert_images(connection, "test-1", seq, part_id, refs, ())
        connection.close()

    def enter(self) -> Page:
        return enter(self.browser, self.address, "operator")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def line(tmp_path: Path, browser: Browser) -> Iterator[Line]:
    made = Station(tmp_path / "station")
    config = made.write_config()
    config.write_text(config.read_text().replace("[[product]]", f"{_SIDE}[[product]]", 1))
    app = make_station_pages(load_config(config), Listen())
    let_in(app)
    with served(app) as address:
        yield Line(made, app, browser, address)


def test_what_a_camera_saw_of_another_part_says_so_and_leaves_with_it(line: Line) -> None:
    line.write(1, "both", ("top", "side"), datetime.now(UTC))
    page = line.enter()
    side = page.locator(".camera[data-camera=side]")
    page.wait_for_selector(".camera[data-camera=side] .verdict.PASS")
    assert side.locator(".of").inner_text() == ""
    line.write(2, "one", ("top",), datetime.now(UTC))
    page.wait_for_selector(".camera.old[data-camera=side] .of:has-text('both')")
    assert page.locator(".camera.old[data-camera=top]").count() == 0
    for seq in range(3, 30):
        line.write(seq, f"more-{seq}", ("top",), datetime.now(UTC))
    page.wait_for_selector(".camera[data-camera=side] .missing:has-text('none of the last parts')")
    assert side.locator("img").is_hidden()
    assert side.locator(".verdict").inner_text() == ""
    page.context.close()


def test_the_focus_aid_says_that_a_picture_is_of_before_and_shows_no_figure_of_one_that_is_missing(line: Line) -> None:
    line.write(1, "before", ("top",), datetime.now(UTC))
    page = enter(line.browser, f"{line.address}/focus", "engineer")
    page.wait_for_selector(".lens.old[data-camera=top] .idle:has-text('before you looked')")
    line.write(2, "now", ("top",), datetime.now(UTC))
    page.wait_for_selector(".lens:not(.old)[data-camera=top] .percent:has-text('%')")
    line.write(3, "unkept", ("top",), datetime.now(UTC), kept=False)
    page.wait_for_selector(".lens[data-camera=top] .advice:has-text('not kept')")
    assert "%" not in page.inner_text(".lens[data-camera=top] .percent")
    page.wait_for_selector(".lens.old[data-camera=top] .idle:has-text('No new picture for')")
    page.context.close()


def test_a_number_that_is_given_anew_shows_the_part_that_has_it_now(line: Line) -> None:
    line.write(1, "before", ("top",), datetime.now(UTC), kept=False)
    page = line.enter()
    page.wait_for_selector("#strip:has-text('before')")
    for path in line.made.database.parent.glob("station.db*"):
        path.unlink()
    line.write(1, "after", ("top",), datetime.now(UTC), kept=False)
    page.wait_for_selector("#part:has-text('after')")
    page.wait_for_selector("#strip:has-text('after')")
    assert "before" not in page.inner_text("#strip")
    page.context.close()


def test_a_part_of_a_later_moment_than_now_is_not_called_new(line: Line) -> None:
    line.write(1, "ahead", ("top",), datetime.now(UTC) + timedelta(hours=1))
    page = line.enter()
    page.wait_for_selector("#verdict.old:has-text('the clock was set back')")
    page.context.close()


@pytest.mark.long
def test_who_is_logged_out_is_told_so_for_good_and_led_to_the_login(line: Line) -> None:
    line.write(1, "last", ("top",), datetime.now(UTC))
    page = line.enter()
    page.wait_for_selector("#part:has-text('last')")
    with PagesStore(line.app.state.rooms.site.database).transaction() as connection:
        connection.execute("DELETE FROM sessions")
    page.wait_for_selector("#stale a:has-text('Log in')", timeout=60_000)
    page.evaluate("() => { document.querySelector('#stale a').dataset.mine = 'yes'; }")
    page.wait_for_timeout(5_000)  # the silence has begun meanwhile, and says no more than is known
    assert page.locator("#stale a[data-mine=yes]").count() == 1
    assert page.locator("#live.old").count() == 1
    page.context.close()
