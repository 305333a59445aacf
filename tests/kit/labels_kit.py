"""What a station sends of samples, for tests: records into a store, pictures into its blobs."""

import hashlib
from collections.abc import Iterable, Sequence
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import sqlalchemy as sa
from outboxes import AT, EPOCH, STATION
from stores import engine

from cloud_sync.hub.files.blobs import FolderBlobs
from cloud_sync.hub.labels.classes import declare_classes
from cloud_sync.hub.labels.labelling import NewLabel, add_labels
from cloud_sync.hub.labels.samples import sample_id
from cloud_sync.hub.labels.truths import LabelTruth
from cloud_sync.hub.store.label_tables import samples
from cloud_sync.hub.store.writing import Key, NewRecord, StoreWriter
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import (
    DetectionRecord,
    FeedbackRecord,
    ImageRecord,
    ImagesRecord,
    InspectionRecord,
    ModelRecord,
    PartRecord,
    ProposalRecord,
    SampleRecord,
    ViewRecord,
    canonical_json,
)

PRODUCT = "cell"
MODEL = ModelRecord(id="cells", version=3, sha256="cd" * 32, precision="INT8")
STREAMS: dict[type[PartRecord], Stream] = {
    SampleRecord: Stream.SAMPLES,
    ImagesRecord: Stream.IMAGES,
    FeedbackRecord: Stream.FEEDBACK,
    InspectionRecord: Stream.INSPECTIONS,
}


def picture(seed: int, width: int = 48, height: int = 32) -> bytes:
    """A PNG that is like no other seed's."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height // 8, width // 8), np.uint8)
    return cv2.imencode(".png", cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC))[1].tobytes()


def sample(
    seq: int, inspection: int, reasons: Sequence[str] = ("uncertain",), camera: str = "top", **more: object
) -> SampleRecord:
    found = DetectionRecord(box_xyxy=[4.0, 5.0, 20.0, 25.0], score=0.4, label="scratch")
    proposal = ProposalRecord(model=MODEL, verdict="PASS", score=0.4, detections=[found])
    content = {
        "station": STATION,
        "epoch": EPOCH,
        "seq": seq,
        "part_id": f"part-{inspection}",
        "inspection_epoch": EPOCH,
        "inspection_seq": inspection,
        "product": PRODUCT,
        "camera": camera,
        "reasons": list(reasons),
        "champion": proposal,
        "at": AT,
    }
    return SampleRecord.model_validate(content | more)


def images(inspection: int, pictures: dict[str, bytes], dropped: Sequence[str] = ()) -> ImagesRecord:
    named = {
        camera: ImageRecord(sha256=hashlib.sha256(content).hexdigest(), size_bytes=len(content), media_type="image/png")
        for camera, content in pictures.items()
    }
    return ImagesRecord(
        station=STATION, epoch=EPOCH, seq=inspection, part_id=f"part-{inspection}", images=named, dropped=list(dropped)
    )


def inspection(seq: int, verdict: str = "REJECT", cameras: Sequence[str] = ("top",)) -> InspectionRecord:
    views = [
        ViewRecord(
            camera=camera,
            frame_seq=1,
            captured_at=AT,
            source="replay",
            verdict="REJECT",
            reasons=[],
            score=0.5,
            detections=[],
            detections_total=0,
            model=MODEL,
        )
        for camera in cameras
    ]
    content = {
        "schema": "inspectd.inspection.v1",
        "station": STATION,
        "epoch": EPOCH,
        "seq": seq,
        "part_id": f"part-{seq}",
        "product": PRODUCT,
        "triggered_at": AT,
        "verdict": verdict,
        "reasons": [],
        "views": views,
        "recipe_version": "r1",
        "latency_ms": {},
        "image": "pending",
        "replayed": False,
    }
    return InspectionRecord.model_validate(content)


def feedback(seq: int, inspection: int, verdict: str, label: str = "", *, is_right: bool = False) -> FeedbackRecord:
    content = {
        "station": STATION,
        "epoch": EPOCH,
        "seq": seq,
        "part_id": f"part-{inspection}",
        "inspection_epoch": EPOCH,
        "inspection_seq": inspection,
        "verdict": verdict,
        "is_right": is_right,
        "label": label,
        "by": "Kim",
        "at": AT,
    }
    return FeedbackRecord.model_validate(content)


def as_row(record: PartRecord) -> NewRecord:
    key = Key(record.station, record.epoch, STREAMS[type(record)], record.seq)
    return NewRecord(key, canonical_json(record), record.part_id)


def receive(place: str, *records: PartRecord) -> None:
    """As a collector stores them."""
    with StoreWriter(place) as writer:
        writer.insert([as_row(record) for record in records], [], 1)


def blobs_of(place: str, tmp_path: Path) -> FolderBlobs:
    return FolderBlobs(tmp_path / "blobs" if "://" in place else Path(place).with_suffix(".blobs"))


def have_file(place: str, blobs: FolderBlobs, content: bytes, seq: int = 1) -> str:
    """As if a station had sent a file whole."""
    digest = hashlib.sha256(content).hexdigest()
    blobs.put(digest, BytesIO(content))
    row = {"station": STATION, "sha256": digest, "size": len(content), "epoch": EPOCH, "seq": seq}
    with engine(place).begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO files VALUES (:station, :sha256, :size, 'image/png', :epoch, :seq, 'top', 'complete',"
                " NULL, 1) ON CONFLICT DO NOTHING"
            ),
            row,
        )
    return digest


def id_of(inspection: int, camera: str = "top") -> str:
    return sample_id(STATION, EPOCH, inspection, camera)


def declare(place: str, *names: str, product: str = PRODUCT) -> None:
    with engine(place).begin() as connection:
        declare_classes(connection, product, names, "test", 1)


def say(place: str, sample: str, truth: LabelTruth, by: str = "Ada", seen: int | None = None) -> int:
    """One person's label."""
    with engine(place).begin() as connection:
        return add_labels(connection, [NewLabel(sample, truth, "review", by, 1, seen)], 1)


def put_directly(place: str, pictures: Iterable[tuple[str, bytes]], product: str = PRODUCT) -> None:
    """Rows of samples as imports make them, for tests that need many; ids as given."""
    rows = [
        {
            "id": found,
            "product": product,
            "station": "",
            "epoch": "",
            "seq": 0,
            "camera": "",
            "part_id": "",
            "belongs": "",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size_bytes": len(content),
            "dropped": False,
            "at_ms": 1,
            "seen_at_ms": 1,
            "conflict": False,
        }
        for found, content in pictures
    ]
    with engine(place).begin() as connection:
        connection.execute(sa.insert(samples), rows)
