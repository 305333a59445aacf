"""The form of a calibration: all that the command can do, only what this station has, and what is wrong beside it."""

import os
import re
import shutil
from pathlib import Path

import pytest
import typer
from fastapi import FastAPI
from pages_kit import MISSING, Visitor, check_quiet, chromium, enter, let_in, served, visitor
from station_kit import Station, make_bundle, ungated_int8, write_frames

from cloud_sync.pages.serving import Listen
from edge.cli import app as edge_app
from edge.config import load_config
from edge.web.calibrating.asked import Asked, Chosen, read_asked, usual, words_of
from edge.web.site import make_station_pages
from edge.web.works.work import Works
from models.bundle_store import list_bundles

CONFIG, GOOD, BAD = Path("/s/station.toml"), Path("/s/good"), Path("/s/bad")
NOT_OF_THE_FORM = {"--resume": "a button of its own", "--help": "is what the form says itself"}


def made(folder: Path) -> Station:
    """With a bundle, pictures of good parts, and bad ones in a folder for each kind."""
    station = Station(folder / "station")
    station.write_config()
    make_bundle(station.bundles)
    write_frames(station.folder / "frames", 40)
    write_frames(station.folder / "bad" / "blot", 3, bad_every=1)
    return station


def pages_of(station: Station) -> FastAPI:
    found = make_station_pages(load_config(station.config), Listen())
    let_in(found)
    works = found.state.here.works
    works["calibrate"] = Works(works["calibrate"].folder, gives_way=False)  # other tests run beside this one
    return found


@pytest.fixture
def station(tmp_path: Path) -> Station:
    return made(tmp_path)


@pytest.fixture
def app(station: Station) -> FastAPI:
    return pages_of(station)


@pytest.fixture(scope="module")
def unchanged(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """For tests that start nothing."""
    return pages_of(made(tmp_path_factory.mktemp("unchanged")))


@pytest.fixture(scope="module")
def engineer(unchanged: FastAPI) -> Visitor:
    return visitor(unchanged, "engineer")


def test_the_form_asks_for_everything_that_the_command_can_do() -> None:
    chosen = Chosen(GOOD, BAD, BAD, Path("/s/bundles/blob/v1"))
    switches = {"quantize": True, "fast": True, "align": True, "activate": True, "anew": True, "study": True}
    numbers = {"escape_percent": 1.0, "tune_s": 3.0, "seed": 7, "interval_ms": 40.0}
    everything = Asked(product="p", camera="top", source="live", **switches, **numbers)  # type: ignore[arg-type]
    said = {
        word
        for what, source, pace, named in (
            ("model", "live", "by_hand", Chosen(None, BAD, BAD)),
            ("model", "live", "every_frame", Chosen()),
            ("bundle", "frames:x", "passing", chosen),
            ("checks", "frames:x", "passing", Chosen(GOOD)),
        )
        for word in words_of(
            everything.model_copy(update={"what": what, "source": source, "pace": pace}), CONFIG, named
        )
    }
    command = typer.main.get_command(edge_app).commands["calibrate"]  # type: ignore[attr-defined]
    lacking = [one.opts for one in command.params if not said & {*one.opts, *one.secondary_opts}]
    assert [opts for opts in lacking if opts[0] not in NOT_OF_THE_FORM] == []


def test_a_form_that_nobody_touched_is_the_command_with_its_own_defaults_but_activates_nothing() -> None:
    command = typer.main.get_command(edge_app).commands["calibrate"]  # type: ignore[attr-defined]
    defaults = {one.name: one.default for one in command.params}
    shown, wrong = read_asked(usual().model_copy(update={"product": "p", "source": "live", "camera": "top"}))
    assert (wrong, shown) == ({}, Asked(product="p", source="live", camera="top"))
    assert shown is not None
    rates = (shown.overkill_percent / 100, shown.confidence_percent / 100, shown.limit_min * 60)
    assert rates == (defaults["overkill"], defaults["confidence"], defaults["limit_s"])
    for name in ("seed", "tune_s", "interval_ms", "fast", "align", "study", "anew", "quantize"):
        assert getattr(shown, name) == defaults[name], name
    assert " ".join(words_of(shown, CONFIG, Chosen())) == (
        "calibrate -c /s/station.toml --product p --live 200 --limit-s 600 --camera top --overkill 0.02 "
        "--confidence 0.95 --no-activate --study --progress-lines --json"
    )


def test_a_bundle_is_taken_by_the_words_that_mean_something_beside_it() -> None:
    asked = Asked(product="p", source="x", what="bundle", align=True, anew=True, quantize=True, tune_s=0)
    words = words_of(asked, CONFIG, Chosen(GOOD, bundle=Path("/s/b/v3")))
    assert words[5:9] == ["--bundle", "/s/b/v3", "--from", "/s/good"]
    assert {"--quantize", "--tune-s"} <= set(words)
    assert not {"--align", "--anew", "--live"} & set(words)
    without = words_of(asked.model_copy(update={"source": "none", "quantize": False}), CONFIG, Chosen(bundle=BAD))
    assert not {"--from", "--quantize"} & set(without)
    checks = words_of(asked.model_copy(update={"what": "checks"}), CONFIG, Chosen(GOOD))
    assert checks[5:] == ["--from", "/s/good", "--checks-only", "--progress-lines", "--json"]


GIVEN: dict[str, object] = {"product": "blob", "camera": "top", "source": "camera:top"}
TAKING = GIVEN | {"what": "bundle", "bundle": "blob/1"}


@pytest.mark.parametrize(
    ("given", "field", "said"),
    [
        pytest.param(GIVEN | {"product": "other"}, "product", "none of the choices", id="product"),
        pytest.param(GIVEN | {"camera": "side"}, "camera", "none of the choices", id="camera"),
        pytest.param(GIVEN | {"what": "magic"}, "what", "none of the choices", id="what"),
        pytest.param(GIVEN | {"source": "beside:.."}, "source", "Choose a folder", id="a folder outside"),
        pytest.param(GIVEN | {"source": "none"}, "source", "needs pictures of good parts", id="nothing to learn from"),
        pytest.param(GIVEN | {"source": "beside:bad"}, "source", "Choose a folder", id="only folders in it"),
        pytest.param(GIVEN | {"source": "passed"}, "source", "that passed is there", id="none passed"),
        pytest.param(GIVEN | {"overkill_percent": "0"}, "overkill_percent", "from 0.01 to 99", id="too small"),
        pytest.param(GIVEN | {"parts": "many"}, "parts", "from 1 to 5000", id="no number"),
        pytest.param(GIVEN | {"parts": "2.5"}, "parts", "from 1 to 5000", id="half a part"),
        pytest.param(GIVEN | {"tune_s": "nan"}, "tune_s", "from 0 to 3600", id="not a number"),
        pytest.param(GIVEN | {"seed": "-1"}, "seed", "from 0 to 2147483647", id="a seed below zero"),
        pytest.param(GIVEN | {"escape_percent": "5"}, "escape_percent", "pictures of bad", id="escape of nothing"),
        pytest.param(GIVEN | {"defects": "beside:gone"}, "defects", "Choose a folder", id="defects gone"),
        pytest.param(GIVEN | {"repeats": "beside:bad"}, "repeats", "part of the gauge study", id="no study"),
        pytest.param(TAKING | {"bundle": "blob/9"}, "bundle", "Choose a bundle", id="no such bundle"),
        pytest.param(TAKING | {"bundle": "../../etc"}, "bundle", "Choose a bundle", id="no bundle at all"),
        pytest.param(TAKING | {"source": "live"}, "source", "only to learn a product", id="live for a bundle"),
        pytest.param(TAKING | {"source": "none", "quantize": "true"}, "quantize", "needs pictures", id="no ranges"),
        pytest.param(TAKING | {"source": "none", "defects": "beside:bad"}, "defects", "needs pictures", id="bad alone"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_started(
    unchanged: FastAPI, engineer: Visitor, given: dict[str, object], field: str, said: str
) -> None:
    answer = engineer.post("/calibrate", given)
    assert answer.status_code == 422
    found = re.findall(r'<span class="wrong" id="wrong-([a-z_]+)">([^<]*)</span>', answer.text)
    assert [(name, said in words) for name, words in found] == [(field, True)]
    assert unchanged.state.here.works["calibrate"].find() is None


def test_what_was_given_stays_in_the_form_and_is_said_in_the_readers_language(engineer: Visitor) -> None:
    given = GIVEN | {"overkill_percent": "3.5", "confidence_percent": "100", "fast": "true", "pace": "by_hand"}
    answer = engineer.post("/calibrate", given, headers={"accept-language": "zh"})
    assert 'value="3.5"' in answer.text
    assert '<input type="checkbox" name="fast" value="true" checked>' in answer.text
    assert '<input type="checkbox" name="study" value="true">' in answer.text
    assert '<option value="by_hand" selected>' in answer.text
    assert "请填写 1 到 99.99 之间的数。" in answer.text


def options(who: Visitor, name: str, path: str = "/calibrate") -> dict[str, str]:
    """Of a choice on the page: value and text."""
    found = re.search(rf'<select name="{name}".*?</select>', who.get(path).text, re.DOTALL)
    assert found
    return dict(re.findall(r'<option value="([^"]*)"[^>]*>([^<]*)</option>', found[0]))


def test_only_what_this_station_has_and_can_run_is_offered(app: FastAPI, station: Station) -> None:
    ungated_int8(station.bundles, "blob", 2, "failed")
    engineer = visitor(app, "engineer")
    assert options(engineer, "bundle") == {"blob/1": "blob v1: anomaly, FP32, brought in (active)"}
    assert "beside:bad" not in options(engineer, "source")
    assert options(engineer, "defects")["beside:bad"].endswith("bad (3 pictures)")
    assert 'value="bundle" checked' in engineer.get("/calibrate?bundle=blob/1").text
    assert engineer.get("/calibrate?bundle=../x").status_code == 422


def test_a_bundle_that_cannot_be_tried_is_never_another_one_that_is(app: FastAPI, station: Station) -> None:
    ungated_int8(station.bundles, "blob", 2, "failed")
    engineer = visitor(app, "engineer")
    asked_for = engineer.get("/calibrate?bundle=blob/2").text
    assert '<option value="" selected>' in asked_for
    assert "blob/2 cannot be tried" in asked_for
    assert engineer.post("/calibrate", TAKING | {"bundle": ""}).status_code == 422
    refused = engineer.post("/calibrate", TAKING | {"bundle": "blob/2"}).text
    assert '<option value="" selected>' in refused
    assert "blob/2 cannot be tried" not in refused
    shutil.rmtree(station.bundles / "blob" / "v1")
    (station.bundles / "blob" / "active").unlink()
    nothing = engineer.get("/calibrate?bundle=blob/2").text
    assert 'value="bundle" disabled' in nothing
    assert 'value="model" checked' in nothing


@pytest.mark.parametrize("name", [b"\xff\xfe", b"two\nlines"])
def test_a_folder_whose_name_no_page_can_show_is_not_offered_and_hides_no_other(
    unchanged: FastAPI, engineer: Visitor, name: bytes
) -> None:
    beside = unchanged.state.here.config.file.parent
    folder = beside / os.fsdecode(name)
    folder.mkdir()
    try:
        shutil.copy(next((beside / "frames").iterdir()), folder / "1.png")
        offered = options(engineer, "defects")
    finally:
        shutil.rmtree(folder)
    assert [key for key in offered if key.startswith("beside:")] == ["beside:bad"]


def test_a_station_without_bundles_says_where_they_come_from(tmp_path: Path) -> None:
    app = make_station_pages(load_config(Station(tmp_path / "station").write_config()), Listen())
    let_in(app)
    page = visitor(app, "engineer").get("/calibrate").text
    assert 'value="bundle" disabled' in page
    assert '<a href="/bundles#import">' in page


@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_the_browser_shows_and_sends_the_fields_that_mean_something_beside_what_is_chosen(unchanged: FastAPI) -> None:
    with served(unchanged) as address, chromium() as browser:
        page = enter(browser, f"{address}/calibrate", "engineer")
        assert not page.is_visible("select[name=bundle]")
        page.select_option("select[name=source]", "live")
        assert page.is_visible("input[name=interval_ms]")
        page.check("input[value=bundle]")
        assert page.is_visible("select[name=bundle]")
        assert not page.is_visible("input[name=align]")
        assert page.input_value("select[name=source]") == "camera:top"  # live is not for bundles
        page.select_option("select[name=source]", "none")
        page.check("input[name=quantize]")
        with page.expect_request("**/calibrate") as sent:
            page.click("button.main")
        page.wait_for_selector("#wrong-quantize")
        assert not {"align", "parts", "interval_ms"} & set((sent.value.post_data or "").replace("=", "&").split("&"))
        assert page.evaluate("document.activeElement.name") == "quantize"
        page.select_option("select[name=source]", "passed")
        assert page.is_checked("input[name=study]")
        assert [page.input_value(f"input[name={name}]") for name in ("parts", "overkill_percent")] == ["200", "2"]
        page.said = [line for line in page.said if "422" not in line]  # type: ignore[attr-defined]
        check_quiet(page)


@pytest.mark.long
@pytest.mark.skipif(bool(MISSING), reason=MISSING)
def test_a_bundle_of_the_store_is_tried_on_good_and_bad_parts_and_its_report_read(
    app: FastAPI, station: Station
) -> None:
    with served(app) as address, chromium() as browser:
        page = enter(browser, f"{address}/bundles/blob/1", "engineer")
        page.click("text=Try it on this station")
        page.select_option("select[name=source]", "camera:top")
        page.select_option("select[name=defects]", "beside:bad")
        page.fill("input[name=tune_s]", "0")
        page.uncheck("input[name=study]")
        page.click("button:has-text('Start a calibration')")
        page.wait_for_selector(".steps li:has-text('Good parts'), #outcome", timeout=90_000)
        page.wait_for_selector("#outcome .mark.good", timeout=90_000)
        outcome = page.inner_text("section[aria-labelledby=outcome]")
        assert "blob v1" in page.inner_text("#outcome")
        assert all(said in outcome for said in ("blob v2", "not active", "0 of 40", "0 of 3 pass", "FP32")), outcome
        assert [(one.version, one.active) for one in list_bundles(station.bundles)] == [(1, True), (2, False)]
        with page.expect_popup() as report:
            page.click("text=Report")
        assert "blob v2" in report.value.inner_text("body")
        page.click("text=Take over the camera's checks")
        page.wait_for_selector("#outcome:has-text('The camera')", timeout=90_000)
        page.wait_for_selector("#outcome .mark.good", timeout=90_000)
        check_quiet(page)
    assert (station.folder / "data" / "checks" / "blob" / "top.json").is_file()
