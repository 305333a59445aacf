"""What a person says of a part: kept once, numbered on its own, tied to the inspection that it is about."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from daemon_kit import daemon, line_to
from edge_kit import Collected, inspection, part
from edge_rows import rows
from station_kit import Station, make_bundle, run_json, write_frames

from cloud_sync.wire.outbox import SeqRange, Stream
from cloud_sync.wire.records import FeedbackRecord
from edge.domain.errors import OutputError
from edge.domain.feedback import Feedback, SaidBox
from edge.domain.part import Verdict
from edge.line.protocol import LINE_LIMIT_BYTES, NOTE_LIMIT, feedback_line, parse_line
from edge.record.feedback import write_feedback
from edge.record.outbox import SqliteOutbox
from edge.record.recorder import Recorder

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)
BOX = {"camera": "top", "label": "dent", "box_xyxy": [1, 2, 3, 4]}


@contextmanager
def recorder(path: Path, *parts: str) -> Iterator[Recorder]:
    """A running recorder with an inspection of each part."""
    committed = Collected()
    made = Recorder(
        "test-1",
        path,
        keeps_image=lambda _inspection: False,
        on_committed=committed,
        on_unrecorded=lambda _inspection: None,
        on_storage=lambda _works, _why: None,
    )
    made.start()
    for part_id in parts:
        made.record(inspection(Verdict.REJECT, part(part_id)))
    committed.wait_for(len(parts))
    try:
        yield made
    finally:
        made.stop(10)


def say(made: Recorder, said: Feedback) -> FeedbackRecord | None:
    done, failed = Collected(), Collected()
    made.record_feedback(said, AT, done, failed)
    (record,) = done.wait_for(1)
    assert failed.items == []
    assert record is None or isinstance(record, FeedbackRecord)
    return record


def written(path: Path) -> list[dict[str, Any]]:
    found = rows(path, "SELECT payload FROM records JOIN outbox USING (stream, seq) WHERE stream = 'feedback'")
    return [json.loads(str(payload, "utf-8")) for (payload,) in found]  # type: ignore[call-overload]


def test_what_is_said_is_of_the_last_inspection_under_the_part_id(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with recorder(path, "a", "b", "a") as made:
        record = say(made, Feedback("a", is_right=False, by="kim", label="good", note="only dust"))
    assert record is not None
    (row,) = written(path)
    assert (row["inspection_seq"], row["verdict"], row["is_right"], row["seq"]) == (3, "REJECT", False, 1)
    assert (row["label"], row["note"], row["by"], row["part_id"]) == ("good", "only dust", "kim", "a")


def test_of_an_unknown_part_nothing_is_written(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with recorder(path, "a") as made:
        assert say(made, Feedback("c", is_right=True, by="kim")) is None
    assert written(path) == []


def test_a_number_is_never_given_twice_though_its_record_is_gone_and_the_station_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    numbers = []
    for _ in range(3):
        with recorder(path, "a") as made:
            record = say(made, Feedback("a", is_right=True, by="kim"))
            assert record is not None
            numbers.append(record.seq)
            SqliteOutbox(made).acknowledge(Stream.FEEDBACK, record.epoch, [SeqRange(1, record.seq)])
            made.write_and_wait(lambda connection: connection.execute("DELETE FROM records WHERE stream = 'feedback'"))
    offline = write_feedback(path, "test-1", Feedback("a", is_right=True, by="kim"), AT)
    assert offline is not None
    assert [*numbers, offline.seq] == [1, 2, 3, 4]


def test_what_is_said_after_a_new_epoch_still_names_the_inspection_by_its_own(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with recorder(path, "a") as made:
        outbox = SqliteOutbox(made)
        (old,) = outbox.after(Stream.INSPECTIONS, 0, 10)
        outbox.renew(old.epoch)
        record = say(made, Feedback("a", is_right=True, by="kim"))
        outbox.close()
    assert record is not None
    assert record.inspection_epoch == old.epoch
    assert record.epoch != old.epoch


def test_the_longest_note_fits_into_a_line() -> None:
    said = Feedback("p" * 128, is_right=True, by="b" * 128, label="\N{PILE OF POO}" * 128, note="\N{PILE OF POO}" * 500)
    assert NOTE_LIMIT == 500
    assert len(feedback_line(said)) < LINE_LIMIT_BYTES
    assert parse_line(feedback_line(said)) == said


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"is_right": 1}, id="no truth value"),
        pytest.param({"by": ""}, id="nobody says so"),
        pytest.param({"note": "n" * 501}, id="a note too long"),
        pytest.param({"label": "two\nlines"}, id="a label of two lines"),
        pytest.param({"part_id": None}, id="no part"),
        pytest.param({"inspection_id": 7}, id="an inspection that is no word"),
        pytest.param({"boxes": {}}, id="boxes that are no list"),
        pytest.param({"boxes": [{"camera": "top", "label": "dent"}]}, id="a box without corners"),
        pytest.param({"boxes": [BOX | {"more": 1}]}, id="a box with something more"),
        pytest.param({"boxes": [BOX | {"label": 5}]}, id="a box of no class"),
        pytest.param({"boxes": [BOX | {"box_xyxy": [1, 2, 3]}]}, id="a box of three corners"),
        pytest.param({"boxes": [BOX | {"box_xyxy": [1, 2, 3, True]}]}, id="a corner that is no number"),
        pytest.param({"boxes": [BOX | {"box_xyxy": [1, 2, 3, 1e300]}]}, id="a box wider than any picture"),
        pytest.param({"boxes": [BOX | {"box_xyxy": [3, 2, 1, 4]}]}, id="a box that holds nothing"),
        pytest.param({"boxes": [BOX | {"box_xyxy": [-1, 2, 3, 4]}]}, id="a box beside the picture"),
        pytest.param({"boxes": [BOX] * 33}, id="too many boxes"),
    ],
)
def test_a_word_that_is_none_is_refused(wrong: dict[str, object]) -> None:
    line = json.dumps({"type": "feedback", "part_id": "a", "is_right": True, "by": "kim"} | wrong).encode()
    with pytest.raises(OutputError):
        parse_line(line)


def test_edge_feedback_says_it_to_a_running_station_and_writes_it_itself_where_none_runs(tmp_path: Path) -> None:
    made = Station(tmp_path / "station")
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 2)
    tell = ["edge", "feedback", "p-1", "-c", str(made.config), "--json", "--by", "kim"]
    assert run_json([*tell, "--wrong"])[0] == 2
    with daemon(made), line_to(made) as line:
        line.trigger("p-1")
        line.hear()
        code, said = run_json([*tell, "--wrong", "--label", "scratch"])
        assert (code, said["verdict"], said["number"]) == (0, "PASS", 1)
        code, said = run_json([*tell[:2], "p-2", *tell[3:], "--right"])
        assert (code, said["kind"]) == (2, "ConfigError")
        assert "p-2" in said["error"]
    code, said = run_json([*tell, "--right"])
    assert (code, said["number"]) == (0, 2)
    code, said = run_json([*tell[:2], "p-2", *tell[3:], "--right"])
    assert (code, said["kind"]) == (2, "ConfigError")
    assert run_json(tell)[0] == 2
    assert [(row["is_right"], row["label"]) for row in written(made.database)] == [(False, "scratch"), (True, "")]


def test_a_word_with_boxes_says_on_the_line_what_it_says() -> None:
    boxes = (SaidBox("top", "dent", (1.0, 2.5, 3.0, 4.0)), SaidBox("side", "Kratzer ß", (0.0, 0.0, 9.0, 9.0)))
    said = Feedback("a", is_right=False, by="kim", boxes=boxes, inspection_id="test-1/" + "e" * 32 + "/7")
    assert parse_line(feedback_line(said)) == said
    assert b"boxes" not in feedback_line(Feedback("a", is_right=False, by="kim"))


def test_a_word_that_names_an_inspection_is_of_that_one_and_of_no_other_part_or_epoch(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with recorder(path, "a", "b", "a") as made:
        first = say(made, Feedback("a", is_right=True, by="kim"))
        assert first is not None
        named = f"test-1/{first.inspection_epoch}/"
        record = say(made, Feedback("a", is_right=False, by="kim", inspection_id=f"{named}1"))
        assert record is not None
        assert (first.inspection_seq, record.inspection_seq) == (3, 1)
        for other in (f"{named}2", f"{named}7", f"test-1/{'0' * 32}/1", f"test-2/{first.inspection_epoch}/1"):
            assert say(made, Feedback("a", is_right=False, by="kim", inspection_id=other)) is None


def test_who_says_what_a_rejected_part_really_is_makes_it_a_sample_though_the_verdict_was_right(tmp_path: Path) -> None:
    path = tmp_path / "station.db"
    with recorder(path, "a", "b") as made:
        say(made, Feedback("a", is_right=True, by="kim"))
        assert rows(path, "SELECT seq FROM samples") == []
        boxes = (SaidBox("top", "dent", (1.0, 2.0, 3.0, 4.0)),)
        record = say(made, Feedback("b", is_right=True, by="kim", boxes=boxes))
    assert record is not None
    assert [(box.camera, box.label, box.box_xyxy) for box in record.boxes] == [("top", "dent", [1, 2, 3, 4])]
    assert rows(path, "SELECT DISTINCT seq, reason FROM samples") == [(2, "overruled")]


def test_edge_feedback_takes_boxes_and_refuses_those_of_no_camera(tmp_path: Path) -> None:
    made = Station(tmp_path / "station")
    made.write_config()
    make_bundle(made.bundles)
    write_frames(made.folder / "frames", 1)
    tell = ["edge", "feedback", "p-1", "-c", str(made.config), "--json", "--by", "kim", "--wrong"]
    with daemon(made), line_to(made) as line:
        line.trigger("p-1")
        line.hear()
        code, said = run_json([*tell, "--box", "dent:1,2,3.5,4", "--box", "top:scratch:5,6,7,8"])
        assert (code, said["boxes"]) == (0, 2)
    [kept] = written(made.database)
    assert [(box["camera"], box["label"], box["box_xyxy"]) for box in kept["boxes"]] == [
        ("top", "dent", [1.0, 2.0, 3.5, 4.0]),
        ("top", "scratch", [5.0, 6.0, 7.0, 8.0]),
    ]
    for wrong in ("side:dent:1,2,3,4", "dent:1,2,3", "dent:3,2,1,4", "1,2,3,4"):
        assert run_json([*tell, "--box", wrong])[0] == 2, wrong


def test_its_help_loads_nothing_heavy() -> None:
    text = (
        "import sys\nfrom edge.cli import main\ntry:\n    main(['feedback', '--help'])\nexcept SystemExit:\n    pass\n"
        "loaded = {'numpy', 'cv2', 'openvino', 'pydantic'} & set(sys.modules)\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, timeout=60)
