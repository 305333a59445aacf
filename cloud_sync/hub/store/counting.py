"""New inspections added to their hours' counts, in the transaction that stores them."""

from collections import Counter, defaultdict
from collections.abc import Iterable

import sqlalchemy as sa

from cloud_sync.hub.store.entries import NewRecord
from cloud_sync.hub.store.hour_tables import HOUR_MS, MODEL_MOST, PRODUCT_MOST
from cloud_sync.wire.outbox import Stream

_COUNT = sa.text(
    "INSERT INTO inspection_hours (hour, station, product, model, passed, rejected, undecided, last_at_ms)"
    " VALUES (:hour, :station, :product, :model, :passed, :rejected, :undecided, :last_at_ms)"
    " ON CONFLICT (hour, station, product, model) DO UPDATE SET passed = inspection_hours.passed + excluded.passed,"
    " rejected = inspection_hours.rejected + excluded.rejected,"
    " undecided = inspection_hours.undecided + excluded.undecided,"
    " last_at_ms = CASE WHEN excluded.last_at_ms > inspection_hours.last_at_ms"
    " THEN excluded.last_at_ms ELSE inspection_hours.last_at_ms END"
)
_COLUMNS = {"PASS": "passed", "REJECT": "rejected", "UNDECIDED": "undecided"}

_Place = tuple[int, str, str, str]  # hour, station, product, model


def count_hours(connection: sa.Connection, fresh: Iterable[NewRecord], at_ms: int) -> None:
    """Add records that are new to their hours; rows in the order of their keys. Raises SQLAlchemyError."""
    tally: dict[_Place, Counter[str]] = defaultdict(Counter)
    last_ms: dict[_Place, int] = {}
    for record in fresh:
        if record.key.stream is Stream.INSPECTIONS and record.verdict in _COLUMNS:
            made_ms = at_ms if record.made_at_ms is None else min(record.made_at_ms, at_ms)
            place = _place(record, made_ms)
            tally[place][_COLUMNS[record.verdict]] += 1
            last_ms[place] = max(last_ms.get(place, made_ms), made_ms)
    names = ("hour", "station", "product", "model")
    rows = [
        dict(zip(names, place, strict=True))
        | {column: tally[place][column] for column in _COLUMNS.values()}
        | {"last_at_ms": last_ms[place]}
        for place in sorted(tally)
    ]
    if rows:
        connection.execute(_COUNT, rows)


def _place(record: NewRecord, made_ms: int) -> _Place:
    return made_ms // HOUR_MS, record.key.station, record.product[:PRODUCT_MOST], record.model[:MODEL_MOST]
