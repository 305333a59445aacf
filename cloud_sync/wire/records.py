"""The records that travel: what a station says of an inspection, of its outcome at the line, of its images.

A record's bytes are made once, at the station, as canonical JSON; their sha256 is the content hash that
simulator log, station and cloud are joined by. Nobody re-serialises a record on its way.

Stations and collectors are brought up to date in any order. So under one schema name:
- a version that comes later may add members that have a default, and nothing else; what a member means, may hold, and
  whether it is required, stays as it is. Whatever else changes gets a new name, and a collector that knows it first.
- words of a list (streams, states of an offer) may be added likewise, the collector first: a reader that does not know
  such a word sets the message aside. Each stands as allowed in `tests/cloud_sync/test_versions.py`.
- who makes a record knows all its members; who reads one leaves those it does not know unread, in its bytes.
"""

import hashlib
import json
from datetime import datetime
from typing import Annotated, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, FailFast, Field

from cloud_sync.wire.heat import HeatRecord

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
EPOCH_PATTERN = r"^[0-9a-f]{32}$"
SEQ_LIMIT = 2**53 - 1  # what every reader of JSON and every database's integer holds exactly
Epoch = Annotated[str, Field(pattern=EPOCH_PATTERN)]
Name = Annotated[str, Field(min_length=1, max_length=128)]
_Item = TypeVar("_Item")
Items = Annotated[
    list[_Item], FailFast()
]  # 64 KiB of wrong items made 200,000 errors and 140 MiB: the first one will do
VerdictText = Literal["PASS", "REJECT", "UNDECIDED"]
Box = Annotated[list[float], Field(min_length=4, max_length=4)]
RECORD_LIMIT_BYTES = 48 * 1024


def _is_none(value: object) -> bool:
    """Whether a member is left out: of most records nothing is said in as few bytes as before."""
    return value is None


class Record(BaseModel):
    """What every record of a station carries: its identity is (station, epoch, stream, seq)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    station: Name
    epoch: Epoch
    seq: Annotated[int, Field(ge=1, le=SEQ_LIMIT)]


RecordKind = TypeVar("RecordKind", bound=Record)


class PartRecord(Record):
    """A record about one part."""

    part_id: Name


class DetectionRecord(BaseModel):
    """One box in frame pixels, its score in [0, 1] and its class name."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    box_xyxy: Box
    score: Annotated[float, Field(ge=0, le=1)]
    label: Name


class ModelRecord(BaseModel):
    """Which bundle looked at the frame."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Name
    version: Annotated[int, Field(ge=1)]
    sha256: Sha256
    precision: Literal["FP32", "BF16", "INT8"]


class ImageRecord(BaseModel):
    """A stored image, named by its content."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=1)]
    media_type: Name


class ViewRecord(BaseModel):
    """What one camera contributed; `frame_seq` and `captured_at` are null when no frame came.

    `heat` is what the model's map showed, where it has one and the view did not pass; else there is no such member.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera: Name
    frame_seq: int | None
    captured_at: datetime | None
    source: str
    verdict: VerdictText
    reasons: Items[str]
    score: Annotated[float, Field(ge=0, le=1)] | None
    detections: Items[DetectionRecord]
    detections_total: Annotated[int, Field(ge=0)]
    model: ModelRecord | None
    heat: Annotated[HeatRecord | None, Field(exclude_if=_is_none)] = None


class InspectionRecord(PartRecord):
    """One inspection: what was decided of one part, from what, by what; `code` is what its QR code or barcode says.

    With `master` it is no production: the master part of that name was shown, to check the station.
    """

    schema_: Literal["inspectd.inspection.v1"] = Field("inspectd.inspection.v1", alias="schema")
    product: str
    triggered_at: datetime
    verdict: VerdictText
    reasons: Items[str]
    views: Items[ViewRecord]
    recipe_version: str
    latency_ms: dict[str, float]
    image: Literal["pending", "none"]
    replayed: bool
    code: Annotated[str, Field(min_length=1, max_length=256)] | None = None
    master: Name | None = None


class OutcomeRecord(PartRecord):
    """What became of the verdict at the line; `told_verdict` is what the line was told, if anything."""

    schema_: Literal["inspectd.outcome.v1"] = Field("inspectd.outcome.v1", alias="schema")
    outcome: Literal["told", "late", "unconfirmed"]
    told_verdict: VerdictText | None
    told_ms: Annotated[float, Field(ge=0)] | None


class ImagesRecord(PartRecord):
    """Where the inspection's images are: one reference for each camera that had a frame and kept it."""

    schema_: Literal["inspectd.images.v1"] = Field("inspectd.images.v1", alias="schema")
    images: dict[str, ImageRecord]
    dropped: Items[str]


class SaidBoxRecord(BaseModel):
    """Where on a camera's picture a person sees a defect, in pixels of that picture, and of which class."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    camera: Name
    label: Name
    box_xyxy: Box


class FeedbackRecord(PartRecord):
    """What a person said of an inspection: the verdict was right or wrong, what the part really is, and where."""

    schema_: Literal["inspectd.feedback.v1"] = Field("inspectd.feedback.v1", alias="schema")
    inspection_epoch: Epoch
    inspection_seq: Annotated[int, Field(ge=1, le=SEQ_LIMIT)]
    verdict: VerdictText
    is_right: bool
    label: Annotated[str, Field(max_length=128)] = ""
    note: Annotated[str, Field(max_length=1000)] = ""
    by: Name
    at: datetime
    boxes: Annotated[Items[SaidBoxRecord], Field(max_length=32)] = []


TAKEN_BACK = "taken back"  # the note of a word that only withdraws what its person had said before


SampleReasonText = Literal["uncertain", "candidate", "disagreement", "overruled", "novel", "audit"]


class ProposalRecord(BaseModel):
    """What one model made of one frame, candidates below its threshold included: a proposal for whoever labels it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelRecord
    verdict: VerdictText
    score: Annotated[float, Field(ge=0, le=1)] | None
    detections: Annotated[Items[DetectionRecord], Field(max_length=100)]


class SampleRecord(PartRecord):
    """One camera's view of an inspection, kept for retraining, with why; its image is that of the inspection.

    `challenger` is what a model in shadow made of the same frame, where one looked.
    """

    schema_: Literal["inspectd.sample.v1"] = Field("inspectd.sample.v1", alias="schema")
    inspection_epoch: Epoch
    inspection_seq: Annotated[int, Field(ge=1, le=SEQ_LIMIT)]
    product: Name
    camera: Name
    reasons: Annotated[Items[SampleReasonText], Field(min_length=1, max_length=6)]
    champion: ProposalRecord | None
    challenger: ProposalRecord | None = None
    at: datetime


class LossRecord(Record):
    """A tombstone: records that the station gave up unsent because its disk was full, counted one by one."""

    schema_: Literal["inspectd.loss.v1"] = Field("inspectd.loss.v1", alias="schema")
    stream: Literal["inspections", "outcomes", "images", "feedback", "samples"]
    of_epoch: Epoch
    ranges: Items[tuple[int, int]]
    records: Annotated[int, Field(ge=1)]
    verdicts: dict[VerdictText, int]
    why: Annotated[str, Field(min_length=1, max_length=300)]
    at: datetime


def canonical_json(record: Record) -> bytes:
    """The record's bytes: sorted keys, no spaces, UTF-8. Raises ValueError on NaN or infinity."""
    content = record.model_dump(mode="json", by_alias=True)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def read_record(kind: type[RecordKind], payload: bytes) -> RecordKind:
    """What a reader of today makes of a record, its unknown members left out. Raises pydantic's ValidationError."""
    return kind.model_validate_json(payload, strict=True, extra="ignore")


def content_hash(payload: bytes) -> str:
    """The sha256 of a record's bytes, 64 hex digits."""
    return hashlib.sha256(payload).hexdigest()


def inspection_id(station: str, epoch: str, seq: int) -> str:
    """An inspection's identity in one word."""
    return f"{station}/{epoch}/{seq}"
