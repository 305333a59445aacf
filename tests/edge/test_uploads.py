"""Which images wait to go up, in which order, and what becomes of them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from edge_kit import Collected, frame, inspection, part
from edge_rows import rows
from file_kit import Way, file_cloud

from cloud_sync.station.files import FileSender
from cloud_sync.wire.outbox import Stream
from edge.domain.feedback import Feedback
from edge.domain.part import Verdict
from edge.record.feedback import write_feedback
from edge.record.images import ImageStore
from edge.record.recorder import Recorder
from edge.record.upload_choice import UploadRule, UploadValue, upload_value
from edge.record.uploads import SqliteUploads

NOT_PASS = UploadRule("not_pass", 0.0)
ALL = UploadRule("all")
VERDICTS = {"good": Verdict.PASS, "bad": Verdict.REJECT, "odd": Verdict.UNDECIDED}
AT = datetime(2026, 7, 1, 12, tzinfo=UTC)


class Kept:
    """A recorder with an image of each part, and its uploads."""

    def __init__(self, folder: Path, rule: UploadRule, parts: dict[str, Verdict]) -> None:
        self.path = folder / "station.db"
        self.store = ImageStore(folder / "images", "png")
        committed = Collected()
        self.recorder = Recorder(
            "press-3",
            self.path,
            keeps_image=lambda _inspection: True,
            on_committed=committed,
            on_unrecorded=lambda _inspection: None,
            on_storage=lambda _works, _why: None,
            uploads=rule,
        )
        self.recorder.start()
        for level, (part_id, verdict) in enumerate(parts.items(), 100):
            self.recorder.record(inspection(verdict, part(part_id)), (frame(level, level),))
        for made, (shown, *_) in committed.wait_for(len(parts)):
            self.recorder.record_images(made, {"top": self.store.put(shown)[0]}, [])
        self.recorder.settle(10)
        self.uploads = SqliteUploads(self.recorder, self.store)

    def waiting(self) -> list[str]:
        """The parts whose images wait, in their order."""
        names = dict(rows(self.path, "SELECT seq, part_id FROM inspections"))  # type: ignore[arg-type]
        return [str(names[upload.seq]) for upload in self.uploads.waiting(100)]

    def close(self) -> None:
        self.uploads.close()
        self.recorder.stop(10)


Keep = Callable[..., Kept]


@pytest.fixture
def keep(tmp_path: Path) -> Iterator[Keep]:
    with ExitStack() as stack:

        def make(rule: UploadRule, parts: dict[str, Verdict] | None = None) -> Kept:
            kept = Kept(tmp_path, rule, VERDICTS if parts is None else parts)
            stack.callback(kept.close)
            return kept

        yield make


@pytest.mark.parametrize(
    ("rule", "waiting"),
    [
        pytest.param(UploadRule("none", 1.0), [], id="none"),
        pytest.param(NOT_PASS, ["odd", "bad"], id="not_pass"),
        pytest.param(UploadRule("not_pass", 1.0), ["odd", "bad", "good"], id="not_pass and every audit"),
        pytest.param(ALL, ["odd", "bad", "good"], id="all"),
    ],
)
def test_the_rule_says_which_images_wait_and_the_most_valuable_comes_first(
    keep: Keep, rule: UploadRule, waiting: list[str]
) -> None:
    assert keep(rule).waiting() == waiting


def test_of_equal_value_the_oldest_comes_first(keep: Keep) -> None:
    kept = keep(NOT_PASS, dict.fromkeys(("first", "second", "third"), Verdict.REJECT))
    assert kept.waiting() == ["first", "second", "third"]


def test_the_audit_takes_its_share_by_chance_and_after_a_restart_the_same() -> None:
    rule = UploadRule("not_pass", 0.01)
    chosen = [seq for seq in range(20_000) if upload_value(rule, "PASS", f"press-3/{'e' * 32}/{seq}") is not None]
    assert 150 < len(chosen) < 250
    assert chosen == [seq for seq in range(20_000) if upload_value(rule, "PASS", f"press-3/{'e' * 32}/{seq}")]
    other = [seq for seq in range(20_000) if upload_value(rule, "PASS", f"press-4/{'e' * 32}/{seq}")]
    assert len(set(chosen) & set(other)) < 20


def test_what_a_person_overruled_goes_up_first_also_where_the_rule_would_leave_it_here(keep: Keep) -> None:
    kept = keep(NOT_PASS)
    said = Feedback("good", is_right=False, by="kim")
    kept.recorder.record_feedback(said, AT, lambda _record: None, lambda _error: None)
    kept.recorder.settle(10)
    assert kept.waiting() == ["good", "odd", "bad"]
    assert rows(kept.path, "SELECT max(value) FROM uploads") == [(UploadValue.OVERRULED,)]


@pytest.mark.parametrize(
    ("rule", "is_right"), [(UploadRule("none"), False), (NOT_PASS, True)], ids=["none goes up", "the verdict was right"]
)
def test_a_persons_word_sends_nothing_up(keep: Keep, rule: UploadRule, *, is_right: bool) -> None:
    kept = keep(rule, {"good": Verdict.PASS})
    write_feedback(kept.path, "press-3", Feedback("good", is_right=is_right, by="kim"), AT, rule)
    assert kept.waiting() == []


def test_content_that_waits_already_gets_the_better_place_and_no_second_row(keep: Keep) -> None:
    kept = keep(ALL, {"a": Verdict.PASS, "b": Verdict.REJECT})
    shown = {"top": kept.store.put(frame(1, 100))[0]}  # what part a shows
    committed = Collected()
    kept.recorder._on_committed = committed  # noqa: SLF001 - the next part's
    kept.recorder.record(inspection(Verdict.UNDECIDED, part("c")), (frame(1, 100),))
    [(made, _)] = committed.wait_for(1)
    kept.recorder.record_images(made, shown, [])
    kept.recorder.settle(10)
    assert kept.waiting() == ["a", "b"]
    assert rows(kept.path, "SELECT value FROM uploads ORDER BY value") == [(2,), (3,)]


def test_images_of_a_real_store_arrive_and_a_damaged_one_is_refused_with_its_reason(keep: Keep, tmp_path: Path) -> None:
    kept = keep(ALL)
    odd, bad, good = kept.uploads.waiting(3)
    path = kept.store.path_of(bad.sha256, bad.media_type)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    kept.store.remove(odd.sha256, odd.media_type)
    with file_cloud(tmp_path) as cloud:
        sender = FileSender("press-3", kept.uploads)
        Way(sender, cloud).until(lambda: kept.uploads.waiting(1) == [])
    assert (sender.counts.complete, sender.counts.refused, sender.counts.evicted) == (1, 1, 1)
    [(refused, why)] = rows(kept.path, "SELECT sha256, refused FROM uploads")
    assert refused == bad.sha256
    assert "damaged on this disk" in str(why)
    lies = tmp_path / "blobs" / good.sha256[:2] / good.sha256
    assert lies.read_bytes() == kept.store.path_of(good.sha256, good.media_type).read_bytes()


def test_where_no_image_may_go_up_any_more_none_that_waited_before_does(keep: Keep) -> None:
    kept = keep(ALL)
    assert kept.uploads.waiting(3)
    assert SqliteUploads(kept.recorder, kept.store, sends=False).waiting(3) == []
    assert rows(kept.path, "SELECT count(*) FROM uploads") == [(0,)]


def test_a_refused_image_is_tried_again_on_demand(keep: Keep) -> None:
    kept = keep(NOT_PASS)
    odd, bad = kept.uploads.waiting(2)
    kept.uploads.refuse(odd, "the cloud refused it")
    assert kept.waiting() == ["bad"]
    assert kept.recorder.retry_dead(Stream.OUTCOMES) == 0
    assert kept.recorder.retry_dead() == 1
    assert list(kept.uploads.waiting(2)) == [odd, bad]
