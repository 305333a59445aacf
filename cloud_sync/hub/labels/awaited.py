"""What a sample or an operator's word may wait for in another record: its image's name, its product.

Reading and writing stand apart, so that where nothing came nobody's transaction is in the way of a collector's.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.store.label_tables import feedback, samples
from cloud_sync.hub.store.tables import records
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import ImagesRecord, InspectionRecord, read_record


@dataclass(frozen=True, slots=True)
class NamedImage:
    """Which image a sample's station kept of it; None: it kept none."""

    sample: str
    sha256: str | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class Window:
    """What was found in a stretch of the samples that wait; `last` is where it ends, "" at the end of all."""

    found: tuple[NamedImage, ...]
    last: str


def look_for_images(connection: sa.Connection, after: str, limit: int) -> Window:
    """What stations said since of the images of some samples that wait for that. Raises SQLAlchemyError.

    Args:
        connection: to the store.
        after: samples whose id comes after this one.
        limit: so many of them.
    """
    waits = samples.c.sha256.is_(None), sa.not_(samples.c.dropped), samples.c.id > after
    some = sa.select(samples).where(*waits).order_by(samples.c.id).limit(limit).subquery()
    own = sa.and_(
        records.c.station == some.c.station,
        records.c.epoch == some.c.epoch,
        records.c.stream == Stream.IMAGES.value,
        records.c.seq == some.c.seq,
    )
    query = sa.select(some.c.id, some.c.camera, records.c.payload).outerjoin_from(some, records, own)
    rows = connection.execute(query.order_by(some.c.id)).all()
    found = tuple(_named(row.id, row.camera, row.payload) for row in rows if row.payload is not None)
    return Window(found, rows[-1].id if len(rows) == limit else "")


def write_images(connection: sa.Connection, found: Sequence[NamedImage]) -> None:
    """Note them. Raises SQLAlchemyError."""
    for image in found:
        values = {"sha256": image.sha256, "size_bytes": image.size_bytes, "dropped": image.sha256 is None}
        connection.execute(sa.update(samples).where(samples.c.id == image.sample).values(values))


def nameless_feedback(connection: sa.Connection, limit: int) -> Sequence[sa.Row[Any]]:
    """Operators' words without a product whose inspection is here, with its bytes. Raises SQLAlchemyError."""
    own = sa.and_(
        records.c.station == feedback.c.station,
        records.c.epoch == feedback.c.inspection_epoch,
        records.c.stream == Stream.INSPECTIONS.value,
        records.c.seq == feedback.c.inspection_seq,
    )
    query = sa.select(feedback, records.c.payload).join(records, own).where(feedback.c.product.is_(None))
    return connection.execute(query.order_by(*feedback.primary_key).limit(limit)).all()


def product_columns(payload: bytes) -> dict[str, object]:
    """What an operator's word takes from its inspection."""
    inspection = read_record(InspectionRecord, payload)
    return {"product": storable(inspection.product)[:128], "views": len(inspection.views)}


def payload_of(connection: sa.Connection, station: str, epoch: str, stream: Stream, seq: int) -> bytes | None:
    """A record's bytes, None where it did not come yet. Raises SQLAlchemyError."""
    identity = {"station": station, "epoch": epoch, "stream": stream.value, "seq": seq}
    query = sa.select(records.c.payload).where(*(records.c[name] == value for name, value in identity.items()))
    return connection.scalar(query)


def _named(sample: str, camera: str, payload: bytes) -> NamedImage:
    named = read_record(ImagesRecord, payload)
    image = next((image for name, image in named.images.items() if storable(name) == camera), None)
    return NamedImage(sample, image.sha256, image.size_bytes) if image else NamedImage(sample, None, None)
