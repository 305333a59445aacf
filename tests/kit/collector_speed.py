"""Batches as real stations send them, and what one collector makes of them, for measuring."""

from datetime import UTC, datetime, timedelta

from cloud_sync.wire import topics
from cloud_sync.wire.envelopes import pack_batch, split
from cloud_sync.wire.link import Message
from cloud_sync.wire.outbox import OutboxRow, Stream
from cloud_sync.wire.records import DetectionRecord, InspectionRecord, ModelRecord, ViewRecord, canonical_json

_MODEL = ModelRecord(id="cells", version=3, sha256="ab" * 32, precision="INT8")
_START = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
EPOCH = "0123456789abcdef" * 2


def record(station: str, seq: int) -> OutboxRow:
    """An inspection of one camera by a detector, as `edge run` records it."""
    at = _START + timedelta(milliseconds=33 * seq)
    is_bad = seq % 50 == 0
    found = DetectionRecord(box_xyxy=[10.25, 20.5, 64.125, 80.0], score=0.875, label="scratch")
    view = ViewRecord(
        camera="top",
        frame_seq=seq,
        captured_at=at,
        source="gige://camera-1",
        verdict="REJECT" if is_bad else "PASS",
        reasons=["scratch above 0.5"] if is_bad else [],
        score=round(seq % 997 / 997, 6),
        detections=[found] if is_bad else [],
        detections_total=int(is_bad),
        model=_MODEL,
    )
    made = InspectionRecord(
        station=station,
        epoch=EPOCH,
        seq=seq,
        part_id=f"part-{seq:09d}",
        product="cell",
        triggered_at=at,
        verdict=view.verdict,
        reasons=view.reasons,
        views=[view],
        recipe_version="a1b2c3d4e5f6",
        latency_ms={"wait": 1.25, "capture": 12.5, "infer": 8.625, "decide": 0.125, "commit": 4.5, "total": 27.0},
        image="pending",
        replayed=False,
    )
    return OutboxRow(Stream.INSPECTIONS, seq, canonical_json(made), EPOCH)


def messages(station: str, count: int, per_message: int | None = None) -> list[Message]:
    """That many records in batches: full ones, or of so many records each."""
    rows = [record(station, seq) for seq in range(1, count + 1)]
    runs = split(rows) if per_message is None else [rows[at : at + per_message] for at in range(0, count, per_message)]
    topic = topics.inspections(station)
    return [Message(topic, pack_batch(station, EPOCH, run, _START)) for run in runs]
