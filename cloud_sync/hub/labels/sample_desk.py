"""The desk that turns records into samples, beside the collector's own work, a little at a time."""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Self

import sqlalchemy as sa

from cloud_sync.hub.desk import Publish, Reply
from cloud_sync.hub.labels.awaited import look_for_images, nameless_feedback, write_images
from cloud_sync.hub.labels.feedback import find_products
from cloud_sync.hub.labels.projecting import now_ms, project, try_lock_projection
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.label_tables import arrivals

_logger = logging.getLogger(__name__)
_REST_S = 3.0
_RECORDS = 20  # at once: some 20 ms
_LOOKED_AT = 200
_PATIENCE_S = 0.05  # whoever writes now is not waited for: there is a next time
_ANY_ARRIVAL = sa.select(sa.literal(1)).select_from(arrivals).where(arrivals.c.fault.is_(None)).limit(1)


class SampleDesk:
    """A `Desk` that takes no message; a context manager, closed when the collector ends.

    Args:
        place: the store, as the collector has it; it must exist.
        every_s: how often it looks whether there is something to do.
        clock_s: counts up.

    Raises:
        StoreError: the store cannot be opened.
    """

    def __init__(self, place: str, every_s: float = 0.5, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._writer = open_engine(place, create=True, busy_timeout_s=_PATIENCE_S)
        self._reader = open_engine(place, create=False)
        self._every_s = every_s
        self._clock_s = clock_s
        self._next_s = 0.0
        self._after = ""
        self._fault = ""

    def takes(self, subject: str) -> bool:  # noqa: ARG002 - samples are records
        """See `Desk`."""
        return False

    def take(
        self,
        connection: sa.Connection,  # noqa: ARG002 - nothing comes here
        station: str,  # noqa: ARG002
        subject: str,  # noqa: ARG002
        payload: bytes,  # noqa: ARG002
        at_ms: int,  # noqa: ARG002
    ) -> Sequence[Reply]:
        """See `Desk`."""
        return ()

    def work(self, publish: Publish) -> None:  # noqa: ARG002 - nobody is told
        """See to some records, and look for some images; see `Desk`."""
        now_s = self._clock_s()
        if now_s < self._next_s:
            return
        self._next_s = now_s + self._every_s
        try:
            self._look(now_s)
        except sa.exc.OperationalError as error:  # somebody writes a long transaction, or the server is away
            self._next_s = now_s + _REST_S
            self._report(str(error.orig))
        else:
            self._fault = ""

    def close(self) -> None:
        """Give back what the database lent."""
        self._writer.dispose()
        self._reader.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _look(self, now_s: float) -> None:
        with self._reader.connect() as connection:
            waits = bool(connection.scalar(_ANY_ARRIVAL)) or bool(nameless_feedback(connection, 1))
            window = look_for_images(connection, self._after, _LOOKED_AT)
        if waits or window.found:
            with self._writer.begin() as connection:
                if connection.dialect.name == "postgresql":
                    connection.exec_driver_sql(f"SET LOCAL lock_timeout = {round(_PATIENCE_S * 1000)}")
                write_images(connection, window.found)
                if waits and try_lock_projection(connection):
                    self._see_to(connection, now_s)
        self._after = window.last

    def _report(self, fault: str) -> None:
        """Once, until it is another one or was over."""
        if fault != self._fault:
            self._fault = fault
            _logger.warning("samples wait: %s", fault)

    def _see_to(self, connection: sa.Connection, now_s: float) -> None:
        find_products(connection, _RECORDS, now_ms())
        if project(connection, now_ms(), _RECORDS).records == _RECORDS:
            self._next_s = now_s  # there may be more
