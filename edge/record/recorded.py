"""Everything that is recorded of an inspection, as it is read for people: in short for many, in full for one."""

import sqlite3
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import (
    FeedbackRecord,
    ImagesRecord,
    InspectionRecord,
    OutcomeRecord,
    RecordKind,
    read_record,
)

_OF_ONE = (Stream.INSPECTIONS, Stream.OUTCOMES, Stream.IMAGES)


@dataclass(frozen=True, slots=True)
class Picture:
    """A camera's image; `stored` is false once it was let go of."""

    camera: str
    sha256: str
    size_bytes: int
    media_type: str
    stored: bool


@dataclass(frozen=True, slots=True)
class Brief:
    """An inspection in one line.

    Args:
        seq: its number.
        epoch: in which the number was given.
        part_id: the part.
        product: what kind of part.
        verdict: PASS, REJECT or UNDECIDED.
        triggered_at: ISO 8601, UTC.
        outcome: told, late or unconfirmed; empty while it is open.
        told_verdict: what the line was told, if anything.
        told_ms: from trigger to told.
        record: what was recorded; None where it was let go of, or cannot be read.
        pictures: by camera.
        words: what people said of it, the last one last.
    """

    seq: int
    epoch: str
    part_id: str
    product: str
    verdict: str
    triggered_at: str
    outcome: str
    told_verdict: str
    told_ms: float | None
    record: InspectionRecord | None
    pictures: tuple[Picture, ...]
    words: tuple[FeedbackRecord, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes that were found, in order."""
        views = self.record.views if self.record else []
        return tuple(sorted({found.label for view in views for found in view.detections}))

    @property
    def models(self) -> tuple[str, ...]:
        """Which bundles looked."""
        views = self.record.views if self.record else []
        return tuple(sorted({f"{view.model.id} v{view.model.version}" for view in views if view.model}))

    @property
    def last_word(self) -> FeedbackRecord | None:
        """What counts of what people said."""
        return self.words[-1] if self.words else None


@dataclass(frozen=True, slots=True)
class InFull:
    """Everything of one inspection.

    Args:
        brief: the line of it.
        payload: the record's bytes; empty where it was let go of.
        sha256: their hash, as the line was told it.
        told: the record of its outcome.
        images: the record of its images.
        samples: why it is a sample, by camera.
        waiting: records that the cloud has not acknowledged, by stream.
        dead: records that can never be sent, with the reason.
        uploads: by camera, "" where the image waits to go up, else why it was refused.
    """

    brief: Brief
    payload: bytes
    sha256: str
    told: OutcomeRecord | None
    images: ImagesRecord | None
    samples: Mapping[str, Sequence[str]] = field(default_factory=dict)
    waiting: Sequence[str] = ()
    dead: Mapping[str, str] = field(default_factory=dict)
    uploads: Mapping[str, str] = field(default_factory=dict)


def read_briefs(connection: sqlite3.Connection, seqs: Sequence[int]) -> list[Brief]:
    """Inspections by their numbers, in that order; one that was let go of since is left out. Raises sqlite3.Error."""
    marks = ", ".join("?" * len(seqs))
    rows = connection.execute(
        "SELECT looked.seq, epochs.epoch, part_id, product, verdict, triggered_at, outcome, told_verdict, told_ms,"  # noqa: S608 - our own text
        " (SELECT payload FROM records WHERE stream = 'inspections' AND seq = looked.seq)"
        f" FROM inspections AS looked JOIN epochs ON epochs.id = looked.epoch WHERE looked.seq IN ({marks})",
        seqs,
    ).fetchall()
    pictures, words = _pictures(connection, marks, seqs), _words(connection, marks, seqs)
    found = {row[0]: _brief(row, pictures[row[0]], words[row[0]]) for row in rows}
    return [found[seq] for seq in seqs if seq in found]


def read_in_full(connection: sqlite3.Connection, seq: int) -> InFull | None:
    """Everything of one inspection; None where there is none of this number. Raises sqlite3.Error."""
    briefs = read_briefs(connection, [seq])
    if not briefs:
        return None
    query = (
        "SELECT stream, payload, sha256 FROM records WHERE stream IN ('inspections', 'outcomes', 'images') AND seq = ?"
    )
    records = {stream: (payload, sha256) for stream, payload, sha256 in connection.execute(query, (seq,))}
    payload, sha256 = records.get(Stream.INSPECTIONS.value, (b"", ""))
    samples: dict[str, list[str]] = defaultdict(list)
    for camera, reason in connection.execute("SELECT camera, reason FROM samples WHERE seq = ?", (seq,)):
        samples[camera].append(reason)
    return InFull(
        briefs[0],
        payload,
        sha256,
        _read(OutcomeRecord, records.get(Stream.OUTCOMES.value, (None,))[0]),
        _read(ImagesRecord, records.get(Stream.IMAGES.value, (None,))[0]),
        samples,
        *_sync(connection, seq),
    )


def neighbours(connection: sqlite3.Connection, seq: int) -> tuple[int | None, int | None]:
    """The numbers of the inspections before and after this one, if there are any. Raises sqlite3.Error."""
    query = (
        "SELECT (SELECT max(seq) FROM inspections WHERE seq < ?1), (SELECT min(seq) FROM inspections WHERE seq > ?1)"
    )
    before, after = connection.execute(query, (seq,)).fetchone()
    return before, after


def _brief(row: tuple[Any, ...], pictures: Sequence[Picture], words: Sequence[FeedbackRecord]) -> Brief:
    return Brief(
        seq=row[0],
        epoch=row[1],
        part_id=row[2],
        product=row[3],
        verdict=row[4],
        triggered_at=row[5],
        outcome=row[6] or "",
        told_verdict=row[7] or "",
        told_ms=row[8],
        record=_read(InspectionRecord, row[9]),
        pictures=tuple(pictures),
        words=tuple(words),
    )


def _pictures(connection: sqlite3.Connection, marks: str, seqs: Sequence[int]) -> dict[int, list[Picture]]:
    found: dict[int, list[Picture]] = defaultdict(list)
    query = f"SELECT seq, camera, sha256, size_bytes, media_type, stored FROM images WHERE seq IN ({marks})"  # noqa: S608 - our own text
    for seq, camera, sha256, size_bytes, media_type, stored in connection.execute(query, seqs):
        found[seq].append(Picture(camera, sha256, size_bytes, media_type, bool(stored)))
    return found


def _words(connection: sqlite3.Connection, marks: str, seqs: Sequence[int]) -> dict[int, list[FeedbackRecord]]:
    found: dict[int, list[FeedbackRecord]] = defaultdict(list)
    query = (
        "SELECT payload FROM words JOIN records ON stream = 'feedback' AND seq = number"  # noqa: S608 - our own text
        f" WHERE inspection_seq IN ({marks}) ORDER BY number"
    )
    for (payload,) in connection.execute(query, seqs):
        said = _read(FeedbackRecord, payload)
        if said is not None:
            found[said.inspection_seq].append(said)
    return found


def _sync(connection: sqlite3.Connection, seq: int) -> tuple[list[str], dict[str, str], dict[str, str]]:
    streams = [stream.value for stream in _OF_ONE]
    waits = "SELECT 1 FROM outbox WHERE stream = ? AND seq = ?"
    waiting = [stream for stream in streams if connection.execute(waits, (stream, seq)).fetchone()]
    fate = "SELECT reason FROM dead_letters WHERE stream = ? AND seq = ?"
    dead = {stream: row[0] for stream in streams if (row := connection.execute(fate, (stream, seq)).fetchone())}
    images = (
        "SELECT images.camera, coalesce(uploads.refused, '') FROM images JOIN uploads ON uploads.sha256 = images.sha256"
        " WHERE images.seq = ?"
    )
    return waiting, dead, dict(connection.execute(images, (seq,)).fetchall())


def _read(kind: type[RecordKind], payload: bytes | None) -> RecordKind | None:
    """The record; None where it is gone, or damaged: then who asks still sees everything else."""
    try:
        return None if payload is None else read_record(kind, payload)
    except ValidationError:
        return None
