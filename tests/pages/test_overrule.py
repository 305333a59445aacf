"""What a person says on a page: on disk before the page answers, a sample with its label, in the cloud under a name."""

import json
import re
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from brokers import eventually
from clouds import CloudProcess
from daemon_kit import daemon, line_to
from edge_rows import rows
from fastapi import FastAPI
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
from edge.web.said import verdict_holds
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


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Station, FastAPI]:
    """A station that saw two parts, one of them twice, and is at rest; and its pages."""
    made = station(tmp_path_factory.mktemp("rest"))
    with daemon(made):
        assert inspect(made, "a", "b", "a") == ["PASS", "REJECT", "PASS"]
    app = make_station_pages(load_config(made.config), Listen())
    let_in(app)
    return made, app


@pytest.mark.long
@pytest.mark.skipif(bool(MISSING or NO_BROKER), reason=MISSING or NO_BROKER)
def test_boxes_that_a_person_draws_on_a_page_are_a_label_in_the_cloud_under_their_name(tmp_path: Path) -> None:
    broker = LocalBroker("mosquitto", tmp_path / "broker", free_port())
    made, store = station(tmp_path, str(broker.address)), str(tmp_path / "cloud.db")
    open_engine(store, create=True).dispose()
    declare(store, "scratch", product="blob")
    app = make_station_pages(load_config(made.config), Listen())
    let_in(app)
    cloud = CloudProcess(broker.address, store)
    with broker, daemon(made), served(app) as address, chromium() as browser, ExitStack() as stack:
        cloud.start()
        stack.callback(cloud.stop)
        assert inspect(made, "a") == ["PASS"]
        page = enter(browser, f"{address}/history/1", "operator")
        page.wait_for_load_state()
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
    catch_up(store)

    [(says, classes, boxes, source, by)] = ask(store, "SELECT says, classes, boxes, source, said_by FROM labels")
    assert (says, classes, source, by) == ("boxes", "scratch", "feedback", "operator")
    [first, second] = json.loads(str(boxes))
    assert [at for at in (first, second) if at[0] != "scratch"] == []
    assert sorted((first, second), key=lambda box: box[1])[1] == pytest.approx(["scratch", 31.2, 24, 47.2, 36.6])
    assert ask(store, "SELECT camera FROM samples") == [("top",)]


def test_where_no_daemon_runs_the_page_keeps_the_word_itself_and_of_the_inspection_that_was_looked_at(
    rest: tuple[Station, FastAPI],
) -> None:
    made, app = rest
    answer = visitor(app, "engineer").post("/history/1/word", {"said": "wrong", "truth": "dent", "remark": "a\nb"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/history/1")
    said = words(made)[-1]
    assert (said["inspection_seq"], said["label"], said["note"], said["by"]) == (1, "dent", "a b", "engineer")
    assert said["is_right"] is False
    assert [one["reasons"] for one in samples(made.database) if one["inspection_seq"] == 1] == [["overruled"]]


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


def test_undo_says_again_what_was_said_before_and_removes_nothing(rest: tuple[Station, FastAPI]) -> None:
    made, app = rest
    before, person = len(words(made)), visitor(app, "operator")
    for form in ({"said": "wrong", "truth": "good"}, {"said": "wrong", "truth": "dent"}, {"said": "back"}):
        assert person.post("/history/2/word", form).status_code == 303
    said = [(word["is_right"], word["label"]) for word in words(made)[before:]]
    assert said == [(False, "good"), (True, "dent"), (False, "good")]
    assert person.get("/history/2").text.count("<li>") >= 3


def test_undo_takes_back_the_word_on_the_screen_and_no_later_one(rest: tuple[Station, FastAPI]) -> None:
    made, app = rest
    person = visitor(app, "operator")
    person.post("/history/2/word", {"said": "wrong", "truth": "dent"})
    found = re.search(r'name="heard" value="(\d+)"', person.get("/history/2").text)
    assert found
    visitor(app, "engineer").post("/history/2/word", {"said": "wrong", "truth": "good"})
    before = len(words(made))
    assert person.post("/history/2/word", {"said": "back", "heard": found[1]}).status_code == 303
    assert len(words(made)) == before


def test_undo_of_the_only_word_says_that_the_verdict_was_right(rest: tuple[Station, FastAPI]) -> None:
    made, app = rest
    person = visitor(app, "operator")
    person.post("/history/3/word", {"said": "wrong"})
    person.post("/history/3/word", {"said": "back"})
    assert [(word["is_right"], word["note"]) for word in words(made)[-2:]] == [(False, ""), (True, "taken back")]


def test_a_page_of_a_number_that_is_given_anew_keeps_no_word_of_another_part(rest: tuple[Station, FastAPI]) -> None:
    made, app = rest
    person, before = visitor(app, "operator"), len(words(made))
    [(epoch,)] = rows(made.database, "SELECT epoch FROM epochs")
    assert str(epoch) in person.get("/history").text
    assert person.get("/history/1").text.count(f'name="epoch" value="{epoch}"') >= 2
    answer = person.post("/history/1/word", {"said": "right", "epoch": "f" * 32})
    assert (answer.status_code, "load it again" in answer.text) == (400, True)
    assert len(words(made)) == before
    assert person.post("/history/1/word", {"said": "right", "epoch": str(epoch)}).status_code == 303


def test_where_the_line_was_told_otherwise_than_was_found_list_and_page_say_both(
    rest: tuple[Station, FastAPI],
) -> None:
    made, app = rest
    with closing(sqlite3.connect(made.database)) as connection, connection:
        connection.execute("UPDATE inspections SET told_verdict = 'UNDECIDED', outcome = 'late' WHERE seq = 2")
    person = visitor(app, "operator")
    for path, times in (("/history/2", 1), ("/history", 1), ("/history/3", 0)):
        assert person.get(path).text.count("the line was told UNDECIDED") == times, path


BOX = {"camera": "top", "label": "dent", "box_xyxy": [1, 1, 5, 5]}


@pytest.mark.parametrize(
    ("status", "form"),
    [
        pytest.param(400, {"truth": "good", "boxes": json.dumps([BOX])}, id="good with a defect"),
        pytest.param(400, {"boxes": "[[["}, id="no JSON"),
        pytest.param(400, {"boxes": '{"a": 1}'}, id="no list"),
        pytest.param(400, {"boxes": json.dumps([BOX | {"camera": "side"}])}, id="a camera that is not there"),
        pytest.param(400, {"boxes": json.dumps([BOX | {"box_xyxy": [90, 1, 95, 5]}])}, id="outside the picture"),
        pytest.param(400, {"boxes": json.dumps([BOX | {"label": ""}])}, id="a box of nothing"),
        pytest.param(400, {"boxes": json.dumps([BOX] * 33)}, id="too many boxes"),
        pytest.param(400, {"truth": "a\u0000b"}, id="a class that cannot be printed"),
        pytest.param(422, {"said": "perhaps"}, id="neither right nor wrong"),
        pytest.param(422, {"remark": "n" * 501}, id="a note too long"),
    ],
)
def test_a_word_that_says_two_things_or_nothing_is_refused_and_not_kept(
    rest: tuple[Station, FastAPI], status: int, form: dict[str, object]
) -> None:
    made, app = rest
    before = words(made)
    assert visitor(app, "operator").post("/history/2/word", {"said": "wrong"} | form).status_code == status
    assert words(made) == before


def test_of_an_inspection_that_is_not_there_nothing_can_be_said(rest: tuple[Station, FastAPI]) -> None:
    assert visitor(rest[1], "operator").post("/history/9/word", {"said": "right"}).status_code == 404


@pytest.mark.parametrize(
    ("verdict", "truth", "boxes", "holds"),
    [
        pytest.param("PASS", "good", False, True, id="a good part passed"),
        pytest.param("PASS", "dent", False, False, id="an escape"),
        pytest.param("PASS", "", True, False, id="an escape with boxes"),
        pytest.param("REJECT", "good", False, False, id="overkill"),
        pytest.param("REJECT", "dent", False, True, id="another defect than was found is a defect all the same"),
        pytest.param("UNDECIDED", "good", False, False, id="undecided is never right"),
        pytest.param("REJECT", "", False, False, id="wrong, and nobody says what it is"),
    ],
)
def test_whether_a_verdict_held_follows_from_what_the_part_really_is(
    verdict: str, truth: str, *, boxes: bool, holds: bool
) -> None:
    assert verdict_holds(verdict, truth, boxes=boxes) is holds
