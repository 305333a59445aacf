"""What the live page shows of the records, over a real database."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from edge_kit import NOW, detections, frame, part, view

from edge.domain.inspection import Inspection, Outcome, OutcomeOf, View
from edge.domain.part import Part, Verdict
from edge.record.database import open_database
from edge.record.images import ImageStore
from edge.record.inspections import insert_images, insert_inspection, insert_outcome
from edge.web.newest import NewestParts
from edge.web.passing import Newest


class Book:
    """A station's database that a test writes as the daemon does."""

    def __init__(self, folder: Path) -> None:
        self.images = ImageStore(folder / "images", "png")
        self.connection = open_database(folder / "station.db")
        self.seq = 0

    def write(self, verdict: Verdict = Verdict.PASS, views: Sequence[View] = (), of: Part | None = None,
              *, keeps: bool = True) -> int:  # fmt: skip
        self.seq += 1
        made = Inspection(of or part(f"p-{self.seq}"), tuple(views) or (view(verdict),), (), "1", {"decided": 1.0})
        insert_inspection(self.connection, "test-1", self.seq, made, keeps_image=keeps)
        return self.seq

    def store(self, seq: int, cameras: Sequence[str] = ("top",), dropped: Sequence[str] = ()) -> None:
        refs = {camera: self.images.put(frame(seq, 20 * seq, camera))[0] for camera in cameras}
        insert_images(self.connection, "test-1", seq, f"p-{seq}", refs, dropped)

    def tell(self, seq: int, verdict: Verdict | None, ms: float | None, outcome: Outcome = Outcome.TOLD) -> None:
        insert_outcome(self.connection, "test-1", OutcomeOf(seq, f"p-{seq}", outcome, verdict, ms))

    def read(self, after: timedelta = timedelta(milliseconds=20)) -> Newest:
        return NewestParts(self.connection, self.images).read(NOW + after)


def test_a_verdict_waits_for_its_picture_and_not_for_ever(tmp_path: Path) -> None:
    written = Book(tmp_path)
    written.store(written.write())
    written.write(Verdict.REJECT)
    soon, later = written.read(), written.read(timedelta(seconds=1))
    assert soon.part is not None
    assert (soon.part.seq, soon.part.verdict, soon.waits) == (1, "PASS", True)
    assert soon.looks[0].picture
    assert later.part is not None
    assert (later.part.seq, later.part.verdict, later.waits) == (2, "REJECT", False)
    assert [(look.seq, look.picture, look.missing) for look in later.looks] == [(2, "", "pending")]
    written.connection.close()


def test_each_camera_shows_its_own_newest_with_boxes_in_its_pixels(tmp_path: Path) -> None:
    written = Book(tmp_path)
    written.store(written.write(views=[view(camera="top"), view(Verdict.REJECT, "side")]), ("top", "side"))
    written.store(written.write(views=[view(camera="top", seq=2)]), ("top",))
    looks = {look.camera: look for look in written.read().looks}
    assert {name: look.seq for name, look in looks.items()} == {"top": 2, "side": 1}
    assert looks["side"].size == (80, 60)
    assert [list(box.xyxy) for box in looks["side"].boxes] == [[1, 1, 9, 9]]
    assert list(looks["side"].model) == ["blob", "1", "FP32"]
    written.connection.close()


def test_a_part_of_which_the_line_was_told_otherwise_shows_what_it_was_told(tmp_path: Path) -> None:
    written = Book(tmp_path)
    written.store(written.write(Verdict.PASS))
    written.tell(1, Verdict.UNDECIDED, 700.0, Outcome.LATE)
    shown = written.read().part
    assert shown is not None
    assert (shown.verdict, shown.found, shown.outcome) == ("UNDECIDED", "PASS", "late")
    written.connection.close()


def test_why_a_picture_is_missing_is_said(tmp_path: Path) -> None:
    found = {}
    for name in ("not_kept", "dropped", "no_frame", "gone"):
        written = Book(tmp_path / name)
        views = [View("top", Verdict.UNDECIDED, ("no_frame",))] if name == "no_frame" else ()
        seq = written.write(views=views, keeps=name != "not_kept")
        if name == "dropped":
            written.store(seq, (), ("top",))
        if name == "gone":
            written.store(seq)
            (path,) = written.images.files()
            path.unlink()
        found[name] = written.read(timedelta(seconds=1)).looks[0].missing
        written.connection.close()
    assert found == {name: name for name in found}


def test_figures_leave_master_parts_out_and_count_the_rest(tmp_path: Path) -> None:
    written = Book(tmp_path)
    for verdict, ms in ((Verdict.PASS, 10.0), (Verdict.REJECT, 20.0), (Verdict.PASS, 30.0), (Verdict.PASS, 40.0)):
        seq = written.write(verdict)
        written.store(seq)
        written.tell(seq, verdict, ms)
    written.store(written.write(Verdict.REJECT, of=Part("master:s:bad", "blob", NOW, 0.0, (), "bad")))
    figures = written.read(timedelta(seconds=2)).figures
    assert (figures.parts, figures.good, figures.p50_ms, figures.p99_ms) == (4, 0.75, 20.0, 40.0)
    assert figures.per_minute == 120.0
    written.connection.close()


def test_the_last_that_did_not_pass_stay_in_sight(tmp_path: Path) -> None:
    written = Book(tmp_path)
    bad = [View("top", Verdict.REJECT, ("anomaly:1",), view().frame, detections((1, 1, 9, 9, 0.9)), ("anomaly",))]
    written.store(written.write(views=[*bad, view(camera="side")]), ("top", "side"))
    for _ in range(60):
        written.write()
    shown = written.read(timedelta(seconds=1))
    assert [each.seq for each in shown.not_good] == [1]
    top = json.loads(written.connection.execute("SELECT payload FROM records WHERE stream = 'images'").fetchone()[0])
    assert shown.not_good[0].picture == top["images"]["top"]["sha256"], "of the camera that spoke against it"
    written.connection.close()


def test_an_empty_station_shows_that_there_is_no_part(tmp_path: Path) -> None:
    written = Book(tmp_path)
    shown = written.read()
    assert (shown.part, list(shown.looks), shown.figures.good, shown.waits) == (None, [], None, False)
    written.connection.close()


def test_reading_again_looks_at_no_whole_table(tmp_path: Path) -> None:
    written = Book(tmp_path)
    written.store(written.write())
    asked: list[str] = []
    written.connection.set_trace_callback(asked.append)
    written.read()
    written.connection.set_trace_callback(None)
    for query in asked:
        plan = " ".join(str(row[3]) for row in written.connection.execute(f"EXPLAIN QUERY PLAN {query}"))
        assert "TEMP B-TREE" not in plan, query
        assert plan.startswith("SEARCH") or "LIMIT" in query, f"{query}: {plan}"
    written.connection.close()


def test_a_clock_that_was_set_back_hides_no_part_and_makes_up_no_rate(tmp_path: Path) -> None:
    written = Book(tmp_path)
    written.store(written.write())
    written.write(Verdict.REJECT)  # of the hour that is to come once more, and its picture never came
    shown = written.read(timedelta(hours=-1))
    assert shown.part is not None
    assert (shown.part.seq, shown.part.verdict, shown.waits) == (2, "REJECT", False)
    assert shown.figures.per_minute == 0.0
    written.connection.close()
