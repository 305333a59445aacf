"""Turns records into samples: what stations say of samples, of their images, and what operators say of verdicts.

- Each record is seen to once: that it waits for it and what it becomes are one transaction. One program at a time does
  this, however many collectors there are.
- The order does not matter: a sample may come before its image, an operator's word before its inspection.
- A record that cannot be seen to is kept aside with the reason; no other waits for it.
"""

import logging
import time
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.labels.awaited import look_for_images, write_images
from cloud_sync.hub.labels.feedback import apply_feedback, find_products, put_feedback
from cloud_sync.hub.labels.samples import put_sample
from cloud_sync.hub.plain import without_password
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.errors import StoreError
from cloud_sync.hub.store.label_tables import arrivals
from cloud_sync.hub.store.tables import records
from cloud_sync.hub.store.writing import is_fault_of_database
from cloud_sync.wire.outbox import Stream
from cloud_sync.wire.records import FeedbackRecord, SampleRecord, read_record

_LOCK = 0x6C61626C  # any number that no other program at this database takes
_AT_ONCE = 100
_WINDOW = 1000
_KEY = ("station", "epoch", "stream", "seq")
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Projected:
    """What one step did: records seen to, images found of samples that waited, records kept aside."""

    records: int = 0
    images: int = 0
    faults: int = 0


def catch_up(place: str) -> Projected:
    """See to everything that waits. Raises StoreError."""
    open_engine(place, create=False).dispose()  # a mistyped place is refused, not made
    engine = open_engine(place, create=True)
    done = Projected()
    try:
        while (step := _step(engine)).records or step.faults:
            done = Projected(done.records + step.records, 0, done.faults + step.faults)
        return Projected(done.records, _find_images(engine), done.faults)
    except sa.exc.SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreError(f"cannot write to {without_password(place)}: {cause}") from error
    finally:
        engine.dispose()


def project(connection: sa.Connection, at_ms: int, limit: int = _AT_ONCE) -> Projected:
    """See to the next records; for the inside of a transaction. Raises SQLAlchemyError."""
    same = [arrivals.c[name] == records.c[name] for name in _KEY]
    query = sa.select(*(arrivals.c[name] for name in _KEY), records.c.payload).join(records, sa.and_(*same))
    waiting = connection.execute(query.where(arrivals.c.fault.is_(None)).order_by(*arrivals.primary_key).limit(limit))
    done = faults = 0
    for row in waiting.all():
        fault = _see_to(connection, Stream(row.stream), row.payload, at_ms)
        own = sa.and_(*(arrivals.c[name] == getattr(row, name) for name in _KEY))
        if fault is None:
            connection.execute(sa.delete(arrivals).where(own))
            done += 1
        else:
            connection.execute(sa.update(arrivals).where(own).values(fault=fault))
            faults += 1
    return Projected(done, 0, faults)


def lock_projection(connection: sa.Connection) -> None:
    """Until the transaction ends nobody else does this; in SQLite the transaction is lock enough."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


def try_lock_projection(connection: sa.Connection) -> bool:
    """As `lock_projection`, unless somebody is at it already."""
    if connection.dialect.name == "postgresql":
        return bool(connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))))
    return True


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def _step(engine: sa.Engine) -> Projected:
    with engine.begin() as connection:
        lock_projection(connection)
        found = find_products(connection, _AT_ONCE, now_ms())
        step = project(connection, now_ms())
        return Projected(step.records + found, 0, step.faults)


def _find_images(engine: sa.Engine) -> int:
    found, after, first = 0, "", True
    while after or first:
        first = False
        with engine.connect() as connection:
            window = look_for_images(connection, after, _WINDOW)
        if window.found:
            with engine.begin() as connection:
                write_images(connection, window.found)
        found, after = found + len(window.found), window.last
    return found


def _see_to(connection: sa.Connection, stream: Stream, payload: bytes, at_ms: int) -> str | None:
    """Why it could not be seen to; then nothing of it is written. Raises what the database's own failures raise."""
    try:
        with connection.begin_nested():
            if stream is Stream.SAMPLES:
                sample = read_record(SampleRecord, payload)
                put_sample(connection, sample, at_ms)
                apply_feedback(connection, sample.station, sample.inspection_epoch, sample.inspection_seq, at_ms)
            else:
                said = read_record(FeedbackRecord, payload)
                put_feedback(connection, said, at_ms)
                apply_feedback(connection, said.station, said.inspection_epoch, said.inspection_seq, at_ms)
    except Exception as error:
        if is_fault_of_database(error):
            raise
        _logger.exception("a record of %s could not be seen to", stream)
        return f"{type(error).__name__}: {error}"[:300]
    return None
