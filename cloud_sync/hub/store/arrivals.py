"""Records that somebody is to see to after they are stored: named in the transaction that stores them, so never missed.

A sample is seen to beside the collector and not in its transaction: a defect there must cost no record.
"""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from cloud_sync.hub.store.entries import Key
from cloud_sync.hub.store.label_tables import arrivals
from cloud_sync.wire.outbox import Stream

_SEEN_TO = frozenset({Stream.SAMPLES, Stream.FEEDBACK})


def queue_arrivals(connection: sa.Connection, fresh: Iterable[Key]) -> None:
    """Name those of the new records that are to be seen to. Raises SQLAlchemyError."""
    rows = [key._asdict() | {"stream": key.stream.value} for key in fresh if key.stream in _SEEN_TO]
    if rows:
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        connection.execute(insert(arrivals).on_conflict_do_nothing(), rows)
