"""The model's heat map in the review: only for who asks, on the picture where the model saw it."""

from pathlib import Path

import pytest
from fastapi import FastAPI
from heat_kit import level_at, with_heat
from labels_kit import id_of, inspection, receive, say
from pages_kit import MISSING, check_quiet, chromium, enter, let_in, served, visitor
from review_kit import pages_on, store_with

from cloud_sync.hub.labels.truths import defect

# The pictures are 96 by 64: 16 by 16 cells of 6 px, of which a letterboxed frame fills the middle.
TO_FRAME = [6.0, 0.0, 0.0, 6.0, 0.0, -16.0]
HOT = (4, 8)  # column and row of the hot cell: 24 to 30 px right, 32 to 38 px down


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    folder = tmp_path_factory.mktemp("review")
    place = store_with(folder, [("novel",), ("novel",)])
    receive(place, with_heat(inspection(1), HOT, TO_FRAME), inspection(2))
    say(place, id_of(1), defect("dent"))
    made = pages_on(folder, kind="detector")
    let_in(made)
    return made


def test_a_sample_has_the_heat_map_of_its_inspection_or_none(app: FastAPI) -> None:
    operator = visitor(app, "operator")
    heat = operator.get(f"/review/heat/{id_of(1)}").json()["heat"]
    assert (heat["columns"], heat["rows"], heat["to_frame"]) == (16, 16, TO_FRAME)
    assert level_at(heat, HOT) == 240
    assert operator.get(f"/review/heat/{id_of(2)}").json() == {"heat": None}
    assert operator.get(f"/review/heat/{'0' * 32}").status_code == 404
    assert visitor(app).get(f"/review/heat/{id_of(1)}").status_code == 303


def test_a_samples_page_offers_a_heat_map_where_there_is_one(app: FastAPI) -> None:
    operator = visitor(app, "operator")
    assert 'id="show_heat"' in operator.get(f"/labels/{id_of(1)}").text
    assert 'id="show_heat"' not in operator.get(f"/labels/{id_of(2)}").text


@pytest.mark.long
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_nobody_who_judges_sees_a_heat_map_before_they_ask_for_it(tmp_path: Path) -> None:
    receive(store_with(tmp_path, [("novel",), ("novel",)]), with_heat(inspection(1), HOT, TO_FRAME), inspection(2))
    made = pages_on(tmp_path, kind="detector")
    let_in(made)
    with served(made) as address, chromium() as browser:
        page = enter(browser, f"{address}/review", "operator")
        asked: list[str] = []
        page.on("request", lambda request: "/review/heat/" in request.url and asked.append(request.url))
        page.wait_for_function("() => document.getElementById('review').dataset.shown")
        shown = page.get_attribute("#review", "data-shown")
        assert asked == []
        assert page.locator("#heat > svg").count() == 0
        assert page.get_by_role("group", name="heat map").count() == 0
        page.keyboard.press("m")
        page.wait_for_selector("#heat_said:not([hidden])")
        assert shown == id_of(1)
        image = page.locator("#heat > svg.heat")
        image.wait_for()
        assert page.get_by_role("group", name="heat map").get_by_role("img").count() == 1
        assert "0.94" in (image.get_attribute("aria-label") or "")
        assert page.locator("#heat").get_attribute("viewBox") == page.locator("#boxes").get_attribute("viewBox")
        page.keyboard.press("+")
        assert page.locator("#heat").get_attribute("viewBox") == page.locator("#boxes").get_attribute("viewBox")
        page.keyboard.press("g")
        page.wait_for_function("id => document.getElementById('review').dataset.shown !== id", arg=shown)
        page.wait_for_selector("#heat_said:has-text('No heat map')")
        assert page.locator("#heat > svg").count() == 0
        page.keyboard.press("m")
        assert not page.locator("#heat_said").is_visible()
        assert len(asked) == 2
        page.goto(f"{address}/labels/{id_of(1)}")
        assert page.locator("#whole .heat").count() == 0
        page.keyboard.press("m")
        page.wait_for_selector("#whole svg.heat")
        page.keyboard.press("m")
        assert page.locator("#whole .heat").count() == 0
        check_quiet(page)
        page.context.close()
