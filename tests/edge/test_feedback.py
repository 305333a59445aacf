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
from edge.domain.feedback import Feedback
from edge.domain.part import Verdict
from edge.line.protocol import LINE_LIMIT_BYTES, NOTE_LIMIT, feedback_line, parse_line
from edge.record.feedback import write_feedback
from edge.record.outbox import SqliteOutbox
from edge.record.recorder import Recorder

AT = datetime(2026, 7, 1, 12, tzinfo=UTC)


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


def test_its_help_loads_nothing_heavy() -> None:
    text = (
        "import sys\nfrom edge.cli import main\ntry:\n    main(['feedback', '--help'])\nexcept SystemExit:\n    pass\n"
        "loaded = {'numpy', 'cv2', 'openvino', 'pydantic'} & set(sys.modules)\nassert not loaded, loaded"
    )
    subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, timeout=60)
