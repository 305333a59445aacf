"""The images on the disk: what they take, and how those go that are worth least."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing

from edge.domain.frame import Frame
from edge.domain.inspection import ImageRef
from edge.record.counts import add_to_count
from edge.record.database import open_reader
from edge.record.eviction import Eviction, Kind
from edge.record.images import ImageStore
from edge.record.letting_go import forget_bare_inspections
from edge.record.recorder import Recorder
from edge.record.upload_choice import UploadValue

_EVICT_ROWS = 256
_IDLE = (
    "SELECT seq, camera, sha256, media_type, size_bytes FROM images WHERE stored AND good = ?"
    " AND NOT EXISTS (SELECT 1 FROM uploads WHERE uploads.sha256 = images.sha256 AND refused IS NULL)"
    " ORDER BY seq LIMIT ?"
)
_WAITING = (
    "SELECT images.seq, images.camera, images.sha256, images.media_type, images.size_bytes"
    " FROM (SELECT sha256, seq AS since FROM uploads WHERE refused IS NULL AND value = ? ORDER BY seq LIMIT ?)"
    " JOIN images USING (sha256) WHERE stored ORDER BY since"
)
_QUERY: Mapping[Kind, tuple[str, int]] = {
    Kind.GOOD_IMAGES: (_IDLE, 1),
    Kind.OTHER_IMAGES: (_IDLE, 0),
    Kind.AUDIT_UPLOADS: (_WAITING, UploadValue.AUDIT),
    Kind.REJECT_UPLOADS: (_WAITING, UploadValue.REJECT),
    Kind.UNDECIDED_UPLOADS: (_WAITING, UploadValue.UNDECIDED),
    Kind.SAMPLE_UPLOADS: (_WAITING, UploadValue.SAMPLE),
    Kind.OVERRULED_UPLOADS: (_WAITING, UploadValue.OVERRULED),
}
_Row = tuple[int, str, str, str, int]


class Shelf:
    """Image files and their rows; for one thread.

    Invariants:
    - A file is deleted only after the commit that says that no inspection needs it any more.
    - What no inspection refers to, because a kill came between file and record, is deleted by `settle`.

    Args:
        store: where the files go; written by this thread alone.
        recorder: through which the rows are changed.
    """

    def __init__(self, store: ImageStore, recorder: Recorder) -> None:
        self.used_bytes = 0
        self._store = store
        self._recorder = recorder

    def settle(self) -> None:
        """Measure what is stored, and delete the files that no inspection refers to."""
        with closing(open_reader(self._recorder.path)) as reader:
            query = "SELECT DISTINCT sha256, size_bytes, media_type FROM images WHERE stored"
            known = {self._store.path_of(sha256, kind): size for sha256, size, kind in reader.execute(query)}
        self.used_bytes = sum(known.values())
        for path in self._store.files():
            if path not in known and path.is_file():
                path.unlink(missing_ok=True)

    def put(self, frame: Frame) -> ImageRef:
        """Store a frame's image; it is on disk when this returns. Raises StorageError."""
        ref, grown_bytes = self._store.put(frame)
        self.used_bytes += grown_bytes
        return ref

    def evict(self, reader: sqlite3.Connection, eviction: Eviction) -> bool:
        """Let go of the oldest images of a kind: in the database, then on the disk. False: there were none.

        Raises:
            StorageError, sqlite3.Error: the disk refuses.
        """
        rows = self._oldest(reader, eviction)
        unused: list[tuple[str, str, int]] = []

        def mark(connection: sqlite3.Connection) -> None:
            unused[:] = _mark_gone(connection, rows)

        if rows:
            self._recorder.write_and_wait(mark)
        for sha256, media_type, size_bytes in unused:
            self._store.remove(sha256, media_type)
            self.used_bytes -= size_bytes
        return bool(rows)

    def _oldest(self, reader: sqlite3.Connection, eviction: Eviction) -> list[_Row]:
        """The next images of a kind to go: as many as are wanted, or as one turn takes."""
        query, which = _QUERY[eviction.kind]
        chosen: list[_Row] = []
        sizes: dict[str, int] = {}
        for row in reader.execute(query, (which, _EVICT_ROWS)):
            if sum(sizes.values()) >= eviction.wanted_bytes and row[2] not in sizes:
                break
            chosen.append(row)
            sizes[row[2]] = row[4]
        return chosen


def _mark_gone(connection: sqlite3.Connection, rows: list[_Row]) -> list[tuple[str, str, int]]:
    """Say in the database that these images are gone; returns the contents that nobody needs any more."""
    connection.executemany(
        "UPDATE images SET stored = 0 WHERE seq = ? AND camera = ?", [(seq, camera) for seq, camera, *_ in rows]
    )
    unused = []
    for sha256, media_type, size_bytes in {(sha256, kind, size) for _, _, sha256, kind, size in rows}:
        needed = connection.execute("SELECT 1 FROM images WHERE sha256 = ? AND stored LIMIT 1", (sha256,))
        if needed.fetchone() is None:
            unused.append((sha256, media_type, size_bytes))
            waited = connection.execute("DELETE FROM uploads WHERE sha256 = ? AND refused IS NULL", (sha256,)).rowcount
            connection.execute("DELETE FROM uploads WHERE sha256 = ?", (sha256,))  # nobody can try it again
            add_to_count(connection, "evicted:uploads", waited)
    forget_bare_inspections(connection, {seq for seq, *_ in rows})
    return unused
