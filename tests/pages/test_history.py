"""The history's pages: found, shown, taken along; and by keys alone."""

import csv
import io
import sqlite3
import zipfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from edge_rows import rows
from fastapi import FastAPI
from history_kit import fill, some
from pages_kit import MISSING, Visitor, chromium, enter, let_in, served, visitor
from station_kit import Station, bad_frame

from cloud_sync.pages.serving import Listen
from edge.config import load_config
from edge.domain.frame import Frame
from edge.record.database import open_database
from edge.record.images import ImageStore
from edge.web import exporting
from edge.web.csv_lines import csv_line
from edge.web.pictures import Pictures
from edge.web.shown_pictures import ShownPictures
from edge.web.site import make_station_pages

COUNT = 120
EVIL = '=HYPERLINK("http://elsewhere","x")'


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Pages of a station that saw parts, the last three with a picture, of which one is gone from the disk."""
    made = Station(tmp_path_factory.mktemp("history") / "station")
    config = load_config(made.write_config())
    inspections = [replace(one, camera="top") for one in some(COUNT)]
    inspections[-1] = replace(inspections[-1], part_id=EVIL, verdict="REJECT", label="scratch", outcome="late")
    inspections[-2] = replace(inspections[-2], part_id="<script>alert(1)</script>")
    fill(config.database_path, iter(inspections))
    store = ImageStore(config.images_dir, "png")
    with closing(open_database(config.database_path)) as connection:
        for seq in range(COUNT - 2, COUNT + 1):
            ref, _ = store.put(_frame(seq))
            row = (seq, "top", ref.sha256, ref.size_bytes, ref.media_type)
            connection.execute(
                "INSERT INTO images (seq, camera, sha256, size_bytes, media_type) VALUES (?,?,?,?,?)", row
            )
            if seq == COUNT - 2:
                store.remove(ref.sha256, ref.media_type)
    pages = make_station_pages(config, Listen())
    let_in(pages)
    return pages


@pytest.fixture(scope="module")
def operator(app: FastAPI) -> Visitor:
    return visitor(app, "operator")


def _frame(seq: int) -> Frame:
    from edge_kit import NOW

    return Frame("top", seq, NOW, 0.0, bad_frame(seed=seq))


def sha256(app: FastAPI, seq: int) -> str:
    path = app.state.here.config.database_path
    return str(rows(path, f"SELECT sha256 FROM images WHERE seq = {seq}")[0][0])  # noqa: S608 - a number


def lines(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))


def test_a_page_shows_the_newest_and_the_next_one_goes_on_below(operator: Visitor) -> None:
    first = operator.get("/history").text
    assert [f'id="row-{seq}"' in first for seq in (COUNT, COUNT - 49, COUNT - 50)] == [True, True, False]
    assert f"before={COUNT - 49}" in first
    second = operator.get(f"/history?before={COUNT - 49}").text
    assert [f'id="row-{seq}"' in second for seq in (COUNT - 49, COUNT - 50)] == [False, True]


def test_what_parts_are_called_is_text_and_never_markup(operator: Visitor) -> None:
    for path in ("/history", f"/history/{COUNT - 1}"):
        page = operator.get(path).text
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page


@pytest.mark.parametrize(
    "query",
    [
        "since=2026-02-30T10:00",
        "until=yesterday",
        "verdict=MAYBE",
        "before=0",
        "before=9007199254740993",
        "part=" + "p" * 129,
    ],
)
def test_a_search_that_is_none_is_refused(operator: Visitor, query: str) -> None:
    for path in ("/history", "/history.csv", "/history.zip"):
        assert operator.get(f"{path}?{query}").status_code == 422


def test_a_search_of_the_form_comes_back_in_the_form_and_in_every_address(operator: Visitor) -> None:
    page = operator.get("/history?verdict=REJECT&label=scratch&part=&model=cell+v2&since=2026-01-01T00:00").text
    for path in ("/history.csv", "/history.zip"):
        assert f'href="{path}?since=2026-01-01T00%3A00&amp;verdict=REJECT&amp;label=scratch&amp;model=cell+v2"' in page
    assert 'value="REJECT" selected' in page


def test_an_inspections_page_shows_everything_and_one_that_is_not_there_is_not_found(operator: Visitor) -> None:
    page = operator.get(f"/history/{COUNT}").text
    for said in ("scratch", "0.900", "ab" * 32, "12.5", "e" * 32, "&#34;schema&#34;: &#34;inspectd.inspection.v1&#34;"):
        assert said in page, said
    assert "damaged on the disk" in page  # the kit writes no true hash
    assert [one.split('"')[0] for one in page.split('<rect class="')[1:]] == ["found", "found doubted"]
    assert "Decided" in page
    assert operator.get(f"/history/{COUNT + 1}").status_code == 404
    assert operator.get("/history/0").status_code == 422


def test_a_picture_is_served_as_it_was_stored_or_smaller_and_is_not_found_once_it_is_gone(
    app: FastAPI, operator: Visitor
) -> None:
    name = sha256(app, COUNT)
    stored = app.state.here.images.path_of(name, "image/png").read_bytes()
    assert operator.get(f"/history/picture/{name}").content == stored
    small = operator.get(f"/history/picture/{name}?width=60")
    image = cv2.imdecode(np.frombuffer(small.content, np.uint8), cv2.IMREAD_COLOR)
    assert (small.headers["content-type"], image.shape[1]) == ("image/jpeg", 80)  # a step above, and never enlarged
    assert "immutable" in small.headers["cache-control"]
    assert operator.get(f"/history/picture/{sha256(app, COUNT - 2)}").status_code == 404
    assert operator.get("/history/picture/..%2f..%2fstation.toml").status_code in {404, 422}
    assert operator.get(f"/history/picture/{name}?width=99999").status_code == 422


def test_a_wide_picture_is_made_small_and_memory_stays_bounded(tmp_path: Path) -> None:
    store = ImageStore(tmp_path, "jpeg")
    wide = np.random.default_rng(1).integers(0, 256, (600, 1600, 3), np.uint8)
    refs = [store.put(replace(_frame(1), image=np.roll(wide, step)))[0] for step in range(4)]
    shown = ShownPictures(store, kept_bytes=20_000)
    pictures = Pictures(shown)
    for ref in refs:
        image = cv2.imdecode(np.frombuffer(pictures.answer(ref.sha256, 150).body, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape[:2] == (60, 160)
        assert pictures.size(ref.sha256) == (1600, 600)
    assert 0 < shown._bytes <= 20_000  # noqa: SLF001 - what it keeps


def test_a_search_as_csv_holds_each_inspection_and_says_that_these_are_all(operator: Visitor) -> None:
    answer = operator.get("/history.csv")
    found = lines(answer.text)
    assert found[0][:4] == ["seq", "epoch", "triggered_at", "part_id"]
    assert [line[0] for line in found[1:-1]] == [str(seq) for seq in range(COUNT, 0, -1)]
    assert found[-1] == ["END: these are all."]
    assert answer.headers["content-disposition"] == 'attachment; filename="history.csv"'


def test_no_cell_of_a_csv_is_a_formula(operator: Visitor) -> None:
    found = lines(operator.get("/history.csv").text)
    assert found[1][3] == f"'{EVIL}"
    for begin in "=+-@\t\r":
        assert lines(csv_line([f"{begin}1+1"]))[0][0].startswith("'")


def test_an_export_that_ends_early_says_where_and_its_address_goes_on_from_there(
    operator: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "ROWS_MOST", 70)
    seqs: list[int] = []
    address = "/history.csv?camera=top"
    while address:
        found = lines(operator.get(address).text)
        seqs += [int(line[0]) for line in found[1:-1]]
        said = found[-1][0]
        address = said.rpartition(" ")[2] if said.startswith("STOPPED") else ""
    assert seqs == list(range(COUNT, 0, -1))


def test_pictures_come_as_a_zip_with_a_manifest_that_names_what_is_gone(app: FastAPI, operator: Visitor) -> None:
    with zipfile.ZipFile(io.BytesIO(operator.get("/history.zip").content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"{COUNT}-top.png", f"{COUNT - 1}-top.png", "manifest.csv"]
        stored = app.state.here.images.path_of(sha256(app, COUNT), "image/png").read_bytes()
        assert archive.read(f"{COUNT}-top.png") == stored
        manifest = lines(archive.read("manifest.csv").decode())
    assert [line[:2] for line in manifest[1:4]] == [
        [f"{COUNT}-top.png", str(COUNT)],
        [f"{COUNT - 1}-top.png", str(COUNT - 1)],
        ["", str(COUNT - 2)],
    ]
    assert manifest[-1] == ["END: these are all."]


def test_a_zip_that_would_be_too_big_ends_and_says_so(operator: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PICTURES_MOST_BYTES", 10)
    with zipfile.ZipFile(io.BytesIO(operator.get("/history.zip").content)) as archive:
        assert archive.namelist() == [f"{COUNT}-top.png", "manifest.csv"]
        said = lines(archive.read("manifest.csv").decode())[-1][0]
    assert said.startswith(f"STOPPED at no. {COUNT}")
    assert said.endswith(f"/history.zip?before={COUNT}")


def test_without_a_database_every_page_says_so(tmp_path: Path) -> None:
    pages = make_station_pages(load_config(Station(tmp_path / "station").write_config()), Listen())
    let_in(pages)
    person = visitor(pages, "operator")
    for path in ("/history", "/history/1", "/history.csv", "/history.zip"):
        answer = person.get(path)
        assert (answer.status_code, "station.db" in answer.text) == (503, True), path


def test_a_database_that_this_version_has_not_opened_yet_is_said_to_be_so(tmp_path: Path) -> None:
    config = load_config(Station(tmp_path / "station").write_config())
    fill(config.database_path, some(3))
    with closing(sqlite3.connect(config.database_path)) as connection:
        connection.execute("DROP TABLE words")
    pages = make_station_pages(config, Listen())
    let_in(pages)
    answer = visitor(pages, "operator").get("/history")
    assert (answer.status_code, "start the station of this version" in answer.text) == (503, True)


@pytest.fixture(scope="module")
def page(app: FastAPI) -> Iterator[object]:
    if MISSING:
        pytest.skip(MISSING)
    with served(app) as address, chromium() as browser:
        found = enter(browser, f"{address}/history", "operator")
        found.wait_for_load_state()
        yield found


def test_by_keys_alone_a_person_goes_through_rows_says_right_and_opens_what_is_wrong(page) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    page.keyboard.press("j")
    page.keyboard.press("ArrowDown")
    assert page.locator("tr.now").get_attribute("id") == f"row-{COUNT - 1}"
    page.keyboard.press("r")
    page.wait_for_selector(f"#row-{COUNT - 1}.now >> text=✓ right")
    page.keyboard.press("k")
    assert page.locator("tr.now").get_attribute("id") == f"row-{COUNT}"
    page.keyboard.press("w")
    page.wait_for_selector("#wrong[open] input[name=truth]")
    page.wait_for_selector("input[name=truth]:focus")
    assert [said for said in page.said if "404" not in said] == []  # of the picture that is gone from the disk


def test_a_row_of_what_was_found_lights_its_box(page) -> None:  # type: ignore[no-untyped-def] # noqa: ANN001
    page.goto(page.url.partition("#")[0])
    assert page.locator("svg.look rect.found.lit").count() == 0
    page.locator("table.detections tbody tr").first.focus()
    page.wait_for_selector("svg.look rect.found.lit")
    page.keyboard.press("j")
    page.wait_for_url(f"**/history/{COUNT - 1}")
