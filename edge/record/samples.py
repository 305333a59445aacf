"""How a sample is written: a record with a number of its own, its outbox mark, and its image's place in the queue.

One view of an inspection may become a sample more than once, each time for reasons that were not told before; so
writing it again, or a person saying the same again, writes nothing.
"""

import sqlite3
from dataclasses import dataclass
from datetime import datetime

import structlog

from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import (
    RECORD_LIMIT_BYTES,
    InspectionRecord,
    ProposalRecord,
    SampleRecord,
    ViewRecord,
    canonical_json,
    read_record,
)
from edge.domain.inspection import ImageRef, View
from edge.domain.sample import SampleReason
from edge.record.counts import add_to_count, next_number
from edge.record.database import current_epoch
from edge.record.inspections import detection_records, insert_record, model_record
from edge.record.sample_rows import forget_rows, known_reasons, note_reasons, sample_value
from edge.record.upload_choice import NOTHING_UP, UploadRule
from edge.record.upload_rows import want_uploads

log = structlog.get_logger()
_DETECTIONS_LIMIT = 64
_SECONDS_A_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Chosen:
    """One camera's view of an inspection that shall become a sample.

    Args:
        seq: the inspection's number.
        camera_id: whose view.
        reasons: why, at least one.
        at: when it was chosen, UTC.
        champion: what the model that decides made of it; None where that is not known any more.
        challenger: what a model in shadow made of it.
        charged: the reason whose budget it takes from; None where it is outside the budget.
    """

    seq: int
    camera_id: str
    reasons: tuple[SampleReason, ...]
    at: datetime
    champion: ProposalRecord | None = None
    challenger: ProposalRecord | None = None
    charged: SampleReason | None = None

    @property
    def minute(self) -> int:
        """The minute that it is charged to, since 1970."""
        return minute_of(self.at)


def minute_of(at: datetime) -> int:
    """Whole minutes since 1970."""
    return int(at.timestamp()) // _SECONDS_A_MINUTE


def proposal_of(view: View) -> ProposalRecord | None:
    """What a model made of a frame, candidates included; None where none looked."""
    if view.model is None or view.detections is None:
        return None
    return ProposalRecord(
        model=model_record(view.model),
        verdict=view.verdict.value,
        score=round(view.detections.frame_score, 6),
        detections=detection_records(view, _DETECTIONS_LIMIT),
    )


def insert_sample(
    connection: sqlite3.Connection, station: str, chosen: Chosen, rule: UploadRule = NOTHING_UP
) -> SampleRecord | None:
    """Write a sample; None, and nothing written, where its inspection is gone or all its reasons are told already.

    Where the rule lets images go up at all, its image goes before those that are no sample.
    """
    query = (
        "SELECT part_id, product, epochs.epoch FROM inspections JOIN epochs ON epochs.id = inspections.epoch"
        " WHERE seq = ?"
    )
    row = connection.execute(query, (chosen.seq,)).fetchone()
    known = known_reasons(connection, chosen.seq, chosen.camera_id)
    new = tuple(reason for reason in dict.fromkeys(chosen.reasons) if reason not in known)
    if row is None or not new:
        return None
    number, epoch = current_epoch(connection)
    record = _fitting(
        SampleRecord(
            station=station,
            epoch=epoch,
            seq=next_number(connection, Stream.SAMPLES),
            part_id=row[0],
            inspection_epoch=row[2],
            inspection_seq=chosen.seq,
            product=row[1],
            camera=chosen.camera_id,
            reasons=[reason.value for reason in new],
            champion=chosen.champion,
            challenger=chosen.challenger,
            at=chosen.at,
        )
    )
    insert_record(connection, Stream.SAMPLES, record, number)
    note_reasons(connection, chosen.seq, chosen.camera_id, new, chosen.minute, chosen.charged)
    forget_rows(connection, chosen.minute)
    for reason in new:
        add_to_count(connection, f"sample:{reason.value}", 1)
    if rule.images != "none":
        _want_image(connection, chosen)
    return record


def insert_overruled(
    connection: sqlite3.Connection, station: str, seq: int, at: datetime, rule: UploadRule = NOTHING_UP
) -> int:
    """Every view of an inspection that a person overruled becomes a sample; says how many. Master parts are none.

    What was said must be kept whatever becomes of the sample, so one that cannot be made is logged and left out.
    """
    connection.execute("SAVEPOINT overruled")
    try:
        made = _insert_overruled(connection, station, seq, at, rule)
    except ValueError as error:
        connection.execute("ROLLBACK TO overruled")
        log.error("what was overruled cannot be made a sample", seq=seq, why=str(error))
        made = 0
    connection.execute("RELEASE overruled")
    return made


def _insert_overruled(connection: sqlite3.Connection, station: str, seq: int, at: datetime, rule: UploadRule) -> int:
    query = "SELECT payload FROM records WHERE stream = ? AND seq = ?"
    row = connection.execute(query, (Stream.INSPECTIONS.value, seq)).fetchone()
    if row is not None:
        inspection = read_record(InspectionRecord, row[0])
        seen = [] if inspection.master else [view for view in inspection.views if view.frame_seq is not None]
        champions = {view.camera: _proposal_of_record(view) for view in seen}
    else:
        cameras = connection.execute("SELECT camera FROM images WHERE seq = ?", (seq,)).fetchall()
        champions = dict.fromkeys((camera for (camera,) in cameras), None)
    reasons = (SampleReason.OVERRULED,)
    chosen = [Chosen(seq, camera, reasons, at, champion) for camera, champion in champions.items()]
    return sum(insert_sample(connection, station, one, rule) is not None for one in chosen)


def _proposal_of_record(view: ViewRecord) -> ProposalRecord | None:
    if view.model is None or view.score is None:
        return None
    found = view.detections[:_DETECTIONS_LIMIT]
    return ProposalRecord(model=view.model, verdict=view.verdict, score=view.score, detections=found)


def _fitting(record: SampleRecord) -> SampleRecord:
    """The record, its weakest findings left out until it fits. Raises ValueError: it does not even so."""
    most = _DETECTIONS_LIMIT
    while len(canonical_json(record)) > RECORD_LIMIT_BYTES:
        if most == 0:
            raise ValueError(f"a sample of inspection {record.inspection_seq} fits into no record")
        most //= 2
        cut = {
            name: proposal.model_copy(update={"detections": proposal.detections[:most]})
            for name in ("champion", "challenger")
            if (proposal := getattr(record, name)) is not None
        }
        record = record.model_copy(update=cut)
    return record


def _want_image(connection: sqlite3.Connection, chosen: Chosen) -> None:
    """Its image goes up with the samples, if it is here; else `insert_images` sees to it when it comes."""
    value = sample_value(connection, chosen.seq, chosen.camera_id)
    query = "SELECT sha256, size_bytes, media_type FROM images WHERE seq = ? AND camera = ? AND stored"
    row = connection.execute(query, (chosen.seq, chosen.camera_id)).fetchone()
    if row is not None and value is not None:
        want_uploads(connection, chosen.seq, {chosen.camera_id: ImageRef(*row)}, value)
