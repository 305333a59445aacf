"""The labelled images of a product out of store and blobs into a folder, each looked at once."""

import hashlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import sqlalchemy as sa

from cloud_sync.hub.files.blobs import Blobs
from cloud_sync.hub.labels.dividing import Image
from cloud_sync.hub.labels.errors import LabelError
from cloud_sync.hub.labels.grouping import Look
from cloud_sync.hub.labels.listing import SampleView, Wanted, list_samples
from cloud_sync.hub.labels.pictures import read_blob, suffix_of
from cloud_sync.hub.labels.truths import LabelTruth, clipped
from models.decoding import decoded
from models.near_twins import thumbnail

AUDIT = "audit"


@dataclass(frozen=True, slots=True, eq=False)
class LabelledImage:
    """One image that can be used, its file in the pool."""

    sample: str
    file: Path
    sha256: str
    size_px: tuple[int, int]
    truth: LabelTruth
    names: tuple[str, ...]
    source: str
    reasons: tuple[str, ...]
    look: Look

    def as_image(self, groups: Mapping[str, str]) -> Image:
        """As it is dealt out."""
        return Image(self.sample, groups[self.sample], self.names, AUDIT in self.reasons)


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """What can be used; what was dealt out once and cannot, just now; how many labelled images cannot, by reason."""

    images: list[LabelledImage] = field(default_factory=list)
    dealt: list[Look] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def gather(
    connection: sa.Connection, blobs: Blobs, product: str, pool: Path, dealt: Collection[str], *, places: bool
) -> Gathered:
    """Put every image that can be used into the pool.

    Args:
        connection: to the store.
        blobs: where the images lie.
        product: which product's.
        pool: a folder; what is there from a try before stays.
        dealt: samples that were held out or learned from once.
        places: whoever learns wants to know where a defect is.

    Raises:
        LabelError, BlobError: an image is damaged or missing in the blob store.
        SQLAlchemyError, OSError: the outside world failed.
    """
    gathered = Gathered()
    for sample in list_samples(connection, Wanted(product)):
        if sample.truth is None:
            continue
        reason = _unfit(sample, places=places)
        image = _image(sample, blobs, pool, places=places) if not reason or sample.id in dealt else None
        if image is None or reason:
            gathered.left_out[reason or "no readable image"] += 1
            gathered.dealt.extend([image.look] if image else [])
        else:
            gathered.images.append(image)
    return gathered


def _unfit(sample: SampleView, *, places: bool) -> str:
    """Why a labelled sample cannot be used; "" where it can."""
    if sample.truth is None or sample.truth.says == "unsure":
        return "nobody could say"
    if sample.conflict:
        return "people say different things"
    if sample.image != "ready" or not sample.sha256 or not sample.size_bytes:
        return "its image is not here"
    return "a defect without a place" if places and sample.truth.says == "defect" else ""


def _image(sample: SampleView, blobs: Blobs, pool: Path, *, places: bool) -> LabelledImage | None:
    """None for what is no readable image. Raises LabelError, BlobError, OSError."""
    if sample.truth is None or sample.image != "ready" or sample.sha256 is None:
        return None
    content = read_blob(blobs, sample.sha256, sample.size_bytes or 0)
    pixels, suffix = decoded(content, cv2.IMREAD_COLOR), suffix_of(content)
    if pixels is None or not suffix:
        return None
    size = int(pixels.shape[1]), int(pixels.shape[0])
    for box in sample.truth.boxes:
        try:
            clipped(box, *size)
        except LabelError as error:
            raise LabelError(f"sample {sample.id}: {error}") from error
    file = pool / f"{sample.id}{suffix}"
    file.write_bytes(content)
    named = sample.truth.names if places else (sample.truth.defect(),)
    picture = hashlib.sha256(repr(pixels.shape).encode() + pixels.tobytes()).hexdigest()
    inspection = f"{sample.station}/{sample.epoch}/{sample.seq}" if sample.station else ""
    part = f"{sample.station}/{sample.part_id}" if sample.station else ""
    return LabelledImage(
        sample.id,
        file,
        sample.sha256,
        size,
        sample.truth,
        tuple(name for name in named if name),
        sample.source,
        sample.reasons,
        Look(sample.id, inspection, part, sample.belongs, picture, thumbnail(pixels)),
    )
