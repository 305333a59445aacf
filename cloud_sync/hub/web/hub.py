"""The cloud that the pages are about: its file, and ways into its store."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import cast

import sqlalchemy as sa
from starlette.requests import Request

from cloud_sync.hub.files.blobs import Blobs, Patience, open_blobs
from cloud_sync.hub.retraining.cloud_toml import CloudConfig
from cloud_sync.hub.retraining.runs import Runs, store_errors
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.hours import PastHours
from cloud_sync.hub.web.counted import Counted
from cloud_sync.hub.web.quick_blobs import QuickBlobs
from cloud_sync.hub.web.turns import Turns

NO_NUL = r"^[^\x00]*$"  # what PostgreSQL takes as text
_BLOBS_PATIENCE = Patience(answer_s=5, again_s=2, again_times=1)  # somebody sits before the page
_PATIENCE_S = 30.0  # whoever writes a long transaction is waited for


class Hub:
    """One cloud.

    Args:
        config: cloud.toml, as it was when the pages started.
    """

    def __init__(self, config: CloudConfig) -> None:
        self.config = config
        self.counted = Counted()
        self.past = PastHours()
        self._turns = Turns()
        self._engine: sa.Engine | None = None
        self._writer: sa.Engine | None = None
        self._blobs: Blobs | None = None
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that only reads the store, of an engine that is kept. Raises StoreError."""
        engine = self._reader()
        with store_errors(engine), engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction on the store, of an engine that is kept: all of it is committed at the end, or nothing.

        Raises StoreError.
        """
        with self._lock:
            if self._writer is None:
                open_engine(self.config.cloud.store, create=False).dispose()  # a mistyped place is refused, not made
                self._writer = open_engine(self.config.cloud.store, create=True, busy_timeout_s=_PATIENCE_S)
            engine = self._writer
        turn = self._turns.one() if engine.dialect.name == "sqlite" else nullcontext()
        with turn, store_errors(engine), engine.begin() as connection:
            yield connection

    def runs(self) -> Runs:
        """The runs of the store, to be read. Raises StoreError."""
        return Runs.over(self._reader())

    def blobs(self) -> Blobs:
        """Where pictures and reports lie. Raises BlobError."""
        with self._lock:
            self._blobs = self._blobs or QuickBlobs(open_blobs(self.config.blobs, _BLOBS_PATIENCE))
            return self._blobs

    def close(self) -> None:
        """Give back what the database lent; what is asked afterwards opens it anew."""
        with self._lock:
            engines, self._engine, self._writer = (self._engine, self._writer), None, None
        for engine in engines:
            if engine is not None:
                engine.dispose()

    def _reader(self) -> sa.Engine:
        """Opened once it is asked for: the store may be made after the pages started."""
        kept = self._engine
        if kept is not None:
            return kept
        opened = open_engine(self.config.cloud.store, create=False)  # nobody waits for another's try
        with self._lock:
            kept = self._engine = self._engine or opened
        if kept is not opened:
            opened.dispose()
        return kept


def hub(request: Request) -> Hub:
    """The cloud that a request is about."""
    return cast("Hub", request.app.state.hub)


def now_ms() -> int:
    """The time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
