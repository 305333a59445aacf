"""The cloud that the pages are about: its file, and ways into its store."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import sqlalchemy as sa
from starlette.requests import Request

from cloud_sync.hub.retraining.cloud_toml import CloudConfig
from cloud_sync.hub.retraining.runs import store_errors
from cloud_sync.hub.store.engine import open_engine
from cloud_sync.hub.store.reading import StoreReader

_PATIENCE_S = 30.0  # whoever writes a long transaction is waited for


class Hub:
    """One cloud.

    Args:
        config: cloud.toml, as it was when the pages started.
    """

    def __init__(self, config: CloudConfig) -> None:
        self.config = config
        self._engine: sa.Engine | None = None
        self._writer: sa.Engine | None = None
        self._lock = threading.Lock()

    def reader(self) -> StoreReader:
        """The store, to be read and closed again. Raises StoreError."""
        return StoreReader(self.config.cloud.store)

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """A connection that only reads the store, of an engine that is kept. Raises StoreError."""
        with self._lock:  # opened once it is asked for: the store may be made after the pages started
            engine = self._engine = self._engine or open_engine(self.config.cloud.store, create=False)
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
        with store_errors(engine), engine.begin() as connection:
            yield connection


def hub(request: Request) -> Hub:
    """The cloud that a request is about."""
    return cast("Hub", request.app.state.hub)


def now_ms() -> int:
    """The time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000
