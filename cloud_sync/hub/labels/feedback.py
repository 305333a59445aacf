"""Operators' words on verdicts: counted for the overrule rate, and labels where `operators` says so."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from cloud_sync.hub.labels.awaited import nameless_feedback, payload_of, product_columns
from cloud_sync.hub.labels.classes import known_classes
from cloud_sync.hub.labels.labelling import NewLabel, add_labels
from cloud_sync.hub.labels.operators import boxes_said, label_said
from cloud_sync.hub.labels.samples import ms
from cloud_sync.hub.labels.truths import LabelTruth, unsure
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.store.label_tables import feedback, labels, samples
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import TAKEN_BACK, FeedbackRecord, SaidBoxRecord, read_record


def put_feedback(connection: sa.Connection, record: FeedbackRecord, seen_at_ms: int) -> None:
    """Write an operator's word, with its product where the inspection is here already. Raises SQLAlchemyError."""
    where = (record.station, record.inspection_epoch, Stream.INSPECTIONS, record.inspection_seq)
    inspection = payload_of(connection, *where)
    row = {
        "station": record.station,
        "epoch": record.epoch,
        "seq": record.seq,
        "inspection_epoch": record.inspection_epoch,
        "inspection_seq": record.inspection_seq,
        "verdict": record.verdict,
        "is_right": record.is_right,
        "label": storable(record.label),
        "said_by": storable(record.by),
        "said_at_ms": ms(record.at),
        "seen_at_ms": seen_at_ms,
    }
    add_absent(connection, feedback, row | (product_columns(inspection) if inspection else {}))


def find_products(connection: sa.Connection, limit: int, at_ms: int) -> int:
    """Give words that came before their inspection its product; how many got one. Raises SQLAlchemyError."""
    rows = nameless_feedback(connection, limit)
    for row in rows:
        key = [feedback.c[name] == getattr(row, name) for name in ("station", "epoch", "seq")]
        connection.execute(sa.update(feedback).where(*key).values(product_columns(row.payload)))
        apply_feedback(connection, row.station, row.inspection_epoch, row.inspection_seq, at_ms)
    return len(rows)


def apply_feedback(connection: sa.Connection, station: str, epoch: str, seq: int, at_ms: int) -> int:
    """Label the samples of an inspection with the last word that operators said of it; how many labels are new.

    Nothing is done where there is no sample, no word, no product yet, or a label of somebody who is no operator. A last
    word that is no label takes back what an earlier one said: the image is `unsure` from then on.
    Raises SQLAlchemyError.
    """
    said = _last_word(connection, station, epoch, seq)
    if said is None:
        return 0
    payload = payload_of(connection, said.station, said.epoch, Stream.FEEDBACK, said.seq)
    word = read_record(FeedbackRecord, payload) if payload else None
    boxes = word.boxes if word else []
    withdrawn = word is not None and word.note == TAKEN_BACK and not word.label  # nobody said that the part is good
    found = _samples(connection, station, epoch, seq)
    labels_said = [(sample, None if withdrawn else _truth(connection, said, sample, boxes)) for sample in found]
    new = [
        NewLabel(sample.id, truth, "feedback", said.said_by, said.said_at_ms)
        for sample, named in labels_said
        if (truth := named or (unsure() if sample.source == "feedback" else None)) is not None
    ]
    return add_labels(connection, new, at_ms) if new else 0


def _truth(
    connection: sa.Connection,
    said: sa.Row[Any],
    sample: sa.Row[Any, Any, Any, Any],
    boxes: Sequence[SaidBoxRecord],
) -> LabelTruth | None:
    classes = known_classes(connection, sample.product)
    if not boxes:
        return label_said(said.verdict, said.label, classes, said.views, is_right=said.is_right)
    mine = [box for box in boxes if storable(box.camera) == sample.camera]
    return boxes_said(said.verdict, said.label, classes, mine, is_right=said.is_right)


def _samples(connection: sa.Connection, station: str, epoch: str, seq: int) -> Sequence[sa.Row[Any, Any, Any, Any]]:
    """Those of this inspection that no reviewer labelled."""
    mine = samples.c.station == station, samples.c.epoch == epoch, samples.c.seq == seq
    newest = samples.outerjoin(labels, labels.c.seq == samples.c.label)
    query = sa.select(samples.c.id, samples.c.product, samples.c.camera, labels.c.source).select_from(newest)
    found = connection.execute(query.where(*mine).order_by(samples.c.id)).all()
    return [row for row in found if row.source in {None, "feedback"}]


def _last_word(connection: sa.Connection, station: str, epoch: str, seq: int) -> sa.Row[Any] | None:
    table = feedback.c
    mine = table.station == station, table.inspection_epoch == epoch, table.inspection_seq == seq
    query = sa.select(feedback).where(*mine, table.product.is_not(None))
    return connection.execute(query.order_by(table.said_at_ms.desc(), table.seq.desc()).limit(1)).first()
