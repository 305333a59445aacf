"""What a person says on a page: on disk before the page answers, a sample with its label, in the cloud under a name."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CloudProcess
from daemon_kit import daemon, line_to
from edge_rows import rows
from labels_kit import declare
from pages_kit import MISSING, check_quiet, chromium, enter, let_in, served, visitor
from station_kit import Station, bad_frame, good_frame, make_bundle
from stores import ask
from triage_kit import samples, write_picture

from cloud_sync.hub.labels.projecting import catch_up
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.pages.serving import Listen
from cloud_sync.wire.broker import LocalBroker, available_kinds, free_port
from edge.config import load_config
from edge.web.site import make_station_pages

NO_BROKER = "" if "mosquitto" in available_kinds() else "mosquitto is not on this machine"


def station(folder: Path, broker: str | None = None) -> Station:
    """A station that sees a good part, then a bad one, and so on."""
    settings = {"triage": {"audit_share": 0, "drift": False}, "sync": {"images": "all", "resend_s": 1}}
    made = Station(folder / "station", broker, settings=settings if broker else {"triage": settings["triage"]})
    made.write_config()
    make_bundle(made.bundles)
    write_picture(made.folder / "frames" / "1.png", good_frame())
    write_picture(made.folder / "frames" / "2.png", bad_frame())
    return made


def inspect(made: Station, *parts: str) -> list[str]:
    """Show parts to a station that runs; says their verdicts once their pictures are on record."""
    told = []
    with line_to(made) as line:
        for part in parts:
            line.trigger(part)
            told.append(line.hear()["verdict"])
            line.ack(part)
    eventually(lambda: rows(made.database, "SELECT count(*) FROM images") == [(len(parts),)])
    return told


def words(made: Station) -> list[dict[str, object]]:
    found = rows(made.database, "SELECT payload FROM records WHERE stream = 'feedback' ORDER BY seq")
    return [json.loads(str(payload, "utf-8")) for (payload,) in found]  # type: ignore[call-overload]


@contextmanager
def inspected(folder: Path) -> Iterator[Station]:
    """A station that saw two parts, one of them twice, and is at rest."""
    made = station(folder)
    with daemon(made):
        assert inspect(made, "a", "b", "a") == ["PASS", "REJECT", "PASS"]
    yield made


@pytest.mark.skipif(bool(MISSING or NO_BROKER), reason=MISSING or NO_BROKER)
def test_boxes_that_a_person_draws_on_a_page_are_a_label_in_the_cloud_under_their_name(tmp_path: Path) -> None:
    broker = LocalBroker("mosquitto", tmp_path / "broker", free_port())
    made, store = station(tmp_path, str(broker.address)), str(tmp_path / "cloud.db")
    open_engine(store, create=True).dispose()
    declare(store, "scratch", product="blob")
    app = make_station_pages(load_config(made.config), Listen())
    let_in(app)
    cloud = CloudProcess(broker.address, store)
    with broker, daemon(made), served(app) as address, chromium() as browser:
        cloud.start()
        assert inspect(made, "a") == ["PASS"]
        page = enter(browser, f"{address}/history/1", "operator")
        page.keyboard.press("w")
        page.fill("input[name=another]", "scratch")
        at = page.locator("svg.look").bounding_box()
        assert at
        page.mouse.move(at["x"] + at["width"] * 0.3, at["y"] + at["height"] * 0.3)
        page.mouse.down()
        page.mouse.move(at["x"] + at["width"] * 0.6, at["y"] + at["height"] * 0.7, steps=4)
        page.mouse.up()
        page.locator("#add-box").press("Enter")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Shift+ArrowDown")
        with page.expect_navigation():
            page.click("#say-wrong button.main")
        assert "scratch" in page.locator("#say-title ~ p").inner_text()
        assert page.locator("svg.look rect.told").count() == 2
        check_quiet(page)
        eventually(lambda: ask(store, "SELECT 1 FROM records WHERE stream IN ('feedback', 'samples')") == [(1,), (1,)])
        cloud.stop()
    catch_up(store)

    [(says, classes, boxes, source, by)] = ask(store, "SELECT says, classes, boxes, source, said_by FROM labels")
    assert (says, classes, source, by) == ("boxes", "scratch", "feedback", "operator")
    [first, second] = json.loads(str(boxes))
    assert [at for at in (first, second) if at[0] != "scratch"] == []
    assert sorted((first, second), key=lambda box: box[1])[1] == pytest.approx(["scratch", 31.2, 24, 47.2, 36.6])
    assert ask(store, "SELECT camera FROM samples") == [("top",)]


def test_where_no_daemon_runs_the_page_keeps_the_word_itself_and_of_the_inspection_that_was_looked_at(
    tmp_path: Path,
) -> None:
    with inspected(tmp_path) as made:
        app = make_station_pages(load_config(made.config), Listen())
        let_in(app)
        answer = visitor(app, "engineer").post("/history/1/word", {"said": "wrong", "truth": "dent", "remark": "a\nb"})
        assert (answer.status_code, answer.headers["location"]) == (303, "/history/1")
    [said] = words(made)
    assert (said["inspection_seq"], said["label"], said["note"], said["by"]) == (1, "dent", "a b", "engineer")
    assert said["is_right"] is False
    assert [(one["inspection_seq"], one["reasons"]) for one in samples(made.database)] == [(1, ["overruled"])]


def test_a_running_daemon_keeps_the_word_on_the_inspection_that_was_looked_at_and_the_audit_log_names_it(
    tmp_path: Path,
) -> None:
    made = station(tmp_path)
    app = make_station_pages(load_config(made.config), Listen())
    let_in(app)
    with daemon(made):
        inspect(made, "a", "b", "a")
        box = json.dumps([{"camera": "top", "label": "dent", "box_xyxy": [70.126, 10, 900, 20]}])
        answer = visitor(app, "operator").post("/history/1/word", {"said": "wrong", "truth": "", "boxes": box})
        assert answer.status_code == 303, answer.text
    [said] = words(made)
    assert said["inspection_seq"] == 1
    assert said["boxes"] == [{"camera": "top", "label": "dent", "box_xyxy": [70.13, 10, 80, 20]}]
    assert "/1: wrong" in visitor(app, "admin").get("/audit").text


def test_undo_says_again_what_was_said_before_and_removes_nothing(tmp_path: Path) -> None:
    with inspected(tmp_path) as made:
        app = make_station_pages(load_config(made.config), Listen())
        let_in(app)
        person = visitor(app, "operator")
        person.post("/history/2/word", {"said": "wrong", "truth": "good"})
        person.post("/history/2/word", {"said": "wrong", "truth": "dent"})
        person.post("/history/2/word", {"said": "back"})
        page = person.get("/history/2").text
    said = [(word["is_right"], word["label"]) for word in words(made)]
    assert said == [(False, "good"), (True, "dent"), (False, "good")]
    assert page.count("<li>") >= 3


def test_a_word_that_says_nothing_or_two_things_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    box = {"camera": "top", "label": "dent", "box_xyxy": [1, 1, 5, 5]}
    with inspected(tmp_path) as made:
        app = make_station_pages(load_config(made.config), Listen())
        let_in(app)
        person = visitor(app, "operator")
        refused = {
            400: [
                {"said": "wrong", "truth": "good", "boxes": json.dumps([box])},
                {"said": "wrong", "boxes": "[[["},
                {"said": "wrong", "boxes": json.dumps([box | {"camera": "side"}])},
                {"said": "wrong", "boxes": json.dumps([box | {"box_xyxy": [90, 1, 95, 5]}])},
                {"said": "wrong", "boxes": json.dumps([box] * 33)},
                {"said": "wrong", "truth": "\u2028"[:0] + "a\u0000b"},
            ],
            422: [{"said": "perhaps"}, {}, {"said": "wrong", "remark": "n" * 501}],
        }
        for status, forms in refused.items():
            for form in forms:
                assert person.post("/history/2/word", form).status_code == status, form
        assert person.post("/history/9/word", {"said": "right"}).status_code == 404
    assert words(made) == []
