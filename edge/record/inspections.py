"""How an inspection, its outcome and its images are written: row, record and outbox mark, together."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import (
    DetectionRecord,
    ImageRecord,
    ImagesRecord,
    InspectionRecord,
    ModelRecord,
    OutcomeRecord,
    Record,
    ViewRecord,
    canonical_json,
    content_hash,
    inspection_id,
    read_record,
)
from edge.domain.inspection import Committed, ImageRef, Inspection, Outcome, OutcomeOf, View
from edge.domain.part import Verdict
from edge.record.database import current_epoch
from edge.record.heat import heat_record, side_most
from edge.record.sample_rows import sample_value
from edge.record.upload_choice import NOTHING_UP, UploadRule, UploadValue, upload_value
from edge.record.upload_rows import want_uploads
from models.spec import ModelId

_EARLIER_LIFE = "earlier_life_seq"
_DETECTIONS_LIMIT = 64  # of all views together, so that a record stays below RECORD_LIMIT_BYTES


def next_seq(connection: sqlite3.Connection) -> int:
    """The number of the next inspection: one above the highest ever given."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'inspections'").fetchone()
    return int(row[0]) + 1 if row else 1


def insert_inspection(
    connection: sqlite3.Connection, station: str, seq: int, inspection: Inspection, *, keeps_image: bool
) -> Committed:
    """Write an inspection under its number; what is returned holds only once the transaction is committed."""
    part, (number, epoch) = inspection.part, current_epoch(connection)
    record = _inspection_record(station, epoch, seq, inspection, keeps_image=keeps_image)
    connection.execute(
        "INSERT INTO inspections (seq, part_id, product, verdict, triggered_at, epoch) VALUES (?, ?, ?, ?, ?, ?)",
        (seq, part.part_id, part.product, inspection.verdict.value, part.triggered_at.isoformat(), number),
    )
    sha256 = insert_record(connection, Stream.INSPECTIONS, record, number)
    return Committed(inspection, seq, inspection_id(station, epoch, seq), sha256)


def insert_outcome(connection: sqlite3.Connection, station: str, outcome: OutcomeOf) -> None:
    """Write what became of an inspection's verdict; the first outcome stays."""
    told = None if outcome.told_verdict is None else outcome.told_verdict.value
    changed = connection.execute(
        "UPDATE inspections SET outcome = ?, told_verdict = ?, told_ms = ? WHERE seq = ? AND outcome IS NULL",
        (outcome.outcome.value, told, outcome.told_ms, outcome.seq),
    ).rowcount
    if not changed:
        return
    number, epoch = _epoch_of_inspection(connection, outcome.seq)
    record = OutcomeRecord.model_validate(
        {
            "station": station,
            "epoch": epoch,
            "seq": outcome.seq,
            "part_id": outcome.part_id,
            "outcome": outcome.outcome.value,
            "told_verdict": told,
            "told_ms": None if outcome.told_ms is None else round(outcome.told_ms, 3),
        }
    )
    insert_record(connection, Stream.OUTCOMES, record, number)


def insert_images(
    connection: sqlite3.Connection,
    station: str,
    seq: int,
    part_id: str,
    images: Mapping[str, ImageRef],
    dropped: Sequence[str],
    rule: UploadRule = NOTHING_UP,
) -> None:
    """Write where an inspection's images lie, by camera, and which cameras' images were given up; the first stays.

    Those that the rule chooses wait to go up from now on.

    A commit that reported a fault may yet have reached the disk, so writing it again must do nothing; nor is anything
    written of an inspection that was let go of since.
    """
    written = "SELECT 1 FROM records WHERE stream = ? AND seq = ?"
    if connection.execute(written, (Stream.IMAGES.value, seq)).fetchone():
        return
    if not connection.execute(written, (Stream.INSPECTIONS.value, seq)).fetchone():
        return
    connection.executemany(
        "INSERT INTO images (seq, camera, sha256, size_bytes, media_type, good)"
        " SELECT seq, ?, ?, ?, ?, verdict = 'PASS' FROM inspections WHERE seq = ?",
        [(camera, ref.sha256, ref.size_bytes, ref.media_type, seq) for camera, ref in images.items()],
    )
    number, epoch = _epoch_of_inspection(connection, seq)
    record = ImagesRecord(
        station=station,
        epoch=epoch,
        seq=seq,
        part_id=part_id,
        images={
            camera: ImageRecord(sha256=ref.sha256, size_bytes=ref.size_bytes, media_type=ref.media_type)
            for camera, ref in images.items()
        },
        dropped=list(dropped),
    )
    insert_record(connection, Stream.IMAGES, record, number)
    if rule.images != "none":
        value = upload_value(rule, _verdict_of(connection, seq), inspection_id(station, epoch, seq))
        _want_uploads(connection, seq, images, value)


def open_inspections(connection: sqlite3.Connection, up_to_seq: int) -> Iterator[tuple[int, str]]:
    """(seq, part id) of the inspections up to a number whose outcome nobody wrote: a daemon died before it knew."""
    query = "SELECT seq, part_id FROM inspections WHERE outcome IS NULL AND seq <= ? ORDER BY seq"
    yield from connection.execute(query, (up_to_seq,)).fetchall()


def leave_to_earlier_life(connection: sqlite3.Connection) -> int:
    """Say nothing more of what an inspection of a copied database became: the station went on after the copy was made.

    What it recorded then stands in the cloud under the same identities, so another word of them would contradict it.

    Returns:
        How many inspections of that time were open.
    """
    highest_seq = next_seq(connection) - 1
    connection.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_EARLIER_LIFE, str(highest_seq)))
    query = "UPDATE inspections SET outcome = ? WHERE outcome IS NULL"
    return connection.execute(query, (Outcome.UNCONFIRMED.value,)).rowcount


def first_of_this_life(connection: sqlite3.Connection) -> int:
    """The lowest number that this database gave out itself, and not one that it was copied from."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_EARLIER_LIFE,)).fetchone()
    return int(row[0]) + 1 if row else 1


def inspection_of(connection: sqlite3.Connection, part_id: str) -> InspectionRecord | None:
    """The last inspection under a part id; None where there is none."""
    query = (
        "SELECT payload FROM records WHERE stream = ? AND seq ="
        " (SELECT seq FROM inspections WHERE part_id = ? ORDER BY seq DESC LIMIT 1)"
    )
    row = connection.execute(query, (Stream.INSPECTIONS.value, part_id)).fetchone()
    return None if row is None else read_record(InspectionRecord, row[0])


def pending_images(connection: sqlite3.Connection, seqs: range) -> Iterator[tuple[int, str, list[str]]]:
    """(seq, part id, cameras) of the inspections that promise images nobody recorded: a daemon died before it could."""
    query = (
        "SELECT payload FROM records AS told WHERE stream = ? AND seq >= ? AND seq < ?"
        ' AND instr(payload, CAST(\'"image":"pending"\' AS BLOB))'
        " AND NOT EXISTS (SELECT 1 FROM records WHERE stream = ? AND seq = told.seq) ORDER BY seq"
    )
    values = (Stream.INSPECTIONS.value, seqs.start, seqs.stop, Stream.IMAGES.value)
    for (payload,) in connection.execute(query, values).fetchall():
        record = read_record(InspectionRecord, payload)
        if record.image == "pending":
            yield record.seq, record.part_id, [view.camera for view in record.views if view.frame_seq is not None]


def insert_record(connection: sqlite3.Connection, stream: Stream, record: Record, epoch_number: int) -> str:
    """Write a record and its outbox mark; says its content hash."""
    payload = canonical_json(record)
    sha256 = content_hash(payload)
    columns = "INSERT INTO records (stream, seq, sha256, payload, epoch) VALUES (?, ?, ?, ?, ?)"
    connection.execute(columns, (stream.value, record.seq, sha256, payload, epoch_number))
    connection.execute("INSERT INTO outbox VALUES (?, ?, ?)", (stream.value, record.seq, epoch_number))
    return sha256


def model_record(model: ModelId) -> ModelRecord:
    """Which bundle looked, as it travels."""
    return ModelRecord(id=model.id, version=model.version, sha256=model.sha256, precision=model.precision.value)


def detection_records(view: View, limit: int) -> list[DetectionRecord]:
    """A view's strongest findings, at most `limit` of them."""
    found = view.detections
    if found is None:
        return []
    strongest = sorted(range(len(found)), key=lambda index: -float(found.scores[index]))[:limit]
    return [
        DetectionRecord(
            box_xyxy=[round(float(edge), 2) for edge in found.boxes_xyxy[index]],
            score=round(float(found.scores[index]), 6),
            label=view.labels[int(found.class_ids[index])],
        )
        for index in strongest
    ]


def _want_uploads(
    connection: sqlite3.Connection, seq: int, images: Mapping[str, ImageRef], value: UploadValue | None
) -> None:
    """Images of this value, or of none, shall go up; a sample's goes by what that is worth."""
    for camera, ref in images.items():
        worth = max(value or 0, sample_value(connection, seq, camera) or 0)
        if worth:
            want_uploads(connection, seq, {camera: ref}, UploadValue(worth))


def _epoch_of_inspection(connection: sqlite3.Connection, seq: int) -> tuple[int, str]:
    """Number and name of the epoch that an inspection was made in: what follows it keeps its identity."""
    query = "SELECT epochs.id, epochs.epoch FROM inspections JOIN epochs ON epochs.id = inspections.epoch WHERE seq = ?"
    number, epoch = connection.execute(query, (seq,)).fetchone()
    return int(number), str(epoch)


def _verdict_of(connection: sqlite3.Connection, seq: int) -> str:
    return str(connection.execute("SELECT verdict FROM inspections WHERE seq = ?", (seq,)).fetchone()[0])


def _inspection_record(
    station: str, epoch: str, seq: int, inspection: Inspection, *, keeps_image: bool
) -> InspectionRecord:
    part, views = inspection.part, inspection.views
    side = side_most(sum(view.verdict is not Verdict.PASS for view in views))
    return InspectionRecord(
        station=station,
        epoch=epoch,
        seq=seq,
        part_id=part.part_id,
        product=part.product,
        triggered_at=part.triggered_at,
        verdict=inspection.verdict.value,
        reasons=list(inspection.all_reasons),
        views=[_view_record(view, _DETECTIONS_LIMIT // len(views), side) for view in views],
        recipe_version=inspection.recipe_version,
        latency_ms={stage: round(ms, 3) for stage, ms in inspection.latency_ms.items()},
        image="pending" if keeps_image else "none",
        replayed=inspection.replayed,
        code=inspection.code,
        master=part.master or None,
    )


def _view_record(view: View, detections_limit: int, heat_side: int) -> ViewRecord:
    frame, model = view.frame, view.model
    return ViewRecord(
        camera=view.camera_id,
        frame_seq=frame.seq if frame else None,
        captured_at=frame.captured_at if frame else None,
        source=frame.source if frame else "",
        verdict=view.verdict.value,
        reasons=list(view.reasons),
        score=None if view.detections is None else round(view.detections.frame_score, 6),
        detections=detection_records(view, detections_limit),
        detections_total=len(view.detections) if view.detections is not None else 0,
        model=model_record(model) if model else None,
        heat=heat_record(view, heat_side),
    )
