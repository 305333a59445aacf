"""Rows of samples that no station sent."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cloud_sync.hub.labels.samples import IMPORTED, imported_id, some_of
from cloud_sync.hub.labels.usefulness import usefulness_of
from cloud_sync.hub.store.label_tables import sample_reasons, samples


@dataclass(frozen=True, slots=True)
class NewImage:
    """An image that lies in the blob store; `belongs` is the group that its data set says, "" for none."""

    sha256: str
    size_bytes: int
    belongs: str


def add_imported(connection: sa.Connection, product: str, images: Sequence[NewImage], at_ms: int) -> None:
    """Add a sample for each that has none yet. Raises SQLAlchemyError."""
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    for some in some_of(images):
        rows = [_row(product, image, at_ms) for image in some]
        connection.execute(insert(samples).on_conflict_do_nothing(), rows)
        reasons = [{"sample": row["id"], "reason": IMPORTED} for row in rows]
        connection.execute(insert(sample_reasons).on_conflict_do_nothing(), reasons)


def _row(product: str, image: NewImage, at_ms: int) -> dict[str, object]:
    return {
        "id": imported_id(product, image.sha256),
        "product": product,
        "station": "",
        "epoch": "",
        "seq": 0,
        "camera": "",
        "part_id": "",
        "belongs": image.belongs,
        "sha256": image.sha256,
        "size_bytes": image.size_bytes,
        "dropped": False,
        "at_ms": at_ms,
        "seen_at_ms": at_ms,
        "conflict": False,
        "usefulness": usefulness_of([IMPORTED]),
    }
