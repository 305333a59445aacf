"""The desk behind the line's back: samples are written once, within the budget, and its faults stay its own."""

import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from brokers import eventually
from edge_kit import NOW, detections, frame
from edge_rows import rows
from triage_kit import STATION, desk, reasons, samples, seen

from cloud_sync.wire.outbox import SeqRange, Stream
from cloud_sync.wire.records import RECORD_LIMIT_BYTES
from edge.domain.feedback import Feedback
from edge.domain.inspection import ImageRef
from edge.domain.sample import SampleReason
from edge.record.counts import read_counts
from edge.record.database import open_database, open_reader
from edge.record.eviction import Limits
from edge.record.feedback import write_feedback
from edge.record.outbox import SqliteOutbox
from edge.record.samples import Chosen, proposal_of
from edge.record.spool import read_spool
from edge.record.upload_choice import UploadRule, UploadValue

UNCERTAIN = seen(0.48)


def uploads(path: Path) -> list[tuple[object, ...]]:
    return rows(path, "SELECT seq, camera, value FROM uploads ORDER BY value DESC, seq")


def test_a_sample_says_why_and_what_the_model_made_of_it_and_waits_for_the_cloud(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        made.consider(seen(0.1))
        inspected = made.consider(UNCERTAIN)
        made.noticed.wait_for(1)
    (sample,) = samples(made.path)
    assert (sample["inspection_seq"], sample["camera"], sample["product"]) == (inspected.seq, "top", "blob")
    assert sample["reasons"] == ["uncertain", "candidate"]
    assert sample["champion"]["score"] == pytest.approx(0.48)
    assert sample["champion"]["detections"][0]["label"] == "anomaly"
    assert f"{STATION}/{sample['inspection_epoch']}/{sample['inspection_seq']}" == inspected.inspection_id
    assert rows(made.path, "SELECT seq FROM outbox WHERE stream = 'samples'") == [(1,)]
    assert made.desk.counts.kept == {SampleReason.UNCERTAIN: 1, SampleReason.CANDIDATE: 1}


def test_where_two_models_disagree_the_sample_holds_both_and_where_they_agree_there_is_none(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        made.desk.paired(made.inspect(seen(0.1)), "top", seen(0.1), seen(0.2))
        made.desk.paired(made.inspect(seen(0.1)), "top", seen(0.1), seen(0.9))
        made.noticed.wait_for(1)
    (sample,) = samples(made.path)
    assert sample["reasons"] == ["disagreement"]
    assert (sample["champion"]["verdict"], sample["challenger"]["verdict"]) == ("PASS", "REJECT")


def test_what_was_a_sample_already_is_one_again_only_for_a_new_reason(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        inspected = made.consider(UNCERTAIN)
        made.desk.consider(inspected, (frame(),))
        made.desk.disagreed(inspected, "top", UNCERTAIN, seen(0.9))
        made.desk.disagreed(inspected, "top", UNCERTAIN, seen(0.9))
        made.finish()
        for _ in range(2):
            write_feedback(made.path, STATION, Feedback("p-1", is_right=False, by="kim"), NOW)
    assert reasons(made.path) == [["uncertain", "candidate"], ["disagreement"], ["overruled"]]
    assert made.desk.counts.faults == 0


def test_the_budget_refuses_counts_what_it_refused_and_survives_a_restart(tmp_path: Path) -> None:
    with desk(tmp_path, per_hour=4) as made:
        for _ in range(9):
            made.consider(UNCERTAIN)
    kept = len(samples(made.path))
    assert 1 <= kept <= 4
    assert made.desk.counts.refused[SampleReason.UNCERTAIN] == 9 - kept
    with desk(tmp_path, per_hour=4) as again:
        for _ in range(9):
            again.consider(UNCERTAIN)
    assert len(samples(made.path)) == kept
    assert again.desk.counts.refused[SampleReason.UNCERTAIN] == 9


@pytest.mark.parametrize("way", ["running", "alone"])
def test_what_a_person_overrules_is_always_a_sample_and_its_image_goes_first(tmp_path: Path, way: str) -> None:
    rule, said = UploadRule("not_pass"), Feedback("p-1", is_right=False, by="kim", label="scratch")
    with desk(tmp_path, per_hour=0) as made:
        for score, letter in ((0.1, "a"), (0.9, "b"), (0.48, "c")):
            kept = {"top": ImageRef(letter * 64, 9, "image/png")}
            made.recorder.record_images(made.inspect(seen(score)), kept, [])
        made.recorder.settle(10)
        if way == "running":
            made.recorder.record_feedback(
                said, NOW, lambda record: record and made.desk.overruled(record), lambda _: None
            )
            made.recorder.settle(10)
        else:
            write_feedback(made.path, STATION, said, NOW, rule)
    assert reasons(made.path) == [["overruled"]]
    assert samples(made.path)[0]["champion"]["score"] == pytest.approx(0.1)
    assert uploads(made.path)[0] == (1, "top", UploadValue.OVERRULED)
    right = Feedback("p-2", is_right=True, by="kim")
    write_feedback(made.path, STATION, right, NOW, rule)
    assert len(samples(made.path)) == 1


def test_a_word_on_a_master_part_is_kept_and_makes_no_sample_nor_does_the_part_itself(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        made.consider(UNCERTAIN, part_id="m-1", master="fine.png")
        made.desk.disagreed(made.inspect(UNCERTAIN, master="fine.png"), "top", UNCERTAIN, seen(0.9))
        said = Feedback("m-1", is_right=False, by="kim")
        assert write_feedback(made.path, STATION, said, NOW) is not None
    assert samples(made.path) == []


def test_overruled_though_its_record_was_let_go_of_is_a_sample_without_a_proposal(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        made.recorder.record_images(made.inspect(seen(0.9)), {"top": ImageRef("b" * 64, 9, "image/png")}, [])
        made.recorder.settle(10)
        made.recorder.write_and_wait(lambda connection: connection.execute("DELETE FROM records"))
        write_feedback(made.path, STATION, Feedback("p-1", is_right=False, by="kim"), NOW)
    (sample,) = samples(made.path)
    assert (sample["champion"], sample["camera"]) == (None, "top")


@pytest.mark.parametrize("first", ["the sample", "the image"])
def test_a_samples_image_goes_up_before_others_whichever_was_written_first(tmp_path: Path, first: str) -> None:
    with desk(tmp_path, starts=False) as made:
        inspected, other = made.inspect(seen(0.48)), made.inspect(seen(0.9))
        refs = [ImageRef(letter * 64, 9, "image/png") for letter in "ab"]
        made.recorder.record_images(other, {"top": refs[1]}, [])
        chosen = Chosen(inspected.seq, "top", (SampleReason.UNCERTAIN,), NOW)
        if first == "the sample":
            made.recorder.record_sample(chosen)
        made.recorder.record_images(inspected, {"top": refs[0]}, [])
        made.recorder.settle(10)
        if first == "the image":
            made.recorder.record_sample(chosen)
        assert uploads(made.path) == [(1, "top", UploadValue.SAMPLE), (2, "top", UploadValue.REJECT)]


def test_without_its_image_nothing_but_an_overrule_is_a_sample(tmp_path: Path) -> None:
    with desk(tmp_path, keeps_image=False) as made:
        made.desk.disagreed(made.consider(UNCERTAIN), "top", UNCERTAIN, seen(0.9))
    assert samples(made.path) == []


def test_a_sample_of_the_greatest_findings_and_longest_names_fits_into_a_record(tmp_path: Path) -> None:
    huge = seen(0.9, camera="c" * 128, count=5000, label="\U0001f4a5" * 128)
    with desk(tmp_path, starts=False) as made:
        inspected = made.inspect(seen(0.9), part_id="\U0001f4a5" * 128)
        every = tuple(SampleReason)
        proposals = proposal_of(huge), proposal_of(huge)
        made.recorder.record_sample(Chosen(inspected.seq, "c" * 128, every, NOW, *proposals))
    [(size,)] = rows(made.path, "SELECT length(payload) FROM records WHERE stream = 'samples'")
    assert isinstance(size, int)
    assert 20_000 < size <= RECORD_LIMIT_BYTES
    (sample,) = samples(made.path)
    assert len(sample["champion"]["detections"]) == len(sample["challenger"]["detections"]) > 8


def test_a_sample_that_cannot_be_made_keeps_nobodys_word_from_being_kept(tmp_path: Path) -> None:
    with desk(tmp_path, starts=False) as made:
        made.inspect(seen(0.9))
        query = "UPDATE records SET payload = '{\"an\":\"older record\"}' WHERE stream = 'inspections'"
        made.recorder.write_and_wait(lambda connection: connection.execute(query))
        assert write_feedback(made.path, STATION, Feedback("p-1", is_right=False, by="kim"), NOW) is not None
    assert samples(made.path) == []
    assert rows(made.path, "SELECT count(*) FROM records WHERE stream = 'feedback'") == [(1,)]


def test_a_fault_of_the_desk_is_counted_and_an_alarm_and_the_next_part_is_looked_at(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        made.thresholds = {}
        made.consider(UNCERTAIN)
        eventually(lambda: made.desk.counts.faults == 1)
        made.thresholds = {"blob": {}}
        made.consider(UNCERTAIN)
        made.noticed.wait_for(1)
        assert "missed 1 times" in made.health.alarms()["triage"]
        assert made.health.state() == (True, "")
        for _ in range(100):
            made.consider(seen(0.1))
        eventually(lambda: made.health.alarms() == {})


def test_a_disk_that_refuses_costs_the_sample_and_gives_its_budget_back(tmp_path: Path) -> None:
    with desk(tmp_path, per_hour=1) as made:
        inspected = made.inspect(UNCERTAIN)
        with closing(sqlite3.connect(made.path)) as other:
            other.execute("CREATE TRIGGER refuses BEFORE INSERT ON samples BEGIN SELECT RAISE(ABORT, 'no'); END")
        made.desk.consider(inspected, (frame(),))
        eventually(lambda: made.desk.counts.faults == 1)
        with closing(sqlite3.connect(made.path)) as other:
            other.execute("DROP TRIGGER refuses")
        made.consider(UNCERTAIN)
        made.noticed.wait_for(1)
    assert [sample["inspection_seq"] for sample in samples(made.path)] == [2]
    assert samples(made.path)[0]["seq"] == 1


def test_more_than_the_desk_can_take_is_counted_and_nobody_waits(tmp_path: Path) -> None:
    with desk(tmp_path, starts=False) as made:
        inspected, large = made.inspect(seen(0.1)), frame(size=(2000, 1500))
        for _ in range(600):
            made.desk.consider(inspected, (large,))
        assert made.desk.counts.skipped == 600 - 512
        assert made.desk.counts.unmeasured == 600 - (64 << 20) // large.held_bytes
        made.desk.start()
    assert made.desk.counts.faults == 0
    assert made.desk.counts.unmeasured >= 600 - 9  # while many wait the processor is wanted elsewhere
    assert made.desk._queued_bytes == 0  # noqa: SLF001 - what was counted in is counted out


_KILLED = """
import os, signal, sys
from pathlib import Path

sys.path.insert(0, sys.argv[2])
from triage_kit import desk, seen
from edge.record import samples

left, point = 3, sys.argv[3]
made = getattr(samples, point)
def killed(*given):
    global left
    left -= 1
    if point == "insert_record":
        found = made(*given)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return made(*given)
setattr(samples, point, killed)
with desk(Path(sys.argv[1]), per_hour=8) as one:
    for _ in range(5):
        one.consider(seen(0.48))
    one.noticed.wait_for(5)
"""


@pytest.mark.parametrize("point", ["insert_record", "note_reasons"])
def test_a_kill_between_choosing_and_commit_leaves_no_half_sample_and_what_is_there_is_charged(
    tmp_path: Path, point: str
) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path), str(Path(__file__).parents[1] / "kit"), point]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    with desk(tmp_path, per_hour=3) as made:
        assert [sample["seq"] for sample in samples(made.path)] == [1, 2]
        assert rows(made.path, "SELECT count(*) FROM samples WHERE charged") == [(2,)]
        assert rows(made.path, "SELECT count(*) FROM outbox WHERE stream = 'samples'") == [(2,)]
        for _ in range(5):
            made.consider(UNCERTAIN)
        made.finish()
        assert [sample["seq"] for sample in samples(made.path)] == [1, 2, 3]


def test_samples_are_resent_until_the_cloud_has_them_and_their_numbers_never_come_twice(tmp_path: Path) -> None:
    with desk(tmp_path) as made:
        made.consider(UNCERTAIN)
        made.noticed.wait_for(1)
        outbox = SqliteOutbox(made.recorder)
        (row,) = outbox.after(Stream.SAMPLES, 0, 10)
        assert outbox.after(Stream.SAMPLES, 0, 10) == [row]
        outbox.acknowledge(Stream.SAMPLES, row.epoch, [SeqRange(1, 1)])
        assert outbox.after(Stream.SAMPLES, 0, 10) == []
        made.recorder.write_and_wait(lambda c: c.execute("DELETE FROM records WHERE stream = 'samples'"))
        outbox.renew(row.epoch)
        made.consider(UNCERTAIN)
        made.noticed.wait_for(2)
        (second,) = outbox.after(Stream.SAMPLES, 0, 10)
        outbox.close()
    assert second.seq == 2
    assert second.epoch != row.epoch


def test_the_spool_says_since_when_the_oldest_sample_waits(tmp_path: Path) -> None:
    with desk(tmp_path, starts=False) as made:
        made.recorder.record_sample(Chosen(made.inspect(UNCERTAIN).seq, "top", (SampleReason.AUDIT,), NOW))
        lane = read_spool(made.path).lanes[Stream.SAMPLES]
    assert (lane.rows, lane.oldest_at) == (1, NOW)


def test_a_database_of_before_samples_counts_them_as_well(tmp_path: Path) -> None:
    with desk(tmp_path, starts=False) as made:
        made.inspect(UNCERTAIN)
    with closing(sqlite3.connect(made.path)) as old:
        old.execute("DROP TABLE samples")
        old.execute("DELETE FROM counts WHERE name LIKE '%:samples'")
        old.commit()
    with closing(open_reader(made.path)) as reader:
        assert read_counts(reader).get("outbox:samples") is None
    with desk(tmp_path) as again:
        again.consider(UNCERTAIN)
        again.noticed.wait_for(1)
        with closing(open_reader(made.path)) as reader:
            assert read_counts(reader)["outbox:samples"] == read_counts(reader)["records:samples"] == 1
    open_database(made.path).close()


def test_rows_of_samples_go_with_their_inspections_once_the_budget_looks_back_no_further(tmp_path: Path) -> None:
    with desk(tmp_path, starts=False) as made:
        old, now = made.inspect(UNCERTAIN), made.inspect(UNCERTAIN)
        made.recorder.record_sample(Chosen(old.seq, "top", (SampleReason.AUDIT,), NOW))
        made.recorder.write_and_wait(lambda c: c.execute("DELETE FROM inspections WHERE seq = 1"))
        made.desk.start()
        made.desk.consider(now, (frame(),))
        made.noticed.wait_for(1)
    assert rows(made.path, "SELECT DISTINCT seq FROM samples") == [(now.seq,)]


def test_where_the_disk_is_full_unsent_samples_go_before_any_verdict_and_are_counted(tmp_path: Path) -> None:
    from spool_kit import execute, fill, spool

    path = tmp_path / "station.db"
    fill(path, 1100)
    with desk(tmp_path, starts=False) as made:
        for seq in range(1, 41):
            made.recorder.record_sample(Chosen(seq, "top", (SampleReason.AUDIT,), NOW))
    execute(path, "INSERT INTO dead_letters VALUES ('samples', 3, 1, 'poison', '2026-01-01')")
    execute(path, "DELETE FROM outbox WHERE stream = 'samples' AND seq = 3")
    with spool(tmp_path, Limits(1 << 50, 1)) as full:
        full.retention.tidy()
        assert full.seqs("samples") == list(range(33, 41))
        assert full.seqs() == list(range(1, 1101))
        full.retention.tidy()
        assert full.seqs("samples") == []
        assert full.seqs() == list(range(1, 1101))
        full.retention.tidy()
        assert full.seqs()[0] > 1
    with closing(open_reader(path)) as reader:
        counts = read_counts(reader)
    assert (counts["lost:samples"], counts["dead:samples"], counts["records:samples"]) == (40, 0, 0)


def test_an_empty_answer_is_a_proposal_of_nothing() -> None:
    from dataclasses import replace

    nothing = proposal_of(replace(seen(0.1), detections=detections()))
    assert nothing is not None
    assert (nothing.score, nothing.detections) == (0.0, [])
    assert proposal_of(replace(seen(0.1), model=None)) is None
