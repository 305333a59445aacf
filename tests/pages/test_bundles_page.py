"""Bundles in a real browser, at a station whose daemon runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from brokers import eventually
from daemon_kit import daemon, status
from fastapi import FastAPI
from pages_kit import MISSING, Visitor, check_quiet, chromium, enter, let_in, served, visitor
from playwright.sync_api import Browser, Page
from station_kit import Station, make_bundle, write_frames

from cloud_sync.pages.people import Role
from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.record.database import open_database
from edge.web.bundles.report import POLICY
from edge.web.site import make_station_pages
from edge.web.works.work import Works
from models.archive import pack
from models.bundle import open_bundle
from models.bundle_store import activate, copy_next, list_bundles

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(MISSING), reason=MISSING)]
_SCRIPT = "<!doctype html><title>untouched</title><script>document.title = 'a script ran'</script><p>made with care"


@dataclass
class Served:
    """A station whose daemon runs, its pages, a browser, and somebody of each role."""

    station: Station
    app: FastAPI
    address: str
    browser: Browser
    people: dict[str, Visitor]
    entered: Page

    def page(self, path: str) -> Page:
        """A page of the station, as the engineer sees it."""
        self.entered.goto(self.address + path)
        return self.entered


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Versions 1 and 2 of `blob`, 1 active; the report of 2 holds a script."""
    station = Station(tmp_path_factory.mktemp("bundles") / "station")
    config = station.write_config()
    first = make_bundle(station.bundles)
    write_frames(station.folder / "frames", 3)
    _copy(station, first.path, _SCRIPT)
    app = make_station_pages(load_config(config), Listen())
    let_in(app)
    works = app.state.here.works
    works["bundles"] = Works(works["bundles"].folder, gives_way=False)  # or other tests would be given way to
    people = {role.value: visitor(app, role.value) for role in Role}
    with daemon(station), served(app) as address, chromium() as browser:
        eventually(lambda: (station.folder / "data" / "status.json").exists() and status(station)["ready"], 30)
        entered = enter(browser, f"{address}/account", "engineer")
        yield Served(station, app, address, browser, people, entered)


def _copy(station: Station, source: Path, report: str) -> Path:
    def add(folder: Path, _version: int) -> None:
        (folder / "report.html").write_text(report)

    return copy_next(station.bundles, "blob", open_bundle(source), datetime.now(UTC), add).path


@pytest.mark.long
def test_an_engineer_activates_a_version_the_line_takes_it_and_a_rollback_returns(place: Served) -> None:
    page = place.page("/bundles")
    page.get_by_label("Activate blob version 2").click()
    page.wait_for_selector("form.ask")
    asked = page.inner_text("form.ask")
    assert "Version 2 (anomaly, FP32) will judge the parts of: blob" in asked
    assert "Version 1 judges no more" in asked
    assert "takes it from a next trigger on" in asked
    page.click("form.ask button.main")
    page.wait_for_selector("#standing dd:has-text('version 2') .mark.good", timeout=30_000)
    assert status(place.station)["models"]["blob"]["version"] == 2
    page.click("text=Roll back to version 1")
    page.click("form.ask button.main")
    page.wait_for_selector("#standing dd:has-text('version 1') .mark.good", timeout=30_000)
    assert status(place.station)["models"]["blob"]["version"] == 1
    check_quiet(page)
    log = place.people["admin"].get("/audit").text
    assert "bundle activate" in log
    assert "blob v1, in place of v2" in log


def test_what_was_asked_of_another_active_version_changes_nothing(place: Served) -> None:
    engineer = place.people["engineer"]
    answer = engineer.post("/bundles/blob/2/activate", {"instead_of": 2})
    assert answer.status_code == 400
    assert "Another version became active since this page asked" in answer.text
    assert [one.version for one in list_bundles(place.station.bundles) if one.active] == [1]


def test_a_report_is_shown_as_it_was_written_and_no_script_of_it_runs(place: Served) -> None:
    page = place.page("/bundles/blob/2")
    with page.expect_popup() as opened:
        page.click("text=Report")
    report = opened.value
    report.wait_for_load_state()
    assert report.title() == "untouched"
    assert "made with care" in report.inner_text("body")
    answer = place.people["engineer"].get("/bundles/blob/2/report/report")
    assert answer.headers["content-security-policy"] == POLICY
    assert "script-src" not in POLICY


def test_a_version_is_verified_and_what_was_found_is_told(place: Served) -> None:
    page = place.page("/bundles/blob/2")
    page.click("text=Verify >> visible=true")
    page.wait_for_selector("#outcome .mark.good", timeout=60_000)
    assert open_bundle(place.station.bundles / "blob" / "v2").model_id.sha256 in page.inner_text("main")
    page.click("text=Put away")
    page.wait_for_selector("#standing")
    assert page.locator("#outcome").count() == 0
    check_quiet(page)


@pytest.mark.long
def test_a_bundle_is_sent_and_imported_and_is_not_active(place: Served, tmp_path: Path) -> None:
    pack(open_bundle(place.station.bundles / "blob" / "v1"), tmp_path / "blob-v9.bundle")
    before = len(list_bundles(place.station.bundles))
    page = place.page("/bundles")
    page.set_input_files("input[type=file]", tmp_path / "blob-v9.bundle")
    page.click("form.upload button")
    page.click("text=Import blob-v9.bundle", timeout=30_000)
    page.wait_for_selector("#outcome .mark.good", timeout=60_000)
    assert "not active" in page.inner_text("main")
    after = list_bundles(place.station.bundles)
    assert len(after) == before + 1
    assert [one.version for one in after if one.active] == [1]
    page.click("text=Remove blob-v9.bundle")
    page.wait_for_selector("#import")
    assert page.locator("text=Import blob-v9.bundle").count() == 0
    check_quiet(page)


def test_what_is_no_bundle_is_refused_with_what_to_do(place: Served) -> None:
    engineer = place.people["engineer"]
    headers = {"X-CSRF-Token": engineer.csrf}
    sent = engineer.client.post("/bundles/tray?name=broken.bundle", content=b"no archive", headers=headers)
    assert sent.status_code == 204
    assert engineer.post("/bundles/import", {"file": "broken.bundle"}).status_code == 303
    work = place.app.state.here.works["bundles"]
    eventually(lambda: not work.runs, 30)
    assert "no archive of a bundle" in engineer.get("/bundles").text


@pytest.mark.parametrize(
    "name", ["..%2Fescape.bundle", "a%2Fb.bundle", ".hidden.bundle", "run.sh", "a.bundle%00", "%0Aa.bundle"]
)
def test_no_file_is_sent_anywhere_but_into_the_tray(place: Served, name: str) -> None:
    engineer = place.people["engineer"]
    answer = engineer.client.post(f"/bundles/tray?name={name}", content=b"x", headers={"X-CSRF-Token": engineer.csrf})
    assert answer.status_code == 422


def test_a_file_without_end_is_cut_off_and_leaves_nothing(place: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.web.bundles.bringing.MOST_BYTES", 3_000_000)
    engineer = place.people["engineer"]
    endless = (b"0" * 100_000 for _ in range(10_000))
    answer = engineer.client.post(
        "/bundles/tray?name=huge.bundle", content=endless, headers={"X-CSRF-Token": engineer.csrf}
    )
    assert answer.status_code == 413
    tray = place.station.folder / "data" / "pages" / "tray"
    assert [path.name for path in tray.iterdir() if "huge" in path.name or path.name.startswith(".")] == []


def test_an_operator_sees_and_changes_no_bundles(place: Served) -> None:
    operator = place.people["operator"]
    for path in ("/bundles", "/bundles/blob/1", "/bundles/blob/2/activate", "/bundles/blob/2/report/report"):
        assert operator.get(path).status_code == 403, path
    assert operator.post("/bundles/blob/2/activate", {"instead_of": 1}).status_code == 403
    headers = {"X-CSRF-Token": operator.csrf}
    assert operator.client.post("/bundles/tray?name=a.bundle", content=b"x", headers=headers).status_code == 403


def test_a_damaged_manifest_is_named_and_the_others_are_still_shown(tmp_path: Path) -> None:
    station = Station(tmp_path / "station")
    app = make_station_pages(load_config(station.write_config()), Listen())
    let_in(app)
    first = make_bundle(station.bundles)
    second = _copy(station, first.path, "")
    (second / "bundle.json").write_text("{")
    activate(station.bundles, "blob", 1)
    engineer = visitor(app, "engineer")
    page = engineer.get("/bundles").text
    assert "bundle.json cannot be read" in page
    assert "version 1" in page
    assert engineer.get("/bundles/blob/2").status_code == 200
    assert engineer.get("/bundles/blob/2/activate").status_code == 200
    assert engineer.get("/bundles/blob/7").status_code == 404
    assert engineer.post("/bundles/blob/2/activate", {"instead_of": 1}).status_code == 400


def test_a_release_under_way_is_told_with_its_figures(tmp_path: Path) -> None:
    station = Station(tmp_path / "station")
    app = make_station_pages(load_config(station.write_config()), Listen())
    let_in(app)
    make_bundle(station.bundles)
    release = {"name": "blob-v2.bundle", "state": "shadow", "why": "", "bundle": "blob", "version": 2, "before": 1}
    release |= {"proven": False, "figures": {"parts": 50.0, "disagreements": 3.0, "proven": 0.0}}
    said = {"written_at": datetime.now(UTC).isoformat(), "pid": 1, "running": False, "why": "stopped", "ready": False}
    (station.folder / "data" / "status.json").write_text(json.dumps(said | {"release": release}))
    open_database(station.database).close()
    page = visitor(app, "engineer").get("/bundles/standing").text
    for text in (
        "blob-v2.bundle",
        "looks on in the shadow",
        "It is version 2 of blob here; before it: 1.",
        "<dd>50</dd>",
    ):
        assert text in page, text
    assert "The station does not run" in page
