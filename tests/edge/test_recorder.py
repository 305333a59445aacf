import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from brokers import eventually
from edge_kit import Collected, frame, inspection, part, view
from refusing_kit import refusing_disk

from cloud_sync.wire.records import content_hash
from edge.domain.errors import StorageError
from edge.domain.inspection import FrameInfo, Inspection, Outcome, OutcomeOf
from edge.domain.part import Verdict
from edge.record.database import open_database, open_reader
from edge.record.recorder import Recorder
from edge.record.writer import GroupWriter, RefusedError, Work


@dataclass
class Kept:
    """A recorder and everything it said."""

    path: Path
    committed: Collected = field(default_factory=Collected)
    unrecorded: Collected = field(default_factory=Collected)
    storage: Collected = field(default_factory=Collected)

    def recorder(self) -> Recorder:
        return Recorder(
            "test-1",
            self.path,
            keeps_image=lambda _inspection: True,
            on_committed=self.committed,
            on_unrecorded=self.unrecorded,
            on_storage=self.storage,
        )

    @contextmanager
    def running(self) -> Iterator[Recorder]:
        recorder = self.recorder()
        recorder.start()
        try:
            yield recorder
        finally:
            recorder.stop(10)
            assert recorder.failure is None

    def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        with closing(open_reader(self.path)) as reader:
            return reader.execute(query, values).fetchall()

    def record(self, seq: int, stream: str = "inspections") -> dict[str, object]:
        ((payload, sha256),) = self.rows(
            "SELECT payload, sha256 FROM records WHERE stream = ? AND seq = ?", stream, seq
        )
        assert content_hash(payload) == sha256
        found: dict[str, object] = json.loads(payload)
        return found


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "station.db")


LATER_LIMIT = 20_000  # what a recorder keeps for when the disk is back


def test_an_inspection_is_on_disk_with_its_outbox_row_before_anybody_hears_of_it(kept: Kept) -> None:
    seen: list[int] = []

    def committed(*_: object) -> None:
        seen.append(len(kept.rows("SELECT 1 FROM inspections JOIN outbox USING (seq) JOIN records USING (seq)")))

    recorder = Recorder(
        "test-1",
        kept.path,
        keeps_image=lambda _inspection: False,
        on_committed=committed,
        on_unrecorded=kept.unrecorded,
        on_storage=kept.storage,
    )
    recorder.start()
    recorder.record(inspection())
    recorder.stop(10)
    assert seen == [1]


def test_a_record_says_what_was_decided_and_its_bytes_have_the_hash_that_is_told(kept: Kept) -> None:
    with kept.running() as recorder:
        recorder.record(inspection(Verdict.REJECT), (frame(),))
        committed, frames = kept.committed.wait_for(1)[0]
    record = kept.record(1)
    assert committed.seq == 1
    assert len(frames) == 1
    assert kept.rows("SELECT sha256 FROM records") == [(committed.record_sha256,)]
    assert (record["verdict"], record["reasons"], record["image"]) == ("REJECT", ["anomaly:1"], "pending")
    assert record["views"][0]["detections"][0]["label"] == "anomaly"  # type: ignore[index]


def test_numbers_go_up_by_one_in_the_order_of_recording_and_go_on_after_a_restart(kept: Kept) -> None:
    for _ in range(2):
        with kept.running() as recorder:
            for _ in range(50):
                recorder.record(inspection())
    seqs = [committed.seq for committed, _ in kept.committed.items]
    assert seqs == list(range(1, 101))


def test_many_wait_for_one_commit(kept: Kept) -> None:
    recorder = kept.recorder()
    for _ in range(128):
        recorder.record(inspection())
    recorder.start()
    kept.committed.wait_for(128)
    assert recorder._writer.commits <= 4  # noqa: SLF001 - the point of group commit
    recorder.stop(10)


def test_an_outcome_is_written_once_and_the_first_stays(kept: Kept) -> None:
    with kept.running() as recorder:
        recorder.record(inspection())
        kept.committed.wait_for(1)
        recorder.record_outcomes([OutcomeOf(1, "p-1", Outcome.TOLD, Verdict.PASS, 12.3456)])
        recorder.record_outcomes([OutcomeOf(1, "p-1", Outcome.LATE, None, None)])
    assert kept.rows("SELECT outcome, told_verdict FROM inspections") == [("told", "PASS")]
    assert kept.record(1, "outcomes")["told_ms"] == 12.346


def test_what_an_earlier_run_left_open_is_closed_at_the_next_start(kept: Kept) -> None:
    with kept.running() as recorder:
        recorder.record(inspection(), (frame(),))
        recorder.record(inspection())
    with kept.running() as recorder:
        recorder.record(inspection(), (frame(),))
    assert kept.rows("SELECT outcome FROM inspections ORDER BY seq") == [("unconfirmed",), ("unconfirmed",), (None,)]
    assert kept.record(1, "outcomes")["told_verdict"] is None
    assert kept.record(1, "images")["dropped"] == ["top"]
    assert kept.rows("SELECT seq FROM records WHERE stream = 'images'") == [(1,)]


_KILLED_BETWEEN = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from edge_kit import inspection
from edge.record.recorder import Recorder
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
recorder = Recorder("test-1", Path(sys.argv[1]), keeps_image=lambda _: False, on_committed=kill,
                    on_unrecorded=print, on_storage=print)
recorder.start()
recorder.record(inspection())
recorder.settle(30)
"""


def test_a_kill_between_commit_and_telling_leaves_unconfirmed(kept: Kept) -> None:
    tests = str(Path(__file__).parents[1] / "kit")
    done = subprocess.run([sys.executable, "-c", _KILLED_BETWEEN, str(kept.path), tests], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    with kept.running():
        pass
    assert kept.rows("SELECT verdict, outcome, told_verdict FROM inspections") == [("PASS", "unconfirmed", None)]


def test_a_refusing_disk_makes_parts_undecided_and_their_gap_records_come_when_it_is_back(kept: Kept) -> None:
    with kept.running() as recorder:
        recorder.record(inspection(of=part("before")))
        kept.committed.wait_for(1)
        with refusing_disk(kept.path):
            for number in range(5):
                recorder.record(inspection(of=part(f"during-{number}")), (frame(),))
            told = kept.unrecorded.wait_for(5)
            assert kept.storage.wait_for(1)[0][0] is False
        assert {(one.verdict, one.reasons) for one in told} == {(Verdict.UNDECIDED, ("storage_failed",))}
        kept.committed.wait_for(6)
        assert kept.storage.items[-1] == (True, "")
    rows = kept.rows("SELECT part_id, verdict FROM inspections ORDER BY seq")
    assert rows == [("before", "PASS"), *((f"during-{number}", "UNDECIDED") for number in range(5))]
    assert kept.record(2)["reasons"] == ["storage_failed"]
    assert kept.record(2)["image"] == "none"


def test_two_outages_in_a_row_lose_no_part_and_say_the_reason_once(kept: Kept) -> None:
    with kept.running() as recorder:
        recorder.settle(10)
        for outage in (1, 2):
            with refusing_disk(kept.path):
                recorder.record(inspection(of=part(f"p-{outage}")))
                kept.unrecorded.wait_for(outage)
                assert not threading.Event().wait(1.2)  # longer than the writer waits to try again
            kept.committed.wait_for(outage)
    assert kept.rows("SELECT part_id FROM inspections ORDER BY seq") == [("p-1",), ("p-2",)]


def test_what_a_long_outage_pushes_out_is_counted(kept: Kept) -> None:
    recorder = kept.recorder()
    recorder.start()
    recorder.settle(10)
    with refusing_disk(kept.path):
        for number in range(LATER_LIMIT + 7):
            recorder.record(inspection(of=part(f"p-{number}")))
        kept.unrecorded.wait_for(LATER_LIMIT + 7)
        assert recorder.given_up == 7
        recorder.stop(10)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of one megabyte."""
    where = tmp_path / "disk"
    where.mkdir()
    mount = ["/bin/mount", "-t", "tmpfs", "-o", "size=1m", "none", str(where)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("only root may mount a small file system")
    yield where
    subprocess.run(["/bin/umount", str(where)], check=True)


def test_a_full_disk_and_room_again(small_disk: Path) -> None:
    kept = Kept(small_disk / "station.db")
    with kept.running() as recorder:
        recorder.record(inspection())
        kept.committed.wait_for(1)
        filler = small_disk / "filler"
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(b"\0" * (2 << 20))
        for _ in range(200):
            recorder.record(inspection())
        kept.unrecorded.wait_for(1)
        assert kept.storage.items[0][0] is False
        filler.unlink()
        eventually(lambda: kept.storage.items[-1] == (True, ""))
        kept.committed.wait_for(201)
    assert kept.rows("SELECT count(*) FROM inspections") == [(201,)]


def test_a_database_that_somebody_locks_is_a_fault_that_is_seen_while_it_lasts(kept: Kept) -> None:
    with kept.running() as recorder:
        recorder.settle(10)
        assert recorder.busy_s(time.monotonic()) < 1
        with closing(sqlite3.connect(kept.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            recorder.record(inspection())
            eventually(lambda: recorder.busy_s(time.monotonic()) > 0.5)
            assert kept.committed.items == []
            other.execute("ROLLBACK")
        assert kept.committed.wait_for(1)[0][0].inspection.verdict is Verdict.PASS
        eventually(lambda: recorder.busy_s(time.monotonic()) == 0)


def test_a_record_that_cannot_be_written_is_undecided_alone_and_storage_is_not_blamed(kept: Kept) -> None:
    wrong = inspection(of=part("wrong"))
    wrong.latency_ms["decided"] = float("nan")
    recorder = kept.recorder()
    for one in (inspection(of=part("a")), wrong, inspection(of=part("b"))):
        recorder.record(one)
    recorder.start()
    kept.committed.wait_for(3)
    recorder.stop(10)
    told = kept.unrecorded.items
    assert [(one.part.part_id, one.verdict) for one in told] == [("wrong", Verdict.UNDECIDED)]
    rows = kept.rows("SELECT part_id, verdict FROM inspections ORDER BY seq")
    assert rows == [("a", "PASS"), ("b", "PASS"), ("wrong", "UNDECIDED")]
    assert kept.record(3)["reasons"] == ["not_recordable"]
    assert kept.storage.items == []


def test_an_images_record_written_again_is_written_once(kept: Kept) -> None:
    """A commit that reported a fault may have reached the disk: its repetition once ended in a loop of outages."""
    with kept.running() as recorder:
        recorder.record(inspection(), (frame(),))
        committed, _ = kept.committed.wait_for(1)[0]
        for _ in range(2):
            recorder.record_images(committed, {}, ["top"])
        recorder.settle(10)
    assert kept.storage.items == []
    assert kept.rows("SELECT count(*) FROM records WHERE stream = 'images'") == [(1,)]


def test_a_part_with_many_views_and_detections_fits_into_one_record(kept: Kept) -> None:
    from edge_kit import detections

    boxes = [(float(n), 1.0, n + 9.25, 9.75, 0.9) for n in range(500)]
    views = tuple(
        replace(view(Verdict.REJECT, f"camera-{number}"), detections=detections(*boxes)) for number in range(16)
    )
    with kept.running() as recorder:
        recorder.record(Inspection(part(), views))
        kept.committed.wait_for(1)
    ((payload,),) = kept.rows("SELECT payload FROM records")
    assert len(payload) < 48 * 1024
    assert kept.record(1)["views"][0]["detections_total"] == 500  # type: ignore[index]


def test_write_and_wait_raises_what_the_write_raised(kept: Kept) -> None:
    def wrong(_connection: sqlite3.Connection) -> None:
        raise ValueError("wrong")

    with kept.running() as recorder, pytest.raises(StorageError, match="wrong"):
        recorder.write_and_wait(wrong)


def test_a_callback_that_fails_stops_the_writer_loudly(kept: Kept) -> None:
    recorder = Recorder(
        "test-1",
        kept.path,
        keeps_image=lambda _inspection: False,
        on_committed=lambda *_: 1 // 0,
        on_unrecorded=kept.unrecorded,
        on_storage=kept.storage,
    )
    recorder.start()
    recorder.record(inspection())
    eventually(lambda: isinstance(recorder.failure, ZeroDivisionError))
    recorder.stop(10)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(ValueError("x"), id="value"),
        pytest.param(OverflowError("too large"), id="an integer too large for SQLite"),
        pytest.param(sqlite3.IntegrityError("UNIQUE"), id="a constraint"),
        pytest.param(sqlite3.InterfaceError("type"), id="a type SQLite does not know"),
    ],
)
def test_a_work_that_is_wrong_fails_alone(tmp_path: Path, error: Exception) -> None:
    done, failed, state = Collected(), Collected(), Collected()

    def wrong(_connection: sqlite3.Connection) -> None:
        raise error

    writer = GroupWriter(tmp_path / "station.db", state)
    for write in (lambda _: None, wrong, lambda _: None):
        writer.submit(Work(write, lambda: done(1), failed))
    writer.start()
    done.wait_for(2)
    assert isinstance(failed.wait_for(1)[0], RefusedError)
    writer.stop(10)
    assert (writer.failure, state.items, writer.depth()) == (None, [], 0)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "station.db").write_bytes(b"not a database, but long enough to be taken for one" * 100)
    with pytest.raises(StorageError, match="cannot use the station's database"):
        open_database(tmp_path / "station.db")


def test_a_database_that_is_not_there_is_not_made_by_reading(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        open_reader(tmp_path / "station.db")
    assert list(tmp_path.iterdir()) == []


def test_every_commit_is_synced_and_logged_ahead(tmp_path: Path) -> None:
    with closing(open_database(tmp_path / "station.db")) as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_frame_info_keeps_no_pixels() -> None:
    assert not hasattr(FrameInfo.of(frame()), "image")


def test_storage_is_back_only_once_the_log_of_the_failed_commit_is_in_the_database_and_empty(kept: Kept) -> None:
    """What a failed fsync left in the log may be in memory alone: commits behind it would fall with it."""
    with kept.running() as recorder:
        recorder.record(inspection())
        kept.committed.wait_for(1)
        with closing(sqlite3.connect(kept.path, isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM inspections").fetchone()
            with refusing_disk(kept.path):
                recorder.record(inspection())
                kept.unrecorded.wait_for(1)
            assert not threading.Event().wait(2.5)  # the writer tries every second
            assert [works for works, _ in kept.storage.items] == [False]
            reader.execute("ROLLBACK")
            wal = kept.path.with_name("station.db-wal")
            eventually(lambda: kept.storage.items[-1] == (True, ""))
        kept.committed.wait_for(2)
        assert wal.stat().st_size < 200_000
