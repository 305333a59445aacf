"""What the station keeps: inspections first, then what became of them and where their images are.

Invariants:
- `on_committed` is called only for an inspection that is on disk.
- An inspection that could not be written is handed to `on_unrecorded`, and written as UNDECIDED once the disk is back;
  one that is itself unwritable is written without its views, at once.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import structlog

from cloud_sync.wire.outbox import OutboxRow, SeqRange, Stream
from cloud_sync.wire.records import FeedbackRecord, SampleRecord
from edge.domain.errors import StorageError
from edge.domain.feedback import Feedback
from edge.domain.frame import Frame
from edge.domain.inspection import Committed, ImageRef, Inspection, Outcome, OutcomeOf
from edge.record.database import begin_epoch, epoch_of, open_database
from edge.record.feedback import insert_feedback
from edge.record.inspections import (
    first_of_this_life,
    insert_images,
    insert_inspection,
    insert_outcome,
    next_seq,
    open_inspections,
    pending_images,
)
from edge.record.letting_go import give_up_samples, give_up_unsent
from edge.record.marks import bury, forget, revive
from edge.record.samples import Chosen, insert_sample
from edge.record.upload_choice import NOTHING_UP, UploadRule
from edge.record.upload_rows import revive_uploads
from edge.record.writer import GroupWriter, RefusedError, Work

log = structlog.get_logger()
_LATER_LIMIT = 20_000
_ACK_TIMEOUT_S = 10.0


class Recorder:
    """Writes the station's records through one group writer.

    Args:
        station: the station's id.
        path: the database file.
        keeps_image: whether an inspection's images will be stored.
        on_committed: called in the writer's thread for each inspection once it is on disk.
        on_unrecorded: called in the writer's thread for each inspection that the disk refused.
        on_storage: called with (storage works, why not) when that changes.
        uploads: which images go up to the cloud.

    Raises:
        StorageError: the database cannot be opened.
    """

    def __init__(
        self,
        station: str,
        path: Path,
        *,
        keeps_image: Callable[[Inspection], bool],
        on_committed: Callable[[Committed, tuple[Frame, ...]], None],
        on_unrecorded: Callable[[Inspection], None],
        on_storage: Callable[[bool, str], None],
        uploads: UploadRule = NOTHING_UP,
    ) -> None:
        with open_database(path) as connection:
            self._earlier_seq = next_seq(connection) - 1
        connection.close()
        self.path = path
        self._station = station
        self._keeps_image = keeps_image
        self._on_committed = on_committed
        self._on_unrecorded = on_unrecorded
        self._on_storage = on_storage
        self._uploads = uploads
        self.given_up = 0  # writes that the disk did not take, and that are not kept for later either
        self._later: deque[Callable[[], None]] = deque(maxlen=_LATER_LIMIT)
        self._later_total = 0
        self._writer = GroupWriter(path, self._storage_changed)

    @property
    def failure(self) -> Exception | None:
        """What ended the writer's thread, if anything did."""
        return self._writer.failure

    @property
    def has_committed(self) -> bool:
        """Whether the disk has taken anything since the start."""
        return self._writer.commits > 0

    def start(self) -> None:
        """Start writing; what an earlier run left open is closed: outcomes are unconfirmed, promised images dropped."""
        self._close_earlier()
        self._writer.start()

    def stop(self, timeout_s: float) -> None:
        """Write what waits and close the database, waiting at most `timeout_s` seconds."""
        self._writer.stop(timeout_s)
        if self._later:
            log.error("stopped while the disk refuses: records are lost", records=len(self._later))

    def settle(self, timeout_s: float) -> None:
        """Wait until what was handed over so far is written, or refused, and its callbacks were called."""
        settled = threading.Event()
        self._writer.submit(Work(lambda _connection: None, settled.set, lambda _error: settled.set()))
        settled.wait(timeout_s)

    def busy_s(self, now_s: float) -> float:
        """For how long the disk has been at one and the same write; 0 when none waits for it."""
        return self._writer.busy_s(now_s)

    def record(self, inspection: Inspection, frames: tuple[Frame, ...] = ()) -> None:
        """Write an inspection; one of the callbacks follows, with the frames it was made from. Never blocks."""
        committed: list[Committed] = []

        def write(connection: sqlite3.Connection) -> None:
            committed.append(self._insert(connection, inspection, has_frames=bool(frames)))

        self._writer.submit(
            Work(write, lambda: self._on_committed(committed[-1], frames), partial(self._keep_gap, inspection))
        )

    def record_outcomes(self, outcomes: Sequence[OutcomeOf]) -> None:
        """Write what became of verdicts. Never blocks."""

        def write(connection: sqlite3.Connection) -> None:
            for outcome in outcomes:
                insert_outcome(connection, self._station, outcome)

        again = partial(self.record_outcomes, outcomes)
        self._writer.submit(Work(write, lambda: None, partial(self._keep_for_later, again)))

    def record_images(self, committed: Committed, images: Mapping[str, ImageRef], dropped: Sequence[str]) -> None:
        """Write where an inspection's images are. Never blocks."""

        def write(connection: sqlite3.Connection) -> None:
            part_id = committed.inspection.part.part_id
            insert_images(connection, self._station, committed.seq, part_id, images, dropped, self._uploads)

        again = partial(self.record_images, committed, images, dropped)
        self._writer.submit(Work(write, lambda: None, partial(self._keep_for_later, again)))

    def record_feedback(
        self,
        said: Feedback,
        at: datetime,
        done: Callable[[FeedbackRecord | None], None],
        failed: Callable[[StorageError], None],
    ) -> None:
        """Write what a person said of a part. Never blocks.

        Args:
            said: what was said.
            at: when, UTC.
            done: called in the writer's thread once it is on disk; with None where no such part is on record.
            failed: called in the writer's thread instead when the disk refused: it must be said again.
        """
        written: list[FeedbackRecord | None] = []

        def write(connection: sqlite3.Connection) -> None:
            written.append(insert_feedback(connection, self._station, said, at, self._uploads))

        self._writer.submit(Work(write, lambda: done(written[-1]), failed))

    def record_sample(self, chosen: Chosen) -> SampleRecord | None:
        """Write a sample; waits for the commit. None where its inspection is gone, or it was told already.

        Raises:
            StorageError: the disk refused, or did not answer in time.
        """
        written: list[SampleRecord | None] = []

        def write(connection: sqlite3.Connection) -> None:
            written.append(insert_sample(connection, self._station, chosen, self._uploads))

        self.write_and_wait(write)
        return written[-1]

    def forget_acknowledged(self, stream: Stream, epoch: str, ranges: Sequence[SeqRange]) -> None:
        """Delete outbox marks of an epoch that the collector acknowledged; waits for the commit.

        Raises:
            StorageError: the disk refused, or did not answer in time.
        """
        self.write_and_wait(lambda connection: forget(connection, stream, epoch, ranges))

    def bury(self, rows: Sequence[OutboxRow], reason: str) -> None:
        """Move outbox marks to the dead letters; waits for the commit. Raises StorageError."""
        at = datetime.now(UTC).isoformat()
        self.write_and_wait(lambda connection: bury(connection, rows, reason, at))

    def retry_dead(self, stream: Stream | None = None) -> int:
        """Put the dead letters of a stream, or of all, back into the outbox; says how many once it is committed.

        With those of all streams, and with images, the image files that were refused wait again and count as well.

        Raises:
            StorageError: the disk refused, or did not answer in time.
        """
        moved: list[int] = []

        def write(connection: sqlite3.Connection) -> None:
            files = revive_uploads(connection) if stream in {None, Stream.IMAGES} else 0
            moved.append(revive(connection, stream) + files)

        self.write_and_wait(write)
        return moved[-1]

    def give_up(self, seqs: Sequence[int], why: str, at: datetime) -> None:
        """Delete inspections that the cloud never saw, counted by tombstones; waits for the commit.

        Raises:
            StorageError: the disk refused, or did not answer in time.
        """
        self.write_and_wait(lambda connection: give_up_unsent(connection, self._station, seqs, why, at))

    def give_up_samples(self, limit: int, why: str, at: datetime) -> None:
        """Delete the oldest samples that the cloud never saw, counted by tombstones; waits for the commit.

        Raises:
            StorageError: the disk refused, or did not answer in time.
        """
        self.write_and_wait(lambda connection: give_up_samples(connection, self._station, limit, why, at))

    def renew_epoch(self, epoch: str) -> None:
        """Begin a new epoch if the one named is the current one; waits for the commit. Raises StorageError."""
        begun: list[str] = []

        def write(connection: sqlite3.Connection) -> None:
            begun.clear()
            if epoch_of(connection) == epoch:
                begun.append(begin_epoch(connection))

        self.write_and_wait(write)
        for now in begun:
            log.warning("the cloud knows this epoch otherwise: a new one begins", before=epoch, now=now)

    def write_and_wait(self, write: Callable[[sqlite3.Connection], None]) -> None:
        """Run `write` in a transaction and wait for its commit. Raises StorageError."""
        finished = threading.Event()
        errors: list[StorageError] = []

        def failed(error: StorageError) -> None:
            errors.append(error)
            finished.set()

        self._writer.submit(Work(write, finished.set, failed))
        if not finished.wait(_ACK_TIMEOUT_S):
            raise StorageError(f"the station's database {self.path} did not take a write within {_ACK_TIMEOUT_S:g} s")
        if errors:
            raise errors[0]

    def _insert(self, connection: sqlite3.Connection, inspection: Inspection, *, has_frames: bool) -> Committed:
        seq, keeps_image = next_seq(connection), has_frames and self._keeps_image(inspection)
        return insert_inspection(connection, self._station, seq, inspection, keeps_image=keeps_image)

    def _keep_gap(self, inspection: Inspection, error: StorageError) -> None:
        if isinstance(error, RefusedError):
            self._keep_bare(inspection, error)
            return
        reasons = tuple(dict.fromkeys((*inspection.reasons, "storage_failed")))
        undecided = replace(inspection, reasons=reasons)
        self._keep_for_later(partial(self.record, undecided), error)
        self._on_unrecorded(undecided)

    def _keep_bare(self, inspection: Inspection, error: RefusedError) -> None:
        log.error("an inspection cannot be written as it is", part_id=inspection.part.part_id, why=str(error))
        bare = Inspection(inspection.part, (), ("not_recordable",), replayed=inspection.replayed)
        if inspection != bare:
            self.record(bare)
        self._on_unrecorded(bare)

    def _keep_for_later(self, again: Callable[[], None], error: StorageError) -> None:
        if isinstance(error, RefusedError):
            log.error("a record cannot be written and is given up", why=str(error))
            self.given_up += 1
            return
        if not self._later:
            log.error("not recorded, kept for when the disk is back", why=str(error))
        self._later_total += 1
        self.given_up += len(self._later) == _LATER_LIMIT  # the oldest makes room
        self._later.append(again)

    def _storage_changed(self, works: bool, why: str) -> None:  # noqa: FBT001 - a callback's signature
        self._on_storage(works, why)
        if not works:
            return
        later, self._later = self._later, deque(maxlen=_LATER_LIMIT)
        log.warning("storage is back", records_kept=len(later), records_given_up=self._later_total - len(later))
        self._later_total = 0
        for again in later:
            again()

    def _close_earlier(self) -> None:
        self._writer.submit(Work(self._close_open, lambda: None, partial(self._keep_for_later, self._close_earlier)))

    def _close_open(self, connection: sqlite3.Connection) -> None:
        for seq, part_id in open_inspections(connection, self._earlier_seq):
            outcome = OutcomeOf(seq, part_id, Outcome.UNCONFIRMED, None, None)
            insert_outcome(connection, self._station, outcome)
        oldest = max(self._earlier_seq - _LATER_LIMIT, first_of_this_life(connection))
        recent = range(oldest, self._earlier_seq + 1)
        for seq, part_id, cameras in pending_images(connection, recent):
            insert_images(connection, self._station, seq, part_id, {}, cameras)
