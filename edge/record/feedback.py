"""How a person's word on an inspection is written: a record with a number of its own, and its outbox mark."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import FeedbackRecord
from edge.domain.errors import StorageError
from edge.domain.feedback import Feedback
from edge.record.counts import next_number
from edge.record.database import current_epoch, open_database
from edge.record.inspections import insert_record
from edge.record.samples import insert_overruled
from edge.record.upload_choice import NOTHING_UP, UploadRule
from edge.record.upload_rows import want_overruled
from edge.record.words import note_word


def insert_feedback(
    connection: sqlite3.Connection, station: str, said: Feedback, at: datetime, rule: UploadRule = NOTHING_UP
) -> FeedbackRecord | None:
    """Write what was said of the inspection that is named, or of the last one under a part id.

    None, and nothing written, where there is none. Where the verdict was wrong, or somebody says what the part really
    is, the inspection becomes a sample with it, whatever triage and its budget say, and where
    the rule lets images go up at all, its images go before all others.
    """
    row = _inspection_of(connection, station, said)
    if row is None:
        return None
    number, epoch = current_epoch(connection)
    content = {
        "station": station,
        "epoch": epoch,
        "seq": next_number(connection, Stream.FEEDBACK),
        "part_id": said.part_id,
        "inspection_seq": row[0],
        "verdict": row[1],
        "inspection_epoch": row[2],
        "is_right": said.is_right,
        "label": said.label,
        "note": said.note,
        "by": said.by,
        "at": at,
        "boxes": [{"camera": box.camera, "label": box.label, "box_xyxy": list(box.box_xyxy)} for box in said.boxes],
    }
    record = FeedbackRecord.model_validate(content)
    insert_record(connection, Stream.FEEDBACK, record, number)
    note_word(connection, record)
    if said.teaches:
        insert_overruled(connection, station, row[0], at, rule)
    if said.teaches and rule.images != "none":
        want_overruled(connection, row[0])
    return record


def write_feedback(
    path: Path, station: str, said: Feedback, at: datetime, rule: UploadRule = NOTHING_UP
) -> FeedbackRecord | None:
    """The same where no daemon runs, on disk when this returns; for who owns the data folder. Raises StorageError."""
    if not path.exists():
        raise StorageError(f"there is no {path}: has `edge run` ever run here?")
    with closing(open_database(path)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
            record = insert_feedback(connection, station, said, at, rule)
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StorageError(f"cannot write {path}: {error}") from error
    return record


def _inspection_of(connection: sqlite3.Connection, station: str, said: Feedback) -> tuple[int, str, str] | None:
    """Number, verdict and epoch of the inspection that is meant."""
    query = (
        "SELECT seq, verdict, epochs.epoch FROM inspections JOIN epochs ON epochs.id = inspections.epoch"
        " WHERE part_id = ?1 AND (?2 = '' OR ?2 = ?3 || '/' || epochs.epoch || '/' || seq) ORDER BY seq DESC LIMIT 1"
    )
    found = connection.execute(query, (said.part_id, said.inspection_id, station)).fetchone()
    return None if found is None else (int(found[0]), str(found[1]), str(found[2]))
