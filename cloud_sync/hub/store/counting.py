"""New inspections added to their hours' counts, in the transaction that stores them."""

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
_COLUMNS = {"PASS": 0, "REJECT": 1, "UNDECIDED": 2}
_LAST = 3

_Place = tuple[int, str, str, str]  # hour, station, product, model


def count_hours(connection: sa.Connection, fresh: Iterable[NewRecord], at_ms: int) -> None:
    """Add records that are new to their hours; rows in the order of their keys. Raises SQLAlchemyError."""
    tally: dict[_Place, list[int]] = {}
    for record in fresh:
        column = _COLUMNS.get(record.verdict or "")
        if column is None or record.key.stream is not Stream.INSPECTIONS:
            continue
        made_ms = at_ms if record.made_at_ms is None or record.made_at_ms > at_ms else record.made_at_ms
        place = made_ms // HOUR_MS, record.key.station, record.product, record.model
        counts = tally.get(place)
        if counts is None:
            counts = tally[place] = [0, 0, 0, made_ms]
        counts[column] += 1
        counts[_LAST] = max(counts[_LAST], made_ms)
    rows = [_row(place, tally[place]) for place in sorted(tally)]
    if rows:
        connection.execute(_COUNT, rows)


def _row(place: _Place, counts: list[int]) -> dict[str, object]:
    hour, station, product, model = place
    passed, rejected, undecided, last_at_ms = counts
    return {
        "hour": hour,
        "station": station,
        "product": product[:PRODUCT_MOST],
        "model": model[:MODEL_MOST],
        "passed": passed,
        "rejected": rejected,
        "undecided": undecided,
        "last_at_ms": last_at_ms,
    }
