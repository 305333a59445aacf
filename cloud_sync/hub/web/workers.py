"""Who works on the store now: without a worker nothing is trained, and nothing goes to stations or back."""

from typing import NamedTuple

import sqlalchemy as sa

from cloud_sync.hub.store.retraining_tables import retraining_workers

ALIVE_MS = 60_000  # it says so every few seconds


class WorkerSeen(NamedTuple):
    """One worker, and when it was last heard of, ms since 1970; 0: it ended in order."""

    worker: str
    host: str
    version: str
    seen_at_ms: int


def workers_seen(connection: sa.Connection) -> list[WorkerSeen]:
    """All of them, the one heard last first. Raises SQLAlchemyError."""
    columns = [retraining_workers.c[name] for name in WorkerSeen._fields]
    query = sa.select(*columns).order_by(retraining_workers.c.seen_at_ms.desc()).limit(100)
    return [WorkerSeen(*row) for row in connection.execute(query)]


def workers_alive(connection: sa.Connection, now_ms: int) -> bool:
    """Whether one was heard of just now. Raises SQLAlchemyError."""
    return any(now_ms - one.seen_at_ms < ALIVE_MS for one in workers_seen(connection))
