"""Master parts in a real browser, at a station whose daemon runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from brokers import eventually
from daemon_kit import daemon, status
from fastapi import FastAPI
from masters_kit import masters_station
from pages_kit import MISSING, Visitor, check_quiet, chromium, enter, let_in, served, visitor
from playwright.sync_api import Browser, Page
from station_kit import Station, bad_frame, good_frame

from cloud_sync.pages.people import Role
from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.masters.store import MasterStore
from edge.record.checks import read_checks
from edge.record.lock import sole_owner
from edge.web.site import make_station_pages

pytestmark = [pytest.mark.long, pytest.mark.skipif(bool(MISSING), reason=MISSING)]


@dataclass
class Served:
    """A station whose daemon runs, its pages, a browser, and somebody of each role."""

    station: Station
    app: FastAPI
    address: str
    browser: Browser
    people: dict[str, Visitor]

    def page(self, role: str) -> Page:
        """The page of the master parts, as somebody of a role sees it."""
        return enter(self.browser, f"{self.address}/masters", role)

    @property
    def names(self) -> set[str]:
        """Of the master parts on disk."""
        return {master.name for master in MasterStore(self.station.folder / "data", "blob").masters()}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A station that is not ready without a good check, with a good and a bad master part."""
    station = masters_station(tmp_path_factory.mktemp("masters"), "required = true\nevery_h = 8")
    app = make_station_pages(load_config(station.config), Listen())
    let_in(app)
    people = {role.value: visitor(app, role.value) for role in Role}
    owned = sole_owner(station.folder / "data")  # as `edge run` owns it
    with owned, daemon(station), served(app) as address, chromium() as browser:
        eventually(lambda: (station.folder / "data" / "status.json").exists() and status(station)["running"], 30)
        yield Served(station, app, address, browser, people)


def test_an_operator_starts_a_check_and_sees_what_came_of_each_part(place: Served) -> None:
    page = place.page("operator")
    assert "never checked" in page.inner_text("main")
    assert page.locator("text=Add a master part").count() == 0
    page.keyboard.press("c")
    page.wait_for_selector("#outcome .mark.good", timeout=60_000)
    eventually(lambda: status(place.station)["ready"])
    page.goto(f"{place.address}/masters")
    section = page.inner_text("section[aria-labelledby=product-1]")
    assert "due in 7 h" in section
    assert section.count("right") == 2
    number, check = read_checks(place.station.database, "blob")[0]
    assert check.asked_by == "operator"
    page.click(f"section[aria-labelledby=outcome] >> text=Check {number}")
    rows = page.locator("tbody tr").all_inner_texts()
    assert len(rows) == 2
    assert all("right" in row for row in rows)
    check_quiet(page)


@pytest.mark.long
def test_an_engineer_adds_a_part_it_fails_the_check_and_removing_it_mends_that(place: Served, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "blotted.png"), bad_frame(seed=7))
    page = place.page("engineer")
    page.click("text=Add a master part")
    page.set_input_files("input[type=file]", tmp_path / "blotted.png")
    page.check("input[value=good]")  # and it is not
    page.fill("input[name=remark]", "never mind")
    page.click("form.upload button")
    page.wait_for_selector("li:has-text('blotted')", timeout=60_000)
    assert place.names == {"fine", "blot", "blotted"}
    page.wait_for_function("[...document.images].every((image) => image.naturalWidth > 0)")
    page.click("button.main")
    page.wait_for_selector("#outcome .mark.bad", timeout=60_000)
    assert page.inner_text("li:has-text('blotted') .mark.bad") == "WRONG"
    eventually(lambda: not status(place.station)["ready"])
    page.click("li:has-text('blotted') summary")
    page.click("text=Remove blotted")
    page.wait_for_selector("li:has-text('blotted')", state="detached")
    assert place.names == {"fine", "blot"}
    check_quiet(page)
    assert "masters remove" in place.people["admin"].get("/audit").text


@pytest.mark.long
def test_a_picture_that_will_not_do_is_refused_in_the_words_of_the_command(place: Served, tmp_path: Path) -> None:
    (tmp_path / "torn.png").write_bytes(b"no picture")
    page = place.page("engineer")
    page.click("text=Add a master part")
    page.set_input_files("input[type=file]", tmp_path / "torn.png")
    page.check("input[value=bad]")
    page.click("form.upload button")
    page.wait_for_selector(".upload-said:has-text('is no readable picture')", timeout=60_000)
    assert place.names == {"fine", "blot"}
    left = place.station.folder / "data" / "pages" / "masters"
    assert list(left.glob("*coming-*")) == []


def test_parts_under_the_camera_are_inspected_one_by_one_and_judged_together(place: Served) -> None:
    page = place.page("operator")
    page.click("text=Show blob's parts to the camera")
    for name in ("fine", "blot"):  # the replay camera shows good frames alone
        assert f"Put {name} under camera top" in page.inner_text("form.show-part")
        page.keyboard.press("Space")
        page.wait_for_selector(f"tr:has-text('{name}') .mark")
    assert page.locator("tr:has-text('fine') .mark.good").count() == 1
    assert page.inner_text("tr:has-text('blot') .mark.bad") == "WRONG"
    page.click("text=Show blot again")
    page.wait_for_selector("tr:has-text('blot') .mark.bad")
    page.click("text=Judge the check")
    page.wait_for_selector("#outcome .mark.bad", timeout=60_000)
    _, check = read_checks(place.station.database, "blob")[0]
    assert (check.how, check.outcome, [each.ok for each in check.masters]) == ("live", "failed", [True, False])
    assert "<td>blob: fine: PASS</td><td>ok</td>" in place.people["admin"].get("/audit").text
    check_quiet(page)


def test_an_operator_adds_and_removes_nothing(place: Served) -> None:
    operator = place.people["operator"]
    picture = cv2.imencode(".png", good_frame(seed=9))[1].tobytes()
    headers = {"X-CSRF-Token": operator.csrf}
    added = operator.client.post("/masters/blob/add?name=new.png&expected=good", content=picture, headers=headers)
    assert added.status_code == 403
    assert operator.post("/masters/blob/fine/remove").status_code == 403
    assert place.names == {"fine", "blot"}


@pytest.mark.parametrize(
    ("path", "is_answered"),
    [
        pytest.param("/masters/other/fine/picture", 404, id="no such product"),
        pytest.param("/masters/blob/nobody/picture", 404, id="no such part"),
        pytest.param("/masters/blob/..%2Fmasters.json/picture", 404, id="a way out"),
        pytest.param("/masters/checks/999999", 404, id="no such check"),
        pytest.param("/masters/checks/0", 422, id="no number of a check"),
        pytest.param("/masters?before=0", 422, id="no page before the first"),
        pytest.param("/masters?before=1", 200, id="nothing older"),
    ],
)
def test_what_is_not_there_is_said_to_be_not_there(place: Served, path: str, is_answered: int) -> None:
    assert place.people["operator"].get(path).status_code == is_answered


def test_master_parts_of_a_station_that_never_ran_can_be_looked_at(tmp_path: Path) -> None:
    app = make_station_pages(load_config(masters_station(tmp_path).config), Listen())
    let_in(app)
    page = visitor(app, "operator").get("/masters")
    assert page.status_code == 200
    assert "The station does not run" in page.text
    assert "No check was made yet" in page.text
