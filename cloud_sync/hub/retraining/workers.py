"""Who works: each worker says so every few seconds, and one that has not for long is dead to the others.

- Times are the database's own, so that no two machines' clocks are compared.
- Who could not say so itself, because the database was away, holds nobody for dead until it has said so for as long.
- A worker that only stood still finds its work taken over: DBOS takes no word from it any more, and it gives up its
  training when it sees that the run has another worker.
"""

import platform
import time

import sqlalchemy as sa

from cloud_sync.hub.retraining.runs import store_errors
from cloud_sync.hub.store.retraining_tables import retraining_workers

_NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(extract(epoch from clock_timestamp()) * 1000 AS BIGINT)",
}


class Workers:
    """The workers of a store, seen by one of them.

    Args:
        engine: the store.
        worker: our own id.
        dead_after_s: others that were not heard of for so long are dead.
    """

    def __init__(self, engine: sa.Engine, worker: str, version: str, dead_after_s: float) -> None:
        self._engine = engine
        self._worker = worker
        self._version = version
        self._dead_after_s = dead_after_s
        self._dead_after_ms = round(dead_after_s * 1000)
        self._heard_s = self._steady_since_s = float("-inf")
        self._now = sa.literal_column(_NOW[engine.dialect.name], sa.BigInteger)

    def beat(self) -> None:
        """We live. Raises StoreError."""
        row = {"host": platform.node()[:255], "version": self._version[:64], "seen_at_ms": self._now}
        mine = retraining_workers.c.worker == self._worker
        with store_errors(self._engine), self._engine.begin() as connection:
            if not connection.execute(sa.update(retraining_workers).where(mine).values(**row)).rowcount:
                connection.execute(sa.insert(retraining_workers).values(worker=self._worker, **row))
        now_s = time.monotonic()
        if now_s - self._heard_s > self._dead_after_s / 2:
            self._steady_since_s = now_s
        self._heard_s = now_s

    def dead(self) -> list[str]:
        """Other workers that were not heard of for long. Raises StoreError."""
        if time.monotonic() - self._steady_since_s < self._dead_after_s:
            return []
        old = retraining_workers.c.seen_at_ms < self._now - self._dead_after_ms
        other = retraining_workers.c.worker != self._worker
        query = sa.select(retraining_workers.c.worker).where(old, other)
        with store_errors(self._engine), self._engine.connect() as connection:
            return list(connection.scalars(query))

    def bury(self, worker: str) -> None:
        """Its work has been taken over, unless it was heard of meanwhile. Raises StoreError."""
        old = retraining_workers.c.seen_at_ms < self._now - self._dead_after_ms
        gone = sa.delete(retraining_workers).where(retraining_workers.c.worker == worker, old)
        with store_errors(self._engine), self._engine.begin() as connection:
            connection.execute(gone)

    def leave(self) -> None:
        """We end in order: what we leave may be taken over at once. Raises StoreError."""
        mine = sa.update(retraining_workers).where(retraining_workers.c.worker == self._worker)
        with store_errors(self._engine), self._engine.begin() as connection:
            connection.execute(mine.values(seen_at_ms=0))
