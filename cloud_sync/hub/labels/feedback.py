"""Operators' words on verdicts: counted for the overrule rate, and labels where `operators` says so."""

from typing import Any

import sqlalchemy as sa

from cloud_sync.hub.labels.awaited import nameless_feedback, payload_of, product_columns
from cloud_sync.hub.labels.classes import known_classes
from cloud_sync.hub.labels.labelling import NewLabel, add_labels
from cloud_sync.hub.labels.operators import label_said
from cloud_sync.hub.labels.samples import ms
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.entries import storable
from cloud_sync.hub.store.label_tables import feedback, labels, samples
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import FeedbackRecord


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
    """Label the sample of an inspection with the last word that operators said of it; 1 if that is new.

    Nothing is done where there is no sample, no word, no product yet, or a label of somebody who is no operator.
    Raises SQLAlchemyError.
    """
    sample = _sample(connection, station, epoch, seq)
    said = _last_word(connection, station, epoch, seq)
    if sample is None or said is None:
        return 0
    classes = known_classes(connection, sample.product)
    truth = label_said(said.verdict, said.label, classes, said.views, is_right=said.is_right)
    if truth is None:
        return 0
    return add_labels(connection, [NewLabel(sample.id, truth, "feedback", said.said_by, said.said_at_ms)], at_ms)


def _sample(connection: sa.Connection, station: str, epoch: str, seq: int) -> sa.Row[Any, Any, Any] | None:
    """The only one of this inspection, if no reviewer labelled it."""
    mine = samples.c.station == station, samples.c.epoch == epoch, samples.c.seq == seq
    newest = samples.outerjoin(labels, labels.c.seq == samples.c.label)
    query = sa.select(samples.c.id, samples.c.product, labels.c.source).select_from(newest).where(*mine)
    found = connection.execute(query).all()
    if len(found) != 1 or found[0].source not in {None, "feedback"}:
        return None
    return found[0]


def _last_word(connection: sa.Connection, station: str, epoch: str, seq: int) -> sa.Row[Any] | None:
    table = feedback.c
    mine = table.station == station, table.inspection_epoch == epoch, table.inspection_seq == seq
    query = sa.select(feedback).where(*mine, table.product.is_not(None))
    return connection.execute(query.order_by(table.said_at_ms.desc(), table.seq.desc()).limit(1)).first()
