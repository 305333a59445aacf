"""Images that wait to go up: listed with their record, in one transaction, until the cloud has them."""

import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog

from cloud_sync.wire.uploads import Upload
from edge.domain.errors import StorageError
from edge.record.database import open_reader
from edge.record.images import ImageStore
from edge.record.recorder import Recorder

log = structlog.get_logger()
_WAITING = (
    "SELECT uploads.sha256, size_bytes, media_type, epochs.epoch, uploads.seq, camera FROM uploads"
    " JOIN inspections ON inspections.seq = uploads.seq JOIN epochs ON epochs.id = inspections.epoch"
    " WHERE refused IS NULL ORDER BY value DESC, uploads.seq LIMIT ?"
)


class SqliteUploads:
    """Implements `cloud_sync.wire.uploads.Uploads` on the station's database; for the uplink's thread alone.

    Args:
        recorder: through which rows are deleted and refused.
        store: where the images lie.
        sends: whether images may go up at all; where not, what waits from before is let go of, unsent.
    """

    def __init__(self, recorder: Recorder, store: ImageStore, *, sends: bool = True) -> None:
        self._recorder = recorder
        self._store = store
        self._sends = sends
        self._reader: sqlite3.Connection | None = None

    def waiting(self, limit: int) -> Sequence[Upload]:
        """The most valuable ones, then the oldest. Raises StorageError."""
        found = [Upload(*row) for row in self._read(_WAITING, (limit,))]
        if found and not self._sends:
            self._write("DELETE FROM uploads WHERE refused IS NULL", ())
            log.warning("images that waited to go up stay here: the configuration says so now")
            return []
        return found

    def content(self, upload: Upload) -> bytes | None:
        """The image as it lies on the disk; None where it was evicted. Raises StorageError."""
        path = self._path(upload)
        try:
            return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {path}: {error}") from error

    def settle(self, upload: Upload) -> None:
        """It waits no more. Raises StorageError."""
        self._write("DELETE FROM uploads WHERE sha256 = ?", (upload.sha256,))

    def refuse(self, upload: Upload, reason: str) -> None:
        """It stays listed with the reason, and is not sent. Raises StorageError."""
        self._write("UPDATE uploads SET refused = ? WHERE sha256 = ?", (reason, upload.sha256))

    def close(self) -> None:
        """Let go of the database; the next read opens it again."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def _path(self, upload: Upload) -> Path:
        return self._store.path_of(upload.sha256, upload.media_type)

    def _write(self, query: str, values: tuple[object, ...]) -> None:
        self._recorder.write_and_wait(lambda connection: _execute(connection, query, values))

    def _read(self, query: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        try:
            if self._reader is None:
                self._reader = open_reader(self._recorder.path)
            return self._reader.execute(query, values).fetchall()
        except sqlite3.Error as error:
            self.close()
            raise StorageError(f"cannot read what waits to go up: {error}") from error


def _execute(connection: sqlite3.Connection, query: str, values: tuple[object, ...]) -> None:
    connection.execute(query, values)
