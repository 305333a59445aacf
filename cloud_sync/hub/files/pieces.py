"""Takes in the stations' files: pieces into the shared store, whole files into the blob store.

- Pieces lie in the database, so that each of many collectors may take any of them, in any order, any number of times.
- All of a file belongs to the station that sends it, the same content from two stations included. So no station learns
  what another one has, none can spoil another's file, and an image on record was really sent, byte for byte, by the
  station under whose inspection it stands. Content that two stations sent lies in the blob store once.
- `complete` is said once the hash was checked over all bytes, they are in the blob store, and that is on record.
  A kill between two of these steps only means that the last one is done again.
"""

import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from cloud_sync.hub.desk import Reply
from cloud_sync.hub.store.adding import add_absent
from cloud_sync.hub.store.file_tables import file_chunks, files
from cloud_sync.wire import topics
from cloud_sync.wire.blobs import Span, checked_block, covers, spans_of
from cloud_sync.wire.errors import LinkError
from cloud_sync.wire.messages import FileAck, FileFin, FileInit
from cloud_sync.wire.strict_json import is_text

IMAGE_LIMIT_BYTES = 64 * 1024**2
OPEN_LIMIT = 4

_SHA256 = "[0-9a-f]{64}"
_OFFSET = "0|[1-9][0-9]{0,9}"
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileKey:
    """A file of a station."""

    station: str
    sha256: str


@dataclass(frozen=True, slots=True)
class FileLimits:
    """What a station may ask of us: the largest file; how many may be half sent before the eldest is let go."""

    size_bytes: int = IMAGE_LIMIT_BYTES
    open_files: int = OPEN_LIMIT


class FileIntake:
    """What each message does to the tables; for the inside of a transaction.

    Args:
        limits: what a station may ask of us.
    """

    def __init__(self, limits: FileLimits | None = None) -> None:
        self._limits = limits or FileLimits()

    def take(
        self, connection: sa.Connection, station: str, subject: str, payload: bytes, at_ms: int
    ) -> tuple[Sequence[Reply], FileKey | None]:
        """Write what came; the replies, and the file that has all its bytes now. Raises LinkError."""
        key, verb = _key(station, subject)
        if verb == "init":
            return self._init(connection, key, FileInit.unpack(payload), at_ms), None
        if verb == "fin":
            return _fin(connection, key, FileFin.unpack(payload), at_ms)
        return _chunk(connection, key, int(verb), payload, at_ms), None

    def _init(self, connection: sa.Connection, key: FileKey, init: FileInit, at_ms: int) -> Sequence[Reply]:
        _check_name(key, init.file)
        if init.size_bytes > self._limits.size_bytes:
            return _reply(key, error=f"a file has at most {self._limits.size_bytes} bytes, this one {init.size_bytes}")
        row = _row(connection, key)
        if row is not None and row.state in {"sent", "complete"} and row.size_bytes != init.size_bytes:
            return _reply(key, error=f"it has {row.size_bytes} bytes here, {init.size_bytes} there")
        if row is not None and (row.state == "refused" or row.size_bytes != init.size_bytes):
            forget(connection, key)  # announced anew: from its first byte
            row = None
        if row is not None:
            return _standing(connection, key, row)
        if not self._make_room(connection, key.station):
            return ()  # no answer: the station asks again, later and later
        add_absent(connection, files, _file_row(key, init, at_ms))
        return _reply(key)

    def _make_room(self, connection: sa.Connection, station: str) -> bool:
        """Whether a station may begin one more file; the one that rested longest gives way."""
        mine = files.c.station == station
        under_way = sa.select(files.c.sha256, files.c.state).where(mine, files.c.state.in_(("open", "sent")))
        rows = connection.execute(under_way.order_by(files.c.changed_at_ms)).all()
        eldest = [row.sha256 for row in rows if row.state == "open"]
        surplus = len(rows) - self._limits.open_files + 1
        if surplus > len(eldest):
            _logger.warning("station %s has %d files waiting for the blob store: no more for now", station, len(rows))
            return False
        for sha256 in eldest[: max(0, surplus)]:
            forget(connection, FileKey(station, sha256))
        return True


def forget(connection: sa.Connection, key: FileKey) -> None:
    """Nothing of the file was ever here."""
    drop_chunks(connection, key)
    connection.execute(sa.delete(files).where(*_is(files, key)))


def drop_chunks(connection: sa.Connection, key: FileKey) -> None:
    """The file's bytes are needed here no more."""
    connection.execute(sa.delete(file_chunks).where(*_is(file_chunks, key)))


def mark(connection: sa.Connection, key: FileKey, state: str, at_ms: int, reason: str | None = None) -> None:
    """Say how the file stands."""
    changed = {"state": state, "reason": reason, "changed_at_ms": at_ms}
    connection.execute(sa.update(files).where(*_is(files, key)).values(**changed))


def size_sent(connection: sa.Connection, key: FileKey, *, lock: bool = False) -> int | None:
    """Its size in bytes if it waits to be checked and stored, else None; with `lock` nobody changes that meanwhile."""
    row = _row(connection, key, lock=lock)
    return row.size_bytes if row is not None and row.state == "sent" else None


def content_of(connection: sa.Connection, key: FileKey) -> io.BytesIO:
    """All bytes that are here of a file, in order, at the beginning."""
    query = sa.select(file_chunks.c.payload).where(*_is(file_chunks, key)).order_by(file_chunks.c.offset)
    whole = io.BytesIO()
    for payload in connection.scalars(query, execution_options={"yield_per": 64}):
        whole.write(payload)
    whole.seek(0)
    return whole


def answer(key: FileKey, *, complete: bool = False, error: str | None = None) -> Reply:
    """What the station is told in the end."""
    return _reply(key, complete=complete, error=error)[0]


def _fin(connection: sa.Connection, key: FileKey, fin: FileFin, at_ms: int) -> tuple[Sequence[Reply], FileKey | None]:
    _check_name(key, fin.file)
    row = _row(connection, key)
    if row is None or row.state in {"complete", "refused"}:
        return _standing(connection, key, row), None
    held = _held(connection, key, row.size_bytes)
    if row.size_bytes != fin.size_bytes or not covers(held, Span(0, row.size_bytes)):
        return _reply(key, held), None
    mark(connection, key, "sent", at_ms)
    return (), key  # answered once it is stored


def _chunk(connection: sa.Connection, key: FileKey, offset: int, payload: bytes, at_ms: int) -> Sequence[Reply]:
    row = _row(connection, key)
    if row is not None and row.state == "open":
        checked_block(offset, len(payload), row.size_bytes)
        identity = {"station": key.station, "sha256": key.sha256, "offset": offset}
        add_absent(connection, file_chunks, identity | {"payload": payload})
        mark(connection, key, "open", at_ms)
    return _standing(connection, key, row)


def _standing(connection: sa.Connection, key: FileKey, row: "sa.Row[tuple[object, ...]] | None") -> Sequence[Reply]:
    """How a file stands, as its station is told; one that was not announced holds nothing."""
    if row is None:
        return _reply(key)
    if row.state == "refused":
        return _reply(key, error=row.reason)
    if row.state == "complete":
        return _reply(key, (Span(0, row.size_bytes),), complete=True)
    return _reply(key, _held(connection, key, row.size_bytes))


def _reply(
    key: FileKey, held: Sequence[Span] = (), *, complete: bool = False, error: str | None = None
) -> tuple[Reply]:
    ranges = [(span.first, span.end) for span in held]
    ack = FileAck(file=key.sha256, ranges=ranges, complete=complete, error=error)
    return (Reply(topics.file_ack(key.station), ack.pack()),)


def _held(connection: sa.Connection, key: FileKey, size_bytes: int) -> tuple[Span, ...]:
    return spans_of(connection.scalars(sa.select(file_chunks.c.offset).where(*_is(file_chunks, key))), size_bytes)


def _key(station: str, subject: str) -> tuple[FileKey, str]:
    """The file and what is said of it: init, fin or an offset. Raises LinkError: what is no name reaches no query."""
    match subject.split("/"):
        case ["file", sha256, verb] if is_text(sha256, _SHA256) and is_text(verb, f"init|fin|{_OFFSET}"):
            return FileKey(station, sha256), verb
    raise LinkError(f"expected file/SHA256/init, /OFFSET or /fin, got {subject[:120]!r}")


def _check_name(key: FileKey, named: str) -> None:
    if named != key.sha256:
        raise LinkError(f"expected file {key.sha256}, as its topic says, got {named}")


def _row(connection: sa.Connection, key: FileKey, *, lock: bool = True) -> "sa.Row[tuple[object, ...]] | None":
    """How it stands; locked, so that what another collector does of it comes before or after us, never between."""
    query = sa.select(files).where(*_is(files, key))
    return connection.execute(query.with_for_update() if lock else query).first()


def _is(table: sa.Table, key: FileKey) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.station == key.station, table.c.sha256 == key.sha256


def _file_row(key: FileKey, init: FileInit, at_ms: int) -> dict[str, object]:
    return {
        "station": key.station,
        "sha256": key.sha256,
        "size_bytes": init.size_bytes,
        "media_type": init.media_type,
        "epoch": init.epoch,
        "seq": init.seq,
        "camera": init.camera,
        "state": "open",
        "changed_at_ms": at_ms,
    }
