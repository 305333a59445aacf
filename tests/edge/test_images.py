import json
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from brokers import eventually
from disk_kit import loop_disk
from edge_kit import NOW, Collected, frame, inspection, part
from edge_rows import rows

from edge.domain.errors import StorageError
from edge.domain.frame import Frame
from edge.domain.part import Verdict
from edge.record.eviction import Limits
from edge.record.image_writer import ImageWriter
from edge.record.images import ImageStore
from edge.record.recorder import Recorder


def noise(seed: int, camera: str = "top", size: int = 64) -> Frame:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), np.uint8)
    return Frame(camera, 1, NOW, 0.0, pixels)


@dataclass
class Archive:
    """A recorder with its image writer."""

    folder: Path
    recorder: Recorder
    writer: ImageWriter
    store: ImageStore
    states: Collected
    committed: Collected

    def inspect(self, image: Frame, verdict: Verdict = Verdict.PASS) -> int:
        """Record an inspection and keep its image; returns its number."""
        count = len(self.committed.items)
        self.recorder.record(inspection(verdict, part(f"p-{count}")), (image,))
        committed, frames = self.committed.wait_for(count + 1)[count]
        self.writer.keep(committed, frames)
        return int(committed.seq)

    def await_records(self, count: int) -> None:
        query = "SELECT count(*) FROM records WHERE stream = 'images'"
        eventually(lambda: rows(self.recorder.path, query) == [(count,)])

    def files(self) -> set[str]:
        return {file.stem for file in self.store.files()}

    def stored(self) -> list[tuple[object, ...]]:
        return rows(self.recorder.path, "SELECT seq FROM images WHERE stored ORDER BY seq")


@contextmanager
def archive(
    folder: Path,
    quota_bytes: int = 1 << 30,
    image_format: str = "png",
    *,
    start: bool = True,
    free_bytes: int = 0,
    on_alarm: Callable[[str, str], None] = lambda _name, _why: None,
) -> Iterator[Archive]:
    states, committed = Collected(), Collected()
    recorder = Recorder(
        "test-1",
        folder / "station.db",
        keeps_image=lambda _inspection: True,
        on_committed=committed,
        on_unrecorded=lambda _inspection: None,
        on_storage=lambda _works, _why: None,
    )
    store = ImageStore(folder / "images", image_format)
    writer = ImageWriter(store, recorder, Limits(quota_bytes, free_bytes=free_bytes), states, on_alarm=on_alarm)
    recorder.start()
    if start:
        writer.start()
    try:
        yield Archive(folder, recorder, writer, store, states, committed)
    finally:
        writer.stop(10)
        recorder.stop(10)
        assert writer.failure is None


def test_a_png_is_the_frame_bit_by_bit_under_its_own_hash(tmp_path: Path) -> None:
    store, image = ImageStore(tmp_path, "png"), noise(1)
    ref, grown_bytes = store.put(image)
    path = store.path_of(ref.sha256, ref.media_type)
    assert path.stat().st_size == ref.size_bytes == grown_bytes
    assert np.array_equal(cv2.imread(str(path)), image.image)


def test_the_same_content_is_stored_once(tmp_path: Path) -> None:
    store = ImageStore(tmp_path, "jpeg")
    first, _ = store.put(noise(1))
    assert store.put(noise(1)) == (first, 0)
    assert len(list(store.files())) == 1


def test_a_file_that_a_power_cut_left_short_is_written_again(tmp_path: Path) -> None:
    store = ImageStore(tmp_path, "png")
    ref, _ = store.put(noise(1))
    path = store.path_of(ref.sha256, ref.media_type)
    path.write_bytes(b"")
    assert store.put(noise(1)) == (ref, ref.size_bytes)
    assert path.stat().st_size == ref.size_bytes


def test_a_store_that_cannot_write_says_where(tmp_path: Path) -> None:
    (tmp_path / "images").write_text("in the way")
    with pytest.raises(StorageError, match="images"):
        ImageStore(tmp_path / "images", "png").put(noise(1))


def test_an_image_is_stored_and_recorded_behind_its_inspection(tmp_path: Path) -> None:
    with archive(tmp_path) as kept:
        seq = kept.inspect(noise(1))
        kept.await_records(1)
        ((payload,),) = rows(kept.recorder.path, "SELECT payload FROM records WHERE stream = 'images'")
        record = json.loads(payload)
        assert (record["seq"], set(record["images"]), record["dropped"]) == (seq, {"top"}, [])
        assert kept.files() == {record["images"]["top"]["sha256"]}


def test_a_disk_too_slow_for_the_images_costs_images_that_are_counted_never_records(tmp_path: Path) -> None:
    with archive(tmp_path, start=False) as kept:
        for number in range(140):
            kept.inspect(noise(number, size=8))
        kept.await_records(12)
        assert kept.writer.dropped == 12
        kept.writer.start()
        kept.await_records(140)
        assert (kept.writer.stored, kept.writer.dropped) == (128, 12)


def test_images_that_wait_take_a_bounded_amount_of_memory(tmp_path: Path) -> None:
    big = Frame("top", 1, NOW, 0.0, np.zeros((8192, 8192, 3), np.uint8))
    with archive(tmp_path, start=False) as kept:
        for _ in range(4):
            kept.inspect(big)
        assert kept.writer.dropped == 2
        kept.writer._queue.queue.clear()  # noqa: SLF001 - not worth the seconds of encoding them


def test_images_of_good_parts_go_first_oldest_first_and_the_quota_holds(tmp_path: Path) -> None:
    one_bytes = ImageStore(tmp_path / "measure", "png").put(noise(0))[1]
    quota_bytes = 6 * one_bytes + one_bytes // 2
    with archive(tmp_path, quota_bytes) as kept:
        for seed, verdict in enumerate(
            [Verdict.REJECT, *[Verdict.PASS] * 4, Verdict.REJECT, Verdict.PASS, Verdict.PASS]
        ):
            kept.inspect(noise(seed), verdict)
        kept.await_records(8)
        eventually(lambda: len(kept.files()) <= 6)
        eventually(lambda: len(kept.stored()) == len(kept.files()))
        assert {(1,), (6,), (8,)} <= set(kept.stored())
        assert (2,) not in kept.stored()
        assert sum(file.stat().st_size for file in kept.store.files()) <= quota_bytes


def test_a_file_that_two_inspections_show_stays_while_one_needs_it(tmp_path: Path) -> None:
    one_bytes = ImageStore(tmp_path / "measure", "png").put(noise(0))[1]
    with archive(tmp_path, 2 * one_bytes + one_bytes // 2) as kept:
        kept.inspect(noise(1), Verdict.PASS)
        kept.inspect(noise(1), Verdict.REJECT)
        shared = kept.files
        kept.await_records(2)
        (sha256,) = shared()
        kept.inspect(noise(2), Verdict.PASS)
        kept.inspect(noise(3), Verdict.PASS)
        kept.await_records(4)
        eventually(lambda: len(kept.files()) == 2)
        assert sha256 in kept.files()
        assert (2,) in kept.stored()
        assert (1,) not in kept.stored()


def test_the_same_image_again_and_again_takes_no_room_and_evicts_nothing(tmp_path: Path) -> None:
    one_bytes = ImageStore(tmp_path / "measure", "png").put(noise(0))[1]
    with archive(tmp_path, 2 * one_bytes) as kept:
        for _ in range(8):
            kept.inspect(noise(1))
        kept.await_records(8)
        assert len(kept.stored()) == 8


def test_images_from_before_a_change_of_format_are_evicted_too(tmp_path: Path) -> None:
    with archive(tmp_path, image_format="jpeg") as kept:
        kept.inspect(noise(1))
        kept.await_records(1)
        (old,) = kept.files()
    with archive(tmp_path, quota_bytes=1) as kept:
        kept.inspect(noise(2))
        eventually(lambda: old not in kept.files())


def test_what_a_kill_left_without_a_record_is_deleted_at_the_next_start(tmp_path: Path) -> None:
    with archive(tmp_path) as kept:
        kept.inspect(noise(1))
        kept.await_records(1)
        kept.store.put(noise(2))
        (tmp_path / "images" / "ab").mkdir(exist_ok=True)
        (tmp_path / "images" / "ab" / "half.part").write_bytes(b"half")
        (known,) = rows(kept.recorder.path, "SELECT sha256 FROM images")[0]
    with archive(tmp_path) as kept:
        eventually(lambda: kept.files() == {known})


def test_a_disk_that_refuses_images_is_said_costs_images_only_and_is_forgiven(tmp_path: Path) -> None:
    big, small = noise(1, size=600), frame()
    with archive(tmp_path) as kept:
        kept.inspect(small)
        kept.await_records(1)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
        try:
            seq = kept.inspect(big)
            kept.await_records(2)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert kept.states.items[-1][0] is False
        ((payload,),) = rows(kept.recorder.path, "SELECT payload FROM records WHERE stream = 'images' AND seq = ?", seq)
        assert json.loads(payload)["dropped"] == ["top"]
        kept.inspect(small)
        eventually(lambda: kept.states.items[-1] == (True, ""))
        assert kept.writer.dropped == 1


def test_a_stop_stores_what_waits(tmp_path: Path) -> None:
    with archive(tmp_path, start=False) as kept:
        for number in range(20):
            kept.inspect(noise(number))
        kept.writer.start()
    assert len(rows(tmp_path / "station.db", "SELECT 1 FROM images")) == 20
    assert threading.active_count() < 20


def wait_for_upload(kept: Archive, seq: int, value: int) -> None:
    """List an inspection's image among those that wait to be sent."""
    kept.recorder.write_and_wait(
        lambda connection: connection.execute(
            "INSERT INTO uploads SELECT sha256, media_type, size_bytes, ?, seq, camera, NULL FROM images WHERE seq = ?",
            (value, seq),
        )
    )


def test_images_go_by_what_they_are_worth_and_what_waits_to_be_sent_goes_last_and_is_counted(tmp_path: Path) -> None:
    one_bytes = ImageStore(tmp_path / "measure", "png").put(noise(0))[1]
    waiting = {2: 4, 3: 3, 4: 2, 5: 1}  # overruled, undecided, reject, audit
    with archive(tmp_path) as kept:
        for seed in range(1, 8):
            kept.inspect(noise(seed), Verdict.PASS if seed in {2, 5, 7} else Verdict.REJECT)
        kept.await_records(7)
        for seq, value in waiting.items():
            wait_for_upload(kept, seq, value)
    order = [{7}, {5}, {1, 6}, {4}, {3}, {2}]
    left = set(range(1, 8))
    for going in order:
        left -= going
        with archive(tmp_path, max(1, len(left) * one_bytes + one_bytes // 2)) as kept:
            eventually(lambda kept=kept, left=left: {seq for (seq,) in kept.stored()} == left)
            eventually(lambda kept=kept, left=left: len(kept.files()) == len(left))
    assert rows(tmp_path / "station.db", "SELECT count(*) FROM uploads") == [(0,)]
    assert rows(tmp_path / "station.db", "SELECT n FROM counts WHERE name = 'evicted:uploads'") == [(4,)]


def test_a_refused_image_that_is_evicted_is_not_waited_for_when_dead_letters_are_tried_again(tmp_path: Path) -> None:
    with archive(tmp_path) as kept:
        kept.inspect(noise(1), Verdict.REJECT)
        kept.await_records(1)
        wait_for_upload(kept, 1, 2)
        kept.recorder.write_and_wait(
            lambda connection: connection.execute("UPDATE uploads SET refused = 'no file of ours'")
        )
    with archive(tmp_path, quota_bytes=1) as kept:
        eventually(lambda: kept.files() == set())
        assert kept.recorder.retry_dead() == 0
    assert rows(tmp_path / "station.db", "SELECT count(*) FROM uploads") == [(0,)]


def test_where_the_disk_is_short_and_nothing_may_go_images_are_dropped_and_somebody_hears_of_it(
    tmp_path: Path,
) -> None:
    alarms: dict[str, str] = {}
    with archive(tmp_path, free_bytes=1 << 60, on_alarm=alarms.__setitem__) as kept:
        eventually(lambda: alarms.get("disk_low"))
        kept.inspect(noise(1))
        kept.await_records(1)
        assert kept.files() == set()
        assert kept.writer.dropped == 1
        assert kept.states.items == []


def test_a_floor_of_free_disk_holds_on_a_real_file_system_and_rejects_outlive_good_parts(tmp_path: Path) -> None:
    with loop_disk(tmp_path, 40) as disk, archive(disk.where, free_bytes=24 << 20) as kept:
        rejects = {kept.inspect(noise(seed, size=600), Verdict.REJECT) for seed in range(3)}
        for seed in range(3, 24):
            kept.inspect(noise(seed, size=600))
            kept.await_records(seed + 1)
        eventually(lambda: shutil.disk_usage(disk.where).free >= 24 << 20)
        left = {seq for (seq,) in kept.stored()}
        assert rejects < left
        assert max(left) == 24
        assert kept.writer.dropped == 0
